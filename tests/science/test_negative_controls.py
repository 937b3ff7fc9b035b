"""Known mistakes fail the calibration checks, and their absence does not: what the checks are worth.

The stand-in simulator has a curved mean, so that an emulator can fail to learn it. Its clusters are drawn from the
prior, recovered on the grid with each wrong likelihood in turn, and checked just as a campaign's calibration draws are;
draws for ranks and TARP come from the grid, exact but for its cells. All of n = 600 clusters, as by default.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, SIGMA, blank_ensemble, diagonal_widths, make_runs, smooth_mean, uniform_points
from scipy.stats import binom

from natal.assessment.coverage import contraction
from natal.assessment.sbc import FALSE_ALARM, calibration_table, sbc_report
from natal.emulator.ensemble import Ensemble
from natal.emulator.training import train_ensemble
from natal.likelihood.gaussian import DiagonalGaussian
from natal.likelihood.kinds import make_likelihood
from natal.likelihood.widths import fit_sigma_total
from natal.posterior import grid as posterior_grid
from natal.posterior.nuts import NutsResult
from natal.posterior.recovery import Recovered
from natal.settings.emulator import TrainingSettings

pytestmark = pytest.mark.slow

N = 600
N_DRAWS = 100


class CurvedLikelihood(eqx.Module):
    """The simulator's own law, with widths and mean wrong by known amounts."""

    ensemble: Ensemble
    width: float = 1.0
    shift: float = 0.0

    def conditional(self, x):
        q0, a_au = x
        bound = jax.nn.sigmoid(-8 * (q0 - 1.0))
        mean = jnp.stack([bound, 80 / jnp.sqrt(a_au) * (0.3 + 0.7 * bound), a_au * (4.0 - 2.5 * bound)])
        sigma = jnp.asarray(SIGMA, "float32")
        return DiagonalGaussian(mean + self.shift * sigma, self.width * sigma)


def clusters(n, seed):
    """Truths from the prior and what is seen of them."""
    rng = np.random.default_rng(seed)
    x = uniform_points(n, rng)
    return x, smooth_mean(x) + SIGMA * rng.standard_normal((n, 3))


def check(likelihood, x, y, seed=0, shape=(128, 96)):
    """The calibration report of a likelihood on clusters (x, y)."""
    grid = posterior_grid.make_grid(likelihood, BOX, shape)
    key_draw, key_check = jax.random.split(jax.random.key(seed))
    data = jnp.asarray(y, "float32"), jnp.zeros((len(y), 3))
    truth = jnp.asarray(x, "float32")
    answers = posterior_grid.answer_cases(key_draw, likelihood, grid, *data, n_draws=N_DRAWS, truth=truth)
    draws = answers.draws.astype(float)
    n, each = len(y), (len(y), 1, N_DRAWS)
    sampled = NutsResult(draws[:, None], np.zeros(each, bool), np.ones(each, int), np.ones(each), {})
    truths = jax.tree.map(lambda leaf: np.asarray(leaf, float), answers.truths)
    health = np.ones((n, 2)), np.full((n, 2), float(N_DRAWS))
    recovered = Recovered(sampled, *health, grid, answers.summary, truths, np.zeros(n), {})
    return sbc_report(calibration_table(key_check, np.arange(n), x, recovered, truths, draws, BOX), N_DRAWS)


@pytest.fixture(scope="module")
def seen():
    """Six hundred clusters."""
    return clusters(N, seed=1)


def test_the_curved_law_is_the_simulators():
    """The stand-in likelihood has the mean of the runs that it is checked on."""
    x = uniform_points(20, np.random.default_rng(0))
    likelihood = CurvedLikelihood(blank_ensemble())
    found = np.array([likelihood.conditional(jnp.asarray(one, "float32")).mean for one in x])
    np.testing.assert_allclose(found, smooth_mean(x), rtol=1e-5)


def test_the_right_likelihood_passes(seen):
    """Every check. This is one seed: honest campaigns fail any check once in twenty times at most (`FALSE_ALARM`)."""
    report = check(CurvedLikelihood(blank_ensemble()), *seen)
    assert report["failed"] == []
    assert report["n_cases"] == N


def test_right_likelihoods_fail_as_seldom_as_stated():
    """Thirty campaigns of 150 clusters: more failures than at a rate of 5 % once in 1000 seeds."""
    likelihood = CurvedLikelihood(blank_ensemble())
    failed = sum(bool(check(likelihood, *clusters(150, k), k, (64, 48))["failed"]) for k in range(100, 130))
    assert failed <= binom.isf(1e-3, 30, FALSE_ALARM)


