"""Simulation-based calibration: honest posteriors pass as often as stated, and each check means what it says."""

from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
from closed_form import BOX, SIGMA, ExactPosterior, linear_mean, uniform_points
from scipy.stats import binom, chi2, kstest, norm

from natal.assessment.coverage import coverage
from natal.assessment.power import would_see
from natal.assessment.sbc import (
    FALSE_ALARM,
    binomial_bands,
    calibration_table,
    check_log_score,
    posterior_draws,
    rank_shares,
    sbc_report,
    tarp_shares,
    thinned_settings,
    verdicts,
)
from natal.posterior.nuts import NutsResult
from natal.settings.inference import NutsSettings

KEY = jax.random.key(3)
UNIT_BOX = {"q0": (0.0, 1.0), "a_au": (0.0, 1.0)}
CHECKS = [
    *("pit_q0", "pit_a_au", "coverage_q0", "coverage_a_au", "coverage_joint"),
    *(f"coverage_joint_{third}_q0" for third in ("low", "middle", "high")),
    *("sbc_q0", "sbc_a_au", "tarp", "log_score"),
]


def test_ranks_by_hand():
    """Below all of 9 draws: in the first tenth; above all: in the last; above four of them: in the fifth."""
    draws = np.tile(np.linspace(0.1, 0.9, 9)[:, None], (3, 1, 2))
    truth = np.array([[0.0, 1.0], [0.45, 0.45], [1.0, 0.0]])
    found = np.floor(10 * rank_shares(KEY, truth, draws))
    np.testing.assert_array_equal(found, [[0, 9], [4, 4], [9, 0]])


def test_ranks_of_one_distribution_are_uniform():
    """Truth and 20 draws from any one law: a share of n = 4000 cases fails Kolmogorov's test one seed in a thousand."""
    rng = np.random.default_rng(0)
    everything = rng.gamma(0.3, size=(4000, 21, 2)) + rng.normal(size=(4000, 1, 2))
    found = rank_shares(KEY, everything[:, 0], everything[:, 1:])
    assert np.all((found > 0) & (found < 1))
    for values in found.T:
        assert kstest(values, "uniform").pvalue > 1e-3


def test_tarp_of_one_distribution_is_uniform():
    """As ranks are; in units of the box, whatever it is."""
    rng = np.random.default_rng(1)
    low, high = np.array(list(BOX.values())).T
    centre = rng.uniform(low, high, (4000, 1, 2))
    everything = centre + 0.1 * (high - low) * rng.normal(size=(4000, 21, 2))
    found = tarp_shares(KEY, everything[:, 0], everything[:, 1:], BOX)
    assert kstest(found, "uniform").pvalue > 1e-3
    # the same clusters in other units
    unit = (everything - low) / (high - low)
    np.testing.assert_array_equal(found, tarp_shares(KEY, unit[:, 0], unit[:, 1:], UNIT_BOX))


def test_tarp_sees_a_wrong_correlation():
    """Posteriors with both marginals right but no correlation in the place of 0.95: ranks pass, TARP does not."""
    rng = np.random.default_rng(2)
    centre = rng.uniform(0.2, 0.8, (4000, 1, 2))
    mixing = np.linalg.cholesky([[1, 0.95], [0.95, 1]])
    truth = centre[:, 0] + 0.15 * rng.normal(size=(4000, 2)) @ mixing.T
    draws = centre + 0.15 * rng.normal(size=(4000, 50, 2))
    for values in rank_shares(KEY, truth, draws).T:
        assert kstest(values, "uniform").pvalue > 1e-3
    assert kstest(tarp_shares(KEY, truth, draws, UNIT_BOX), "uniform").pvalue < 1e-4


