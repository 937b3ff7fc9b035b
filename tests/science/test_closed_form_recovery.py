"""From runs to posteriors on a simulator whose posterior is known: training, widths, grid, NUTS and coverage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, SIGMA, ExactPosterior, linear_mean, uniform_points
from scipy.stats import binom, norm

from natal.assessment.coverage import coverage
from natal.likelihood.kinds import make_likelihood
from natal.likelihood.widths import fit_widths
from natal.posterior import grid as posterior_grid

N_COVERAGE = 1000


@pytest.fixture(scope="module")
def exact(recovery):
    """The exact posterior of each recovered cluster."""
    return [ExactPosterior(y) for y in recovery.y]


@pytest.fixture(scope="module")
def sd(exact):
    """Exact standard deviations (case, parameter)."""
    return np.array([e.sd for e in exact])


@pytest.fixture(scope="module")
def allowance(fitted_likelihood, recovery):
    """How far emulator error and fitted width can move a posterior mean, in exact standard deviations, by case.

    If w(x) is the ratio of the emulated to the true likelihood, the emulated mean is E[w x] / E[w] in the true
    posterior, and by Cauchy and Schwarz differs from the true one by at most sd(x) sd(w) / E[w].
    """
    centres = [low + (high - low) * (np.arange(120) + 0.5) / 120 for low, high in BOX.values()]
    x = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1).reshape(-1, 2)
    emulated = np.asarray(fitted_likelihood.ensemble(x)[0], float)
    found = []
    for y in recovery.y:
        true = norm.logpdf(y, linear_mean(x), SIGMA).sum(1)
        ratio = np.exp(norm.logpdf(y, emulated, np.asarray(fitted_likelihood.sigma_total, float)).sum(1) - true)
        posterior = np.exp(true - true.max())
        mean = np.average(ratio, weights=posterior)
        found.append(np.sqrt(np.average((ratio - mean) ** 2, weights=posterior)) / mean)
    return np.array(found)[:, None]


def test_grid_means_are_exact_up_to_the_emulators_error(recovery, exact, sd, allowance):
    """Posterior means of the grid against the exact truncated normal, case by case."""
    mean = np.asarray(recovery.recovered.grid_summary.mean, float)
    cell = np.array([1.0 / 96, 150.0 / 64])
    difference = np.abs(mean - np.array([e.mean for e in exact])) / sd
    # the midpoint rule's share as in test_grid_posterior; emulated posteriors are about as wide as exact ones
    assert np.all(difference < allowance + ((cell / sd) ** 2).sum(1, keepdims=True) / 4)


def test_nuts_means_are_exact_up_to_the_emulators_error(recovery, exact, sd, allowance):
    """The same of NUTS, with its Monte Carlo error: the largest of 64 normal deviates, once in 1000 seeds."""
    draws = recovery.recovered.nuts.draws.reshape(32, -1, 2).astype(float)
    monte_carlo = 1.1 * norm.isf(1e-3 / 128) / np.sqrt(recovery.recovered.ess_bulk)
    difference = np.abs(draws.mean(1) - np.array([e.mean for e in exact]))
    # sampled widths are the emulated ones, up to this much wider
    assert np.all(difference < (allowance + monte_carlo * (1 + allowance)) * sd)


def test_the_emulators_error_moves_posteriors_by_a_fraction_of_their_width(recovery, exact, sd):
    """An emulator off by e scatters moves a mean by at most e standard deviations; here e < 1 / sqrt(8)."""
    mean = np.asarray(recovery.recovered.grid_summary.mean, float)
    moved = (mean - np.array([e.mean for e in exact])) / sd
    # a shift of the data by e widths in any direction moves a mean by no more than e standard deviations, also when a
    # box cuts the normal (Brascamp & Lieb 1976); that this ensemble's e is below 1 / sqrt(8) is in test_training
    assert np.all(np.sqrt((moved**2).mean(0)) < 1 / np.sqrt(8))


def test_widths_are_the_exact_ones(recovery, sd):
    """Posterior standard deviations are right to the error of the fitted width and of the emulator's slopes."""
    ratio = np.asarray(recovery.recovered.grid_summary.sd, float) / sd
    # sigma_total has 1 / sqrt(2 x 480) = 3.2 % of sampling error and at most 6 % of emulator error; slopes over a
    # posterior that spans a few of its sd are known to about the same
    assert np.abs(np.median(ratio, axis=0) - 1).max() < 0.1


