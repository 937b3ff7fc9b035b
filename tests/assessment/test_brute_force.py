"""Posteriors from simulations alone, on a simulator whose posterior is known: normal in the transformed summaries."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from closed_form import BOX, blank_ensemble
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal

from natal.assessment import brute_force
from natal.assessment.brute_force import PLACES, compare_with_emulator
from natal.assessment.cases import cases_for_simulation, near_normal
from natal.assessment.local_laws import KERNELS, SimulatedRuns, local_laws, simulated_runs
from natal.campaign.design import grid_points
from natal.data.runs import Runs
from natal.errors import NatalError
from natal.likelihood.protocols import PlainLaw

N_STARS, N_CASES = 100, 24
COVARIANCE = np.array([[0.09, 0.01, -0.02], [0.01, 0.01, 0.004], [-0.02, 0.004, 0.04]])
GRID = (24, 12)


def mean_z(x):
    """Quadratic in Q0, linear in ln a: without a bias for local polynomials of second order."""
    q0, log_a = x[..., 0], np.log(x[..., 1] / 100)
    return np.stack([4 - 4 * q0 + q0**2 + 0.1 * log_a, 1.5 - 0.8 * q0 - 0.5 * log_a, 4 + q0 + log_a], axis=-1)


def summaries(z):
    """The inverse of `near_normal`."""
    bound = (expit(z[..., 0]) * (N_STARS + 1) - 0.5) / N_STARS
    return np.stack([bound, np.exp(z[..., 1]), np.exp(z[..., 2])], axis=-1)


def simulate(x, rng):
    """Normal scatter, the same everywhere."""
    return mean_z(x) + rng.multivariate_normal(np.zeros(3), COVARIANCE, len(x))


def grid_runs(realizations, seed, law=simulate):
    """Runs on the design of the check."""
    x = np.repeat(grid_points(BOX, GRID), realizations, axis=0)
    z = law(x, np.random.default_rng(seed))
    return SimulatedRuns(x, z, np.tile(np.arange(realizations), len(x) // realizations))


def observed(n, seed):
    """Test runs uniform in the box."""
    rng = np.random.default_rng(seed)
    low, high = np.array(list(BOX.values())).T
    x = rng.uniform(low, high, (n, 2))
    return Runs("test", x, summaries(simulate(x, rng)), np.arange(n), np.zeros(n, int), 0)


class ExactLaw(PlainLaw):
    """The simulator's law in place of an emulator's; the Jacobian is the same everywhere and cancels."""

    mean: Any

    def observed(self, error=None):
        return ExactDensity(self.mean)

    def distance2(self, y, error=None):
        raise NotImplementedError

    def log_prob_alone(self, k, value):
        raise NotImplementedError


class ExactDensity(dist.Distribution):
    pytree_data_fields = ("centre",)

    def __init__(self, mean):
        self.centre = mean
        super().__init__(event_shape=(3,))

    def log_prob(self, value):
        bound = (value[0] * N_STARS + 0.5) / (N_STARS + 1)
        z = jnp.stack([jnp.log(bound / (1 - bound)), jnp.log(value[1]), jnp.log(value[2])])
        apart = z - self.centre
        return -0.5 * apart @ jnp.asarray(np.linalg.inv(COVARIANCE), z.dtype) @ apart


class ExactLikelihood(eqx.Module):
    ensemble: Any = eqx.field(default_factory=blank_ensemble)
    shift: float = 0.0

    def conditional(self, x):
        q0, log_a = x[0] + self.shift, jnp.log(x[1] / 100)
        mean = jnp.stack([4 - 4 * q0 + q0**2 + 0.1 * log_a, 1.5 - 0.8 * q0 - 0.5 * log_a, 4 + q0 + log_a])
        return ExactLaw(mean)


@pytest.fixture(scope="module")
def comparison():
    """Both posteriors of 24 clusters, from fewer runs than the default campaign has."""
    return compare_with_emulator(grid_runs(4, 1), ExactLikelihood(), BOX, observed(N_CASES, 2), N_STARS)


def test_transformed_is_inverted():
    """No star or every star bound stays finite."""
    y = np.array([[0.0, 1.0, 100.0], [0.37, 3.0, 400.0], [1.0, 8.0, 90.0]])
    z = near_normal(y, N_STARS)
    assert np.isfinite(z).all()
    np.testing.assert_allclose(summaries(z), y, atol=1e-12)


def test_design_of_the_check_fills_the_box():
    """Corners included, even in Q0 and ln a, nothing outside by a rounding error."""
    points = grid_points(BOX, (5, 4))
    assert points.shape == (20, 2)
    assert points.min(0).tolist() == [0.5, 50.0]
    assert points.max(0).tolist() == [1.5, 200.0]
    np.testing.assert_allclose(np.diff(np.unique(points[:, 0])), 0.25)
    np.testing.assert_allclose(np.diff(np.log(np.unique(points[:, 1]))), np.log(4) / 3)


def test_local_polynomials_reproduce_quadratics():
    """Without scatter the mean is exact to rounding at every place, off the design's points and at its edges, too."""
    runs = grid_runs(2, 3, lambda x, rng: mean_z(x))
    places = grid_points(BOX, (11, 9))
    laws = local_laws(SimulatedRuns(runs.x, runs.z, runs.replicate), places, BOX, (0.13, 0.27))
    np.testing.assert_allclose(laws.mean, mean_z(places), atol=1e-8)


