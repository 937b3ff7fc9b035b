"""Observables of snapshots in shards: the same numbers as from the stars themselves, in files and tables."""

import h5py
import numpy as np
import pandas as pd
import pytest

from natal.errors import NatalError
from natal.observables.declared import OBSERVABLES
from natal.observables.projected import LINES, observe
from natal.simulation.lines_of_sight import (
    final_table,
    joined,
    observe_shard,
    read_lines_of_sight,
    write_lines_of_sight,
)
from natal.simulation.shard_format import SUMMARY_DATASETS


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two shards of two points with three realizations of 20 stars at four times, random stars, later points first."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("shards")
    paths = []
    for k, first in enumerate((7, 3)):
        path = folder / f"{k}.h5"
        with h5py.File(path, "w") as file:
            file["point_id"], file["realization"] = [first, first + 1], np.arange(3)
            file["q0"], file["a_au"] = rng.uniform(0.5, 1.5, 2), rng.uniform(50, 200, 2)
            file["time_yr"], file["energy_error"] = [0.0, 1.0, 2.0, 4.0], np.zeros((2, 3))
            file["mass_msun"] = np.full((2, 3, 20), 2.0)
            for name in ("position_au", "velocity_au_yr"):
                file[name] = rng.standard_normal((2, 3, 4, 20, 3))
            for name, dataset in SUMMARY_DATASETS.items():
                file[dataset] = rng.random((2, 3, 4)) if name != "dissolved" else np.zeros((2, 3, 4), bool)
        paths.append(path)
    return paths


def see_all(shards):
    """All shards, one after the other."""
    return joined(shards, [observe_shard(path, 5.0) for path in shards])


def test_each_line_and_time_is_that_of_its_stars(shards):
    """Without t = 0; point by point, realization by realization."""
    seen = observe_shard(shards[0], 5.0)
    assert seen.observables.shape == (6, 3, len(LINES), len(OBSERVABLES))
    np.testing.assert_array_equal(seen.time_yr, [1.0, 2.0, 4.0])
    with h5py.File(shards[0]) as file:
        stars = [file[name][1, 2, 3][None] for name in ("position_au", "velocity_au_yr")]
        f_bound = file[SUMMARY_DATASETS["f_bound"]][1, 2, 3]
    for j, line in enumerate(LINES):
        alone = observe(*stars, np.full((1, 20), 2.0), 5.0, line)
        np.testing.assert_allclose(seen.observables[5, 2, j], [alone[name][0] for name in OBSERVABLES], rtol=1e-6)
    assert (seen.point_id[5], seen.realization[5], seen.mass_msun[5]) == (8, 2, 40.0)
    assert seen.summaries[5, 2, 0] == f_bound


def test_shards_are_joined_in_the_order_of_points(shards):
    """Whatever the order of files; another set of times is refused by name."""
    seen = see_all(shards)
    np.testing.assert_array_equal(seen.point_id, np.repeat([3, 4, 7, 8], 3))
    np.testing.assert_array_equal(seen.observables[6:], observe_shard(shards[0], 5.0).observables)


def test_other_times_are_refused(shards, tmp_path):
    """By the file's name."""
    other = tmp_path / "other.h5"
    other.write_bytes(shards[1].read_bytes())
    with h5py.File(other, "r+") as file:
        file["time_yr"][-1] = 5.0
    with pytest.raises(NatalError, match=r"other\.h5 holds other times"):
        see_all([shards[0], other])


def test_files_and_tables(shards, tmp_path):
    """What is written is read; the table has three rows a cluster, with its split."""
    seen = see_all(shards)
    write_lines_of_sight(tmp_path / "seen.h5", seen, 5.0)
    for before, after in zip(seen, read_lines_of_sight(tmp_path / "seen.h5"), strict=True):
        np.testing.assert_array_equal(before, after)
    split = pd.Series({3: "train", 4: "test", 7: "train", 8: "validation"})
    table = final_table(seen, split)
    assert (len(table), set(table.line), list(table.split[:10])) == (36, set(LINES), ["train"] * 9 + ["test"])
    row = table[(table.point_id == 8) & (table.realization == 1) & (table.line == "y")].iloc[0]
    assert row.r_hp_au == seen.observables[10, -1, 1, OBSERVABLES.names.index("r_hp_au")]
    (tmp_path / "broken.h5").write_bytes(b"no")
    with pytest.raises(NatalError, match=r"broken\.h5 is not a file of observables"):
        read_lines_of_sight(tmp_path / "broken.h5")
