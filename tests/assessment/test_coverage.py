"""Coverage tells honest posteriors from confident and timid ones."""

import numpy as np
import pytest
from scipy.stats import binom, chi2, norm

from natal.assessment.coverage import (
    LEVELS,
    calibration_report,
    clustered_error,
    clustered_errors,
    contraction,
    coverage,
    terciles,
)

N = 3000
# binomial bands that an honest posterior leaves once in a million
BANDS = {f"{100 * level:.0f}": np.array(binom.interval(1 - 1e-6, N, level)) / N for level in LEVELS}


def test_exactly_uniform_pits_are_covered_exactly():
    """With PIT and HPD level on a regular grid of n, coverage is nominal to 1 / n."""
    n = 2000
    uniform = (np.arange(n) + 0.5) / n
    found = coverage(np.column_stack([uniform, uniform[::-1]]), np.random.default_rng(0).permutation(uniform))
    assert list(found) == ["50", "68", "90", "95"]
    for level in LEVELS:
        assert found[f"{100 * level:.0f}"] == pytest.approx(dict.fromkeys(("q0", "a_au", "joint"), level), abs=1 / n)


def test_coverage_by_hand():
    """Central intervals exclude both tails; joint regions are the densest."""
    pit = np.array([[0.5, 0.01], [0.26, 0.99], [0.96, 0.5], [0.7, 0.04]])
    found = coverage(pit, np.array([0.0, 0.60, 0.93, 0.97]))
    assert found == {
        "50": {"q0": 0.75, "a_au": 0.25, "joint": 0.25},
        "68": {"q0": 0.75, "a_au": 0.25, "joint": 0.5},
        "90": {"q0": 0.75, "a_au": 0.25, "joint": 0.5},
        "95": {"q0": 1.0, "a_au": 0.5, "joint": 0.75},
    }


def gaussian_cases(width, rng):
    """PIT and HPD level of n truths under normal posteriors of `width` times the right standard deviation."""
    z = rng.standard_normal((N, 2)) / width
    return norm.cdf(z), chi2.cdf((z**2).sum(1), 2)


def test_honest_posteriors_stay_in_the_band():
    """n = 3000 normal posteriors of the right width."""
    for level, shares in coverage(*gaussian_cases(1.0, np.random.default_rng(1))).items():
        low, high = BANDS[level]
        assert all(low <= share <= high for share in shares.values())


@pytest.mark.parametrize(("width", "side"), [(0.7, "below"), (1.4, "above")])
def test_wrong_widths_are_caught(width, side):
    """Posteriors 0.7 times as wide as they should be cover too little at every level, 1.4 times too much."""
    for level, shares in coverage(*gaussian_cases(width, np.random.default_rng(2))).items():
        low, high = BANDS[level]
        for share in shares.values():
            assert share < low if side == "below" else share > high


def test_a_bias_is_caught():
    """Posteriors off by one standard deviation in Q0 miss Q0 and the joint region, not a."""
    rng = np.random.default_rng(3)
    z = rng.standard_normal((N, 2)) + np.array([1.0, 0.0])
    found = coverage(norm.cdf(z), chi2.cdf((z**2).sum(1), 2))
    for level, (low, high) in BANDS.items():
        assert found[level]["q0"] < low
        assert found[level]["joint"] < low
        assert low <= found[level]["a_au"] <= high


def test_errors_of_independent_cases_are_binomial():
    """With one case a point, the standard error is sqrt(p (1 - p) / n)."""
    pit, hpd = gaussian_cases(1.0, np.random.default_rng(4))
    shares, errors = coverage(pit, hpd), clustered_errors(pit, hpd, np.random.default_rng(5).permutation(N))
    for level, found in errors.items():
        for name, error in found.items():
            share = shares[level][name]
            assert error == pytest.approx(np.sqrt(share * (1 - share) / N), rel=1e-12)


def test_copies_of_a_case_count_once():
    """Sixteen copies of each case leave the standard error as it was; counted one by one they would quarter it."""
    pit, hpd = gaussian_cases(1.0, np.random.default_rng(6))
    once = clustered_errors(pit, hpd, np.arange(N))
    copied = clustered_errors(np.repeat(pit, 16, axis=0), np.repeat(hpd, 16), np.repeat(np.arange(N), 16))
    for level, found in copied.items():
        assert found == pytest.approx(once[level], rel=1e-12)


def test_clustered_errors_are_the_scatter_of_coverage():
    """Cases of a point that share part of their luck: the errors match the spread over repeated campaigns."""
    rng = np.random.default_rng(7)
    shares, errors = [], []
    n_campaigns, n_points, n_cases = 300, 60, 8
    for _ in range(n_campaigns):
        shared = np.repeat(rng.standard_normal((n_points, 2)), n_cases, axis=0)
        z = np.sqrt(0.5) * (shared + rng.standard_normal((n_points * n_cases, 2)))
        point_id = np.repeat(np.arange(n_points), n_cases)
        arguments = norm.cdf(z), chi2.cdf((z**2).sum(1), 2)
        shares.append(coverage(*arguments)["68"]["q0"])
        errors.append(clustered_errors(*arguments, point_id)["68"]["q0"])
    # a standard deviation from 300 campaigns: 1 / sqrt(600) = 4.1 %, 4 sigma; with n points the error estimate is
    # low by about 1 / (2 n) = 0.8 %
    assert np.mean(errors) == pytest.approx(np.std(shares, ddof=1), rel=4 / np.sqrt(600) + 0.01)
    binomial = np.sqrt(0.68 * 0.32 / (n_points * n_cases))
    assert np.mean(errors) > 1.3 * binomial


