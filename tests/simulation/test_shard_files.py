"""Shards of simulations: written whole or not at all, read back as they were, refused when damaged."""

import h5py
import numpy as np
import pandas as pd
import pytest

from natal.errors import NatalError
from natal.files.sealed import SEAL_BYTES, write_seal
from natal.provenance.environment import made_by
from natal.simulation.clusters import SimulatedClusters, SummaryTracks
from natal.simulation.conservation import check_runs
from natal.simulation.shard_files import write_shard
from natal.simulation.shard_format import FORMAT
from natal.simulation.shard_tables import SUMMARY_COLUMNS, concatenated, join_design, read_shard

N_REALIZATIONS, N_TIMES, N_STARS = 3, 4, 6
COSTS = {
    "interactions": 1e9,
    "threads": 2.0,
    "started_unix_s": 1e9,
    "compile_time_s": 2.0,
    "integrate_time_s": 3.0,
    "wall_time_s": 6.0,
}


def read_shard_summaries(path):
    """The table of one shard."""
    return concatenated([read_shard(path).summaries])


@pytest.fixture
def points():
    """Two points of a design."""
    return pd.DataFrame(
        {
            "point_id": [7, 9],
            "block": ["train0", "train0"],
            "split": ["train", "train"],
            "q0": [0.6, 1.2345678901234567],
            "a_au": [100.0, 150.5],
        },
        index=[40, 41],
    )


@pytest.fixture
def runs():
    """Made-up runs, two points times three realizations; the fifth one is dissolved."""
    rng = np.random.default_rng(1)
    n = 2 * N_REALIZATIONS
    dissolved = np.zeros((n, N_TIMES), dtype=bool)
    dissolved[4, -1] = True
    kinetic = rng.uniform(1, 2, (n, 1)) + 1e-6 * rng.normal(size=(n, N_TIMES))
    return SimulatedClusters(
        time_yr=np.linspace(0, 30, N_TIMES),
        position_au=rng.normal(size=(n, N_TIMES, N_STARS, 3)),
        velocity_au_yr=rng.normal(size=(n, N_TIMES, N_STARS, 3)),
        mass_msun=rng.uniform(1, 2, (n, N_STARS)),
        kinetic_energy=kinetic,
        potential_energy=-2 * kinetic,
        summaries=SummaryTracks(
            f_bound=rng.uniform(size=(n, N_TIMES)),
            sigma_v_kms=np.where(dissolved, np.nan, rng.uniform(size=(n, N_TIMES))),
            r_h_au=np.where(dissolved, np.nan, rng.uniform(size=(n, N_TIMES))),
            n_bound=rng.integers(0, N_STARS, (n, N_TIMES)),
            dissolved=dissolved,
        ),
    )


@pytest.fixture
def shard(tmp_path, points, runs):
    """A written shard."""
    path = tmp_path / "simulations" / "train0_000.h5"
    write_shard(path, points, N_REALIZATIONS, runs, made_by("abc") | COSTS)
    return path


def test_summaries_survive_the_file(shard, points, runs):
    """Every row is a run: its point, realization, and summaries at the end, to the last bit."""
    table = read_shard_summaries(shard)
    assert table.columns.tolist() == [name for name in SUMMARY_COLUMNS if name != "split"]
    assert table.point_id.tolist() == [7, 7, 7, 9, 9, 9]
    assert table.realization.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(table.q0, np.repeat(points.q0, N_REALIZATIONS))
    np.testing.assert_array_equal(table.a_au, np.repeat(points.a_au, N_REALIZATIONS))
    for name, values in runs.summaries.items():
        np.testing.assert_array_equal(table[name], values[:, -1])
    np.testing.assert_array_equal(table.energy_error, runs.energy_error)
    np.testing.assert_array_equal(table.virial_ratio_final, runs.virial_ratio[:, -1])
    assert table.dissolved.dtype == bool


def test_arrays_are_laid_out_by_point_and_realization(shard, runs):
    """(point, realization, time, star, coordinate), readable by anyone with h5py, each with its unit."""
    with h5py.File(shard) as file:
        assert file["position_au"].shape == (2, N_REALIZATIONS, N_TIMES, N_STARS, 3)
        np.testing.assert_array_equal(file["position_au"][1, 2], runs.position_au[5])
        np.testing.assert_array_equal(file["velocity_au_yr"][0, 1], runs.velocity_au_yr[1])
        np.testing.assert_array_equal(file["mass_msun"][1, 0], runs.mass_msun[3])
        np.testing.assert_array_equal(file["energy/potential"][1, 0], runs.potential_energy[3])
        np.testing.assert_array_equal(file["time_yr"], runs.time_yr)
        units = {}
        file.visititems(lambda name, item: units.update({name: item.attrs["unit"]} if "unit" in item.attrs else {}))
    assert units["position_au"] == "AU"
    assert units["velocity_au_yr"] == "AU/yr"
    assert units["summaries/sigma_v_kms"] == "km/s"
    assert units["energy/kinetic"] == "Msun AU^2/yr^2"
    assert len(units) == 17


def test_a_shard_says_where_it_comes_from(shard):
    """Digest, versions and costs are attributes of the file."""
    assert read_shard(shard).cost == COSTS
    with h5py.File(shard) as file:
        assert file.attrs["digest"] == "abc"
        assert {"version_natal", "version_jax", "python", "created"} <= set(file.attrs)


