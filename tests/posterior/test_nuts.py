"""NUTS samples the exact truncated normal of the linear simulator: a check of moments, mixing and bookkeeping."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, SIGMA, ExactPosterior, LinearLikelihood, linear_mean, uniform_points
from quiet_arviz import az
from scipy.stats import norm

from natal.posterior import grid as posterior_grid
from natal.posterior.nuts import NutsResult, sample_cases
from natal.posterior.tables import posterior_dataset
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH

SETTINGS = NutsSettings(draws=1000, cases_per_batch=8)
SMALL_BOX = {"q0": (0.8, 1.2), "a_au": (90.0, 170.0)}
KEY = jax.random.key(5)


class Sampled(NamedTuple):
    """Observations, their exact posteriors and what NUTS made of them."""

    y: np.ndarray
    exact: list
    result: NutsResult


def sample(y, error, box, settings=SETTINGS):
    """NUTS with the simulator's own law as likelihood."""
    data = [jnp.asarray(v, "float32") for v in (y, np.tile(error, (len(y), 1)))]
    grid = posterior_grid.make_grid(LinearLikelihood(), box, (64, 64))
    coordinates = posterior_grid.answer_cases(KEY, None, grid, *data).coordinates
    return sample_cases(KEY, LinearLikelihood(), box, *data, coordinates, settings)


def observe(n, box, error, seed):
    """n clusters from the prior."""
    rng = np.random.default_rng(seed)
    return linear_mean(uniform_points(n, rng, box)) + np.hypot(SIGMA, error) * rng.standard_normal((n, 3))


@pytest.fixture(scope="module")
def sampled():
    """29 clusters in the whole box, observed without error, in batches of eight a device; three are the same."""
    y = observe(29, BOX, np.zeros(3), seed=1)
    y[20:22] = y[0]
    exact = [ExactPosterior(one) for one in y]
    return Sampled(y, exact, sample(y, np.zeros(3), BOX))


@pytest.fixture(scope="module")
def sampled_small_box():
    """Sixteen clusters under a smaller prior, with measurement errors."""
    error = np.array([0.1, 0.2, 30.0])
    y = observe(16, SMALL_BOX, error, seed=2)
    exact = [ExactPosterior(one, error, SMALL_BOX) for one in y]
    return Sampled(y, exact, sample(y, error, SMALL_BOX))


@pytest.fixture(params=["sampled", pytest.param("sampled_small_box", marks=pytest.mark.slow)])
def either(request):
    """Both of them."""
    return request.getfixturevalue(request.param)


def by_parameter(dataset):
    """ArviZ's answer as an array (case, parameter)."""
    return np.column_stack([dataset[name].values for name in BIRTH])


def flat(sampled):
    """All draws of a case, in double precision (case, draw, parameter)."""
    return sampled.result.draws.reshape(len(sampled.y), -1, 2).astype(float)


def test_posterior_means_are_exact(either):
    """Within Monte Carlo error, in every case and parameter."""
    ess = by_parameter(az.ess(posterior_dataset(either.result.draws, None), method="mean"))
    exact_mean, exact_sd = (np.array([getattr(e, name) for e in either.exact]) for name in ("mean", "sd"))
    z = (flat(either).mean(1) - exact_mean) / (exact_sd / np.sqrt(ess))
    # z is standard normal if ESS is right, which it is to about a tenth; the largest of n exceeds this once in 1000
    assert np.abs(z).max() < 1.1 * norm.isf(1e-3 / 2 / z.size)


