"""Clusters read back from a shard, and which of their stars are bound."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from natal.errors import NatalError
from natal.simulation.snapshots import nearest_points, read_cluster

N_STARS, TIMES_YR = 12, (0.0, 5.0, 10.0)


@pytest.fixture
def shard(tmp_path):
    """Points 7 and 8 with two realizations: stars at rest but for the last two, which leave at 100 AU/yr."""
    rng = np.random.default_rng(0)
    shape = (2, 2, len(TIMES_YR), N_STARS, 3)
    position, velocity = rng.normal(0, 50, shape), np.zeros(shape)
    velocity[..., -2:, 0] = [100.0, -100.0]
    with h5py.File(tmp_path / "test0_000.h5", "w") as file:
        file.attrs["config"] = json.dumps({"cluster": {"softening_au": 2.0}})
        file["point_id"], file["realization"] = [7, 8], [0, 1]
        file["q0"], file["a_au"], file["time_yr"] = [0.6, 1.2], [80.0, 150.0], TIMES_YR
        file["position_au"], file["velocity_au_yr"] = position, velocity
        file["mass_msun"] = np.ones((2, 2, N_STARS))
        for k, name in enumerate(("f_bound", "sigma_v_kms", "r_h_au")):
            file[f"summaries/{name}"] = np.arange(12.0).reshape(2, 2, 3) + 100 * k
    return tmp_path / "test0_000.h5", position


def test_a_cluster_is_read_with_its_bound_stars(shard):
    """The asked realization, and those stars bound that do not run away."""
    path, position = shard
    cluster = read_cluster([path], 8, 1)
    assert (cluster.point_id, cluster.realization, cluster.q0, cluster.a_au) == (8, 1, 1.2, 150.0)
    np.testing.assert_array_equal(cluster.position_au, position[1, 1])
    np.testing.assert_array_equal(cluster.time_yr, TIMES_YR)
    np.testing.assert_array_equal(cluster.bound, np.tile(np.arange(N_STARS) < N_STARS - 2, (3, 1)))
    np.testing.assert_array_equal(cluster.summaries["r_h_au"], [209, 210, 211])


def test_a_point_that_is_nowhere_is_named(shard):
    """So is a realization that was not made."""
    path, _ = shard
    with pytest.raises(NatalError, match="none of the shards holds point 9"):
        read_cluster([path], 9)
    with pytest.raises(NatalError, match="point 7 has no realization 2"):
        read_cluster([path], 7, 2)


@pytest.mark.parametrize(
    ("q0", "wanted", "found"),
    [
        ([1.2, 0.55, 0.9, 0.7], (0.5, 0.9, 1.3), [1, 2, 0]),
        # the second nearest, where the nearest is taken
        ([0.5, 0.6, 0.9], (0.5, 0.5, 0.9), [0, 1, 2]),
        ([0.8], (0.5, 0.9, 1.3), [0]),
    ],
)
def test_points_nearest_to_wanted_virial_ratios(q0, wanted, found):
    """Each once, in the order of what is wanted."""
    points = pd.DataFrame({"point_id": np.repeat(np.arange(len(q0)), 2), "q0": np.repeat(q0, 2)})
    assert nearest_points(points, wanted) == found
