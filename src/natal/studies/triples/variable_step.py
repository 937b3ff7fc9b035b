"""natal's kick-drift-kick leapfrog with a step of each system's own that follows its closest pair, reversibly.

A step that simply follows the state makes leapfrog lose energy for good. Hairer & Söderlind (2005, SIAM J. Sci.
Comput. 26, 1838) carry the inverse step along as a variable instead: dt_{n+1/2} = eta / z_{n+1/2} with
z_{n+1/2} = z_{n-1/2} + eta (d ln w / dt)_n, where w(x) is the rate that z is to follow. The step stays explicit and
time reversible, and errors of an orbit do not add up. Here w^2 = sum over pairs of G (m_i + m_j) / r_ij^3.
"""

from itertools import combinations
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from natal import leapfrog
from natal.units import G_AU3_PER_MSUN_YR2

NO_SOFTENING_AU = 0.0


class Clocked(NamedTuple):
    """Stars with a clock: `rate_per_yr` is z half a step back, `t_yr` the time reached."""

    stars: leapfrog.State
    rate_per_yr: Float[Array, " batch"]
    t_yr: Float[Array, " batch"]


def start(
    position_au: Float[Array, "3 batch star"],
    velocity_au_yr: Float[Array, "3 batch star"],
    mass_msun: Float[Array, "batch star"],
    eta: float | Float[Array, ""],
) -> Clocked:
    """The state at t = 0, from which the first step has dt = eta / (w + eta / 2 d ln w / dt)."""
    stars = leapfrog.start(position_au, velocity_au_yr, mass_msun, NO_SOFTENING_AU)
    rate, growth = pair_rate(stars, mass_msun)
    return Clocked(stars, rate - 0.5 * eta * growth, jnp.zeros_like(rate))


def step(
    now: Clocked,
    mass_msun: Float[Array, "batch star"],
    eta: float | Float[Array, ""],
    moving: Float[Array, " batch"],
) -> Clocked:
    """One leapfrog step of every system; where `moving` is 0 the system stands still, where it is 1 it moves."""
    _, growth = pair_rate(now.stars, mass_msun)
    rate = now.rate_per_yr + moving * eta * growth
    dt_yr = moving * eta / rate
    stars = leapfrog.step(now.stars, mass_msun, dt_yr[:, None], NO_SOFTENING_AU)
    return Clocked(stars, rate, now.t_yr + dt_yr)


def pair_rate(
    stars: leapfrog.State, mass_msun: Float[Array, "batch star"]
) -> tuple[Float[Array, " batch"], Float[Array, " batch"]]:
    """w = sqrt(sum over pairs of G (m_i + m_j) / r^3) and d ln w / dt, both per year."""
    squared = change = jnp.zeros_like(mass_msun[:, 0])
    for i, j in combinations(range(mass_msun.shape[-1]), 2):
        separation = stars.position_au[..., j] - stars.position_au[..., i]
        velocity = stars.velocity_au_yr[..., j] - stars.velocity_au_yr[..., i]
        r2 = (separation * separation).sum(0)
        pair = G_AU3_PER_MSUN_YR2 * (mass_msun[:, i] + mass_msun[:, j]) / (r2 * jnp.sqrt(r2))
        squared = squared + pair
        change = change - 3 * pair * (separation * velocity).sum(0) / r2
    return jnp.sqrt(squared), 0.5 * change / squared
