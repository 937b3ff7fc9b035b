"""Single clusters through time, read from simulation shards, with the stars that are bound at each snapshot."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from natal.errors import NatalError
from natal.nbody.summaries import bound_stars
from natal.simulation.shard_format import SUMMARY_DATASETS
from natal.variables import SUMMARIES


class Cluster(NamedTuple):
    """One realization through time."""

    point_id: int
    """Number of its point."""
    realization: int
    """Its number at this point."""
    q0: float
    """K/|W| at birth."""
    a_au: float
    """Plummer scale radius at birth in AU."""
    time_yr: Float[np.ndarray, " time"]
    """Of the snapshots."""
    mass_msun: Float[np.ndarray, " star"]
    """Of its stars."""
    position_au: Float[np.ndarray, "time star 3"]
    """Of its stars."""
    bound: Bool[np.ndarray, "time star"]
    """Whether a star is bound then."""
    summaries: dict[str, Float[np.ndarray, " time"]]
    """By name; nan but for f_bound when fewer than five stars are bound."""


def nearest_points(points: pd.DataFrame, wanted_q0: Sequence[float]) -> list[int]:
    """Find a point near each wanted Q0, none twice.

    Args:
        points: Columns point_id and q0, one row or more a point.
        wanted_q0: K/|W|.

    Returns:
        Point ids in the order of `wanted_q0`; fewer if there are not as many points.
    """
    left = points.groupby("point_id").q0.first()
    ids = []
    for q0 in wanted_q0[: len(left)]:
        nearest = left.index[int((left - q0).abs().argmin())]
        ids.append(int(nearest))
        left = left.drop(nearest)
    return ids


def read_cluster(shards: Iterable[str | Path], point_id: int, realization: int = 0) -> Cluster:
    """Read one realization of a point from the shard that holds it.

    Bound stars are those of `natal.nbody.summaries.bound_stars`, with the softening that the shard was made with.

    Args:
        shards: Files to look into.
        point_id: Number of the point.
        realization: Its number at this point.

    Returns:
        The cluster.

    Raises:
        NatalError: No shard holds the point, or the point has no such realization.
    """
    for path in shards:
        with h5py.File(path) as file:
            place = np.flatnonzero(file["point_id"][:] == point_id)
            if not place.size:
                continue
            if realization not in file["realization"][:]:
                raise NatalError(f"{path}: point {point_id} has no realization {realization}")
            one = (int(place[0]), realization)
            position, velocity = (file[name][one].astype(float) for name in ("position_au", "velocity_au_yr"))
            mass = file["mass_msun"][one].astype(float)
            softening_au = json.loads(file.attrs["config"])["cluster"]["softening_au"]
            summaries = {name: file[SUMMARY_DATASETS[name]][one] for name in SUMMARIES}
            q0, a_au, time_yr = float(file["q0"][one[0]]), float(file["a_au"][one[0]]), file["time_yr"][:]
        # snapshots take the place of a batch of clusters: (time, star, 3) becomes (3, time, star)
        coordinates, velocities = (jnp.asarray(np.moveaxis(values, -1, 0)) for values in (position, velocity))
        at_each_time = jnp.broadcast_to(jnp.asarray(mass), position.shape[:2])
        bound = np.asarray(bound_stars(coordinates, velocities, at_each_time, softening_au))
        return Cluster(point_id, realization, q0, a_au, time_yr, mass, position, bound, summaries)
    raise NatalError(f"none of the shards holds point {point_id}: run the campaign again")
