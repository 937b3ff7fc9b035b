"""How fast neighbours part: MEGNO, the mean exponential growth of nearby orbits, of many triples at once.

The neighbour is infinitely near: its shift is carried along by the derivative of each leapfrog step (forward-mode
differentiation), so that no distance has to be chosen. With delta the shift's length,

    Y(t) = 2/t int_0^t (d ln delta / dt') t' dt',        <Y>(t) = 1/t int_0^t Y dt'

(Cincotta & Simo 2000, A&AS 147, 205). Where neighbours part like a power of time, <Y> tends to twice that power: 2 in
regular motion. Where they part like exp(lambda t), it tends to lambda t / 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from natal.nbody.gravity import accelerations
from natal.studies.triples.transformed_leapfrog import NO_SOFTENING_AU, Clocked, start

PerTriple = Float[Array, " batch"]
Vectors = Float[Array, "3 batch 3"]
CIRCULAR_AU_YR = 2 * jnp.pi
"""Unit of velocities, that of the outer orbit: with it positions and velocities together have a length."""


class Neighbour(NamedTuple):
    """A neighbour's shift, and integrals over its growth so far.

    Attributes:
        shift: At equal steps, scaled to unit length at equal times.
        growth_yr: int t d ln delta.
        sum_yr: int Y dt.
        mean: <Y>.
    """

    shift: Clocked
    growth_yr: PerTriple  # int t d ln delta
    sum_yr: PerTriple  # int Y dt
    mean: PerTriple  # <Y>


def begin(position_au: Vectors, velocity_au_yr: Vectors, b_au: PerTriple) -> tuple[Clocked, Neighbour]:
    """Triples at t = 0, and neighbours a unit length away in a direction that all triples share.

    Args:
        position_au: Positions of the three stars.
        velocity_au_yr: Their velocities.
        b_au: The inner semi-major axis, which the time transformation needs.
    """
    # any direction is fine: a random one has a part along the fastest growth
    place, motion = (jax.random.normal(jax.random.key(k), (3, 1, 3), position_au.dtype) for k in (0, 1))
    shifts = jnp.broadcast_to(place, position_au.shape), jnp.broadcast_to(CIRCULAR_AU_YR * motion, position_au.shape)
    now, shift = jax.jvp(lambda x, v: start(x, v, b_au), (position_au, velocity_au_yr), shifts)
    zero = jnp.zeros_like(now.t_yr)
    length = jnp.sqrt((place**2 + motion**2).sum())
    return now, Neighbour(_shorter(shift, zero + length), zero, zero, zero)


def look(
    before: Neighbour, shift: Clocked, now: Clocked, mass_msun: Float[Array, "batch 3"], t_yr: PerTriple
) -> Neighbour:
    """A neighbour after some steps: integrals by the trapezium rule, and its shift at unit length again.

    Args:
        before: The neighbour before these steps.
        shift: Its shift after them.
        now: The triples after them.
        mass_msun: Masses.
        t_yr: The time before them.
    """
    length, dt_yr = _length(shift, now, mass_msun), now.t_yr - t_yr
    growth = before.growth_yr + 0.5 * (now.t_yr + t_yr) * jnp.log(length)
    last = jnp.where(t_yr > 0, 2 * before.growth_yr / t_yr, 0.0)
    total = before.sum_yr + 0.5 * dt_yr * (last + 2 * growth / now.t_yr)
    return Neighbour(_shorter(shift, length), growth, total, total / now.t_yr)


def _length(shift: Clocked, now: Clocked, mass_msun: Float[Array, "batch 3"]) -> PerTriple:
    """Length of the shift at equal times; at equal steps the neighbour's clock shows another time."""
    late = shift.t_yr[:, None]
    place = shift.position_au - late * now.velocity_au_yr
    motion = shift.velocity_au_yr - late * accelerations(now.position_au, mass_msun, NO_SOFTENING_AU)
    return jnp.sqrt((place**2 + (motion / CIRCULAR_AU_YR) ** 2).sum((0, 2)))


def _shorter(shift: Clocked, length: PerTriple) -> Clocked:
    shorter: Clocked = jax.tree.map(lambda leaf: leaf / (length[:, None] if leaf.ndim == 3 else length), shift)
    return shorter
