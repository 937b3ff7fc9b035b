"""Laws in time: scale invariance is built in, a known law is learned, bands hold what they say."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from evolution_clusters import BOX, COUNTS, N_STARS, RANGES, TIMES, campaign, draw, places, true_log_scores
from scipy.stats import kstest

from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble
from natal.settings.density import DensitySettings
from natal.studies.evolution import network
from natal.studies.evolution.evaluation import (
    band_quantiles,
    coverage_table,
    log_scores,
    predicted_pit,
    score_rows,
    whole_tracks,
)
from natal.studies.evolution.tracks import outcomes, read_tracks, refuse_gaps, snapshots, time_range

SETTINGS = DensitySettings(members=2, components=1, width=16, steps=750, batch_size=256)


def untrained(coordinates):
    """Two members with weights as they start, moved apart from zero."""

    def make(key):
        return network.make_evolution_network(key, 8, 2, jnp.zeros(3), jnp.ones(3), COUNTS, BOX, coordinates)

    members = eqx.filter_vmap(make)(jax.random.split(jax.random.key(3), 2))
    return DensityEnsemble(members)


@pytest.fixture(scope="module")
def tracks():
    """A campaign whose clusters follow a known law."""
    return campaign()


@pytest.fixture(scope="module")
def trained(tracks):
    """An ensemble of one-component networks, as the law is, given (Q0, tau)."""
    train, validation = (outcomes(snapshots(tracks, split)) for split in ("train", "validation"))
    return network.train(jax.random.key(1), train, validation, COUNTS, BOX, "dimensionless", SETTINGS)[0]


def test_dimensionless_laws_have_no_scale():
    """Lengths times s and times times s^1.5 are the same cluster, with velocities over sqrt(s); others know a scale."""
    s, x = 1.7, np.array([0.9, 80.0, 120.0])
    scaled = x * np.array([1.0, s, s**1.5])
    moved = np.array([-0.5 * np.log(s), np.log(s), 0.0])
    for coordinates in network.COORDINATES:
        ensemble = untrained(coordinates)
        here, there = ensemble(jnp.asarray(x, "float32")), ensemble(jnp.asarray(scaled, "float32"))
        difference = np.asarray(there.location - here.location)
        same = np.allclose(difference, moved, atol=2e-5) and np.allclose(here.log_weight, there.log_weight, atol=2e-5)
        assert same == (coordinates == "dimensionless"), coordinates


def test_inputs_have_unit_variance_over_their_ranges():
    """Each range maps onto +-sqrt(3); the corners of (a, t) span that of tau."""
    limits = network.coordinate_limits(BOX)
    corners = [np.log(t) - 1.5 * np.log(a) for a in BOX[1] for t in BOX[2]]
    assert limits["log_tau"] == pytest.approx((min(corners), max(corners)))
    assert limits["log_t"] == pytest.approx(np.log(BOX[2]))


@pytest.mark.slow
def test_a_known_law_is_learned(trained):
    """Within 0.1 nats of the true law on clusters at times between those trained at, too."""
    rng = np.random.default_rng(5)
    for times in (TIMES, (70.0, 150.0, 300.0)):
        found = draw(np.column_stack([places(1500, rng), rng.choice(times, 1500)]), rng)
        lost = true_log_scores(found) - log_scores(trained, found)
        error = lost.std() / np.sqrt(len(lost))
        assert -4 * error < lost.mean() < 0.1 + 4 * error, (times, lost.mean(), error)


@pytest.mark.slow
def test_bands_hold_what_they_say(trained, tracks):
    """Probabilities of smaller values are uniform at true clusters, f_bound's piled up at 1 among them."""
    pit = predicted_pit(jax.random.key(2), trained, snapshots(tracks, "test"), 1000, np.random.default_rng(1))
    assert not pit.dissolved.any()
    for name in ("f_bound", "sigma_v_kms", "r_h_au"):
        # the synthetic snapshots are independent; D = 0.05 allows for the networks' own error
        assert kstest(pit[f"pit_{name}"], "uniform").statistic < 0.05 + 1.63 / np.sqrt(len(pit)), name
    table = coverage_table(pit)
    assert len(table) == (1 + len(TIMES)) * 3 * 2
    for row in table[table.t_yr.isna()].itertuples():
        assert row.inside == pytest.approx(row.level, abs=0.04 + 3 * row.se)
    correlations = whole_tracks(pit)
    n_clusters = len(pit.groupby(["point_id", "realization"]))
    assert abs(correlations["sigma_v_kms"]["correlation_of_first_and_last"]) < 4 / np.sqrt(n_clusters)
    assert correlations["independent"] == pytest.approx(0.95 ** len(TIMES))


