"""Posterior predictive checks: exact where they promise it, and extreme where the posterior is wrong."""

import numpy as np
import pytest
from scipy.stats import binom

from natal.assessment.posterior_predictive import P_EXTREME, check_cases, joint_p, predictive_report, rank_p, thinned
from natal.data.runs import Runs
from natal.errors import NatalError

N_TRIALS, N_DRAWS, N_STARS = 1000, 59, 100


def skewed(rng, n):
    """Correlated, far from normal."""
    normal = rng.standard_normal((n, 3))
    return np.exp(normal @ np.array([[1.0, 0.5, 0.0], [0.0, 0.8, -0.7], [0.0, 0.0, 0.3]]))


@pytest.mark.parametrize("statistic", ["rank", "joint"])
def test_p_values_are_uniform_for_exchangeable_observations(statistic):
    """Whatever the law: shares below 5, 20, 50 % within the binomial 99.9 % range of 1000 trials."""
    rng = np.random.default_rng(1)
    p = []
    for _ in range(N_TRIALS):
        everyone = skewed(rng, N_DRAWS + 1)
        whole = joint_p(everyone[0], everyone[1:])
        p.append(rank_p(everyone[0, 0], everyone[1:, 0]) if statistic == "rank" else whole)
    for level in (0.05, 0.2, 0.5):
        # p-values come in steps
        share = (np.arange(N_DRAWS + 1) + 0.5) / (N_DRAWS + 1)
        steps = 2 * np.minimum(share, 1 - share) if statistic == "rank" else share + 0.5 / (N_DRAWS + 1)
        low, high = binom.interval(0.999, N_TRIALS, (steps <= level + 1e-9).mean())
        assert low <= np.sum(np.array(p) <= level + 1e-9) <= high


def test_joint_p_sees_a_broken_correlation():
    """Each output is ordinary by itself, together they are not."""
    rng = np.random.default_rng(2)
    first = rng.standard_normal(200)
    runs = np.column_stack([first, first + 0.05 * rng.standard_normal(200), rng.standard_normal(200)])
    odd = np.array([0.5, -0.5, 0.0])
    assert min(rank_p(odd[k], runs[:, k]) for k in range(3)) > 0.3
    assert joint_p(odd, runs) == pytest.approx(1 / 201)


def test_equal_values_count_half():
    """As where f_bound piles up at 1."""
    assert rank_p(1.0, np.ones(20)) == pytest.approx(1.0)
    assert joint_p(np.array([1.0, 0.0, 0.0]), np.column_stack([np.ones(20), *np.eye(20)[:2]])) <= 1.0


def test_draws_are_thinned_evenly():
    """Through all chains; more than there are is a mistake that names the keys."""
    draws = np.arange(4 * 10 * 2, dtype=float).reshape(4, 10, 2)
    assert thinned(draws, 4)[:, 0].tolist() == [0.0, 26.0, 52.0, 78.0]
    with pytest.raises(NatalError, match=r"checks.posterior_predictive.draws = 41 .* 40 draws"):
        thinned(draws, 41)


def cases(n):
    y = np.column_stack([np.full(n, 0.6), np.full(n, 4.0), np.full(n, 300.0)])
    return Runs("test", np.column_stack([np.full(n, 1.0), np.full(n, 100.0)]), y, np.arange(n), np.zeros(n, int), 0)


def replicas(rng, n_cases, f_bound=0.6):
    shape = (n_cases, N_DRAWS)
    f = np.clip(rng.normal(f_bound, 0.05, shape), 0, 1)
    return np.stack([f, rng.lognormal(np.log(4), 0.1, shape), rng.lognormal(np.log(300), 0.2, shape)], axis=-1)


def test_wrong_posteriors_are_found():
    """Clusters far less bound than the observed one: every case is extreme, by the output that is wrong."""
    rng = np.random.default_rng(3)
    fine, wrong = (check_cases(cases(6), replicas(rng, 6, f), N_STARS) for f in (0.6, 0.3))
    assert fine.joint_p.min() > 0.05
    report = predictive_report(fine, N_DRAWS)
    assert report["n_extreme"] == 0
    assert report["inside_95"] == {"f_bound": 1.0, "sigma_v_kms": 1.0, "r_h_au": 1.0}
    # 1 / 60 is the smallest p-value of 59 runs
    assert np.allclose(wrong.joint_p, 1 / 60)
    assert wrong.f_bound_p.max() < 0.05
    assert wrong.sigma_v_kms_p.min() > 0.05


def test_many_draws_can_be_extreme():
    """With 100 runs and more a p-value can fall below the limit that the report counts."""
    rng = np.random.default_rng(5)
    runs = np.concatenate([replicas(rng, 1, 0.3), replicas(rng, 1, 0.3)], axis=1)
    table = check_cases(cases(1), runs, N_STARS)
    assert predictive_report(table, 2 * N_DRAWS)["n_extreme"] == 1
    assert table.joint_p[0] < P_EXTREME


def test_dissolved_runs_are_left_out_and_counted():
    """An observed cluster survived; with hardly any survivors nothing is claimed."""
    rng = np.random.default_rng(4)
    runs = replicas(rng, 2)
    runs[0, :20, 1:] = np.nan
    runs[1, 5:, 1:] = np.nan
    table = check_cases(cases(2), runs, N_STARS)
    assert table.n_alive.tolist() == [39, 5]
    assert table.share_dissolved.tolist() == [20 / 59, 54 / 59]
    assert np.isfinite(table.joint_p[0])
    assert np.isnan(table.joint_p[1])
    assert np.isnan(table.f_bound_q50[1])
    assert predictive_report(table, N_DRAWS)["n_cases"] == 2
