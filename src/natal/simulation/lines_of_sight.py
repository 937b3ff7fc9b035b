"""Observables of stored snapshots along three lines of sight: read from shards, kept in one file of a campaign."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from natal.errors import NatalError
from natal.files.atomic import atomic_path
from natal.observables.declared import OBSERVABLES
from natal.observables.projected import LINES, observe
from natal.simulation.shard_format import SUMMARY_DATASETS
from natal.variables import BIRTH, SUMMARIES

FORMAT = "natal-observables-1"


class LinesOfSight(NamedTuple):
    """All snapshots after t = 0 of some clusters, with what three observers see of each. One row a cluster."""

    point_id: np.ndarray
    """Shape (cluster,)."""
    realization: np.ndarray
    """Shape (cluster,)."""
    birth: np.ndarray
    """Shape (cluster, birth)."""
    mass_msun: np.ndarray
    """Of all stars, shape (cluster,)."""
    time_yr: np.ndarray
    """Shape (time,)."""
    summaries: np.ndarray
    """Shape (cluster, time, summary); where dissolved, nan but for the bound fraction."""
    dissolved: np.ndarray
    """Shape (cluster, time)."""
    observables: np.ndarray
    """Shape (cluster, time, line, observable)."""

    def at(self, chosen: np.ndarray) -> "LinesOfSight":
        """Some of the clusters.

        Args:
            chosen: Indices, or a mask.

        Returns:
            These clusters.
        """
        return LinesOfSight(*(v if name == "time_yr" else v[chosen] for name, v in self._asdict().items()))


def observe_shard(path: str | Path, aperture: float) -> LinesOfSight:
    """What observers see of a shard's clusters.

    Args:
        path: The shard; it is read without a look at its checksum.
        aperture: Radius of the aperture in units of the projected half-number radius.

    Returns:
        Clusters ordered by point, then realization.
    """
    with h5py.File(path) as file:
        n_points, n_realizations = file["energy_error"].shape
        mass = file["mass_msun"][:].astype(float).reshape(n_points * n_realizations, -1)
        time_yr = file["time_yr"][1:]
        point_id = np.repeat(file["point_id"][:], n_realizations)
        realization = np.tile(file["realization"][:], n_points)
        birth = np.repeat(np.column_stack([file[name][:] for name in BIRTH]), n_realizations, axis=0)
        shape = len(point_id), len(time_yr)
        columns = [file[SUMMARY_DATASETS[name]][..., 1:].reshape(shape) for name in (*SUMMARIES, "dissolved")]
        seen = np.empty((*shape, len(LINES), len(OBSERVABLES)), "float32")
        # one point at a time, as snapshots are stored
        for k in range(n_points):
            clusters = slice(k * n_realizations, (k + 1) * n_realizations)
            stars = (file[name][k, :, 1:].astype(float) for name in ("position_au", "velocity_au_yr"))
            position, velocity = (values.reshape(-1, *values.shape[2:]) for values in stars)
            masses = np.repeat(mass[clusters], len(time_yr), axis=0)
            for j, line in enumerate(LINES):
                found = observe(position, velocity, masses, aperture, line)
                values = np.stack([found[name] for name in OBSERVABLES], axis=-1)
                seen[clusters, :, j] = values.reshape(n_realizations, len(time_yr), -1)
    summaries = np.stack(columns[:-1], axis=-1)
    return LinesOfSight(point_id, realization, birth, mass.sum(1), time_yr, summaries, columns[-1].astype(bool), seen)


def joined(paths: Sequence[str | Path], parts: Sequence[LinesOfSight]) -> LinesOfSight:
    """Put what was seen of several shards together.

    Args:
        paths: The shards.
        parts: What was seen of each (`observe_shard`).

    Returns:
        Clusters ordered by point, then realization.

    Raises:
        NatalError: Shards differ in their stored times.
    """
    for path, part in zip(paths, parts, strict=True):
        if not np.array_equal(part.time_yr, parts[0].time_yr):
            raise NatalError(f"{path} holds other times than {paths[0]}: run the campaign again")
    time_yr = parts[0].time_yr
    together = LinesOfSight(
        *(
            time_yr if name == "time_yr" else np.concatenate([getattr(part, name) for part in parts])
            for name in LinesOfSight._fields
        )
    )
    return together.at(np.lexsort((together.realization, together.point_id)))


def final_table(seen: LinesOfSight, split: pd.Series) -> pd.DataFrame:
    """The observables at the end of the run as a table.

    Args:
        seen: All snapshots.
        split: Split of each point, by point id.

    Returns:
        One row a cluster and line of sight.
    """
    shape = len(seen.point_id), len(LINES)
    rows = {name: np.repeat(getattr(seen, name), len(LINES)) for name in ("point_id", "realization")}
    rows["split"] = split.loc[rows["point_id"]].to_numpy()
    rows |= {name: np.repeat(seen.birth[:, k], len(LINES)) for k, name in enumerate(BIRTH)}
    rows["line"] = np.tile(LINES, len(seen.point_id))
    rows |= {name: seen.observables[:, -1, :, k].reshape(shape).ravel() for k, name in enumerate(OBSERVABLES)}
    return pd.DataFrame(rows)


def write_lines_of_sight(path: str | Path, seen: LinesOfSight, aperture: float) -> None:
    """Write an HDF5 file with one dataset for each field.

    Args:
        path: The file.
        seen: What to write.
        aperture: What it was observed with; kept as an attribute.
    """
    with atomic_path(path, n_bytes=sum(values.nbytes for values in seen)) as partial, h5py.File(partial, "w") as file:
        file.attrs.update({"format": FORMAT, "aperture": aperture, "lines": LINES})
        file.attrs.update({"birth": BIRTH.names, "summaries": SUMMARIES.names, "observables": OBSERVABLES.names})
        for name, values in seen._asdict().items():
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if values.ndim > 1 else {}
            file.create_dataset(name, data=values, **packed)


def read_lines_of_sight(path: str | Path) -> LinesOfSight:
    """Read what `write_lines_of_sight` wrote.

    Args:
        path: The file.

    Returns:
        All snapshots.

    Raises:
        NatalError: The file is something else, or of other observables.
    """
    try:
        with h5py.File(path) as file:
            if file.attrs["format"] != FORMAT or list(file.attrs["observables"]) != list(OBSERVABLES):
                raise KeyError("format")
            return LinesOfSight(*(file[name][:] for name in LinesOfSight._fields))
    except (OSError, KeyError) as error:
        raise NatalError(f"{path} is not a file of observables ({error}): remove it and run again") from error
