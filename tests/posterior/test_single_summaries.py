"""Single summaries' likelihoods are what is left of the law once the others are integrated out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, OFFSET, SIGMA, SLOPE, LinearLikelihood, uniform_points
from scipy.stats import norm

from natal.figures.single_summaries import likelihood_contours
from natal.likelihood.gaussian import FullGaussian
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts
from natal.posterior.single_summaries import held_share, single_summaries
from natal.variables import SUMMARIES


def mixture(fewest):
    """Two components; sizes and count are correlated, and a quarter of one component lies below five stars."""
    return Mixture(
        log_weight=jnp.log(jnp.array([0.5, 0.3])),
        location=jnp.array([[1.7, 5.5, 2.5], [0.5, 5.0, -0.8]]),
        cholesky=jnp.array(
            [
                [[0.10, 0.0, 0.0], [-0.05, 0.15, 0.0], [0.4, -0.2, 0.5]],
                [[0.30, 0.0, 0.0], [-0.2, 0.30, 0.0], [-0.3, 0.1, 0.4]],
            ]
        ),
        counts=Counts(20, fewest),
    )


@pytest.mark.parametrize("fewest", [0, 5])
def test_a_mixtures_summaries_by_summation(fewest):
    """The joint density, summed over the others' values on a fine lattice, is each summary's own."""
    law = mixture(fewest)
    log_sizes = np.linspace(-1.5, 2.3, 111), np.linspace(3.3, 7.0, 111)
    steps = [values[1] - values[0] for values in log_sizes]
    counts = np.arange(fewest, 21) / 20
    f, s, r = np.meshgrid(counts, *map(np.exp, log_sizes), indexing="ij")
    y = jnp.asarray(np.stack([f, s, r], axis=-1).reshape(-1, 3), "float32")
    density = np.exp(np.asarray(jax.jit(law.observed().log_prob)(y), float)).reshape(f.shape)
    # per unit of f_bound there are 20 cells; sizes are integrated in their logarithms
    summed = {
        0: (density * s * r).sum((1, 2)) * np.prod(steps),
        1: (density * r).sum((0, 2)) * steps[1] / 20,
        2: (density * s).sum((0, 1)) * steps[0] / 20,
    }
    for k, axis in ((0, counts), (1, np.exp(log_sizes[0])), (2, np.exp(log_sizes[1]))):
        alone = jax.vmap(lambda value, k=k: law.log_prob_alone(k, value))(jnp.asarray(axis, "float32"))
        # a lattice of a tenth of the smallest width; densities below a thousandth of the largest are left out
        seen = summed[k] > 1e-3 * summed[k].max()
        np.testing.assert_allclose(np.exp(alone)[seen], summed[k][seen], rtol=5e-3)


def test_normal_laws_alone():
    """Diagonals of means and covariances."""
    mean, covariance = (
        jnp.array([0.5, 3.0, 200.0]),
        jnp.array([[0.04, 0.01, 1.0], [0.01, 0.25, 2.0], [1.0, 2.0, 900.0]]),
    )
    value = jnp.array([0.7, 2.5, 250.0])
    for k in range(3):
        found = FullGaussian(mean, covariance).log_prob_alone(k, value[k])
        assert float(found) == pytest.approx(norm.logpdf(value[k], mean[k], np.sqrt(covariance[k, k])), rel=1e-5)


def test_likelihoods_over_the_box():
    """Of a linear normal law: bands along its slopes, and their product, in shares of equal cells."""
    truth = uniform_points(2, np.random.default_rng(1))
    y = truth @ SLOPE.T + OFFSET
    found = single_summaries(LinearLikelihood(), BOX, y, n_cells=40)
    q0, a_au = np.meshgrid(found.q0, found.a_au, indexing="ij")
    expected = np.stack([q0, a_au], axis=-1) @ SLOPE.T + OFFSET
    for alone, together, one in zip(found.alone, found.together, y, strict=True):
        each = np.moveaxis(norm.pdf(expected, one, SIGMA), -1, 0)
        np.testing.assert_allclose(alone, each / each.sum((1, 2), keepdims=True), rtol=2e-3, atol=1e-6)
        product = each.prod(0)
        np.testing.assert_allclose(together, product / product.sum(), rtol=2e-3, atol=1e-6)
        assert held_share(together, 0.68) < min(held_share(part, 0.68) for part in alone)
    figure = likelihood_contours(found, truth)
    titles = [ax.get_title() for ax in figure.axes]
    assert len(titles) == 2 * (len(SUMMARIES) + 1)
    assert titles[-1] == f"all: 68 % in {100 * held_share(found.together[1], 0.68):.0f} % of the box"