def test_a_failed_write_leaves_the_old_shard(shard, points, runs):
    """Writing stops half-way on a wrong shape: the earlier file stays readable, nothing else remains."""
    before = shard.read_bytes()
    with pytest.raises(ValueError, match="6 runs are not 2 points x 4 realizations"):
        write_shard(shard, points, 4, runs, {})
    with pytest.raises(TypeError):
        write_shard(shard, points, N_REALIZATIONS, runs, {"digest": object()})
    assert shard.read_bytes() == before
    assert [path.name for path in shard.parent.iterdir()] == [shard.name]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_a_single_changed_byte_is_found(shard, share):
    """Anywhere in the file, in a dataset that is not read or in HDF5's own structures."""
    content = bytearray(shard.read_bytes())
    content[SEAL_BYTES + int(share * (len(content) - SEAL_BYTES))] ^= 1
    shard.write_bytes(content)
    with pytest.raises(NatalError, match=r"train0_000\.h5 is damaged.*run again"):
        read_shard_summaries(shard)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_shard_is_refused_by_name(shard, share):
    """A file cut short by a full disk or a killed job is no shard."""
    content = shard.read_bytes()
    shard.write_bytes(content[: int(share * len(content))])
    with pytest.raises(NatalError, match=r"train0_000\.h5"):
        read_shard_summaries(shard)


@pytest.mark.parametrize("kind", ["text", "other hdf5", "older format", "dataset missing", "absent"])
def test_a_foreign_file_is_refused_by_name(shard, kind):
    """Whatever lies at the shard's place, the message names the file and says what to do."""
    sealed = {"format": FORMAT, "first_id": 7, "n_points": 2}
    if kind == "text":
        shard.write_text("not HDF5 at all\n" * 1000)
    elif kind == "absent":
        shard.unlink()
    else:
        with h5py.File(shard, "w" if kind == "other hdf5" else "r+") as file:
            if kind == "other hdf5":
                file["x"] = np.arange(3)
            elif kind == "dataset missing":
                del file["energy_error"]
        if kind == "older format":
            write_seal(shard, sealed | {"format": "natal-simulations-1"})
        elif kind == "dataset missing":
            write_seal(shard, sealed)
    with pytest.raises(NatalError, match=r"train0_000\.h5.*run again") as caught:
        read_shard_summaries(shard)
    assert "\n" not in str(caught.value)


def test_good_runs_pass(runs, points):
    """Finite runs within the allowed energy error."""
    check_runs(runs, points, N_REALIZATIONS, max_energy_error=1e-3)


@pytest.mark.parametrize("name", ["position_au", "velocity_au_yr", "kinetic_energy"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_that_is_not_finite_is_named(runs, points, name, value):
    """Point, realization, and the settings to change; even a single coordinate of a middle snapshot counts."""
    array = getattr(runs, name)
    array[4, -1 if array.ndim == 2 else 1, ...] = value
    with pytest.raises(NatalError) as caught:
        check_runs(runs, points, N_REALIZATIONS, max_energy_error=1e-3)
    for part in ("point 9", "realization 1", "not finite", "1 of 6", "integration.dt_yr", "cluster.softening_au"):
        assert part in str(caught.value)


def test_the_worst_energy_error_is_named(runs, points):
    """Two runs lose energy: the worse one is named, both are counted, the setting is quoted."""
    runs.kinetic_energy[1, -1] += 0.05
    runs.kinetic_energy[5, -1] += 0.5
    with pytest.raises(NatalError) as caught:
        check_runs(runs, points, N_REALIZATIONS, max_energy_error=2e-3)
    message = str(caught.value)
    error = f"{runs.energy_error[5]:.3g}"
    for part in ("point 9", "1.2346", "realization 2", error, "integration.max_energy_error allows 0.002", "2 of 6"):
        assert part in message
    assert "\n" not in message


def test_runs_of_the_design_pass(shard, points):
    """A table of runs belongs to its design, in any order of points, and after a round trip through CSV."""
    for design in (points.iloc[::-1], points.assign(q0=points.q0 * (1 + 2e-16))):
        assert join_design(read_shard_summaries(shard), design).columns.tolist() == SUMMARY_COLUMNS


def test_splits_are_the_designs(shard, points):
    """A point that changes sides keeps its runs; a design without splits leaves them blank."""
    moved = points.assign(split=["test", "train"])
    table = join_design(read_shard_summaries(shard), moved)
    assert table.split.tolist() == ["test"] * N_REALIZATIONS + ["train"] * N_REALIZATIONS
    assert join_design(read_shard_summaries(shard), points.assign(split=np.nan)).split.isna().all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda p: p.iloc[:1], "point 9"),
        (lambda p: pd.concat([p, p.iloc[:1].assign(point_id=11)]), "point 11"),
        (lambda p: p.assign(q0=[0.6, 1.3]), "point 9"),
        (lambda p: p.assign(a_au=[100.1, 150.5]), "point 7"),
    ],
    ids=["one too many", "one missing", "another q0", "another a"],
)
def test_runs_of_another_design_are_refused(shard, points, change, named):
    """Points that are missing, left over or moved: the message names one."""
    with pytest.raises(NatalError, match=named):
        join_design(read_shard_summaries(shard), change(points))
