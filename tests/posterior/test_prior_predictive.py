"""The p-value of an observation is uniform for clusters of the prior predictive, and small for all others."""

from dataclasses import field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, OFFSET, SIGMA, SLOPE, LinearLikelihood, blank_ensemble, linear_mean, uniform_points
from scipy.stats import binom, chi2, kstest

from natal.emulator.ensemble import Ensemble
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts
from natal.posterior.flags import P_OUTSIDE
from natal.posterior.prior_predictive import N_REPLICATES, _replicates, mahalanobis_p

LIKELIHOOD = LinearLikelihood()
KEY = jax.random.key(8)
NO_ERROR = np.zeros(3)
ERROR = np.array([0.1, 0.2, 100.0])
# the direction in which no (Q0, a) moves a cluster, one standard deviation long
ACROSS = np.linalg.svd((SLOPE / SIGMA[:, None]).T)[2][2] * SIGMA


def p_values(y, error=NO_ERROR, box=BOX):
    """Of each row of y."""
    return mahalanobis_p(KEY, LIKELIHOOD, box, y, np.tile(error, (len(y), 1)))


def observable(true, error, rng):
    """With normal errors, drawn again until all can be observed: above zero, and fractions not above one."""
    y = np.full_like(true, -1.0)
    while (outside := (y <= 0) | (y > [1, np.inf, np.inf])).any():
        y = np.where(outside, true + error * rng.standard_normal(true.shape), y)
    return y


@pytest.mark.slow
@pytest.mark.parametrize("error", [NO_ERROR, ERROR], ids=["exact", "with measurement errors"])
def test_clusters_of_the_prior_predictive(error):
    """n = 200 of them: uniform p-values, so that one in a hundred is called outside; each fails one seed in 1000."""
    rng = np.random.default_rng(1)
    x = uniform_points(200, rng)
    true = linear_mean(x) + SIGMA * rng.standard_normal((200, 3))
    y = true if not error.any() else observable(np.clip(true, 0, [1, np.inf, np.inf]), error, rng)
    found = p_values(y, error)
    # a thousand possible values
    assert kstest(found, "uniform").pvalue > 1e-3
    assert (found < P_OUTSIDE).sum() <= binom.isf(1e-3, 200, P_OUTSIDE)


@pytest.mark.parametrize("sd", [1.0, 2.0, 3.0])
def test_a_known_distance(sd):
    """Away from the edges two of three numbers are explained: chi-square with one degree of freedom, or a little more.

    Replicates born near an edge are farther from their nearest law than that, but by three degrees at most.
    """
    y = (OFFSET + SLOPE @ [1.0, 125.0] + sd * ACROSS)[None]
    found = p_values(y)[0]
    # 999 replicates, 4 sigma
    low, high = chi2.sf(sd**2, 1), chi2.sf(sd**2, 3)
    assert low - 4 * np.sqrt(low * (1 - low) / N_REPLICATES) < found < high
    assert (found < P_OUTSIDE) == (sd == 3.0)


@pytest.mark.parametrize("factor", [10.0, 1e3, 1e30, np.inf])
def test_wrong_units(factor):
    """A dispersion in m/s, or nonsense: the smallest p-value there is, for itself alone."""
    x = np.array([[1.0, 125.0], [1.1, 100.0]])
    y = linear_mean(x)
    y[0, 1] *= factor
    found = p_values(y)
    assert found[0] == 1 / (N_REPLICATES + 1)
    assert found[1] > 0.1


class Small(eqx.Module):
    """Half of the stars of a small cluster are left, wherever it was born: ln km/s, ln AU, logit of the share."""

    ensemble: Ensemble = field(default_factory=blank_ensemble)

    def conditional(self, x):
        location = jnp.array([[1.5, 6.1, 0.0]]) + 0.1 * x[0]
        return Mixture(jnp.zeros(1), location, jnp.diag(jnp.array([0.1, 0.15, 0.5]))[None], Counts(100, 5))


@pytest.mark.parametrize("error", [[0.0, 2.0, 0.0], [0.3, 10.0, 1000.0], [1e6, 1e6, 1e6]])
def test_replicates_are_such_as_can_be_observed(error):
    """No size below zero, whose logarithm is no number: all have a distance; errors are normal where they may be."""
    low, high = (jnp.array([limits[k] for limits in BOX.values()]) for k in (0, 1))
    error = jnp.array(error)
    found = _replicates(KEY, Small(), low, high, error)
    assert np.all((found > 0) & (found[:, :1] <= 1))
    distances = jax.vmap(lambda y: Small().conditional(low).distance2(y, error))(found)
    assert np.isfinite(distances).all()
    # with an error far above it a size has half of a normal law: its mean is sqrt(2 / pi) of the error
    assert float(found[:, 2].mean()) > (0.6 * error[2] if error[2] > 100 else 400)
    exact = _replicates(KEY, Small(), low, high, None)
    np.testing.assert_array_equal(found[:, error == 0], exact[:, error == 0])


def test_errors_excuse_a_distance():
    """What is far for an exact measurement is near for one with an error as large."""
    y = (OFFSET + SLOPE @ [1.0, 125.0] + 6 * ACROSS)[None]
    assert p_values(y)[0] < P_OUTSIDE
    assert p_values(y, 6 * SIGMA)[0] > 0.1


def test_the_prior_is_the_one_that_was_asked_for():
    """A cluster of the whole box may be outside the predictive of a part of it."""
    y = linear_mean(np.array([[1.4, 180.0]]))
    assert p_values(y)[0] > 0.1
    assert p_values(y, box={"q0": (0.5, 0.7), "a_au": (50.0, 80.0)})[0] < P_OUTSIDE
