"""Conformal intervals cover as they promise, whatever the predictor; and the table that compares all methods."""

from dataclasses import field
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, SIGMA, LinearLikelihood, blank_ensemble, linear_mean, make_runs, uniform_points
from scipy.stats import beta, binom, norm

from natal.assessment.coverage import LEVELS, clustered_errors, contraction
from natal.assessment.uncertainty.comparison import coarse, compare, comparison_table, nuts_check, widths_along_q0
from natal.assessment.uncertainty.conformal import calibrate, conformal_quantile, fix_scale, region_shares
from natal.assessment.uncertainty.method_reports import share_and_error
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.errors import NatalError
from natal.figures import uncertainty_methods as figures
from natal.likelihood.gaussian import DiagonalGaussian
from natal.likelihood.kinds import ConstantLikelihood
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts
from natal.likelihood.widths import fit_sigma_total
from natal.posterior.grid import make_grid, summarise_cases
from natal.settings.inference import NutsSettings
from natal.settings.uncertainty import BayesianSettings, UncertaintySettings

# networks are trained and posteriors sampled: long
pytestmark = pytest.mark.slow

SMALL = (32, 24)


def wrong(bias=0.0, factor=1.0):
    """A predictor with the simulator's law, but biased and of another width, in units of the true width."""
    likelihood = LinearLikelihood()
    shifted = likelihood.offset + jnp.asarray(bias * SIGMA, "float32")
    return LinearLikelihood(offset=shifted, sigma=factor * likelihood.sigma)


def shifted_points(runs, offset):
    """The same runs with an offset of their own for each point, in units of the scatter."""
    y = runs.y + SIGMA * offset[runs.point_id][:, None]
    return Runs(runs.split, runs.x, y, runs.point_id, runs.realization, 0)


# quantiles


@pytest.mark.parametrize(
    ("n", "level", "rank"), [(9, 0.9, 9), (19, 0.9, 18), (99, 0.95, 95), (100, 0.95, 96), (9, 0.5, 5)]
)
def test_the_quantile_is_a_rank(n, level, rank):
    """The ceil((n + 1) level)-th smallest of n scores."""
    scores = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert conformal_quantile(scores, level, np.arange(n)) == rank


def test_too_few_runs_bound_nothing():
    """Eight runs say nothing at 90 %: the interval is infinite, not a guess."""
    assert conformal_quantile(np.arange(8.0), 0.9, np.arange(8)) == np.inf


def test_points_weigh_alike():
    """Three points of 1, 2 and 5 runs: each point a third of three quarters of the weight."""
    scores = np.array([5.0, 1.0, 2.0, 3.0, 3.1, 3.2, 3.3, 3.4])
    point = np.array([0, 1, 1, 2, 2, 2, 2, 2])
    # weights 1/4; 1/8, 1/8; 1/20 each: cumulated 1/8, 1/4, then 0.3 ... 0.5, then 0.75
    assert conformal_quantile(scores, 0.25, point) == 2.0
    assert conformal_quantile(scores, 0.45, point) == 3.3
    assert conformal_quantile(scores, 0.51, point) == 5.0
    assert conformal_quantile(scores, 0.76, point) == np.inf


# the guarantee


@pytest.mark.parametrize("predictor", [wrong(), wrong(bias=1.5, factor=0.2)], ids=["right", "wrong"])
def test_exchangeable_runs_are_covered(predictor):
    """Calibrated on n = 500 runs of as many points, coverage of 10,000 new ones is within its law, bias or not.

    Given the calibration runs the coverage is Beta(k, n + 1 - k), k = ceil((n + 1) level), and the number inside
    binomial: both at one in 10^5.
    """
    calibrated = calibrate(predictor, make_runs("validation", 500, 1, seed=1))
    new = make_runs("test", 10_000, 1, seed=2)
    scores = np.abs(new.y - np.asarray(jax.vmap(predictor.conditional)(jnp.asarray(new.x, "float32")).mean))
    scores /= np.asarray(predictor.sigma)
    for level in LEVELS:
        k = np.ceil(501 * level)
        low, high = beta(k, 501 - k).ppf([1e-5, 1 - 1e-5])
        least, most = binom(10_000, low).ppf(1e-5), binom(10_000, high).ppf(1 - 1e-5)
        inside = (scores <= calibrated.bounds(level)).sum(0)
        assert np.all((least <= inside) & (inside <= most))
        assert least <= (scores.max(1) <= calibrated.joint_bound(level)).sum() <= most


