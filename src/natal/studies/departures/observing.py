"""What an observer sees: clusters along one line of sight, with field stars and errors."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.likelihood.joint import speed_kms
from natal.observables.declared import MEASURABLE, OBSERVABLES
from natal.observables.projected import LINES, in_aperture, observe
from natal.posterior.catalogue import clusters_table
from natal.studies.departures.births import Stars
from natal.variables import BIRTH


def observe_each(
    stars: Stars, aperture: float, field: tuple[float, float] | None = None, seed: int = 0
) -> pd.DataFrame:
    """Exact observables of clusters: the first along x, the second along y, the third along z, and so on.

    Args:
        stars: The clusters.
        aperture: Radius in units of the projected half-number radius.
        field: Share of field stars in the aperture, and their dispersion in units of the members'; None: no field
            stars.
        seed: For the field stars.

    Returns:
        `line`, `OBSERVABLES` and `n_field`, one row a cluster.
    """
    rng = np.random.default_rng([seed, 1])
    rows = []
    for k, mass in enumerate(stars.mass_msun):
        line = LINES[k % len(LINES)]
        position, velocity = stars.position_au[:, k].T, stars.velocity_au_yr[:, k].T
        n_field = 0
        if field is not None:
            added = field_stars(rng, position, velocity, aperture, line, *field)
            n_field = len(added[0])
            position, velocity = (np.concatenate(both) for both in zip((position, velocity), added, strict=True))
            # of the members' mean mass: masses count for mass segregation alone
            mass = np.concatenate([mass, np.full(n_field, mass.mean())])
        found = observe(position[None], velocity[None], mass[None], aperture, line)
        rows.append({"line": line, **{name: float(values[0]) for name, values in found.items()}, "n_field": n_field})
    return pd.DataFrame(rows)


def field_stars(
    rng: np.random.Generator,
    position_au: Float[np.ndarray, "star 3"],
    velocity_au_yr: Float[np.ndarray, "star 3"],
    aperture: float,
    line: str,
    share: float,
    dispersion: float,
) -> tuple[Float[np.ndarray, "field 3"], Float[np.ndarray, "field 3"]]:
    """Field stars, uniform over the aperture that the members alone have.

    Their velocities are normal about the mean of the members in the aperture. Along the line of sight their place is
    that of the members' mean: nobody sees it.

    Args:
        rng: For places and velocities.
        position_au: Positions of the members.
        velocity_au_yr: Velocities of the members.
        aperture: Radius in units of the projected half-number radius.
        line: The line of sight: x, y or z.
        share: Share of field stars in the aperture.
        dispersion: Dispersion in units of the members', for each component.

    Returns:
        Positions (AU) and velocities (AU/yr).
    """
    along = LINES.index(line)
    sky = [(along + 1) % 3, (along + 2) % 3]
    x, y = (position_au[None, :, axis] for axis in sky)
    members = in_aperture(x, y, aperture)[0]
    inside = position_au[members]
    centre = inside.mean(0)
    # the radius that members in the aperture leave
    radius = aperture * np.quantile(np.hypot(*(inside - centre)[:, sky].T), 0.5, method="inverted_cdf")
    n = round(share / (1.0 - share) * members.sum())
    distance, angle = radius * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    place = np.repeat(centre[None], n, axis=0)
    place[:, sky] += np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
    moving = velocity_au_yr[members]
    speed = moving.mean(0) + dispersion * moving.std(0, ddof=1) * rng.standard_normal((n, 3))
    return place, speed


def measured(table: pd.DataFrame, names: Iterable[str], mass_msun: float, error: float, seed: int) -> pd.DataFrame:
    """A table for `posterior.catalogue`: observables with errors.

    Args:
        table: Births and exact observables, one row a cluster.
        names: What is observed.
        mass_msun: Mass of a cluster.
        error: Standard errors as shares of the true values; for what may be negative, as shares of sqrt(G M / a).
        seed: For the errors.
    """
    rng = np.random.default_rng([seed, 2])
    speed = speed_kms(mass_msun, table[BIRTH.names[1]].to_numpy())
    columns: dict[str, Any] = {"name": table.index.astype(str)}
    for name in names:
        value = table[name].to_numpy()
        errors = error * (speed if MEASURABLE[name].transform == "none" else value)
        columns |= {name: value + errors * rng.standard_normal(len(value)), f"{name}_err": errors}
    records: Any = pd.DataFrame(columns).to_dict("records")
    return clusters_table(records)


def observed_by(names: Iterable[str]) -> list[str]:
    """Names of the projected observables among those that a law knows."""
    return [name for name in names if name in OBSERVABLES]