def test_posterior_standard_deviations_are_exact(either):
    """Within Monte Carlo error, in every case and parameter, and in the mean of all."""
    ess = by_parameter(az.ess(posterior_dataset(either.result.draws, None), method="sd"))
    exact_mean, exact_sd = (np.array([getattr(e, name) for e in either.exact]) for name in ("mean", "sd"))
    moments = [[e.moment(axis, lambda v, m=e.mean[axis]: (v - m) ** 4) for axis in (0, 1)] for e in either.exact]
    # the variance of a sample variance is (kurtosis - 1) / n in units of its square
    error = 0.5 * exact_sd * np.sqrt((np.array(moments) / exact_sd**4 - 1) / ess)
    z = (np.sqrt(((flat(either) - exact_mean[:, None]) ** 2).mean(1)) - exact_sd) / error
    assert np.abs(z).max() < 1.1 * norm.isf(1e-3 / 2 / z.size)
    # a power of the likelihood of 1.05 shows in none of them, but in their mean; both parameters may err together
    assert np.abs(z.mean()) * np.sqrt(len(z)) < 1.1 * norm.isf(1e-3 / 2)


def test_tails_are_exact(either):
    """The share of draws beyond the exact 2.5 and 97.5 per cent quantiles, within Monte Carlo error."""
    quantiles = np.array([e.quantiles(np.array([0.025, 0.975])) for e in either.exact])
    for side, level in enumerate((0.025, 0.975)):
        below = either.result.draws < quantiles[:, None, None, :, side]
        ess = by_parameter(az.ess(posterior_dataset(below.astype(float), None), method="mean"))
        z = (below.mean((1, 2)) - level) / np.sqrt(level * (1 - level) / ess)
        # about 0.025 x ESS = 15 or more draws lie beyond: nearly normal, with a longer tail on one side
        assert np.abs(z).max() < 1.3 * norm.isf(1e-3 / 2 / z.size)


def test_chains_agree(either):
    """Rank-normalised R-hat of four chains is below 1.02 in every case and parameter."""
    assert by_parameter(az.rhat(posterior_dataset(either.result.draws, None))).max() < 1.02


def test_draws_lie_strictly_within_the_prior(either):
    """Of whichever box; no posterior has mass enough at an edge for a float32 to round to it."""
    low, high = np.array(list(either.exact[0].box.values()), "float32").T
    assert np.all((low < either.result.draws) & (either.result.draws < high))


def test_the_shape_of_a_result(sampled):
    """(case, chain, draw), one of each case: the last batch is filled up to sixteen, and cut again."""
    result = sampled.result
    assert result.draws.shape == (29, 4, 1000, 2)
    for found in (result.diverging, result.n_steps, result.accept_prob):
        assert found.shape == (29, 4, 1000)
    assert set(result.timing_s) == {"compile", "sample"}


def test_the_sampler_is_well(either):
    """No divergences, no tree deeper than allowed; leapfrog steps of 0.8 keep the energy of a standard normal."""
    assert not either.result.diverging.any()
    assert either.result.n_steps.min() >= 1
    assert either.result.n_steps.max() <= 2**SETTINGS.max_tree_depth - 1
    # the largest error of an oscillator's energy, by step 0.8, is 0.8^2 / 4 of it: on average this is accepted
    assert either.result.accept_prob.mean() > 0.85


@pytest.fixture(scope="module")
def in_other_company(sampled):
    """The first 16 clusters again, in batches of the same size, beside 16 others: 32 in place of 29."""
    y = observe(32, BOX, np.zeros(3), seed=3)
    y[:16] = sampled.y[:16]
    return sample(y, np.zeros(3), BOX)


@pytest.mark.slow
def test_a_case_does_not_know_its_company(sampled, in_other_company):
    """In batches of one size, draws follow from a case's own key and data, to the last bit."""
    np.testing.assert_array_equal(in_other_company.draws[:16], sampled.result.draws[:16])
    np.testing.assert_array_equal(in_other_company.n_steps[:16], sampled.result.n_steps[:16])
    assert not np.any(np.all(in_other_company.draws[16:29] == sampled.result.draws[16:], axis=(1, 2, 3)))


def test_every_case_and_chain_has_its_own_randomness(sampled):
    """The same observation three times over: no draws in common, posteriors alike."""
    same = sampled.result.draws[[0, 20, 21]].reshape(12, 1000, 2)
    for k in range(12):
        for other in range(k):
            # chains share their starts across cases; a draw in common would be a coincidence of float32
            assert (same[k] == same[other]).all(1).sum() == 0
