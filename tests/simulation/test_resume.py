"""Finished simulations are gone on from: which states are used, and that the bits are those of one simulation."""

import itertools

import h5py
import numpy as np
import pandas as pd
import pytest

from natal.errors import NatalError
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.clusters import SimulatedClusters, snapshot_type
from natal.simulation.resume import BLOCK, EarlierRuns, remaining_legs
from natal.simulation.run import simulate, simulate_clusters
from natal.simulation.setup import Setup
from natal.simulation.shard_files import write_shard

CALL = {
    "q0": [0.5, 0.9, 0.9],
    "a_au": [50.0, 100.0, 100.0],
    "realization": [0, 0, 1],
    "cluster": ClusterModel(n_stars=20),
}
POINTS = pd.DataFrame({"point_id": [0, 1, 2], "q0": [0.5, 0.9, 0.9], "a_au": [50.0, 100.0, 100.0]})


def write(path, integration, runs, stem="s"):
    """A shard of the runs."""
    attributes = {"stem": stem, "digest": "d", "integrate_time_s": 4.0, "interactions": 1.0}
    write_shard(path, POINTS, 1, runs, attributes)
    return EarlierRuns.find(path, "s", integration.dt_yr)


@pytest.mark.parametrize(
    ("t_end_yr", "snapshots"),
    [(4.0, 9)]
    + [pytest.param(*grid, marks=pytest.mark.slow) for grid in ((6.0, 4), (8.0, 3), (9.0, 4), (2.0, 2), (4.0, 3))],
)
def test_the_bits_are_those_of_one_simulation(tmp_path, t_end_yr, snapshots):
    """Whichever times the earlier and the new snapshots have in common."""
    short = Integration(t_end_yr=4.0, snapshots=3)
    earlier = write(tmp_path / "a.h5", short, simulate_clusters(**CALL, integration=short))
    wanted = Integration(t_end_yr=t_end_yr, snapshots=snapshots)
    expected = simulate_clusters(**CALL, integration=wanted)
    found = simulate(Setup.of(**CALL, integration=wanted), earlier=earlier)
    for name in ("position_au", "velocity_au_yr", "mass_msun", "kinetic_energy", "potential_energy", "time_yr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name, values in expected.summaries.items():
        np.testing.assert_array_equal(found.summaries[name], values)


@pytest.mark.parametrize(
    ("stored", "n_done", "expected"),
    [
        # (stored state or none, steps from there) for snapshots at 0, 40, 80, 120
        (None, 0, [(None, 0), (None, 40), (None, 40), (None, 40)]),
        ([0, 40, 80], 0, [(0, 0), (40, 0), (80, 0), (None, 40)]),
        ([0, 30, 60], 0, [(0, 0), (30, 10), (60, 20), (None, 40)]),
        ([0, 10, 30, 200], 0, [(0, 0), (30, 10), (None, 40), (None, 40)]),
        ([0, 40, 80], 2, [(80, 0), (None, 40)]),
    ],
)
def test_every_snapshot_starts_from_the_last_state_known(stored, n_done, expected):
    """Be it stored or the snapshot before."""
    integration = Integration(t_end_yr=6.0, dt_yr=0.05, snapshots=4)
    legs = remaining_legs(n_done, integration, stored or [])
    assert [(leg.earlier_step, leg.n_steps) for leg in legs] == expected
    assert [leg.number for leg in legs] == list(range(n_done, 4))


def test_many_snapshots_are_read_in_blocks(tmp_path):
    """In any order, each as it was stored; the time spent on them is shared out by steps."""
    n = 2 * BLOCK + 3
    snapshots = np.zeros(n, snapshot_type(3, 5, "float64"))
    snapshots["position_au"] = np.random.default_rng(0).normal(size=snapshots["position_au"].shape)
    snapshots["n_bound"] = np.arange(n)[:, None]
    snapshots["potential_energy"] = -1.0
    integration = Integration(t_end_yr=n - 1.0, snapshots=n)
    runs = SimulatedClusters.from_snapshots(snapshots, integration.time_yr, 0.0)
    earlier = write(tmp_path / "a.h5", integration, runs)
    assert earlier.steps == [20 * k for k in range(n)]
    for k in (0, n - 1, BLOCK, 1, BLOCK - 1):
        found = np.zeros((), snapshots.dtype)
        earlier.copy_to(found, 20 * k)
        np.testing.assert_array_equal(found["position_au"], snapshots["position_au"][k])
        assert found["n_bound"].tolist() == [k] * 3
        assert found["elapsed_s"] == pytest.approx(4.0 * k / (n - 1))


def test_what_cannot_be_gone_on_from_is_left(tmp_path, caplog):
    """No file, clusters of another stem, a damaged file: the simulation starts anew, and a line says of damage."""
    caplog.set_level("INFO", "natal")
    path = tmp_path / "a.h5"
    assert EarlierRuns.find(path, "s", 0.05) is None
    integration = Integration(t_end_yr=1.0, snapshots=2)
    runs = simulate_clusters(**CALL, integration=integration)
    assert write(path, integration, runs, stem="other") is None
    assert not [line for line in caplog.messages if "anew" in line]
    assert write(path, integration, runs) is not None
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert EarlierRuns.find(path, "s", 0.05) is None
    assert [line for line in caplog.messages if "damaged" in line and "starting anew" in line]


def test_times_between_steps_are_refused(tmp_path):
    """They would be rounded to another time."""
    integration = Integration(t_end_yr=1.0, snapshots=3)
    write(tmp_path / "a.h5", integration, simulate_clusters(**CALL, integration=integration))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["time_yr"][:].tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(NatalError, match=r"a.h5 has snapshots between steps of 0\.3 yr"):
        EarlierRuns(tmp_path / "a.h5", 0.3)
    assert list(itertools.pairwise(EarlierRuns(tmp_path / "a.h5", 0.1).steps)) == [(0, 5), (5, 10)]
