"""Tables of runs: rows read from shard files, joined with the design that they were made for."""

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from h5py import h5a, h5d, h5f, h5s

from natal.errors import NatalError
from natal.files.sealed import check_seal
from natal.simulation.shard_format import FORMAT, SUMMARY_DATASETS
from natal.variables import BIRTH, SUMMARIES, SURVIVAL

OF_RUNS = ("energy_error", "virial_ratio_final")
"""Columns of which a run has one number, whatever its snapshots."""

SUMMARY_COLUMNS = ["point_id", "realization", "split", *BIRTH, *SUMMARIES, *SURVIVAL, *OF_RUNS]
"""Columns of summaries.csv."""


Table = dict[str, np.ndarray]
"""Columns by name: with ten thousand shards, making tables of pandas would take longer than reading."""


@dataclass(frozen=True)
class ShardTables:
    """What is gathered from one shard."""

    digest: str
    """Of the settings and code that the shard was made with."""
    summaries: Table
    """One row a realization at the end of the run: `SUMMARY_COLUMNS` without the split, which is the design's."""
    tracks: Table
    """One row a realization and snapshot after t = 0: the point, t_yr, and the summaries then."""
    cost: dict[str, float]
    """Interactions, threads, start (Unix time), seconds to compile, to integrate, in all."""


def read_shard(path: str | Path) -> ShardTables:
    """Read a shard's tables; HDF5 opens the file once.

    Args:
        path: The shard.

    Returns:
        Its tables.

    Raises:
        NatalError: The file is not a complete shard of this format, or was changed since it was written.
    """
    try:
        seal = check_seal(path, FORMAT)
        with closing(h5f.open(os.fsencode(path), h5f.ACC_RDONLY)) as file:
            births = {name: _array(file, name) for name in ("point_id", *BIRTH)}
            realization, t_yr = _array(file, "realization"), _array(file, "time_yr")[1:]
            through_time = {name: _array(file, SUMMARY_DATASETS[name]) for name in sorted(SUMMARY_DATASETS)}
            of_runs = {name: _array(file, name).ravel() for name in OF_RUNS}
            keys = ("interactions", "threads", "started_unix_s", "compile_time_s", "integrate_time_s", "wall_time_s")
            cost = {key: _attribute(file, key) for key in keys}
    except NatalError as error:
        raise NatalError(f"{error}: run again, and its points are simulated anew") from error
    except (OSError, KeyError) as error:
        raise NatalError(f"{path} cannot be read as a simulation shard ({error}): remove it and run again") from error
    n_points, n_realizations, n_times = len(births["point_id"]), len(realization), len(t_yr)
    summaries = {
        **{name: np.repeat(values, n_realizations) for name, values in births.items()},
        "realization": np.tile(realization, n_points),
        **{name: values[..., -1].ravel() for name, values in through_time.items()},
        **of_runs,
    }
    tracks = {
        **{name: np.repeat(values, n_realizations * n_times) for name, values in births.items()},
        "realization": np.tile(np.repeat(realization, n_times), n_points),
        "t_yr": np.tile(t_yr, n_points * n_realizations),
        **{name: values[..., 1:].ravel() for name, values in through_time.items()},
    }
    in_order = {name: summaries[name] for name in SUMMARY_COLUMNS if name != "split"}
    return ShardTables(str(seal.get("digest")), in_order, tracks, cost)


# with h5py's objects for groups and datasets reading takes twice as long
def _array(file: h5f.FileID, name: str) -> np.ndarray:
    dataset = h5d.open(file, name.encode())
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5s.ALL, h5s.ALL, values)
    return values


def _attribute(file: h5f.FileID, name: str) -> float:
    attribute = h5a.open(file, name.encode())
    value = np.empty(attribute.shape, attribute.dtype)
    attribute.read(value)
    return float(value)


def concatenated(tables: Iterable[Table]) -> pd.DataFrame:
    """Put tables of the same columns one below the other.

    Args:
        tables: At least one.

    Returns:
        One table.
    """
    tables = list(tables)
    return pd.DataFrame({name: np.concatenate([table[name] for table in tables]) for name in tables[0]})


def join_design(summaries: pd.DataFrame, design: pd.DataFrame) -> pd.DataFrame:
    """Give every run its point's split. A split is no property of a simulation: it may change without a new one.

    Args:
        summaries: Rows of runs, from shards.
        design: The campaign's points.

    Returns:
        The rows, with columns `SUMMARY_COLUMNS`.

    Raises:
        NatalError: The runs' points are not exactly the design's; the line names one.
    """
    simulated = summaries.groupby("point_id")[list(BIRTH)].first()
    wanted = design.set_index("point_id")[list(BIRTH)]
    different = simulated.index.symmetric_difference(wanted.index)
    if different.empty:
        same = np.isclose(simulated, wanted.loc[simulated.index], rtol=1e-12, atol=0).all(1)
        different = simulated.index[np.flatnonzero(~same)]
    if not different.empty:
        raise NatalError(f"point {different[0]} of the simulations is not that of design.csv: run the campaign again")
    return summaries.assign(split=summaries.point_id.map(design.set_index("point_id").split))[SUMMARY_COLUMNS]
