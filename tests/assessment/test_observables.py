"""What observables are worth, and mock clusters, with a law that is taken for the truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from joint_law import LATENTS, REACH, random_law

from natal.assessment.observables import BOUND, locate, mock_catalogue, observed_rows, score, subsets
from natal.likelihood.joint import Scale, draw_clusters, log_tau, speed_kms
from natal.observables.declared import OBSERVABLES
from natal.simulation.lines_of_sight import LinesOfSight
from natal.variables import SUMMARIES

TIMES = np.array([100.0, 300.0, 500.0])


@pytest.fixture(scope="module")
def law():
    return random_law()


@pytest.fixture(scope="module")
def seen(law):
    """900 clusters of the prior at three times, seen along three lines, each number drawn from the law by itself."""
    rng = np.random.default_rng(0)
    birth = np.column_stack([rng.uniform(0.5, 1.5, 900), rng.uniform(50, 200, 900)])
    summaries, dissolved = np.empty((900, 3, len(SUMMARIES))), np.empty((900, 3), bool)
    observables = np.full((900, 3, 3, len(OBSERVABLES)), np.nan, "float32")
    scale = Scale.of(jnp.asarray(birth[:, 1], "float32"), jnp.full(900, 100.0, "float32"))
    for t, time in enumerate(TIMES):
        x = np.column_stack([birth[:, 0], log_tau(time, 100.0, birth[:, 1])])
        laws = jax.vmap(law.ensemble, out_axes=-1)(jnp.asarray(x, "float32"))
        drawn = draw_clusters(jax.random.key(t), laws, scale)
        summaries[:, t] = np.column_stack([drawn.share, drawn.values["sigma_v_kms"], drawn.values["r_h_au"]])
        dissolved[:, t] = ~np.asarray(drawn.survived)
        for name in LATENTS.of_all:
            observables[:, t, :, OBSERVABLES.names.index(name)] = np.asarray(drawn.values[name])[:, None]
    each = np.arange(900)
    return LinesOfSight(each, 0 * each, birth, np.full(900, 100.0), TIMES, summaries, dissolved, observables)


def test_subsets_are_of_what_the_law_knows(law):
    """No other name; the summaries, each thing alone, everything."""
    told = subsets(law.names)
    assert set().union(*told.values()) == set(law.names)
    assert told["summaries"] == BOUND
    assert all(told[f"{name} alone"] == (name,) for name in law.names)


@pytest.mark.slow
def test_posteriors_of_the_true_law_are_honest(law, seen):
    """Joint regions of 900 clusters within three binomial errors; regions 5 % too small in each direction are not.

    Of more observables more is learned, and the promised log score is reached within three standard errors.
    """
    alive = seen.at(~seen.dissolved[:, -1])
    line = np.zeros(len(alive.point_id), int)
    few, many = (
        score(locate(jax.random.key(1), law, observed_rows(alive, names, line), alive.birth))
        for names in (("r_hp_au",), LATENTS.of_all)
    )
    for numbers in (few, many):
        n = numbers["n"]
        assert numbers["joint_68"] == pytest.approx(0.68, abs=3 * np.sqrt(0.68 * 0.32 / n))
        assert numbers["joint_95"] == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / n))
        assert numbers["log_score"] == pytest.approx(numbers["log_score_promised"], abs=3 * numbers["log_score_se"])
    assert many["log_score"] > few["log_score"] + 3 * few["log_score_se"]
    assert many["contraction_q0"] > few["contraction_q0"]


def test_contraction_by_hand():
    """Of posteriors whose sd is a tenth of the prior's width: 1 - 12 / 100."""
    found = pd.DataFrame({f"{name}_{part}": value for name in ("q0", "a_au") for part, value in PARTS.items()})
    found = found.assign(hpd_level=np.linspace(0.01, 0.99, 30), log_density=-1.0, entropy=1.2)
    numbers = score(found)
    assert numbers["contraction_q0"] == pytest.approx(0.88)
    assert (numbers["log_score"], numbers["log_score_promised"]) == pytest.approx((-1.0, -1.2))


PARTS = {"mean": np.linspace(0, 1, 30), "sd": np.full(30, 0.2), "width": np.full(30, 2.0)}


def test_mocks_are_clusters_of_the_prior_seen_with_errors(law, seen):
    """Births within the prior, values as the snapshot's in the mock's own units, one in three with a gap."""
    table, truth = mock_catalogue(np.random.default_rng(4), law, seen, 150)
    size = (table.age_yr / REACH.t_end_yr) ** (2 / 3) * (table.mass_msun / REACH.mass_msun) ** (1 / 3)
    # the nearest snapshot's tau is a little another
    share = truth[:, 1] / size
    assert np.all((share > 40) & (share < 250))
    assert np.all((truth[:, 0] >= 0.5) & (truth[:, 0] <= 1.5))
    missing = table[["sigma_los_kms", "r_hp_au", "v_out_kms"]].isna().sum(axis=1)
    assert set(missing) == {0, 1}
    assert missing.mean() == pytest.approx(1 / 3, abs=3 * np.sqrt(2 / 9 / 150))
    assert table[list(BOUND)].isna().to_numpy().all()
    # speeds of 0.05 to 20 times the cluster's own, not of the campaign's
    own = table.sigma_los_kms / speed_kms(table.mass_msun, truth[:, 1])
    snapshots = seen.observables[:, :, 0, 0] / speed_kms(100.0, seen.birth[:, 1])[:, None]
    low, high = np.nanquantile(own, [0.25, 0.75])
    assert (low, high) == pytest.approx(np.quantile(snapshots, [0.25, 0.75]), rel=0.25)
