"""What an observer measures of all stars in an aperture, along one line of sight.

Stars count alike, whatever their mass and whether they are bound. The aperture is a circle around the mean position of
the stars in it. Its radius is a given multiple of the radius that holds half of them. It is found by repetition,
starting from all stars: stars outside are left out, and those inside are taken back, until the same ones stay.
"""

import numpy as np
from jaxtyping import Bool, Float

from natal.observables.declared import OBSERVABLES
from natal.units import KMS_PER_AU_YR

LINES = ("x", "y", "z")
"""Lines of sight: the axes of the simulation."""

MIN_STARS = 5
"""With fewer stars in the aperture there are no observables."""

MOST_PASSES = 50
"""After so many the search for the aperture ends: a few apertures come back to earlier sets of stars for ever."""

N_MASSIVE = 10
"""Stars of a minimum spanning tree for the mass segregation ratio; the aperture must hold twice as many."""

N_RANDOM = 100
"""Random sets of stars that the most massive ones are compared with."""

Stars = Float[np.ndarray, "cluster star"]


def observe(
    position_au: Float[np.ndarray, "cluster star 3"],
    velocity_au_yr: Float[np.ndarray, "cluster star 3"],
    mass_msun: Stars,
    aperture: float,
    line: str = "z",
) -> dict[str, Float[np.ndarray, " cluster"]]:
    """Observables of clusters along one line of sight.

    - `sigma_los_kms`: standard deviation (n - 1) of the velocities along the line.
    - `sigma_pm_kms`: root mean square of the standard deviations of the two other velocity components.
    - `r_hp_au`: smallest distance from the centre within which at least half of the stars are.
    - `v_out_kms`: mean component of the velocities, less their mean, away from the centre in the plane of the sky.
    - `lambda_msr`: mean length of the minimum spanning trees of `N_RANDOM` random sets of `N_MASSIVE` stars over that
      of the most massive ones (Allison et al. 2009, MNRAS 395, 1449, equation 1); nan where all masses are equal.

    Args:
        position_au: Positions in AU.
        velocity_au_yr: Velocities in AU/yr.
        mass_msun: Masses in Msun.
        aperture: Radius of the aperture in units of r_hp_au.
        line: The line of sight, one of `LINES`.

    Returns:
        `OBSERVABLES` by name, a number a cluster; nan where fewer than `MIN_STARS` stars are in the aperture.

    Examples:
        >>> position, velocity = np.random.default_rng(0).normal(size=(2, 1, 1000, 3))  # in AU and AU/yr
        >>> seen = observe(position, velocity, np.ones((1, 1000)), aperture=10.0)
        >>> f"{seen['sigma_los_kms'][0]:.1f} km/s, {seen['r_hp_au'][0]:.1f} AU"
        '4.6 km/s, 1.1 AU'
    """
    along = LINES.index(line)
    sky = [(along + 1) % 3, (along + 2) % 3]
    x, y = position_au[..., sky[0]], position_au[..., sky[1]]
    members = in_aperture(x, y, aperture)
    n = members.sum(1)
    enough = n >= MIN_STARS

    def mean(values: Stars) -> Float[np.ndarray, " cluster"]:
        with np.errstate(divide="ignore", invalid="ignore"):
            found: np.ndarray = np.where(members, values, 0.0).sum(1) / n
        return found

    def apart(values: Stars) -> Stars:
        centred: Stars = values - mean(values)[:, None]
        return centred

    x, y = apart(x), apart(y)
    v_los, v_x, v_y = (apart(KMS_PER_AU_YR * velocity_au_yr[..., axis]) for axis in (along, *sky))
    distance = np.hypot(x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = n / (n - 1)
        outward = (x * v_x + y * v_y) / np.where(distance > 0, distance, 1.0)
        found = {
            "sigma_los_kms": np.sqrt(free * mean(v_los**2)),
            "sigma_pm_kms": np.sqrt(free * mean(v_x**2 + v_y**2) / 2),
            "r_hp_au": _half_radius(distance, members),
            "v_out_kms": mean(outward),
            "lambda_msr": _segregation(x, y, mass_msun, members),
        }
    return {name: np.where(enough, found[name], np.nan) for name in OBSERVABLES}


def in_aperture(x: Stars, y: Stars, aperture: float) -> Bool[np.ndarray, "cluster star"]:
    """Find the stars in the aperture of each cluster, as the module's first lines say.

    Args:
        x: Positions along one axis of the sky.
        y: Positions along the other.
        aperture: Radius of the aperture in units of the radius that holds half of its stars.

    Returns:
        Whether each star is in it.
    """
    members = np.ones(x.shape, bool)
    moving = np.arange(len(x))
    for _ in range(MOST_PASSES):
        inside, px, py = members[moving], x[moving], y[moving]
        n = np.maximum(inside.sum(1), 1)[:, None]
        centre_x, centre_y = (np.where(inside, p, 0.0).sum(1, keepdims=True) / n for p in (px, py))
        distance = np.hypot(px - centre_x, py - centre_y)
        now = distance <= aperture * _half_radius(distance, inside)[:, None]
        members[moving] = now
        moving = moving[(now != inside).any(1)]
        if not len(moving):
            break
    return members


def _half_radius(distance: Stars, members: Bool[np.ndarray, "cluster star"]) -> Float[np.ndarray, " cluster"]:
    """The smallest distance within which at least half of the members are."""
    ordered = np.sort(np.where(members, distance, np.inf), axis=1)
    half = np.maximum((members.sum(1) + 1) // 2 - 1, 0)
    found: np.ndarray = np.take_along_axis(ordered, half[:, None], 1)[:, 0]
    return found


def _segregation(
    x: Stars, y: Stars, mass: Stars, members: Bool[np.ndarray, "cluster star"]
) -> Float[np.ndarray, " cluster"]:
    ratio = np.full(len(x), np.nan)
    possible = (members.sum(1) >= 2 * N_MASSIVE) & (np.ptp(mass, axis=1) > 0)
    if not possible.any():
        return ratio
    x, y, members = x[possible], y[possible], members[possible]
    # all clusters use the same random orders of stars: a cluster's value does not depend on the others
    order = np.random.default_rng(0).random((N_RANDOM, x.shape[1]))

    def tree(first: Stars) -> Float[np.ndarray, " cluster"]:
        """Length of the tree of the members that come first."""
        chosen = np.argsort(np.where(members, first, np.inf), axis=1)[:, :N_MASSIVE]
        return spanning_length(*(np.take_along_axis(p, chosen, 1) for p in (x, y)))

    random = np.mean([tree(np.broadcast_to(one, x.shape)) for one in order], axis=0)
    ratio[possible] = random / tree(-mass[possible])
    return ratio


def spanning_length(x: Stars, y: Stars) -> Float[np.ndarray, " cluster"]:
    """Length of the minimum spanning tree of each cluster's stars (Prim 1957).

    Args:
        x: Positions along one axis of the sky.
        y: Positions along the other.

    Returns:
        Lengths in the unit of the positions.

    Examples:
        >>> spanning_length(np.array([[0.0, 1.0, 1.0]]), np.array([[0.0, 0.0, 2.0]])).tolist()
        [3.0]
    """
    each = np.arange(len(x))
    nearest = np.hypot(x - x[:, :1], y - y[:, :1])
    nearest[:, 0] = np.inf
    left = np.ones(x.shape, bool)
    left[:, 0] = False
    length = np.zeros(len(x))
    for _ in range(x.shape[1] - 1):
        star = np.argmin(np.where(left, nearest, np.inf), axis=1)
        length += nearest[each, star]
        left[each, star] = False
        nearest = np.minimum(nearest, np.hypot(x - x[each, star][:, None], y - y[each, star][:, None]))
    return length