def trained(n_points, n_validation=None):
    """A likelihood as a campaign makes it: trained on so many points, as wide as the residuals of validation runs."""
    train = make_runs("train", n_points, 4, seed=2, mean=smooth_mean)
    validation = make_runs("validation", n_validation or n_points, 4, seed=3, mean=smooth_mean)
    ensemble, _ = train_ensemble(jax.random.key(4), train, validation, BOX, TrainingSettings(members=3))
    return ensemble, fit_sigma_total(ensemble, validation)


def as_likelihood(ensemble, widths):
    """The constant likelihood of these widths."""
    return make_likelihood("constant", ensemble, diagonal_widths(widths))


@pytest.fixture(scope="module")
def good():
    """An emulator trained on 300 points, and its widths."""
    return trained(300, 100)


@pytest.fixture(scope="module")
def honest(good, seen):
    """The report of that emulator."""
    return check(as_likelihood(*good), *seen)


def test_a_good_emulator_passes(honest):
    """Trained as a campaign's is, it is right to a fraction of the scatter: no check tells it from the simulator."""
    assert honest["failed"] == []


# what each mistake must be caught by, whatever else catches it
CONTROLS = {
    "sigma x 0.5": ({"width": 0.5}, ["coverage_q0", "coverage_a_au", "coverage_joint", "sbc_q0", "tarp", "log_score"]),
    "sigma x 2": ({"width": 2.0}, ["coverage_q0", "coverage_a_au", "coverage_joint", "sbc_q0", "log_score"]),
    "shifted": ({"shift": 1.0}, ["pit_q0", "pit_a_au", "sbc_q0", "sbc_a_au", "coverage_joint", "log_score"]),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_wrong_likelihood_fails(seen, name):
    """Half or twice the width, or a mean that is off by its width: caught by all checks that look at it."""
    mistake, caught_by = CONTROLS[name]
    report = check(CurvedLikelihood(blank_ensemble(), **mistake), *seen)
    assert set(caught_by) <= set(report["failed"])
    # and in the right direction
    promised = report["log_score"] - report["log_score_promised"]
    share = report["coverage"]["68"]["joint"]
    low, high = report["coverage_band"]["68"]
    if name == "sigma x 2":
        assert promised > 0
        assert share > high
    else:
        assert promised < 0
        assert share < low


@pytest.mark.parametrize(("factor", "direction"), [(0.5, -1), (2.0, 1)])
def test_a_wrong_width_of_a_good_emulator_fails(good, seen, honest, factor, direction):
    """The same mistakes made in the fitted width: coverage is off by far more than its band, the log score lower."""
    ensemble, widths = good
    report = check(as_likelihood(ensemble, factor * widths), *seen)
    assert {"coverage_q0", "coverage_joint", "log_score"} <= set(report["failed"])
    assert direction * (report["coverage"]["68"]["joint"] - 0.68) > 0.1
    assert report["log_score"] < honest["log_score"]


def test_a_shifted_normalisation_fails(good, seen):
    """Outputs denormalised with a mean of half a standard deviation more: caught by every PIT and rank of Q0."""
    ensemble, widths = good
    y_mean = ensemble.normaliser.y_mean + 0.5 * ensemble.normaliser.y_std
    shifted = eqx.tree_at(lambda e: e.normaliser.y_mean, ensemble, y_mean)
    report = check(as_likelihood(shifted, widths), *seen)
    assert {"pit_q0", "sbc_q0", "coverage_joint", "tarp", "log_score"} <= set(report["failed"])


def test_an_emulator_of_ten_points_fails(seen):
    """Its error is not that of its own ten validation points; where it is wrong it says so nowhere."""
    ensemble, widths = trained(10)
    report = check(as_likelihood(ensemble, widths), *seen)
    assert {"coverage_joint", "log_score"} <= set(report["failed"])


def test_a_posterior_that_ignores_the_data(seen):
    """A hundred times too wide, it is the prior but for a slight slope: PIT, ranks and TARP find nothing wrong.

    Its densest regions hold too many truths all the same, its log score is better than promised, and contraction says
    that it is useless: why each of them is there.
    """
    likelihood = CurvedLikelihood(blank_ensemble(), width=100.0)
    report, informed = check(likelihood, *seen), check(CurvedLikelihood(blank_ensemble()), *seen)
    passed = {"pit_q0", "pit_a_au", "coverage_q0", "coverage_a_au", "sbc_q0", "sbc_a_au", "tarp"}
    assert set(report["failed"]) == set(report["verdicts"]) - passed
    assert max(report["contraction"].values()) < 0.01
    assert min(informed["contraction"].values()) > 0.2
    assert informed["log_score"] > report["log_score"] + 1
    assert np.all(contraction(np.full((1, 2), 1e-9), BOX) > 0.999)