def test_correlated_tracks_stay_inside_more_often():
    """Of clusters that keep their place in the law, as many tracks as snapshots are inside."""
    rng = np.random.default_rng(2)
    place = np.repeat(rng.random(4000), 3)
    one = {"point_id": np.repeat(np.arange(4000), 3), "realization": 0, "t_yr": np.tile([1.0, 2.0, 3.0], 4000)}
    pit = pd.DataFrame(one | {f"pit_{name}": place for name in ("f_bound", "sigma_v_kms", "r_h_au")})
    found = whole_tracks(pit)["r_h_au"]
    assert found["correlation_of_first_and_last"] == pytest.approx(1.0)
    assert found["tracks_inside_95"] == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))
    assert found["tracks_inside_95_se"] == pytest.approx(np.sqrt(0.95 * 0.05 / 4000), rel=0.1)


@pytest.mark.slow
def test_gaps_are_scored_at_their_own_times(trained, tracks):
    """An ensemble that never saw a time is compared with the whole one at that time and by snapshot."""
    test = snapshots(tracks, "test")
    rows = score_rows(
        {("dimensionless", "none"): trained, ("dimensionless", "late"): untrained("dimensionless")},
        {"late": [400.0]},
        test,
        "test",
    )
    whole, gap = rows.iloc[0], rows.iloc[1]
    assert (whole.n_snapshots, gap.n_snapshots) == (len(test), (test.t_yr == 400).sum())
    at = outcomes(test[test.t_yr == 400])
    assert gap.log_likelihood + gap.loss == pytest.approx(log_scores(trained, at).mean(), abs=1e-4)
    assert whole.loss == 0 < gap.loss


def test_band_quantiles_are_central():
    assert band_quantiles() == pytest.approx([0.025, 0.16, 0.5, 0.84, 0.975])


@pytest.mark.slow
def test_an_ensemble_is_stored_exactly(trained, tmp_path):
    """What is loaded predicts the same; another file is refused in one line."""
    network.save(tmp_path / "one.eqx", trained)
    x = jnp.array([1.0, 100.0, 100.0])
    assert np.array_equal(network.load(tmp_path / "one.eqx")(x).location, trained(x).location)
    (tmp_path / "two.eqx").write_bytes((tmp_path / "one.eqx").read_bytes()[:-8])
    with pytest.raises(NatalError, match="damaged"):
        network.load(tmp_path / "two.eqx")
    (tmp_path / "three.eqx").write_text("{}\n")
    with pytest.raises(NatalError, match="not an ensemble of this study"):
        network.load(tmp_path / "three.eqx")


def test_tracks_of_another_campaign_are_refused(tracks, tmp_path):
    """Missing columns and splits, other clusters and other points: one line each."""
    path = tmp_path / "tracks.csv"
    start = tracks.iloc[:1].assign(t_yr=0.0)
    pd.concat([start, tracks]).to_csv(path, index=False)
    found = read_tracks(path, N_STARS, RANGES)
    assert len(found) == len(tracks)
    assert time_range(found) == (TIMES[0], TIMES[-1])
    with pytest.raises(NatalError, match="n_stars = 60"):
        read_tracks(path, 60, RANGES)
    with pytest.raises(NatalError, match=r"box\.a_au"):
        read_tracks(path, N_STARS, RANGES | {"a_au": (100.0, 200.0)})
    tracks[tracks.split != "calibration"].to_csv(path, index=False)
    with pytest.raises(NatalError, match="no calibration clusters"):
        read_tracks(path, N_STARS, RANGES)
    tracks.drop(columns="t_yr").to_csv(path, index=False)
    with pytest.raises(NatalError, match="t_yr"):
        read_tracks(path, N_STARS, RANGES)
    refuse_gaps({"one": [50, 100]}, tracks)
    for times in ([75], list(TIMES)):
        with pytest.raises(NatalError, match=r"gaps\.one"):
            refuse_gaps({"one": times}, tracks)
