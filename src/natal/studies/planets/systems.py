"""The systems of the study: drawn from a prior, described by features, placed in space.

Gravity has no scale. So the star weighs 1 Msun and the axis of the innermost planet is 1 AU; times are counted in its
orbits.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.errors import NatalError
from natal.studies.planets.settings import PlanetPrior
from natal.studies.triples.systems import log_uniform, orbit

PLANETS = (1, 2, 3)
NEIGHBOURS = ((1, 2), (2, 3))
FEATURES = (
    *(f"ln_m{k}" for k in PLANETS),
    *(f"ln_period_ratio_{j}{k}" for j, k in NEIGHBOURS),
    *(f"e{k}" for k in PLANETS),
    *(f"inclination_{j}{k}_rad" for j, k in NEIGHBOURS),
)

PerPlanet = Float[np.ndarray, "system 3"]


def draw(n: int, prior: PlanetPrior, rng: np.random.Generator) -> pd.DataFrame:
    """Draw independent systems.

    Systems in which one planet's apocentre lies beyond the next planet's pericentre are drawn again.

    Args:
        n: How many.
        prior: Ranges.
        rng: For the draws.

    Returns:
        `FEATURES`, and nodes, pericentres and mean anomalies in rad; one row a system.

    Raises:
        NatalError: If nearly all systems of the prior have to be drawn again.
    """
    kept: list[pd.DataFrame] = []
    for _ in range(100):
        table = _draw_any(n, prior, rng)
        kept.append(table.loc[np.flatnonzero((gaps_au(table) > 0).all(axis=1))])
        if sum(map(len, kept)) >= n:
            return pd.concat(kept, ignore_index=True).iloc[:n]
    raise NatalError("prior.period_ratio and prior.eccentricity leave almost no orbits that do not cross")


def _draw_any(n: int, prior: PlanetPrior, rng: np.random.Generator) -> pd.DataFrame:
    columns = {f"ln_m{k}": np.log(log_uniform(prior.mass, n, rng)) for k in PLANETS}
    columns |= {f"ln_period_ratio_{j}{k}": np.log(log_uniform(prior.period_ratio, n, rng)) for j, k in NEIGHBOURS}
    columns |= {f"e{k}": rng.uniform(*prior.eccentricity, n) for k in PLANETS}
    columns |= {f"inclination_{j}{k}_rad": np.radians(rng.uniform(*prior.inclination_deg, n)) for j, k in NEIGHBOURS}
    angles = ("node", "pericentre", "mean_anomaly")
    return pd.DataFrame(
        columns | {f"{angle}{k}_rad": rng.uniform(0, 2 * np.pi, n) for angle in angles for k in PLANETS}
    )


def _columns(table: pd.DataFrame, name: str) -> PerPlanet:
    return table[[name.format(k) for k in PLANETS]].to_numpy(float)


def masses_msun(table: pd.DataFrame) -> PerPlanet:
    """Masses of the planets; the star has 1 Msun."""
    masses: np.ndarray = np.exp(_columns(table, "ln_m{}"))
    return masses


def axes_au(table: pd.DataFrame) -> PerPlanet:
    """Semi-major axes by Kepler's third law, a^3 proportional to (1 + m) P^2; the innermost is 1 AU."""
    steps = table[[f"ln_period_ratio_{j}{k}" for j, k in NEIGHBOURS]].to_numpy()
    period = np.exp(np.column_stack([np.zeros(len(table)), np.cumsum(steps, axis=1)]))
    total = 1 + masses_msun(table)
    axes: np.ndarray = np.cbrt(total / total[:, :1] * period**2)
    return axes


def gaps_au(table: pd.DataFrame) -> Float[np.ndarray, "system 2"]:
    """Distance from each planet's apocentre to the next one's pericentre; negative where orbits may cross."""
    a, e = axes_au(table), _columns(table, "e{}")
    gaps: np.ndarray = (a * (1 - e))[:, 1:] - (a * (1 + e))[:, :-1]
    return gaps


def hill_radii_au(table: pd.DataFrame) -> Float[np.ndarray, "system 2"]:
    """Mutual Hill radii of neighbours, (a_j + a_k) / 2 ((m_j + m_k) / 3)^(1/3) (Gladman 1993, Icarus 106, 247)."""
    m, a = masses_msun(table), axes_au(table)
    radii: np.ndarray = 0.5 * (a[:, 1:] + a[:, :-1]) * np.cbrt((m[:, 1:] + m[:, :-1]) / 3)
    return radii


def tightest_spacing(table: pd.DataFrame) -> Float[np.ndarray, " system"]:
    """The smaller one of the two `gaps_au`, in mutual Hill radii: the formula to beat.

    Two planets on circular orbits never have a close encounter if it is above 2 sqrt(3) (Gladman 1993). For three
    planets no such limit is known, and the time to an encounter grows exponentially with the spacing (Chambers et al.
    1996, Icarus 119, 261).
    """
    smallest: np.ndarray = (gaps_au(table) / hill_radii_au(table)).min(axis=1)
    return smallest


def features(table: pd.DataFrame) -> Float[np.ndarray, "system 10"]:
    """The inputs of the classifier, in the order of `FEATURES`; no rotation and no phase changes them."""
    return table[list(FEATURES)].to_numpy(float)


def place(table: pd.DataFrame) -> tuple[Float[np.ndarray, "3 system 3"], Float[np.ndarray, "3 system 3"]]:
    """Positions (AU) and velocities (AU/yr) of the planets relative to the star.

    The orbit of the second planet is in the x-y plane, so that the others' inclinations are the mutual ones.

    Returns:
        Two arrays (coordinate, system, planet).
    """
    m, a, e = masses_msun(table), axes_au(table), _columns(table, "e{}")
    node, pericentre, anomaly = (_columns(table, f"{name}{{}}_rad") for name in ("node", "pericentre", "mean_anomaly"))
    first, third = (table[f"inclination_{j}{k}_rad"].to_numpy() for j, k in NEIGHBOURS)
    tilt = np.column_stack([first, 0 * first, third])
    placed = [
        orbit(a[:, k], e[:, k], 1 + m[:, k], anomaly[:, k], (node[:, k], tilt[:, k], pericentre[:, k]))
        for k in range(len(PLANETS))
    ]
    position, velocity = (np.stack([one[part].T for one in placed], axis=-1) for part in (0, 1))
    return position, velocity
