"""The triples of the study: drawn from a prior, described by the primer's features, placed in space.

Gravity without softening has no scale. So every triple has a total mass of 1 Msun and an outer orbit of 1 AU, whose
period is 1 yr: times are counted in outer orbits.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.errors import NatalError
from natal.studies.triples.names import SPLITS
from natal.studies.triples.settings import Prior

FEATURES = ("log10_period_ratio", "e_inner", "e_outer", "ln_m1_m3", "ln_m2_m3", "cos_inclination")

Vectors = Float[np.ndarray, "triple 3"]
PerTriple = Float[np.ndarray, " triple"]


def draw(n: int, prior: Prior, rng: np.random.Generator) -> pd.DataFrame:
    """Draw independent triples.

    The outer orbit is in the x-y plane with its pericentre on the x axis, so `inclination_rad` is the mutual one.
    Triples whose outer pericentre a_out (1 - e_out) is within the inner apocentre a_in (1 + e_in) are drawn again: such
    orbits are no hierarchy.

    Args:
        n: How many.
        prior: Ranges.
        rng: For the draws.

    Returns:
        period_ratio, eccentricities, mass ratios, angles in rad; one row a triple.

    Raises:
        NatalError: If nearly all triples of the prior have to be drawn again.
    """
    kept: list[pd.DataFrame] = []
    for _ in range(100):
        table = _draw_any(n, prior, rng)
        kept.append(table[pericentre_ratio(table) > 1 + table.e_inner])
        if sum(map(len, kept)) >= n:
            return pd.concat(kept, ignore_index=True).iloc[:n]
    raise NatalError("prior.period_ratio, prior.e_inner and prior.e_outer leave almost no orbits that do not cross")


def _draw_any(n: int, prior: Prior, rng: np.random.Generator) -> pd.DataFrame:
    turn = 2 * np.pi
    return pd.DataFrame(
        {
            "period_ratio": log_uniform(prior.period_ratio, n, rng),
            "e_inner": rng.uniform(*prior.e_inner, n),
            "e_outer": rng.uniform(*prior.e_outer, n),
            "mass_ratio_inner": rng.uniform(*prior.mass_ratio_inner, n),
            "mass_ratio_outer": log_uniform(prior.mass_ratio_outer, n, rng),
            "inclination_rad": np.arccos(rng.uniform(*prior.cos_inclination, n)),
            "node_rad": rng.uniform(0, turn, n),
            "pericentre_rad": rng.uniform(0, turn, n),
            "mean_anomaly_inner_rad": rng.uniform(0, turn, n),
            "mean_anomaly_outer_rad": rng.uniform(0, turn, n),
        }
    )


def log_uniform(limits: tuple[float, float], n: int, rng: np.random.Generator) -> PerTriple:
    """`n` log-uniform draws between the limits.

    Args:
        limits: The lowest and the highest value, both positive.
        n: How many.
        rng: For the draws.
    """
    low, high = limits
    return np.exp(rng.uniform(np.log(low), np.log(high), n))


def split_names(n_by_split: dict[str, int]) -> np.ndarray:
    """The split of each row of a table of independent draws, in the order train, validation, test.

    Examples:
        >>> split_names({"train": 2, "validation": 1, "test": 1}).tolist()
        ['train', 'train', 'validation', 'test']
    """
    return np.repeat(SPLITS, [n_by_split[name] for name in SPLITS])


def masses_msun(table: pd.DataFrame) -> Vectors:
    """Masses of the inner binary's stars, m1 and m2, and of the third, m3; they add up to 1 Msun."""
    inner = 1 / (1 + table.mass_ratio_outer.to_numpy())
    m1 = inner / (1 + table.mass_ratio_inner.to_numpy())
    return np.column_stack([m1, inner - m1, 1 - inner])


def inner_axis_au(table: pd.DataFrame) -> PerTriple:
    """Inner semi-major axis in AU, where a_out is 1: Kepler's third law, a_in^3 = (m1 + m2) (P_in / P_out)^2."""
    axis_au: PerTriple = np.cbrt(masses_msun(table)[:, :2].sum(1) / table.period_ratio.to_numpy() ** 2)
    return axis_au


def pericentre_ratio(table: pd.DataFrame) -> PerTriple:
    """R_p / a_in: the outer pericentre distance a_out (1 - e_out) in units of the inner semi-major axis."""
    ratio: PerTriple = (1 - table.e_outer.to_numpy()) / inner_axis_au(table)
    return ratio


