"""HDF5 shards of simulations, as a simulate job writes them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from natal.files.atomic import atomic_path
from natal.files.sealed import SEAL_BYTES, write_seal
from natal.simulation.clusters import SimulatedClusters
from natal.simulation.shard_format import FORMAT, SUMMARY_DATASETS, UNITS
from natal.variables import BIRTH

ROOM_BYTES = 1_000_000
"""Disk space for HDF5's own structures, with a margin for arrays that cannot be compressed."""

SEALED = ("digest", "stem", "interactions", "integrate_time_s")
"""Attributes of a job that its seal repeats."""


def write_shard(
    path: str | Path,
    points: pd.DataFrame,
    n_realizations: int,
    runs: SimulatedClusters,
    attributes: dict[str, Any],
    *,
    first_realization: int = 0,
) -> None:
    """Write a shard: runs become arrays (point, realization, ...).

    The file is sealed (`natal.files.sealed`): its first line says what it holds, with a checksum.

    Args:
        path: The file.
        points: Columns point_id, q0, a_au.
        n_realizations: Runs of each point.
        runs: Ordered by point, then realization.
        attributes: Of the file; those in `SEALED` go into the seal, too.
        first_realization: Number of the first realization.

    Raises:
        ValueError: There are not `n_realizations` runs for each point.
    """
    per_run = {
        "mass_msun": runs.mass_msun,
        "energy/kinetic": runs.kinetic_energy,
        "energy/potential": runs.potential_energy,
        "energy_error": runs.energy_error,
        "virial_ratio_final": runs.virial_ratio[:, -1],
        **{dataset: runs.summaries[name] for name, dataset in SUMMARY_DATASETS.items()},
    }
    others = {
        **{name: points[name].to_numpy() for name in ("point_id", *BIRTH)},
        "realization": first_realization + np.arange(n_realizations),
        "time_yr": runs.time_yr,
    }
    if len(runs.mass_msun) != len(points) * n_realizations:
        raise ValueError(f"{len(runs.mass_msun)} runs are not {len(points)} points x {n_realizations} realizations")
    arrays = (*others.values(), *per_run.values(), runs.position_au, runs.velocity_au_yr)
    with atomic_path(path, n_bytes=ROOM_BYTES + sum(values.nbytes for values in arrays)) as partial:
        with h5py.File(partial, "w", userblock_size=SEAL_BYTES) as file:
            file.attrs.update({"format": FORMAT, **attributes})
            for name, values in others.items():
                file[name] = values
            for name, values in per_run.items():
                file[name] = values.reshape(len(points), n_realizations, *values.shape[1:])
            for name in ("position_au", "velocity_au_yr"):
                _write_trajectories(file, name, getattr(runs, name), n_realizations)
            file.visititems(_set_unit)
        seal = {"format": FORMAT, "first_id": int(points.point_id.iloc[0]), "n_points": len(points)}
        write_seal(partial, seal | {name: attributes[name] for name in SEALED if name in attributes})


def _write_trajectories(file: h5py.File, name: str, values: np.ndarray, n_realizations: int) -> None:
    """Write (run, time, star, 3) as (point, realization, ...), a run at a time: they may not all fit into memory."""
    shape = (len(values) // n_realizations, n_realizations, *values.shape[1:])
    # one run is one chunk: whoever reads a single cluster reads nothing else
    dataset = file.create_dataset(
        name, shape, values.dtype, chunks=(1, 1, *shape[2:]), compression="gzip", compression_opts=1, shuffle=True
    )
    for k, run in enumerate(values):
        dataset[divmod(k, n_realizations)] = run


def _set_unit(name: str, item: h5py.Group | h5py.Dataset) -> None:
    if isinstance(item, h5py.Dataset):
        item.attrs["unit"] = UNITS.get(name, "1")