def test_runs_of_a_point_are_not_exchangeable_but_points_are():
    """Runs that share half their scatter with their point, 19 points of 20: at 90 %, points keep the promise.

    Over 400 calibrations with one new run at a new point each: binomial errors of n = 400, 3.1 of them (one in 1000).
    """
    rng = np.random.default_rng(4)
    predictor = wrong()
    inside = {True: [], False: []}
    for seed in range(400):
        runs = shifted_points(make_runs("validation", 19, 20, seed), 2 * rng.standard_normal(19))
        new = shifted_points(make_runs("test", 1, 1, seed + 1000), 2 * rng.standard_normal(1))
        score = np.abs(new.y[0, 0] - linear_mean(new.x)[0, 0]) / SIGMA[0]
        for by_point in inside:
            inside[by_point].append(score <= calibrate(predictor, runs, by_point).bounds(0.9)[0])
    error = np.sqrt(0.9 * 0.1 / 400)
    assert np.mean(inside[True]) > 0.9 - 3.1 * error
    # as many points as the quantile needs give at most one point's weight too much
    assert np.mean(inside[True]) < 0.9 + 1 / 20 + 3.1 * error
    assert np.mean(inside[True]) >= np.mean(inside[False])


def test_inverted_regions_hold_the_truth():
    """The share of n = 4000 truths whose observation lies in its own prediction is the level, and so are regions."""
    calibrated = calibrate(wrong(bias=0.5), make_runs("validation", 1000, 1, seed=1))
    test = make_runs("test", 4000, 1, seed=3)
    found = compare(jax.random.key(0), {"conformal": calibrated}, test, BOX, SMALL)["conformal"]
    for level in LEVELS:
        k = np.ceil(1001 * level)
        share = found["coverage"][f"{100 * level:.0f}"]["joint"]
        slack = 4.5 * np.sqrt(level * (1 - level) * (1 / 4000 + 1 / 1000))
        assert abs(share - k / 1001) < slack


def test_a_region_holds_the_cells_that_predict_the_observation():
    """Cell by cell, against the definition; larger levels hold more."""
    predictor = wrong()
    grid = make_grid(predictor, BOX, SMALL)
    y = make_runs("test", 5, 1, seed=6).y
    bounds = np.array([1.0, 2.5])
    found = np.asarray(region_shares(grid, jnp.asarray(y, "float32"), jnp.asarray(bounds, "float32")))
    q0, a_au = (0.5 + (np.arange(32) + 0.5) / 32), 50 + 150 * (np.arange(24) + 0.5) / 24
    cells = np.stack(np.meshgrid(q0, a_au, indexing="ij"), -1).reshape(-1, 2)
    scores = (np.abs(y[:, None] - linear_mean(cells)) / SIGMA).max(-1)
    expected = (scores[..., None] <= bounds).mean(1)
    # a score within float32 rounding of the bound may fall on either side
    np.testing.assert_allclose(found, expected, atol=1.5 / 768)
    assert np.all(found[:, 0] < found[:, 1])


def test_a_fixed_scale_comes_from_training_runs(ensemble, runs):
    """Root-mean-square residual of the training runs; intervals do not depend on it."""
    fixed = fix_scale(ensemble, runs.train)
    residual = runs.train.y - np.asarray(ensemble(runs.train.x)[0], float)
    np.testing.assert_allclose(fixed.sigma_total, np.sqrt((residual**2).mean(0)), rtol=1e-5)
    doubled = ConstantLikelihood(ensemble, 2 * fixed.sigma_total)
    widths = [calibrate(p, runs.validation).bounds(0.68) * np.asarray(p.sigma_total) for p in (fixed, doubled)]
    np.testing.assert_allclose(*widths, rtol=1e-5)