@pytest.mark.slow
def test_residual_covariance_is_the_simulators(comparison):
    """Not made smaller by the fit: within four standard errors of n effective runs, everywhere."""
    runs = grid_runs(6, 5)
    places = grid_points(BOX, (6, 5))
    laws = local_laws(runs, places, BOX, (0.19, 0.45))
    effective = 1 / (laws.weight**2).sum(1)
    sd = np.sqrt(np.diag(COVARIANCE))
    correlation = COVARIANCE / np.outer(sd, sd)
    error = np.sqrt((1 + correlation**2) / effective[:, None, None])
    assert (np.abs(laws.covariance / np.outer(sd, sd) - correlation) < 4 * error).all()


@pytest.mark.slow
def test_posterior_is_exact_up_to_the_stated_noise(comparison):
    """Distances from the exact posterior (here the emulator's) are as large as `noise` says, by median of 24 cases."""
    noise = comparison.table.noise_synthetic.median()
    assert 0.01 < noise < 0.15
    assert 0.5 < comparison.table.tv_synthetic.median() / noise < 2.0
    assert comparison.report["synthetic"]["tv_median"] == comparison.table.tv_synthetic.median()
    # kernels are wider than the law by a little
    assert comparison.table.tv_kernel.median() < 0.2


@pytest.mark.slow
def test_exact_posterior_is_the_closed_form(comparison):
    """Cell shares of the emulator's posterior follow from the normal density at cell centres."""
    places = np.stack(np.meshgrid(comparison.q0, comparison.a_au, indexing="ij"), axis=-1)
    case = observed(N_CASES, 2)
    z = near_normal(case.y, N_STARS)[7]
    values = multivariate_normal(np.zeros(3), COVARIANCE).logpdf(z - mean_z(places))
    np.testing.assert_allclose(np.exp(comparison.emulator[7]), np.exp(values - logsumexp(values)), atol=1e-5)
    row = comparison.table.iloc[7]
    share = np.exp(values - logsumexp(values))
    assert row.q0_mean_emulator == pytest.approx((share.sum(1) * comparison.q0).sum(), abs=1e-4)


@pytest.mark.slow
def test_noise_falls_with_more_runs(comparison):
    """Three times as many: as the square root of their number, roughly, as the reach may change with it."""
    more = compare_with_emulator(grid_runs(12, 1), ExactLikelihood(), BOX, observed(N_CASES, 2), N_STARS)
    assert 1.2 < comparison.table.noise_synthetic.median() / more.table.noise_synthetic.median() < 2.5
    assert more.table.tv_synthetic.median() < comparison.table.tv_synthetic.median()


@pytest.mark.slow
def test_a_wrong_emulator_is_found():
    """One that mistakes Q0 by 0.05: far beyond the noise."""
    found = compare_with_emulator(grid_runs(6, 1), ExactLikelihood(shift=0.05), BOX, observed(8, 2), N_STARS)
    assert found.table.tv_synthetic.median() > 4 * found.table.noise_synthetic.median()
    assert found.report["log_score"]["emulator"] < found.report["log_score"]["synthetic"]


def test_kernels_see_what_a_normal_law_cannot():
    """Scatter to either side, with nothing between: the posterior splits in two."""

    def two_sided(x, rng):
        return mean_z(x) + rng.normal(0, 0.05, (len(x), 3)) + rng.choice([-1, 1], len(x))[:, None] * [0.5, 0, 0]

    runs = grid_runs(12, 4, two_sided)
    middle = np.array([[1.0, 100.0]])
    laws = local_laws(runs, middle, BOX, (0.09, 0.27))
    z = np.stack([mean_z(middle)[0] + [shift, 0, 0] for shift in (-0.5, 0.0, 0.5)])
    normal, kernel = (np.array([laws.log_likelihood(one, name)[0] for one in z]) for name in ("synthetic", "kernel"))
    assert normal[1] > max(normal[0], normal[2])
    assert kernel[1] < min(kernel[0], kernel[2])


