"""Drift-kick-drift leapfrog in a transformed time, which follows a close binary along its exact ellipse.

With any affordable step, the error of natal's leapfrog turns the apsides of a binary faster than the distant third star
of a triple does, which suppresses Kozai-Lidov cycles (docs/studies/triples.md). Mikkola & Aarseth (2002, Celest. Mech.
Dyn. Astron. 84, 343) let kicks last h / Omega(x) and drifts h / W, where W is carried along by dW = (v . grad Omega)
dt. With Omega = 1 / r a two-body orbit is exact except for its phase, at any eccentricity (Mikkola & Tanikawa 1999;
Preto & Tremaine 1999). Forces are natal's, `natal.nbody.gravity`, without softening.

Here Omega = 1 / r_12 + b / r_13^2 + b / r_23^2 with b = a_in at birth. Far from the third star it is the inner
binary's; where the third star comes close the step shrinks, too.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from natal.nbody.gravity import accelerations

NO_SOFTENING_AU = 0.0

Vectors = Float[Array, "3 batch 3"]
Masses = Float[Array, "batch 3"]
PerTriple = Float[Array, " batch"]


class Clocked(NamedTuple):
    """Three stars with their clock.

    Attributes:
        position_au: Positions.
        velocity_au_yr: Velocities.
        rate_per_au: The rate W of their clock.
        t_yr: The time reached.
    """

    position_au: Vectors
    velocity_au_yr: Vectors
    rate_per_au: PerTriple
    t_yr: PerTriple


def start(position_au: Vectors, velocity_au_yr: Vectors, b_au: PerTriple) -> Clocked:
    """The state at t = 0, where W = Omega.

    Args:
        position_au: Positions.
        velocity_au_yr: Velocities.
        b_au: The length b in Omega.
    """
    rate, _ = _omega(position_au, b_au)
    return Clocked(position_au, velocity_au_yr, rate, jnp.zeros_like(rate))


def step(now: Clocked, mass_msun: Masses, b_au: PerTriple, h_au_yr: PerTriple) -> Clocked:
    """One step of every triple. A negative step takes a positive one back.

    Args:
        now: The triples.
        mass_msun: Masses.
        b_au: The length b in Omega.
        h_au_yr: Length of the step in the transformed time s, ds = Omega dt; 0: the triple stands still.
    """
    return _drift(_kick(_drift(now, 0.5 * h_au_yr), mass_msun, b_au, h_au_yr), 0.5 * h_au_yr)


def _drift(now: Clocked, h_au_yr: PerTriple) -> Clocked:
    dt_yr = h_au_yr / now.rate_per_au
    return now._replace(position_au=now.position_au + dt_yr[:, None] * now.velocity_au_yr, t_yr=now.t_yr + dt_yr)


def _kick(now: Clocked, mass_msun: Masses, b_au: PerTriple, h_au_yr: PerTriple) -> Clocked:
    """Velocities gain h / Omega times the acceleration; W changes by the mean of velocities before and after."""
    omega, gradient = _omega(now.position_au, b_au)
    dt_yr = h_au_yr / omega
    pull = accelerations(now.position_au, mass_msun, NO_SOFTENING_AU)
    velocity = now.velocity_au_yr + dt_yr[:, None] * pull
    mean = 0.5 * (now.velocity_au_yr + velocity)
    return now._replace(velocity_au_yr=velocity, rate_per_au=now.rate_per_au + dt_yr * (mean * gradient).sum((0, 2)))


def _omega(position_au: Vectors, b_au: PerTriple) -> tuple[PerTriple, Vectors]:
    """Omega (1/AU) and its gradient by every star's position."""
    first, second, third = (position_au[..., k] for k in range(3))
    inner, one, two = second - first, third - first, third - second
    r_inner2, r_one2, r_two2 = ((d * d).sum(0) for d in (inner, one, two))
    # gradients by the later star of each pair, as d(1/r) = -r/r^3 and d(b/r^2) = -2 b r/r^4
    by_inner = -inner / (r_inner2 * jnp.sqrt(r_inner2))
    by_one, by_two = -2 * b_au * one / r_one2**2, -2 * b_au * two / r_two2**2
    omega = 1 / jnp.sqrt(r_inner2) + b_au / r_one2 + b_au / r_two2
    return omega, jnp.stack([-by_inner - by_one, by_inner - by_two, by_one + by_two], axis=-1)
