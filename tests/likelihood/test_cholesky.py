"""Small factorisations: right, and without the batched LAPACK calls that can wait for each other for ever."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from natal.likelihood.cholesky import cholesky, solve_lower
from natal.likelihood.gaussian import DiagonalGaussian, FullGaussian
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts

COVARIANCE = jnp.array([[0.01, 0.02, 3.0], [0.02, 0.5, 10.0], [3.0, 10.0, 5000.0]])
MEAN = jnp.array([0.7, 4.0, 300.0])
MIXTURE = Mixture(
    jnp.log(jnp.array([0.6, 0.3])),
    jnp.array([[1.0, 5.0, 0.5], [1.2, 5.5, 2.0]]),
    jnp.array([[[0.1, 0.0, 0.0], [0.05, 0.2, 0.0], [0.3, -0.1, 0.4]]] * 2),
    Counts(100, 5),
)
LAWS = {"diagonal": DiagonalGaussian(MEAN, jnp.sqrt(jnp.diag(COVARIANCE)))}
LAWS |= {"full": FullGaussian(MEAN, COVARIANCE), "mixture": MIXTURE}


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.usefixtures("float64")
def test_against_numpy(n):
    """Batches of positive definite matrices."""
    rng = np.random.default_rng(n)
    root = rng.normal(size=(7, n, n + 2))
    matrix, vector = root @ root.swapaxes(1, 2), rng.normal(size=(7, n))
    factor = np.linalg.cholesky(matrix)
    np.testing.assert_allclose(cholesky(jnp.asarray(matrix)), factor, rtol=1e-9, atol=1e-12)
    expected = np.linalg.solve(factor, vector[..., None])[..., 0]
    np.testing.assert_allclose(solve_lower(jnp.asarray(factor), jnp.asarray(vector)), expected, rtol=1e-9)


def test_a_factor_of_rounding_is_finite():
    """A singular matrix in single precision."""
    one = np.float32(1 / 3)
    assert np.isfinite(cholesky(jnp.array([[one, one], [one, one]]))).all()


def test_the_normal_law_is_numpyros():
    """Of one value and of many."""
    y = MEAN + jnp.array([[0.0, 0.0, 0.0], [0.1, -0.5, 30.0], [-0.2, 1.0, -100.0]])
    expected = dist.MultivariateNormal(MEAN, COVARIANCE)
    found = LAWS["full"].observed()
    np.testing.assert_allclose(found.log_prob(y), expected.log_prob(y), rtol=2e-5)
    np.testing.assert_allclose(found.log_prob(y[1]), expected.log_prob(y[1]), rtol=2e-5)


@pytest.mark.parametrize("error", [None, [0.02, 0.2, 20.0]], ids=["exact", "errors"])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_no_law_calls_lapack(law, error):
    """Densities, distances and their gradients over a batch: two such calls at once can wait for ever."""
    error = None if error is None else jnp.array(error)

    def both(y):
        return law.observed(error).log_prob(y) + law.distance2(y, error)

    program = jax.jit(jax.vmap(jax.value_and_grad(both))).lower(jnp.tile(MEAN, (64, 1))).as_text()
    assert "stablehlo.add" in program
    assert "lapack" not in program