def test_thinned_draws_come_from_all_chains(recovery):
    """Every tenth of each chain, chain after chain in turn, as many as asked for."""
    draws = recovery.recovered.nuts.draws
    found = posterior_draws(recovery.recovered, 30)
    assert found.shape == (32, 30, 2)
    for k in range(30):
        np.testing.assert_array_equal(found[:, k], draws[:, k % 4, 9 + 10 * (k // 4)])


def test_the_sampler_runs_as_long_as_thinned_draws_take():
    """A hundred draws 10 iterations apart from 4 chains are 250 iterations; everything else is as for recovery."""
    settings = NutsSettings(chains=4, warmup=77, step_size=0.7)
    assert thinned_settings(settings, 100) == NutsSettings(chains=4, warmup=77, step_size=0.7, draws=250)
    assert thinned_settings(NutsSettings(chains=3), 13).draws == 50


@pytest.fixture(scope="module")
def table(recovery):
    """The checks' numbers of 32 recovered clusters."""
    draws = posterior_draws(recovery.recovered, 100)
    return calibration_table(KEY, recovery.point_id, recovery.x, recovery.recovered, recovery.truths, draws, BOX)


def test_a_row_describes_its_posterior(table, recovery):
    """Grid moments, PIT, level, density and entropy, whatever their order; the sampler's worse parameter."""
    summary = recovery.recovered.grid_summary
    for k, (name, width) in enumerate((("q0", 1.0), ("a_au", 150.0))):
        np.testing.assert_array_equal(table[f"{name}_true"], recovery.x[:, k])
        np.testing.assert_array_equal(table[f"{name}_mean"], summary.mean[:, k])
        np.testing.assert_array_equal(table[f"{name}_pit"], recovery.truths.pit[:, k])
        np.testing.assert_allclose(table[f"{name}_contraction"], 1 - 12 * (table[f"{name}_sd"] / width) ** 2)
        below = (recovery.recovered.nuts.draws[..., k] < recovery.x[:, k, None, None]).mean((1, 2))
        # a hundred of 4000 draws: 5 sigma, as they are nearly independent
        spread = 5 * np.sqrt(below * (1 - below) / 100) + 0.02
        assert np.all(np.abs(table[f"{name}_sbc"] - below) < spread)
    assert table.tarp.between(0, 1, inclusive="neither").all()
    np.testing.assert_array_equal(table.entropy, np.asarray(summary.entropy, float))
    np.testing.assert_array_equal(table.log_density, recovery.truths.log_density)
    np.testing.assert_array_equal(table.rhat, recovery.recovered.rhat.max(1))
    assert not table.isna().any(axis=None)


def test_cases_that_nuts_did_not_sample_have_no_ranks(recovery, table):
    """All that the grid says is there for all; ranks, distances and R-hat for the first twelve, which count alone."""
    whole = recovery.recovered
    nuts = NutsResult(*(array[:12] for array in whole.nuts[:4]), {})
    some = replace(whole, nuts=nuts, rhat=whole.rhat[:12], ess_bulk=whole.ess_bulk[:12], tv_grid=whole.tv_grid[:12])
    draws = posterior_draws(some, 100)
    found = calibration_table(KEY, recovery.point_id, recovery.x, some, recovery.truths, draws, BOX)
    sampled = ["q0_sbc", "a_au_sbc", "tarp", "rhat", "ess_bulk", "divergences"]
    assert found[sampled].notna().sum().tolist() == [12] * 6
    pd.testing.assert_frame_equal(found.drop(columns=sampled), table.drop(columns=sampled))
    report = sbc_report(found, 100)
    assert [report["verdicts"][name]["n"] for name in ("sbc_q0", "tarp", "pit_q0")] == [12, 12, 32]


def test_truths_outside_the_prior_are_left_out(recovery):
    """A prior narrower than the design makes no statement on clusters born outside it."""
    outside = recovery.truths._replace(log_density=np.where(np.arange(32) == 5, -np.inf, recovery.truths.log_density))
    draws = posterior_draws(recovery.recovered, 20)
    found = calibration_table(KEY, recovery.point_id, recovery.x, recovery.recovered, outside, draws, BOX)
    np.testing.assert_array_equal(found.q0_true, np.delete(recovery.x[:, 0], 5))
    assert found.index.tolist() == list(range(31))


def test_the_log_score_keeps_its_promise():
    """Log density at the truth + entropy of 2-d normals has mean 0; wrong widths miss by 1 - 1 / width^2."""
    rng = np.random.default_rng(4)
    n = 600
    for width in (0.5, 1.0, 2.0):
        z = rng.standard_normal((n, 2)) / width
        entropy = np.log(2 * np.pi * np.e * width**2)
        check = check_log_score(norm.logpdf(z).sum(1) - 2 * np.log(width), np.full(n, entropy), 0.005)
        assert check["n"] == n
        # the mean of z^2 / 2 is 1 / width^2, its error sqrt(1 / n) of that; 4 sigma
        expected = 1 - 1 / width**2
        assert check["statistic"] == pytest.approx(expected, abs=4 / width**2 / np.sqrt(n))
        assert check["passed"] == (width == 1.0)
        assert check["passed"] == (check["p_value"] > 0.005)
        assert check["passed"] == (check["band"][0] < check["statistic"] < check["band"][1])


def gaussian_table(n, rng, width=1.0, shift=0.0):
    """calibration.csv of n normal posteriors of `width` times the right sd (0.05), off by `shift` of them."""
    mean, sd = rng.uniform(0.3, 0.7, (n, 2)), 0.05
    truth = mean + sd * (rng.standard_normal((n, 2)) + shift)
    z = (truth - mean) / (width * sd)
    draws = mean[:, None] + width * sd * rng.standard_normal((n, 50, 2))
    key_rank, key_tarp = jax.random.split(jax.random.key(rng.integers(2**31)))
    ranks = rank_shares(key_rank, truth, draws)
    columns = {"point_id": np.arange(n), "hpd_level": chi2.cdf((z**2).sum(1), 2)}
    for k, name in enumerate(("q0", "a_au")):
        columns |= {f"{name}_true": truth[:, k], f"{name}_mean": mean[:, k], f"{name}_contraction": 1 - 12 * sd**2}
        columns |= {f"{name}_pit": norm.cdf(z[:, k]), f"{name}_sbc": ranks[:, k]}
    columns["tarp"] = tarp_shares(key_tarp, truth, draws, UNIT_BOX)
    columns["log_density"] = norm.logpdf(z).sum(1) - 2 * np.log(width * sd)
    columns["entropy"] = np.log(2 * np.pi * np.e * (width * sd) ** 2)
    columns["rhat"] = 1.0
    return pd.DataFrame(columns)


@pytest.mark.slow
def test_honest_campaigns_pass():
    """Of 300 campaigns of 150 honest posteriors no more than 5 % fail any of the twelve checks; once in 1000 seeds."""
    rng = np.random.default_rng(5)
    failed = 0
    for _ in range(300):
        checks = verdicts(gaussian_table(150, rng))
        assert list(checks) == CHECKS
        failed += not all(check["passed"] for check in checks.values())
    # a t test of skewed numbers, 1 - Exp(1), errs by about 1 / sqrt(n) of its level in either tail: 0.004 / 12 at most
    assert failed <= binom.isf(1e-3, 300, FALSE_ALARM + 0.004)


@pytest.mark.parametrize(
    ("mistake", "caught_by"),
    [
        ({"width": 0.5}, set(CHECKS)),
        ({"width": 2.0}, set(CHECKS) - {"tarp"}),
        ({"shift": 1.0}, {"pit_q0", "pit_a_au", "sbc_q0", "sbc_a_au", "coverage_joint", "log_score"}),
    ],
)
def test_dishonest_campaigns_fail(mistake, caught_by):
    """Twenty campaigns of 600 posteriors each: every check that should see it does, every time."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        checks = verdicts(gaussian_table(600, rng, **mistake))
        assert caught_by <= {name for name, check in checks.items() if not check["passed"]}


def test_thirds_are_cut_by_what_is_known(table):
    """By the posterior mean of Q0, not its truth: in each third of the data honest posteriors stay honest."""
    checks = verdicts(table)
    sizes = [checks[f"coverage_joint_{third}_q0"]["n"] for third in ("low", "middle", "high")]
    assert sizes == [11, 11, 10]
    lowest = table.hpd_level.iloc[np.argsort(table.q0_mean.to_numpy())[:11]]
    named = checks["coverage_joint_low_q0"]
    assert named["statistic"] == pytest.approx((lowest <= named["at"]).mean() - named["at"])


def test_an_honest_posterior_is_not_calibrated_by_thirds_of_the_truth():
    """The linear simulator's exact posterior: honest by thirds of what was recovered, not by thirds of the truth."""
    rng = np.random.default_rng(7)
    n, wide = 600, 4 * SIGMA
    x = uniform_points(n, rng)
    y = linear_mean(x) + np.hypot(SIGMA, wide) * rng.standard_normal((n, 3))
    exact = [ExactPosterior(one, wide) for one in y]
    pit = np.array([e.cdf(truth)[0] for e, truth in zip(exact, x, strict=True)])
    recovered = np.array([e.mean[0] for e in exact])
    for order, honest in ((recovered, True), (x[:, 0], False)):
        lowest = pit[np.argsort(order)[: n // 3]]
        assert (kstest(lowest, "uniform").pvalue > 1e-3) == honest


def test_the_report_holds_what_was_promised(table):
    """n, coverage with binomial errors and bands, splits, scores, TARP's curve, verdicts; for 32 cases."""
    found = sbc_report(table, 100)
    assert (found["n_cases"], found["n_posterior_draws"]) == (32, 100)
    pit = table[["q0_pit", "a_au_pit"]].to_numpy()
    assert found["coverage"] == coverage(pit, table.hpd_level.to_numpy())
    share = found["coverage"]["68"]["q0"]
    assert found["coverage_se"]["68"]["q0"] == pytest.approx(np.sqrt(share * (1 - share) / 32))
    assert found["coverage_band"] == binomial_bands(32)
    for name in ("by_q0_tercile", "by_a_au_tercile", "by_recovered_q0_tercile", "by_recovered_a_au_tercile"):
        assert [part["n_cases"] for part in found[name]] == [11, 11, 10]
        assert all(part["coverage_band"] == binomial_bands(part["n_cases"]) for part in found[name])
    assert found["by_a_au_tercile"][0]["a_au_max"] < found["by_a_au_tercile"][1]["a_au_min"]
    assert found["by_recovered_q0_tercile"][2]["q0_max"] == table.q0_mean.max()
    assert found["by_recovered_a_au_tercile"][0]["a_au_min"] == table.a_au_mean.min()
    assert found["log_score"] == pytest.approx(table.log_density.mean())
    assert found["log_score_promised"] == pytest.approx(-table.entropy.mean())
    assert set(found["contraction"]) == {"q0", "a_au"}
    tarp = found["tarp"]
    np.testing.assert_allclose(tarp["expected_coverage"], [(table.tarp <= c).mean() for c in tarp["credibility"]])
    assert np.all(tarp["band"][:, 0] <= tarp["credibility"])
    assert np.all(tarp["band"][:, 1] >= tarp["credibility"])
    for name, check in found["verdicts"].items():
        assert check.items() >= would_see(name, check["n"], 100, FALSE_ALARM / 12).items()
    assert found["verdict"]["text"].endswith("(32 clusters, 95 % confidence in all of this at once)")
    assert set(found["failed"]) == {name for name, check in found["verdicts"].items() if not check["passed"]}


def test_chains_that_disagree_are_counted():
    """Above 1.02, or not a number; the largest is told."""
    table = gaussian_table(30, np.random.default_rng(8))
    table.loc[[3, 7, 11, 13], "rhat"] = 1.02, 1.0201, 1.3, np.nan
    found = sbc_report(table, 50)
    assert (found["n_high_rhat"], found["max_rhat"]) == (3, 1.3)


def test_a_campaign_with_narrow_hot_posteriors_says_so():
    """The table's own columns reach the words: widths halved where Q0 was recovered above 0.57.

    Of honest campaigns 1 - trust.CONFIDENCE are called wrong, those of seed 9, say.
    """
    rng = np.random.default_rng(10)
    honest, narrow = gaussian_table(900, rng), gaussian_table(900, rng, width=0.5)
    table = honest.where(honest.q0_mean < 0.57, narrow.assign(q0_mean=honest.q0_mean, a_au_mean=honest.a_au_mean))
    assert sbc_report(honest, 50)["verdict"]["trusted"]
    found = sbc_report(table, 50)["verdict"]
    assert not found["trusted"]
    assert "with a recovered Q0 above 0.5" in found["text"]
    assert "Q0 below" not in found["text"]


def test_binomial_bands_by_hand():
    """Of ten honest cases, 2 to 8 lie in 50 % regions with a probability of 1 - 2 x 11 / 1024 > 0.95, 3 to 7 less."""
    bands = binomial_bands(10)
    assert bands["50"] == [0.2, 0.8]
    assert list(bands) == ["50", "68", "90", "95"]
    assert bands["95"][1] == 1.0