def features(table: pd.DataFrame) -> Float[np.ndarray, "triple 6"]:
    """The inputs of the classifier, in the order of `FEATURES`; no rotation and no phase changes them."""
    m1, m2, m3 = masses_msun(table).T
    return np.column_stack(
        [
            np.log10(table.period_ratio),
            table.e_inner,
            table.e_outer,
            np.log(m1 / m3),
            np.log(m2 / m3),
            np.cos(table.inclination_rad),
        ]
    )


def place(table: pd.DataFrame) -> tuple[Float[np.ndarray, "3 triple 3"], Float[np.ndarray, "3 triple 3"]]:
    """Positions (AU) and velocities (AU/yr) of the three stars, with the centre of mass at rest.

    Returns:
        Two arrays (coordinate, triple, star).
    """
    mass = masses_msun(table)
    inner = mass[:, :2].sum(1)
    column = {name: table[name].to_numpy() for name in table}
    zero = np.zeros(len(table))
    small = orbit(
        inner_axis_au(table),
        column["e_inner"],
        inner,
        column["mean_anomaly_inner_rad"],
        (column["node_rad"], column["inclination_rad"], column["pericentre_rad"]),
    )
    large = orbit(
        np.ones(len(table)), column["e_outer"], mass.sum(1), column["mean_anomaly_outer_rad"], (zero, zero, zero)
    )
    shares = mass[:, :2] / inner[:, None]
    placed = []
    for near, far in zip(small, large, strict=True):
        # the binary's centre and the third star about the common centre, then the binary's stars about theirs
        centre, third = -mass[:, 2:] * far, inner[:, None] * far
        placed.append(np.stack([centre - shares[:, 1:] * near, centre + shares[:, :1] * near, third], axis=-1))
    return np.moveaxis(placed[0], 1, 0), np.moveaxis(placed[1], 1, 0)


def orbit(
    axis_au: PerTriple,
    e: PerTriple,
    mass_msun: PerTriple,
    mean_anomaly_rad: PerTriple,
    angles_rad: tuple[PerTriple, PerTriple, PerTriple],
) -> tuple[Vectors, Vectors]:
    """Relative position (AU) and velocity (AU/yr) on Kepler orbits (Murray & Dermott 1999, section 2.8).

    Args:
        axis_au: Semi-major axes.
        e: Eccentricities.
        mass_msun: Masses of both bodies together.
        mean_anomaly_rad: Mean anomalies.
        angles_rad: Node, inclination, argument of pericentre.

    Examples:
        >>> zero = np.zeros(1)
        >>> position, velocity = orbit(zero + 1, zero, zero + 1, zero, (zero, zero, zero))  # the Earth's orbit
        >>> position.tolist(), velocity.round(2).tolist()
        ([[1.0, 0.0, 0.0]], [[-0.0, 6.28, 0.0]])
    """
    eccentric = kepler(mean_anomaly_rad, e)
    cos, sin, root = np.cos(eccentric), np.sin(eccentric), np.sqrt(1 - e**2)
    rate = 2 * np.pi * np.sqrt(mass_msun / axis_au**3) / (1 - e * cos)
    node, inclination, pericentre = angles_rad
    cn, sn, ci, si = np.cos(node), np.sin(node), np.cos(inclination), np.sin(inclination)
    cp, sp = np.cos(pericentre), np.sin(pericentre)
    towards = np.column_stack([cn * cp - sn * sp * ci, sn * cp + cn * sp * ci, sp * si])
    ahead = np.column_stack([-cn * sp - sn * cp * ci, -sn * sp + cn * cp * ci, cp * si])
    position = (axis_au * (cos - e))[:, None] * towards + (axis_au * root * sin)[:, None] * ahead
    velocity = (-axis_au * rate * sin)[:, None] * towards + (axis_au * rate * root * cos)[:, None] * ahead
    return position, velocity


def kepler(mean_anomaly_rad: PerTriple, e: PerTriple) -> PerTriple:
    """Eccentric anomaly E of M = E - e sin E, exact to rounding, by bisection and Newton steps.

    Args:
        mean_anomaly_rad: M.
        e: Eccentricities.

    Examples:
        >>> kepler(np.array([1.0]), np.array([0.5])).round(4).tolist()
        [1.4987]
    """
    turns = np.floor(mean_anomaly_rad / (2 * np.pi)) * 2 * np.pi
    mean = mean_anomaly_rad - turns
    low, high = mean - e, mean + e
    for _ in range(20):
        middle = 0.5 * (low + high)
        below = middle - e * np.sin(middle) < mean
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    eccentric: np.ndarray = 0.5 * (low + high)
    for _ in range(3):
        eccentric = eccentric - (eccentric - e * np.sin(eccentric) - mean) / (1 - e * np.cos(eccentric))
    whole: np.ndarray = eccentric + turns
    return whole
