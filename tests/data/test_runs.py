"""Tables of runs: each split by itself, dissolved runs left out, replicate means, the digest of the design."""

import numpy as np
import pandas as pd
import pytest
from closed_form import make_runs

from natal.data.runs import Runs, design_digest, read_runs, replicate_means, split_table
from natal.errors import NatalError


def table_of(runs, dissolved=()):
    """The table of runs that would be read as `runs`; the rows named in `dissolved` have no dispersion or radius."""
    table = pd.DataFrame(
        {
            "point_id": runs.point_id,
            "realization": runs.realization,
            "split": runs.split,
            "q0": runs.x[:, 0],
            "a_au": runs.x[:, 1],
            "f_bound": runs.y[:, 0],
            "sigma_v_kms": runs.y[:, 1],
            "r_h_au": runs.y[:, 2],
            "dissolved": False,
        }
    )
    for row in dissolved:
        table.loc[row, ["sigma_v_kms", "r_h_au", "dissolved"]] = [np.nan, np.nan, True]
    return table


@pytest.fixture
def write(tmp_path):
    """Write a table and return its path."""

    def write(table):
        table.to_csv(tmp_path / "runs.csv", index=False)
        return tmp_path / "runs.csv"

    return write


def test_a_written_split_is_read_unchanged(write):
    """CSV keeps every digit of inputs and outputs."""
    runs = make_runs("validation", 5, 3, seed=1)
    found = read_runs(write(table_of(runs)), "validation")
    assert (found.split, found.n_dissolved, len(found)) == ("validation", 0, 15)
    for name in ("x", "y", "point_id", "realization"):
        np.testing.assert_array_equal(getattr(found, name), getattr(runs, name))


def test_dissolved_runs_are_counted_and_left_out(write):
    """A run without dispersion and radius is no example of either."""
    runs = make_runs("train", 4, 3, seed=2)
    found = read_runs(write(table_of(runs, dissolved=(0, 7))), "train")
    kept = np.delete(np.arange(12), [0, 7])
    assert found.n_dissolved == 2
    np.testing.assert_array_equal(found.y, runs.y[kept])
    np.testing.assert_array_equal(found.point_id, runs.point_id[kept])


def test_a_split_that_dissolved_altogether_is_refused(write):
    """Without a bound cluster there is nothing to learn from."""
    with pytest.raises(NatalError, match="every train run is dissolved"):
        read_runs(write(table_of(make_runs("train", 1, 2, seed=3), dissolved=(0, 1))), "train")


@pytest.mark.parametrize("wanted", ["train", "validation", "test"])
@pytest.mark.parametrize("held", ["train", "validation", "test"])
def test_only_the_split_that_was_asked_for_is_read(write, wanted, held):
    """A file of one split never passes for another."""
    path = write(table_of(make_runs(held, 2, 2, seed=4)))
    if wanted == held:
        assert read_runs(path, wanted).split == wanted
    else:
        with pytest.raises(NatalError, match=f"should hold {wanted} rows only, but holds: {held}"):
            read_runs(path, wanted)


def test_a_single_stray_row_of_another_split_is_refused(write):
    """One test run among the training runs would be a leak."""
    table = table_of(make_runs("train", 4, 4, seed=5))
    table.loc[9, "split"] = "test"
    with pytest.raises(NatalError, match="holds: test, train"):
        read_runs(write(table), "train")


def test_a_table_without_rows_is_refused(write):
    """A header alone is not a split."""
    with pytest.raises(NatalError, match="holds: none"):
        read_runs(write(table_of(make_runs("train", 1, 1, seed=6)).iloc[:0]), "train")


def test_the_splits_partition_the_table():
    """Every row goes to exactly one split, untouched."""
    parts = [table_of(make_runs(split, 3, 2, seed=k)) for k, split in enumerate(("train", "validation", "test"))]
    whole = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=7)
    found = split_table(whole)
    assert list(found) == ["train", "validation", "test"]
    assert all(set(part.split) == {split} for split, part in found.items())
    pd.testing.assert_frame_equal(pd.concat(found.values()).sort_index(), whole.sort_index())


def test_calibration_runs_have_a_file_of_their_own():
    """Where there are any: no other split holds one of them."""
    names = ("train", "validation", "test", "calibration")
    whole = pd.concat([table_of(make_runs(split, 3, 1, seed=k)) for k, split in enumerate(names)], ignore_index=True)
    found = split_table(whole)
    assert {split: set(part.split) for split, part in found.items()} == {split: {split} for split in names}


@pytest.mark.parametrize("missing", ["train", "validation", "test"])
def test_a_campaign_lacking_a_split_is_refused(missing):
    """The error names the split that has no points."""
    splits = [split for split in ("train", "validation", "test") if split != missing]
    table = pd.concat([table_of(make_runs(split, 2, 2, seed=8)) for split in splits])
    with pytest.raises(NatalError, match=f"no {missing} points"):
        split_table(table)


def test_replicate_means_by_hand():
    """Means and standard deviations (ddof = 1) over the survivors of each point; a lone survivor has no scatter."""
    x = np.array([[0.5, 60.0], [0.9, 90.0], [0.5, 60.0], [1.4, 70.0], [0.9, 90.0], [0.9, 90.0]])
    y = np.array([[1.0, 7.0, 90.0], [0.8, 5.0, 300.0], [0.9, 5.0, 110.0], [0.1, 1.0, 900.0], [0.7, 4.0, 400.0]])
    y = np.vstack([y, [[0.6, 3.0, 800.0]]])
    point_id = np.array([4, 2, 4, 9, 2, 2])
    found = replicate_means(Runs("test", x, y, point_id, np.arange(6), n_dissolved=3))
    np.testing.assert_array_equal(found.n, [3, 2, 1])
    np.testing.assert_array_equal(found.x, [[0.9, 90.0], [0.5, 60.0], [1.4, 70.0]])
    # sums of three doubles: a few units in the last place
    np.testing.assert_allclose(found.mean, [[0.7, 4.0, 500.0], [0.95, 6.0, 100.0], [0.1, 1.0, 900.0]], rtol=1e-14)
    scatter = [[0.1, 1.0, np.sqrt(70_000.0)], [np.sqrt(0.005), np.sqrt(2.0), np.sqrt(200.0)], [np.nan] * 3]
    np.testing.assert_allclose(found.scatter, scatter, rtol=1e-13)


def shuffled(runs, order):
    """The same runs in another order."""
    return Runs(runs.split, runs.x[order], runs.y[order], runs.point_id[order], runs.realization[order], 0)


def test_the_design_digest_knows_points_not_rows():
    """The order of rows and the number of survivors do not matter; outputs do not either."""
    runs = make_runs("train", 6, 4, seed=9)
    digest = design_digest(runs)
    assert design_digest(shuffled(runs, np.random.default_rng(0).permutation(24))) == digest
    assert design_digest(shuffled(runs, np.delete(np.arange(24), [3, 10, 11]))) == digest
    assert design_digest(make_runs("train", 6, 4, seed=9, sigma=0.0)) == digest


@pytest.mark.parametrize("change", ["q0", "a_au", "fewer"])
def test_another_design_has_another_digest(change):
    """A point moved by a part in a thousand, or dropped, is another training set."""
    runs = make_runs("train", 6, 4, seed=9)
    digest = design_digest(runs)
    if change == "fewer":
        changed = shuffled(runs, np.flatnonzero(runs.point_id != 5))
    else:
        runs.x[runs.point_id == 2, ["q0", "a_au"].index(change)] *= 1.001
        changed = runs
    assert design_digest(changed) != digest