def test_kernel_estimate_is_a_density():
    """On the simulator's law: its integral is one, its covariance that of the residuals."""
    laws = local_laws(grid_runs(6, 8), np.array([[1.0, 100.0]]), BOX, (0.13, 0.45))
    rng = np.random.default_rng(0)
    wide = multivariate_normal(laws.mean[0], 2.5 * COVARIANCE)
    z = wide.rvs(2000, rng)
    # `log_likelihood` leaves (2 pi)^(-3/2) away
    density = np.exp([laws.log_likelihood(one, "kernel")[0] - laws.log_survival[0] for one in z]) * (2 * np.pi) ** -1.5
    ratio = density / wide.pdf(z)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(z))
    apart = z - laws.mean[0]
    covariance = np.einsum("s,si,sj->ij", ratio, apart, apart) / len(z)
    np.testing.assert_allclose(covariance / laws.covariance[0], 1, atol=0.25)


def test_survival_enters():
    """Half of the clusters dissolve beyond Q0 = 1: the posterior takes the odds into account."""

    def dissolving(x, rng):
        z = simulate(x, rng)
        z[(x[:, 0] > 1.0) & (rng.random(len(x)) < 0.5)] = np.nan
        return z

    runs = grid_runs(6, 6, dissolving)
    laws = local_laws(runs, np.array([[0.6, 100.0], [1.4, 100.0]]), BOX, (0.09, 0.27))
    effective = 1 / (laws.weight[1] ** 2).sum()
    survival = np.exp(laws.log_survival)
    assert survival[0] > 1 - 1.5 / effective
    assert abs(survival[1] - 0.5) < 4 * np.sqrt(0.25 / effective)


def test_too_few_runs_are_refused():
    """In one line that says what to raise."""
    x = grid_points(BOX, (4, 4))
    runs = SimulatedRuns(x, simulate(x, np.random.default_rng(0)), np.arange(len(x)) // 2)
    with pytest.raises(NatalError, match=r"near q0 = .*raise grid or realizations|raise grid"):
        local_laws(runs, x, BOX, (0.06, 0.15))
    with pytest.raises(NatalError, match="too few runs for any estimate"):
        brute_force.choose_reach(runs, BOX)


def test_cases_spread_over_q0():
    """One of each point, ends included."""
    test = observed(30, 7)
    twice = test.at(np.repeat(np.arange(30), 2))
    chosen = twice.at(cases_for_simulation(twice, 8))
    assert len(set(chosen.point_id)) == 8
    assert (np.diff(chosen.x[:, 0]) > 0).all()
    assert chosen.x[0, 0] == test.x[:, 0].min()
    assert chosen.x[-1, 0] == test.x[:, 0].max()
    assert len(cases_for_simulation(test, 50)) == 30


def test_runs_within_a_box():
    """Only those whose true parameters lie in it."""
    test = observed(30, 7)
    inside = test.within({"q0": (0.7, 1.1), "a_au": (60.0, 150.0)})
    expected = [k for k, (q0, a_au) in enumerate(test.x) if 0.7 <= q0 <= 1.1 and 60 <= a_au <= 150]
    assert inside.point_id.tolist() == expected
    assert 0 < len(inside) < 30


def test_table_of_runs_is_arranged():
    """Dissolved runs have no transformed summaries."""
    table = pd.DataFrame(
        {"q0": [0.5, 1.4], "a_au": [60.0, 90.0], "realization": [0, 1], "f_bound": [0.9, 0.02]}
        | {"sigma_v_kms": [5.0, np.nan], "r_h_au": [100.0, np.nan]}
    )
    runs = simulated_runs(table, N_STARS)
    assert np.isfinite(runs.z[0]).all()
    assert not np.isfinite(runs.z[1]).all()
    assert runs.half(1).x.tolist() == [[1.4, 90.0]]


@pytest.mark.slow
def test_shapes(comparison):
    """Of all that goes to files."""
    for source in ("emulator", *KERNELS):
        shares = np.exp(getattr(comparison, source))
        assert shares.shape == (N_CASES, *PLACES)
        np.testing.assert_allclose(shares.sum((1, 2)), 1, rtol=1e-5)