@pytest.mark.parametrize("split", ["train", "test"])
def test_other_splits_do_not_calibrate(split):
    """Training residuals are too small, and test runs are for the report."""
    with pytest.raises(NatalError, match=f"not from {split} runs"):
        calibrate(wrong(), make_runs(split, 4, 2, seed=1))


# the comparison


@pytest.fixture(scope="module")
def compared():
    """The simulator's own law, one of half its width, and conformal intervals, on 300 points of 2 runs."""
    test = make_runs("test", 300, 2, seed=8)
    methods = {
        "right": wrong(),
        "narrow": wrong(factor=0.5),
        "conformal": calibrate(wrong(factor=0.5), make_runs("validation", 500, 1, seed=1)),
    }
    return SimpleNamespace(methods=methods, test=test, reports=compare(jax.random.key(1), methods, test, BOX, (96, 64)))


def test_the_right_law_is_found_honest(compared):
    """Coverage of outputs and of (Q0, a) within 4 errors of the level; n = 600 cases at 300 points."""
    right = compared.reports["right"]
    for level in LEVELS:
        name = f"{100 * level:.0f}"
        error = np.sqrt(level * (1 - level) / 600)
        for share in right["outputs"]["coverage"][name].values():
            assert abs(share - level) < 4 * error
        # realizations of a point share their truth: as few as n = 300
        for share in right["coverage"][name].values():
            assert abs(share - level) < 4 * np.sqrt(2) * error


def test_a_narrow_law_is_found_out(compared):
    """Half the width covers what half the bounds cover, in less area, with a lower score."""
    right, narrow = compared.reports["right"], compared.reports["narrow"]
    expected = 1 - 2 * norm.sf(0.5 * norm.ppf(0.975))
    for share in narrow["outputs"]["coverage"]["95"].values():
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 600)
    assert narrow["coverage"]["95"]["joint"] < 0.85
    assert narrow["area"]["95"] < 0.5 * right["area"]["95"]
    assert narrow["log_score"] < right["log_score"]
    assert narrow["outputs"]["log_score"] < right["outputs"]["log_score"]
    assert narrow["rmse"] == pytest.approx(right["rmse"], rel=1e-6)


def test_log_scores_are_mean_log_densities(compared):
    """Of three normal outputs at the truth, in physical units, computed with SciPy."""
    test = compared.test
    expected = norm.logpdf(test.y, linear_mean(test.x), SIGMA).sum(1).mean()
    # float32 means of some hundreds in units of widths of a tenth
    assert compared.reports["right"]["outputs"]["log_score"] == pytest.approx(expected, abs=1e-3)


def test_areas_are_those_of_highest_density_regions(compared):
    """Against sorted cells, for one cluster at a time."""
    grid = make_grid(compared.methods["right"], BOX, (96, 64))
    mean, sigma = np.asarray(grid.laws.mean, float), np.asarray(grid.laws.sigma, float)
    shares = []
    for y in compared.test.y[:40]:
        log_density = -0.5 * (((y - mean) / sigma) ** 2).sum(-1)
        mass = np.sort(np.exp(log_density - log_density.max()).ravel())[::-1]
        shares.append((np.searchsorted(np.cumsum(mass) / mass.sum(), LEVELS) + 1) / mass.size)
    few = Runs("test", *(a[:40] for a in (compared.test.x, compared.test.y, compared.test.point_id)), np.zeros(40), 0)
    found = compare(jax.random.key(1), {"right": compared.methods["right"]}, few, BOX, (96, 64))["right"]["area"]
    # one cell either way in float32
    np.testing.assert_allclose(list(found.values()), np.mean(shares, 0), atol=1.1 / mass.size)


