"""HDF5 shards of simulations: what a simulate job writes and what is read back."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from natal.errors import NatalError
from natal.files.atomic import atomic_path
from natal.files.sealed import SEAL_BYTES, check_seal, write_seal
from natal.simulation.run import SimulatedClusters
from natal.simulation.shard_format import FORMAT

SUMMARY_COLUMNS = [
    "point_id",
    "realization",
    "split",
    "q0",
    "a_au",
    "f_bound",
    "sigma_v_kms",
    "r_h_au",
    "n_bound",
    "dissolved",
    "energy_error",
    "virial_ratio_final",
]

# for HDF5's own structures, compression that does not compress included
ROOM_BYTES = 1_000_000

# attributes of a job that its seal repeats
SEALED = ("digest", "stem", "interactions", "integrate_time_s")

# dataset -> unit; energies are those of the whole cluster
UNITS = {
    "position_au": "AU",
    "velocity_au_yr": "AU/yr",
    "mass_msun": "Msun",
    "time_yr": "yr",
    "q0": "K/|W|",
    "a_au": "AU",
    "energy/kinetic": "Msun AU^2/yr^2",
    "energy/potential": "Msun AU^2/yr^2",
    "summaries/f_bound": "1",
    "summaries/sigma_v_kms": "km/s",
    "summaries/r_h_au": "AU",
    "summaries/n_bound": "1",
    "summaries/dissolved": "1",
    "energy_error": "|E_T - E_0|/|W_0|",
    "virial_ratio_final": "K/|W|",
}


def check_runs(
    runs: SimulatedClusters,
    points: pd.DataFrame,
    n_realizations: int,
    max_energy_error: float,
    *,
    first_realization: int = 0,
) -> None:
    """Refuse runs that are not finite or lost more energy than allowed.

    `runs` are ordered by point, then realization, which counts from `first_realization` on. Raises `NatalError`
    naming the worst run and what to change.
    """
    errors = runs.energy_error
    finite = np.isfinite(errors)
    # run by run: all of them together may not fit into memory
    for k in range(len(errors)):
        finite[k] &= np.isfinite(runs.position_au[k]).all() and np.isfinite(runs.velocity_au_yr[k]).all()
    worst = int(np.argmax(np.where(finite, errors, np.inf)))
    if finite.all() and errors[worst] <= max_energy_error:
        return
    n_bad = int((~finite | (errors > max_energy_error)).sum())
    point = points.iloc[worst // n_realizations]
    what = f"an energy error of {errors[worst]:.3g}" if finite[worst] else "values that are not finite"
    raise NatalError(
        f"point {point.point_id:.0f} (q0 = {point.q0:.4f}, a = {point.a_au:.2f} AU), realization "
        f"{first_realization + worst % n_realizations}, ended with {what}; integration.max_energy_error allows "
        f"{max_energy_error:g} ({n_bad} of {len(errors)} runs of this job fail): "
        "lower integration.dt_yr or raise cluster.softening_au"
    )


def write_shard(
    path: str | Path,
    points: pd.DataFrame,
    n_realizations: int,
    runs: SimulatedClusters,
    attributes: dict[str, Any],
    *,
    first_realization: int = 0,
) -> None:
    """Write a shard: `runs` ordered by point, then realization, become arrays (point, realization, ...).

    Realizations count from `first_realization` on.
    The file is sealed (`natal.files.sealed`): its first line says what it holds, with a checksum.
    """
    per_run = {
        "mass_msun": runs.mass_msun,
        "energy/kinetic": runs.kinetic_energy,
        "energy/potential": runs.potential_energy,
        "energy_error": runs.energy_error,
        "virial_ratio_final": runs.virial_ratio[:, -1],
        **{f"summaries/{name}": values for name, values in runs.summaries._asdict().items()},
    }
    others = {
        "point_id": points.point_id.to_numpy(),
        "q0": points.q0.to_numpy(),
        "a_au": points.a_au.to_numpy(),
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
    # one run a chunk, so that reading a single cluster touches nothing else
    dataset = file.create_dataset(
        name, shape, values.dtype, chunks=(1, 1, *shape[2:]), compression="gzip", compression_opts=1, shuffle=True
    )
    for k, run in enumerate(values):
        dataset[divmod(k, n_realizations)] = run


def _set_unit(name: str, item: h5py.Group | h5py.Dataset) -> None:
    if isinstance(item, h5py.Dataset):
        item.attrs["unit"] = UNITS.get(name, "1")


def read_shard_summaries(path: str | Path) -> pd.DataFrame:
    """One row a realization at the end of the run: `SUMMARY_COLUMNS` but for the split, which is the design's.

    Raises `NatalError` if the file is not a complete shard of this format, or was changed since it was written.
    """
    try:
        check_seal(path, FORMAT)
        with h5py.File(path) as file:
            n_points, n_realizations = file["energy_error"].shape
            point_wise = {name: np.repeat(file[name][:], n_realizations) for name in ("point_id", "q0", "a_au")}
            final = {name: values[..., -1].ravel() for name, values in file["summaries"].items()}
            return pd.DataFrame(
                {
                    **point_wise,
                    "realization": np.tile(file["realization"][:], n_points),
                    **final,
                    "energy_error": file["energy_error"][:].ravel(),
                    "virial_ratio_final": file["virial_ratio_final"][:].ravel(),
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
        repeated = {name: file[name][:] for name in ("point_id", "q0", "a_au")}
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
    simulated = summaries.groupby("point_id")[["q0", "a_au"]].first()
    wanted = design.set_index("point_id")[["q0", "a_au"]]
    different = simulated.index.symmetric_difference(wanted.index)
    if different.empty:
        same = np.isclose(simulated, wanted.loc[simulated.index], rtol=1e-12, atol=0).all(1)
        different = simulated.index[np.flatnonzero(~same)]
    if not different.empty:
        raise NatalError(f"point {different[0]} of the simulations is not that of design.csv: run the campaign again")
    return summaries.assign(split=summaries.point_id.map(design.set_index("point_id").split))[SUMMARY_COLUMNS]
