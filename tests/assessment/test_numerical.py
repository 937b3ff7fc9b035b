"""Differences between clusters that were followed otherwise come out as what they are."""

import numpy as np
import pandas as pd
import pytest
from closed_form import SIGMA, linear_mean, make_runs, uniform_points

from natal.assessment.numerical import HALVED, biases, pairs, posterior_changes, variants
from natal.variables import BIRTH, SUMMARIES

N = 3000


@pytest.fixture(scope="module")
def table():
    """Half the step changes nothing but the noise; half the softening adds half a scatter to f_bound of hot clusters.

    Half of each cluster's variance is its stars', which all variants share.
    """
    rng = np.random.default_rng(0)
    x = uniform_points(N, rng)
    stars = rng.standard_normal((N, len(SUMMARIES)))
    parts = []
    for name in ("campaign", *HALVED):
        y = linear_mean(x) + SIGMA * (stars + rng.standard_normal(stars.shape)) / np.sqrt(2)
        if name == "half_softening":
            y[:, 0] += 0.5 * SIGMA[0] * (x[:, 0] > np.quantile(x[:, 0], 2 / 3))
        part = pd.DataFrame(np.hstack([x, y]), columns=[*BIRTH, *SUMMARIES])
        parts.append(part.assign(point_id=np.arange(N), variant=name, dissolved=rng.random(N) < 0.01))
    # in whatever order
    return pd.concat(parts).sample(frac=1.0, random_state=1)


def test_configurations_differ_in_step_and_softening_only():
    """Half a softening comes with half a step."""
    config = {"cluster": {"softening_au": 2.0, "n_stars": 9}, "integration": {"dt_yr": 0.05, "snapshots": 3}, "seed": 1}
    found = variants(config)
    assert found["campaign"] == config
    assert found["half_step"] == config | {"integration": {"dt_yr": 0.025, "snapshots": 3}}
    assert found["half_softening"] == found["half_step"] | {"cluster": {"softening_au": 1.0, "n_stars": 9}}


def test_biases_are_in_scatters_and_by_third(table):
    """0.5 where it was added, 0 elsewhere, within five standard errors; clusters of half a common variance."""
    found = biases(table, make_runs("train", 100, 40, seed=3)).set_index(["variant", "third", "summary"])
    for (variant, third, summary), row in found.iterrows():
        added = (
            {"high": 0.5, "all": 1 / 6}.get(third, 0.0) if (variant, summary) == ("half_softening", "f_bound") else 0.0
        )
        assert abs(row.bias - added) < 5 * row.bias_se
        # difference of two independent halves: a variance of one
        if third == "all":
            assert row.bias_se == pytest.approx(1 / np.sqrt(row.n), rel=0.1)
        if not added:
            assert row.apart == pytest.approx(np.sqrt(0.5), rel=0.1)
        assert row.n == pytest.approx(0.98 * (N if third == "all" else N / 3), rel=0.02)
    assert found.ks_p.loc["half_step"].min() > 1e-3


def test_pairs_are_of_the_same_cluster(table):
    """Sorted by their number, without those that dissolve either way."""
    own, other = pairs(table, "half_step")
    assert (own.index == other.index).all()
    np.testing.assert_array_equal(own[list(BIRTH)], other[list(BIRTH)])
    dissolved = table[table.variant.isin(["campaign", "half_step"]) & table.dissolved].point_id.nunique()
    assert len(own) == N - dissolved


def test_posteriors_that_are_shifted_and_too_sure(table):
    """Shifts in posterior standard deviations, coverage and the change of the log score, by hand."""
    rng = np.random.default_rng(2)
    level = pd.Series(rng.random(N)).sort_index()
    score = pd.Series(rng.standard_normal(N))
    answered = table.assign(
        hpd_level=level[table.point_id].to_numpy(),
        log_density=score[table.point_id].to_numpy(),
        sd_q0=0.2,
        sd_a_au=10.0,
    )
    answered["mean_q0"], answered["mean_a_au"] = answered.q0, answered.a_au
    moved = (answered.variant == "half_softening").to_numpy()
    answered.loc[moved, ["mean_q0", "log_density"]] += [0.1, -0.25]
    answered.loc[moved, "hpd_level"] = np.sqrt(answered.hpd_level[moved])
    found = posterior_changes(answered)
    assert list(found) == ["campaign", *HALVED]
    assert found["half_softening"]["shift"] == pytest.approx({"q0": 0.5, "a_au": 0.0}, abs=1e-9)
    assert found["half_softening"]["log_score_change"] == pytest.approx(-0.25)
    assert found["half_step"]["shift"] == pytest.approx({"q0": 0.0, "a_au": 0.0}, abs=1e-9)
    for name, honest in (("half_step", 0.68), ("half_softening", 0.68**2)):
        part = found[name]
        assert abs(part["coverage"]["68"] - honest) < 5 * part["coverage_se"]["68"]
        assert part["coverage_se"]["68"] == pytest.approx(np.sqrt(honest * (1 - honest) / part["n"]), rel=0.05)