class CountingLikelihood(eqx.Module):
    """Two kinds of clusters, and few bound stars to count: skewed sizes, and half of the cold ones at f_bound = 1."""

    ensemble: Ensemble = field(default_factory=blank_ensemble)
    n_stars: int = 10

    def conditional(self, x):
        hot, log_a = x[0] - 1.0, jnp.log(x[1])
        location = jnp.stack([jnp.stack([1.0 - hot, log_a + hot + k, 3.0 - 6 * hot]) for k in (0.0, 0.5)])
        width = 0.3 * jnp.eye(3) + jnp.zeros((3, 3)).at[1, 0].set(-0.2).at[2, 0].set(0.5)
        return Mixture(jnp.log(jnp.array([0.6, 0.3])), location, jnp.stack([width, width]), Counts(self.n_stars, 0))


def test_laws_that_count_stars_are_found_honest():
    """Clusters drawn from a mixture, scored by it: every interval holds its share, the pile-up at 1 included.

    n = 1500 clusters at as many points; 4 binomial errors, and those of quantiles of 4000 draws.
    """
    likelihood, n = CountingLikelihood(), 1500
    x = uniform_points(n, np.random.default_rng(12))
    keys = jax.random.split(jax.random.key(3), n)
    draw = jax.vmap(lambda key, x: likelihood.conditional(x).observed().sample(key))
    # as a table of runs would hold them: quotients in double precision
    y = np.asarray(draw(keys, jnp.asarray(x, "float32")), float)
    y[:, 0] = np.round(10 * y[:, 0]) / 10
    assert (y[:, 0] == 1).mean() > 0.3
    runs = Runs("test", x, y, np.arange(n), np.zeros(n, int), 0)
    found = compare(jax.random.key(4), {"mixture": likelihood}, runs, BOX, (64, 64))["mixture"]
    for level in LEVELS:
        name = f"{100 * level:.0f}"
        slack = 4 * np.sqrt(level * (1 - level) * (1 / n + 1 / 4000))
        for share in (*found["outputs"]["coverage"][name].values(), *found["coverage"][name].values()):
            assert abs(share - level) < slack

    def log_density(x, y):
        return likelihood.conditional(x).observed().log_prob(y)

    expected = np.asarray(jax.vmap(log_density)(jnp.asarray(x, "float32"), jnp.asarray(y, "float32")), float)
    assert found["outputs"]["log_score"] == pytest.approx(expected.mean(), abs=1e-4)
    # the mean of a lognormal mixture, in closed form, predicts as well as 4000 draws do, to their noise
    law = jax.vmap(likelihood.conditional)(jnp.asarray(x, "float32"))
    variance = (np.asarray(law.cholesky, float)[..., 1, :] ** 2).sum(-1)
    r_h_au = np.exp(np.asarray(law.location, float)[..., 1] + variance / 2) @ np.array([2.0, 1.0]) / 3
    rmse = np.sqrt(((y[:, 2] - r_h_au) ** 2).mean())
    assert found["rmse"]["r_h_au"] == pytest.approx(rmse, rel=4 / np.sqrt(4000 * n) + 1 / 4000)


def test_posteriors_are_compared_on_few_cells():
    """The campaign's grid, cut where it is larger than the comparison needs."""
    assert coarse((256, 64)) == (96, 64)
    assert coarse((32, 96)) == (32, 96)


def test_contraction_is_that_of_the_grid(compared):
    """Posterior deviations of the comparison are those of the grid's own summary."""
    y, right = jnp.asarray(compared.test.y, "float32"), compared.methods["right"]
    sd = np.asarray(summarise_cases(make_grid(right, BOX, (96, 64)), y, None).sd, float)
    expected = contraction(sd, BOX).mean(0)
    # sums of some thousand cells in float32
    np.testing.assert_allclose(list(compared.reports["right"]["contraction"].values()), expected, atol=1e-4)


def test_the_campaigns_likelihood_comes_first():
    """Asked for or not; the others in the order of their definition, other methods left out."""
    methods = ("mixture", "bayesian", "constant", "ensemble")
    settings = UncertaintySettings(
        methods=methods, dropout_rate=0.1, masks=4, bayesian=BayesianSettings(), nuts_cases=0
    )
    assert settings.likelihoods("ensemble") == ["ensemble", "constant", "mixture"]
    assert settings.likelihoods("heteroscedastic") == ["heteroscedastic", "constant", "ensemble", "mixture"]