@pytest.fixture(scope="module")
def located(fitted_likelihood):
    """PIT and HPD levels of 1000 clusters drawn from the prior, each with a truth of its own."""
    rng = np.random.default_rng(7)
    x = uniform_points(N_COVERAGE, rng)
    y = linear_mean(x) + SIGMA * rng.standard_normal((N_COVERAGE, 3))
    grid = posterior_grid.make_grid(fitted_likelihood, BOX, (96, 64))
    arrays = (jnp.asarray(v, "float32") for v in (x, y, np.zeros_like(y)))
    found = posterior_grid.summarise_truths(fitted_likelihood, grid, *arrays)
    return jax.tree.map(lambda leaf: np.asarray(leaf, float), found), x, y


@pytest.mark.parametrize("level", [0.5, 0.68, 0.9, 0.95])
def test_credible_regions_cover_what_they_say(located, level):
    """Central intervals of Q0 and a, and joint regions, hold the truth as often as they should; n = 1000."""
    truths, _, _ = located
    # half-widths 5.2, 4.8, 3.1 and 2.3 %; the fitted width, known to 3.2 % (480 runs), moves coverage by 1.5 % or less
    low, high = binom.interval(0.999, N_COVERAGE, level)
    for share in coverage(truths.pit, truths.hpd_level)[f"{100 * level:.0f}"].values():
        assert low <= share * N_COVERAGE <= high


def test_the_log_score_is_that_of_the_exact_posterior(located):
    """What emulation costs in log density at the truth, per case, is of the order of its squared error."""
    truths, x, y = located
    chosen = np.arange(200)
    exact = np.array([ExactPosterior(y[k]).log_density(x[k]) for k in chosen])
    loss = exact - truths.log_density[chosen]
    # the expected loss is half the squared error in widths, at most 3 / (2 x 8) for three outputs, and not negative;
    # its mean over 200 cases has a standard error of its own
    error = loss.std(ddof=1) / np.sqrt(len(chosen))
    assert -4 * error < loss.mean() < 3 / 16 + 4 * error


@pytest.mark.parametrize("kind", ["constant_full", "ensemble"])
def test_the_other_gaussian_likelihoods_find_the_same_posteriors(recovery, runs, ensemble, sd, kind):
    """On a simulator of constant, independent scatter they may not differ from `constant` by more than their noise.

    Correlations of 480 residuals are wrong by 1 / sqrt(480) = 5 %, and the ensemble's own covariance is at most an
    eighth of the scatter's (test_training): means move by less than that many standard deviations of a residual.
    """
    likelihood = make_likelihood(kind, ensemble, fit_widths(ensemble, runs.validation))
    grid = posterior_grid.make_grid(likelihood, BOX, (96, 64))
    summary = posterior_grid.summarise_cases(grid, jnp.asarray(recovery.y, "float32"), None)
    moved = (np.asarray(summary.mean, float) - np.asarray(recovery.recovered.grid_summary.mean, float)) / sd
    assert np.sqrt((moved**2).mean(0)).max() < 4 / np.sqrt(480) + 1 / 8
    ratio = np.asarray(summary.sd, float) / sd
    # 3.2 % of a width, 5 % of each of two correlations, and half of an eighth
    assert np.abs(np.median(ratio, axis=0) - 1).max() < 0.1 + 1 / 16
