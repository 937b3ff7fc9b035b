"""Planets about a star by the map of Wisdom & Holman (1991, AJ 102, 1528): exact ellipses between kicks.

In democratic heliocentric coordinates (Duncan, Levison & Lee 1998, AJ 116, 2067): positions relative to the star,
velocities relative to the centre of mass. Errors are (planet's mass) x dt^2, so that some twenty steps an orbit follow
the slow turning of orbits by other planets, which a plain leapfrog's own turning would bury. A close encounter of two
planets is beyond it: a system is followed up to the first.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from natal.nbody.gravity import accelerations
from natal.units import G_AU3_PER_MSUN_YR2

NEWTON_STEPS = 4
"""Halley's, for Kepler's equation: from steps of a twelfth of an orbit to rounding."""

Vectors = Float[Array, "3 system planet"]
Masses = Float[Array, "system planet"]


class System(NamedTuple):
    """Heliocentric positions (AU) and barycentric velocities (AU/yr) of planets about a star of 1 Msun."""

    position_au: Vectors
    velocity_au_yr: Vectors


def start(position_au: Vectors, velocity_au_yr: Vectors, mass_msun: Masses) -> System:
    """From heliocentric positions and velocities."""
    star = -(mass_msun * velocity_au_yr).sum(-1) / (1 + mass_msun.sum(-1))
    return System(position_au, velocity_au_yr + star[..., None])


def kick(now: System, mass_msun: Masses, dt_yr: float | Float[Array, ""]) -> System:
    """The planets pull each other."""
    return now._replace(velocity_au_yr=now.velocity_au_yr + dt_yr * accelerations(now.position_au, mass_msun, 0.0))


def drift(now: System, mass_msun: Masses, dt_yr: float | Float[Array, ""]) -> System:
    """Half of the star's own motion, the planets' ellipses about it, the other half."""
    half = _jump(now, mass_msun, 0.5 * dt_yr)
    return _jump(System(*kepler_drift(*half, dt_yr)), mass_msun, 0.5 * dt_yr)


def _jump(now: System, mass_msun: Masses, dt_yr: float | Float[Array, ""]) -> System:
    momentum = (mass_msun * now.velocity_au_yr).sum(-1)
    return now._replace(position_au=now.position_au + dt_yr * momentum[..., None])


def kepler_drift(
    position_au: Vectors, velocity_au_yr: Vectors, dt_yr: float | Float[Array, ""]
) -> tuple[Vectors, Vectors]:
    """Every planet along its own ellipse about 1 Msun (Danby 1988, Fundamentals of Celestial Mechanics, 6.9).

    An unbound orbit gives nan.
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
    """Osculating heliocentric semi-major axes; negative where unbound."""
    star = -(mass_msun * now.velocity_au_yr).sum(-1)
    speed2 = ((now.velocity_au_yr - star[..., None]) ** 2).sum(0)
    r = jnp.sqrt((now.position_au**2).sum(0))
    axes: Array = 1 / (2 / r - speed2 / (G_AU3_PER_MSUN_YR2 * (1 + mass_msun)))
    return axes