def test_the_conformal_report_has_no_densities(compared):
    """Regions, no scores and no marginal intervals; as honest as its level although its law is too narrow."""
    found = compared.reports["conformal"]
    assert "log_score" not in found
    assert set(found["coverage"]["95"]) == {"joint"}
    assert abs(found["coverage"]["95"]["joint"] - 0.95) < 4 * np.sqrt(0.95 * 0.05 * (1 / 600 + 1 / 500))
    assert 0 < found["area"]["68"] < found["area"]["95"] < 1
    # intervals of 68 % are one true width
    for half, sigma in zip(found["outputs"]["half_width"]["68"].values(), SIGMA, strict=True):
        assert half == pytest.approx(sigma, rel=4 * 0.05)


def test_errors_take_points_as_independent():
    """The same numbers as the calibration's clustered errors."""
    rng = np.random.default_rng(0)
    level, point = rng.random(200), np.repeat(np.arange(40), 5)
    share, error = share_and_error(level[:, None] <= np.array(LEVELS), point)
    expected = clustered_errors(rng.random((200, 2)), level, point)
    np.testing.assert_allclose(error, [of["joint"] for of in expected.values()], rtol=1e-12)
    np.testing.assert_allclose(share, [(level <= bound).mean() for bound in LEVELS])


def test_the_table_has_a_row_a_method(compared):
    """Every column of the report; what conformal regions do not define is missing."""
    table = comparison_table(compared.reports)
    assert table.method.tolist() == ["right", "narrow", "conformal"]
    missing = set(table.columns[table.iloc[2].isna()])
    undefined = {f"coverage_{level}_{name}" for level in (68, 95) for name in ("q0", "a_au")}
    assert missing == undefined | {"log_score", "log_score_outputs", "training_s"}
    assert set(table.columns[table.iloc[0].isna()]) == {"training_s"}
    assert np.all(table.evaluation_us > 0)


def test_widths_are_half_the_intervals(compared):
    """One sd of a normal at 68 %, of 4000 draws; the conformal width beside it."""
    table = widths_along_q0(compared.methods, BOX).groupby("method")[["f_bound", "sigma_v_kms", "r_h_au"]].mean()
    # quantiles of n = 4000 draws: an error of 1.5 % each
    np.testing.assert_allclose(table.loc["right"], SIGMA, rtol=4 * 0.015)
    np.testing.assert_allclose(table.loc["narrow"], SIGMA / 2, rtol=4 * 0.015)
    np.testing.assert_allclose(table.loc["conformal"], SIGMA, rtol=4 * 0.05)


def test_the_comparison_can_be_drawn(compared):
    """Both figures, one row or curve a method."""
    table = comparison_table(compared.reports)
    drawn = figures.comparison(table)
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == table.method.tolist()
    residual = compared.test.y - linear_mean(compared.test.x)
    drawn = figures.widths(widths_along_q0(compared.methods, BOX), compared.test.x, residual)
    assert len(drawn.axes[0].lines) == 4


def test_wide_laws_have_conformal_bounds_below_one(ensemble, runs):
    """A width ten times too large: nine tenths of the runs lie within a fifth of it."""
    sigma = jnp.asarray(10 * fit_sigma_total(ensemble, runs.validation), "float32")
    bounds = calibrate(ConstantLikelihood(ensemble, sigma), runs.validation).bounds(0.9)
    assert np.all(bounds < 0.2)
    assert isinstance(
        ConstantLikelihood(blank_ensemble(), sigma).conditional(jnp.array([1.0, 100.0])), DiagonalGaussian
    )


def test_nuts_is_checked_on_cases_across_q0(compared):
    """Two clusters of the exact law: converged, and close to the grid."""
    settings = NutsSettings(warmup=200, draws=500, cases_per_batch=2)
    found = nuts_check(jax.random.key(2), compared.methods["right"], BOX, compared.test, 2, settings, (64, 64))
    assert found["n_cases"] == 2
    assert found["max_rhat"] < 1.02
    assert found["tv_grid_max"] < 0.15
