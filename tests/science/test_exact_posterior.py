"""The reference itself: the exact posterior of the linear simulator against SciPy's bivariate normal."""

import numpy as np
import pytest
from closed_form import BOX, OFFSET, SIGMA, SLOPE, ExactPosterior, linear_mean, uniform_points
from scipy.stats import chi2, multivariate_normal, norm

WIDE = {"q0": (-2.0, 4.0), "a_au": (-1000.0, 1200.0)}


@pytest.fixture(scope="module")
def observations():
    """Eight clusters from the prior, two of them at a corner of the box."""
    rng = np.random.default_rng(0)
    x = np.vstack([uniform_points(6, rng), [[0.51, 55.0], [1.49, 199.0]]])
    return x, linear_mean(x) + SIGMA * rng.standard_normal((8, 3))


def test_the_mass_in_the_box_is_a_rectangle_probability(observations):
    """Of the uncut bivariate normal."""
    for y in observations[1]:
        exact = ExactPosterior(y)
        low, high = np.array(list(BOX.values())).T
        normal = multivariate_normal(exact.centre, exact.covariance)
        # SciPy integrates to about 1e-8
        assert exact.mass_in_box == pytest.approx(normal.cdf(high, lower_limit=low), abs=1e-6)


def test_marginals_are_rectangle_probabilities(observations):
    """The cumulative probability at the truth, in either parameter."""
    for x, y in zip(*observations, strict=True):
        exact = ExactPosterior(y)
        low, high = np.array(list(BOX.values())).T
        normal = multivariate_normal(exact.centre, exact.covariance)
        for axis in (0, 1):
            cut = np.where(np.arange(2) == axis, x, high)
            expected = normal.cdf(cut, lower_limit=low) / exact.mass_in_box
            assert exact.cdf(x)[axis] == pytest.approx(expected, abs=1e-6)


def test_far_from_the_edges_it_is_the_uncut_normal(observations):
    """Weighted least squares, normal quantiles and a chi-square region with two degrees of freedom."""
    for x, y in zip(*observations, strict=True):
        exact = ExactPosterior(y, box=WIDE)
        weighted, *_ = np.linalg.lstsq(SLOPE / SIGMA[:, None], (y - OFFSET) / SIGMA, rcond=None)
        sd = np.sqrt(np.diag(exact.covariance))
        np.testing.assert_allclose(exact.mean, weighted, rtol=1e-9)
        np.testing.assert_allclose(exact.sd, sd, rtol=1e-9)
        expected = weighted[:, None] + sd[:, None] * norm.ppf([0.025, 0.16, 0.5, 0.84, 0.975])
        np.testing.assert_allclose(exact.quantiles(), expected, rtol=1e-7)
        assert exact.hpd_level(x) == pytest.approx(chi2.cdf(exact.distance(x) ** 2, 2), abs=1e-9)


def test_everything_by_brute_force(observations):
    """Moments, evidence, log density and highest-density mass from the likelihood on a grid of a million cells."""
    n = 1000
    centres = [low + (high - low) * (np.arange(n) + 0.5) / n for low, high in BOX.values()]
    grid = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1)
    for x, y in zip(*observations, strict=True):
        likelihood = norm.pdf(y, linear_mean(grid.reshape(-1, 2)), SIGMA).prod(1).reshape(n, n)
        mass = likelihood / likelihood.sum()
        exact = ExactPosterior(y)
        for axis in (0, 1):
            marginal = mass.sum(1 - axis)
            mean = (marginal * centres[axis]).sum()
            # midpoint rule with sixty or more cells a standard deviation; errors go with its square
            assert exact.mean[axis] == pytest.approx(mean, abs=1e-4 * exact.sd[axis])
            assert exact.sd[axis] == pytest.approx(np.sqrt((marginal * (centres[axis] - mean) ** 2).sum()), rel=1e-3)
        # the mean likelihood over the box is its expectation under the uniform prior
        assert exact.log_evidence == pytest.approx(np.log(likelihood.mean()), abs=1e-3)
        at_truth = norm.pdf(y, linear_mean(x[None]), SIGMA).prod()
        area = (1.5 - 0.5) * (200.0 - 50.0)
        assert exact.log_density(x) == pytest.approx(np.log(at_truth / likelihood.mean() / area), abs=1e-3)
        # cells on the contour: a share of order their width, 1 / 60 of a standard deviation
        assert exact.hpd_level(x) == pytest.approx(mass[likelihood > at_truth].sum(), abs=1 / 60)