def test_the_error_of_a_mean_of_clusters_by_hand():
    """Points of 2, 1 and 1 cases with sums of excess 3, -1 and -2: sqrt(9 + 1 + 4) / 4; alone, sd / sqrt(n)."""
    values = np.array([3.0, 4.0, 1.0, 0.0])
    assert clustered_error(values, np.array([7, 7, 3, 9])) == pytest.approx(np.sqrt(9 + 1 + 4) / 4)
    assert clustered_error(values, np.arange(4)) == pytest.approx(values.std() / 2)


def test_contraction_by_hand():
    """A posterior as wide as the prior learned nothing; half its sd is three quarters of the variance; none is all."""
    box = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}
    uniform = np.array([1.0, 150.0]) / np.sqrt(12)
    found = contraction(np.array([1.0, 0.5, 0.0])[:, None] * uniform, box)
    np.testing.assert_allclose(found, np.tile([[0.0], [0.75], [1.0]], 2), atol=1e-15)
    # mass in both ends is wider than the prior
    assert np.all(contraction(np.array([[0.5, 75.0]]), box) < 0)


@pytest.mark.parametrize("n_points", [3, 10, 11, 40])
def test_terciles_partition_the_points(n_points):
    """Every case is in exactly one of three groups of as many points, ordered by value; no point is cut in two."""
    rng = np.random.default_rng(8)
    # points lose realizations that dissolved, so that thirds of the cases would end within a point
    point_id = rng.permutation(np.repeat(200_000 + np.arange(n_points), rng.integers(1, 17, n_points)))
    values = rng.random(n_points)[point_id - 200_000]
    parts = terciles(values, point_id)
    assert sorted(np.concatenate(parts)) == list(range(len(values)))
    sizes = [len(np.unique(point_id[part])) for part in parts]
    assert len(parts) == 3
    assert sum(sizes) == n_points
    assert max(sizes) - min(sizes) <= 1
    assert values[parts[0]].max() < values[parts[1]].min()
    assert values[parts[1]].max() < values[parts[2]].min()


@pytest.mark.parametrize("n_points", [1, 2])
def test_few_points_make_few_groups(n_points):
    """Where one or two points survive there is no third group, and the report says what it can."""
    point_id = np.repeat(np.arange(n_points), 2)
    truth = np.array([[0.6, 100.0], [1.2, 150.0]])[point_id]
    n = len(point_id)
    found = calibration_report(truth, point_id, np.full((n, 2), 0.5), np.full(n, 0.5), np.zeros(n), np.zeros((n, 2)))
    limits = [(part["q0_min"], part["q0_max"], part["n_cases"]) for part in found["by_q0_tercile"]]
    assert limits == [(0.6, 0.6, 2), (1.2, 1.2, 2)][:n_points]


def test_the_report_is_made_of_these():
    """Coverage, its errors and the log score over all cases, and again by tercile of the true Q0."""
    rng = np.random.default_rng(9)
    point_id = np.arange(N) // 4
    truth = rng.uniform([0.5, 50.0], [1.5, 200.0], (N // 4, 2))[point_id]
    pit, hpd = gaussian_cases(1.0, rng)
    log_density = rng.normal(-3.0, 1.0, N)
    shrunk = rng.random((N, 2))
    found = calibration_report(truth, point_id, pit, hpd, log_density, shrunk)
    assert found["n_cases"] == N
    assert found["log_score"] == pytest.approx(log_density.mean())
    assert found["coverage"] == coverage(pit, hpd)
    assert found["coverage_se"] == clustered_errors(pit, hpd, point_id)
    assert len(found["by_q0_tercile"]) == 3
    for part, cases in zip(found["by_q0_tercile"], terciles(truth[:, 0], point_id), strict=True):
        assert part["n_cases"] == N // 3
        assert (part["q0_min"], part["q0_max"]) == (truth[cases, 0].min(), truth[cases, 0].max())
        assert part["coverage"] == coverage(pit[cases], hpd[cases])
        assert part["log_score"] == pytest.approx(log_density[cases].mean())
    assert found["by_q0_tercile"][0]["q0_max"] < found["by_q0_tercile"][1]["q0_min"]
    assert found["log_score_se"] == clustered_error(log_density, point_id)
    assert found["contraction"] == pytest.approx(dict(zip(("q0", "a_au"), shrunk.mean(0), strict=True)))
    for part, cases in zip(found["by_a_au_tercile"], terciles(truth[:, 1], point_id), strict=True):
        assert (part["a_au_min"], part["a_au_max"]) == (truth[cases, 1].min(), truth[cases, 1].max())
        assert part["coverage"] == coverage(pit[cases], hpd[cases])
        assert part["contraction"] == pytest.approx(dict(zip(("q0", "a_au"), shrunk[cases].mean(0), strict=True)))


def test_the_log_score_prefers_the_right_width():
    """The mean log density at the truth is highest for the honest posterior: it cannot be had by a wider one."""
    z = np.random.default_rng(10).standard_normal((N, 2))

    def score(width):
        log_density = norm.logpdf(z, scale=width).sum(1)
        arrays = norm.cdf(z / width), chi2.cdf((z**2).sum(1), 2), log_density, np.zeros((N, 2))
        return calibration_report(z, np.arange(N), *arrays)

    assert score(1.0)["log_score"] > max(score(0.7)["log_score"], score(1.4)["log_score"])
