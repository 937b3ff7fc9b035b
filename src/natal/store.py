"""HDF5 shards of simulations: what a simulate job writes and what is read back."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from natal.errors import NatalError
from natal.files import atomic_path, provenance
from natal.simulator import SimulatedClusters

FORMAT = "natal-simulations-1"

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


def check_runs(runs: SimulatedClusters, points: pd.DataFrame, n_realizations: int, max_energy_error: float) -> None:
    """Refuse runs that are not finite or lost more energy than allowed.

    `runs` are ordered by point, then realization. Raises `NatalError` naming the worst run and what to change.
    """
    errors = runs.energy_error
    finite = np.isfinite(errors) & np.isfinite(runs.position_au).all((1, 2, 3))
    finite &= np.isfinite(runs.velocity_au_yr).all((1, 2, 3))
    worst = int(np.argmax(np.where(finite, errors, np.inf)))
    if finite.all() and errors[worst] <= max_energy_error:
        return
    n_bad = int((~finite | (errors > max_energy_error)).sum())
    point = points.iloc[worst // n_realizations]
    what = f"an energy error of {errors[worst]:.3g}" if finite[worst] else "values that are not finite"
    raise NatalError(
        f"point {point.point_id:.0f} (q0 = {point.q0:.4f}, a = {point.a_au:.2f} AU), realization "
        f"{worst % n_realizations}, ended with {what}; integration.max_energy_error allows {max_energy_error:g} "
        f"({n_bad} of {len(errors)} runs of this job fail): lower integration.dt_yr or raise cluster.softening_au"
    )


def write_shard(
    path: str | Path,
    points: pd.DataFrame,
    n_realizations: int,
    runs: SimulatedClusters,
    attributes: dict[str, Any],
) -> None:
    """Write a shard: `runs` ordered by point, then realization, become arrays (point, realization, ...)."""

    def by_point(values: np.ndarray) -> np.ndarray:
        return values.reshape(len(points), n_realizations, *values.shape[1:])

    arrays = {
        "point_id": points.point_id.to_numpy(),
        "q0": points.q0.to_numpy(),
        "a_au": points.a_au.to_numpy(),
        "realization": np.arange(n_realizations),
        "time_yr": runs.time_yr,
        "position_au": by_point(runs.position_au),
        "velocity_au_yr": by_point(runs.velocity_au_yr),
        "mass_msun": by_point(runs.mass_msun),
        "energy/kinetic": by_point(runs.kinetic_energy),
        "energy/potential": by_point(runs.potential_energy),
        "energy_error": by_point(runs.energy_error),
        "virial_ratio_final": by_point(runs.virial_ratio[:, -1]),
    }
    arrays |= {f"summaries/{name}": by_point(values) for name, values in runs.summaries._asdict().items()}
    with atomic_path(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update({"format": FORMAT, **provenance(), **attributes})
        for name, values in arrays.items():
            # one run a chunk, so that reading a single cluster touches nothing else
            big = name in ("position_au", "velocity_au_yr")
            options = {"chunks": (1, 1, *values.shape[2:]), "compression": "gzip", "compression_opts": 1} if big else {}
            dataset = file.create_dataset(name, data=values, shuffle=big, **options)
            dataset.attrs["unit"] = UNITS.get(name, "1")


def read_shard_summaries(path: str | Path) -> pd.DataFrame:
    """One row a realization at the end of the run: `SUMMARY_COLUMNS` but for the split, which is the design's.

    Raises `NatalError` if the file is not a complete shard of this format.
    """
    try:
        with h5py.File(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise NatalError(f"{path} is not a {FORMAT} file: remove it and run again")
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
    except (OSError, KeyError) as error:
        raise NatalError(f"{path} cannot be read as a simulation shard ({error}): remove it and run again") from error


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
