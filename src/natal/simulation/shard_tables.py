"""Tables of runs: rows read from shard files, joined with the design that they were made for."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from natal.errors import NatalError
from natal.files.sealed import check_seal
from natal.simulation.shard_format import FORMAT
from natal.variables import BIRTH, SUMMARIES, SURVIVAL

OF_RUNS = ("energy_error", "virial_ratio_final")
"""What a run has one number of, whatever its snapshots."""

SUMMARY_COLUMNS = ["point_id", "realization", "split", *BIRTH, *SUMMARIES, *SURVIVAL, *OF_RUNS]


def read_shard_summaries(path: str | Path) -> pd.DataFrame:
    """One row a realization at the end of the run: `SUMMARY_COLUMNS` but for the split, which is the design's.

    Raises `NatalError` if the file is not a complete shard of this format, or was changed since it was written.
    """
    try:
        check_seal(path, FORMAT)
        with h5py.File(path) as file:
            n_points, n_realizations = file["energy_error"].shape
            point_wise = {name: np.repeat(file[name][:], n_realizations) for name in ("point_id", *BIRTH)}
            final = {name: values[..., -1].ravel() for name, values in file["summaries"].items()}
            return pd.DataFrame(
                {
                    **point_wise,
                    "realization": np.tile(file["realization"][:], n_points),
                    **final,
                    **{name: file[name][:].ravel() for name in OF_RUNS},
                }
            )[[name for name in SUMMARY_COLUMNS if name != "split"]]
    except NatalError as error:
        raise NatalError(f"{error}: run again, and its points are simulated anew") from error
    except (OSError, KeyError) as error:
        raise NatalError(f"{path} cannot be read as a simulation shard ({error}): remove it and run again") from error


def read_shard_tracks(path: str | Path) -> pd.DataFrame:
    """One row a realization and snapshot after t = 0: t_yr, point, and the summaries then. For a file just checked."""
    with h5py.File(path) as file:
        n_points, n_realizations = file["energy_error"].shape
        t_yr = file["time_yr"][1:]
        repeated = {name: file[name][:] for name in ("point_id", *BIRTH)}
        each = n_realizations * len(t_yr)
        return pd.DataFrame(
            {
                **{name: np.repeat(values, each) for name, values in repeated.items()},
                "realization": np.tile(np.repeat(file["realization"][:], len(t_yr)), n_points),
                "t_yr": np.tile(t_yr, n_points * n_realizations),
                **{name: values[..., 1:].ravel() for name, values in file["summaries"].items()},
            }
        )


def read_shard_cost(path: str | Path) -> dict[str, float]:
    """What a shard's job took: interactions, threads, start (Unix time), seconds to compile, to integrate, in all."""
    with h5py.File(path) as file:
        keys = ("interactions", "threads", "started_unix_s", "compile_time_s", "integrate_time_s", "wall_time_s")
        return {key: float(file.attrs[key]) for key in keys}


def join_design(summaries: pd.DataFrame, design: pd.DataFrame) -> pd.DataFrame:
    """Give every run its point's split, columns `SUMMARY_COLUMNS`.

    A split is no property of a simulation: it may change without one. Raises `NatalError` naming a point if the
    runs' points are not exactly the design's.
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
