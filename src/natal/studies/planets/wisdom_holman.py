"""Planets about a star by the map of Wisdom & Holman (1991, AJ 102, 1528): exact ellipses between kicks.

Coordinates are democratic heliocentric (Duncan, Levison & Lee 1998, AJ 116, 2067): positions relative to the star,
velocities relative to the centre of mass. Errors go as (planet's mass) x dt^2. So about twenty steps an orbit are
enough to follow how planets slowly turn each other's orbits; in a plain leapfrog, its own error would turn them faster.
The map cannot follow a close encounter of two planets: a system is followed up to the first.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from natal.nbody.gravity import accelerations
from natal.units import G_AU3_PER_MSUN_YR2

NEWTON_STEPS = 4
"""Number of Halley's steps for Kepler's equation: exact to rounding for steps of up to a twelfth of an orbit."""

Vectors = Float[Array, "3 system planet"]
Masses = Float[Array, "system planet"]


class System(NamedTuple):
    """Planets about a star of 1 Msun.

    Attributes:
        position_au: Heliocentric positions.
        velocity_au_yr: Barycentric velocities.
    """

    position_au: Vectors
    velocity_au_yr: Vectors


def start(position_au: Vectors, velocity_au_yr: Vectors, mass_msun: Masses) -> System:
    """Systems from heliocentric positions and velocities.

    Args:
        position_au: Heliocentric positions.
        velocity_au_yr: Heliocentric velocities.
        mass_msun: The planets' masses; the star has 1 Msun.
    """
    star = -(mass_msun * velocity_au_yr).sum(-1) / (1 + mass_msun.sum(-1))
    return System(position_au, velocity_au_yr + star[..., None])


def kick(now: System, mass_msun: Masses, dt_yr: float | Float[Array, ""]) -> System:
    """Change velocities by the planets' pull on each other, for `dt_yr`.

    Args:
        now: The systems.
        mass_msun: The planets' masses.
        dt_yr: For how long.
    """
    return now._replace(velocity_au_yr=now.velocity_au_yr + dt_yr * accelerations(now.position_au, mass_msun, 0.0))


def drift(now: System, mass_msun: Masses, dt_yr: float | Float[Array, ""]) -> System:
    """Move for `dt_yr`: half of the star's own motion, the planets' ellipses about it, the other half.

    Args:
        now: The systems.
        mass_msun: The planets' masses.
        dt_yr: For how long.
    """
    half = _jump(now, mass_msun, 0.5 * dt_yr)
    return _jump(System(*kepler_drift(*half, dt_yr)), mass_msun, 0.5 * dt_yr)


def _jump(now: System, mass_msun: Masses, dt_yr: float | Float[Array, ""]) -> System:
    momentum = (mass_msun * now.velocity_au_yr).sum(-1)
    return now._replace(position_au=now.position_au + dt_yr * momentum[..., None])


def kepler_drift(
    position_au: Vectors, velocity_au_yr: Vectors, dt_yr: float | Float[Array, ""]
) -> tuple[Vectors, Vectors]:
    """Move every planet along its own ellipse about 1 Msun (Danby 1988, Fundamentals of Celestial Mechanics, 6.9).

    Args:
        position_au: Positions relative to the star.
        velocity_au_yr: Velocities.
        dt_yr: For how long.

    Returns:
        Positions and velocities; nan for an orbit that is not bound.

    Examples:
        >>> place, motion = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 2 * jnp.pi, 0.0])  # the Earth's orbit
        >>> moved, _ = kepler_drift(place.reshape(3, 1, 1), motion.reshape(3, 1, 1), 1 / 24)  # half a month
        >>> [f"{x:.2f}" for x in moved.ravel().tolist()]
        ['0.97', '0.26', '0.00']
    """
    gm = G_AU3_PER_MSUN_YR2
    r0 = jnp.sqrt((position_au**2).sum(0))
    axis = 1 / (2 / r0 - (velocity_au_yr**2).sum(0) / gm)
    rate, root = jnp.sqrt(gm / axis**3), jnp.sqrt(gm * axis)
    # e cos E and e sin E at the start
    ec, es = 1 - r0 / axis, (position_au * velocity_au_yr).sum(0) / root
    mean = rate * dt_yr

    def solve(_: Array, x: Array) -> Array:
        s, c = jnp.sin(x), jnp.cos(x)
        f, first, second = x - ec * s + es * (1 - c) - mean, 1 - ec * c + es * s, ec * s + es * c
        return x - f / (first - 0.5 * f * second / first)

    x = lax.fori_loop(0, NEWTON_STEPS, solve, mean)
    s, c = jnp.sin(x), jnp.cos(x)
    r = axis * (1 - ec * c + es * s)
    f, g = 1 - axis / r0 * (1 - c), dt_yr - (x - s) / rate
    df, dg = -root / (r * r0) * s, 1 - axis / r * (1 - c)
    return f * position_au + g * velocity_au_yr, df * position_au + dg * velocity_au_yr


def axes_au(now: System, mass_msun: Masses) -> Masses:
    """Osculating heliocentric semi-major axes; negative for orbits that are not bound.

    Args:
        now: The systems.
        mass_msun: The planets' masses.
    """
    star = -(mass_msun * now.velocity_au_yr).sum(-1)
    speed2 = ((now.velocity_au_yr - star[..., None]) ** 2).sum(0)
    r = jnp.sqrt((now.position_au**2).sum(0))
    axes: Array = 1 / (2 / r - speed2 / (G_AU3_PER_MSUN_YR2 * (1 + mass_msun)))
    return axes
