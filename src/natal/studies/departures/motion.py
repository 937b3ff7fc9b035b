"""Clusters in a tidal field, by natal's own leapfrog.

A cluster moves on a circular orbit around a point mass. In axes that do not rotate its stars feel, besides each other,
a(x) = Omega^2 (3 (x . e) e - x), where e = (cos Omega t, sin Omega t, 0) is the direction to the centre of the orbit.
The Jacobi radius is r_J = (G M / (3 Omega^2))^(1/3) (Binney & Tremaine 2008, section 8.3). Half a kick of this field
before and half a kick after natal's step make one kick-drift-kick step with the sum of both forces, since kicks
commute.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from natal.compiling import long_running
from natal.errors import NatalError
from natal.nbody.gravity import kinetic_energy, potential_energy
from natal.nbody.leapfrog import State, start, step
from natal.simulation.batches import COMPILER_OPTIONS
from natal.simulation.cost import batch_size
from natal.studies.departures.births import Stars
from natal.units import G_AU3_PER_MSUN_YR2


def orbital_frequency(mass_msun: float, jacobi_radius_au: np.ndarray) -> np.ndarray:
    """Omega in 1/yr of the orbit with this Jacobi radius; 0 if the radius is infinite.

    Args:
        mass_msun: Mass of the cluster.
        jacobi_radius_au: Jacobi radii, shape (cluster,).
    """
    return np.asarray(np.sqrt(G_AU3_PER_MSUN_YR2 * mass_msun / (3.0 * jacobi_radius_au**3)))


def tidal_acceleration(
    position_au: Float[Array, "3 cluster star"], omega: Float[Array, " cluster"], t_yr: Array | float
) -> Float[Array, "3 cluster star"]:
    """Acceleration by the tidal field, in AU/yr^2.

    Args:
        position_au: Positions about the cluster's centre.
        omega: Omega in 1/yr.
        t_yr: The time.
    """
    towards = _towards(omega, t_yr)
    along = (position_au * towards).sum(0)
    return omega[:, None] ** 2 * (3.0 * along * towards - position_au)


@partial(jax.jit, static_argnames="softening_au")
def jacobi_energy(
    stars: Stars, omega: Float[Array, " cluster"], t_yr: Array | float, softening_au: float
) -> Float[Array, " cluster"]:
    """The energy that is conserved: K + W + tidal potential - Omega L_z, in Msun AU^2 / yr^2.

    Args:
        stars: The clusters.
        omega: Omega in 1/yr.
        t_yr: The time.
        softening_au: Of the forces.
    """
    x, v, mass = map(jnp.asarray, stars)
    along = (x * _towards(omega, t_yr)).sum(0)
    tidal = 0.5 * omega[:, None] ** 2 * ((x**2).sum(0) - 3.0 * along**2)
    spin = omega[:, None] * (x[0] * v[1] - x[1] * v[0])
    own = kinetic_energy(v, mass) + potential_energy(x, mass, softening_au)
    return own + (mass * (tidal - spin)).sum(-1)


def _towards(omega: Array, t_yr: Array | float) -> Array:
    phase = omega * t_yr
    return jnp.stack([jnp.cos(phase), jnp.sin(phase), jnp.zeros_like(phase)])[..., None]


def _advance(
    position: Array, velocity: Array, mass: Array, omega: Array, *, n_steps: int, dt_yr: float, softening_au: float
) -> tuple[Array, Array]:
    def tidal_kick(state: State, t_yr: Array) -> State:
        kick = 0.5 * dt_yr * tidal_acceleration(state.position_au, omega, t_yr)
        return state._replace(velocity_au_yr=state.velocity_au_yr + kick)

    def one(k: Array, state: State) -> State:
        state = step(tidal_kick(state, k * dt_yr), mass, dt_yr, softening_au)
        return tidal_kick(state, (k + 1) * dt_yr)

    end = lax.fori_loop(0, n_steps, one, start(position, velocity, mass, softening_au))
    return end.position_au, end.velocity_au_yr


@cache
def _program(n_steps: int, dt_yr: float, softening_au: float) -> Any:
    """Compiled once for suites of equally many stars."""
    options = long_running(**COMPILER_OPTIONS if jax.default_backend() == "cpu" else {})
    return jax.jit(partial(_advance, n_steps=n_steps, dt_yr=dt_yr, softening_au=softening_au), compiler_options=options)


def follow(
    stars: Stars, omega: np.ndarray, *, t_end_yr: float, dt_yr: float, softening_au: float
) -> tuple[Stars, np.ndarray]:
    """Follow clusters, in batches.

    Args:
        stars: At t = 0.
        omega: Of the tidal field, shape (cluster,), in 1/yr; 0: no field.
        t_end_yr: For how long: a whole number of steps.
        dt_yr: The step.
        softening_au: Of the forces.

    Returns:
        Clusters at the end, and |E_T - E_0| / |W_0| of each, where E is `jacobi_energy`.

    Raises:
        NatalError: If the time is no whole number of steps.
    """
    n_steps = round(t_end_yr / dt_yr)
    if abs(n_steps * dt_yr - t_end_yr) > 1e-6 * t_end_yr:
        raise NatalError(f"integration.dt_yr = {dt_yr:g} does not fit a whole number of times into {t_end_yr:g} yr")
    n_clusters, n_stars = stars.mass_msun.shape
    size = min(n_clusters, batch_size(n_stars, on_cpu=True, n_runs=n_clusters))
    with jax.enable_x64(True):
        advance = _program(n_steps, dt_yr, softening_au)
        position, velocity = np.empty_like(stars.position_au), np.empty_like(stars.velocity_au_yr)
        for first in range(0, n_clusters, size):
            # a last batch that is not full is filled up with copies
            chosen = np.minimum(np.arange(first, first + size), n_clusters - 1)
            moved = advance(
                stars.position_au[:, chosen], stars.velocity_au_yr[:, chosen], stars.mass_msun[chosen], omega[chosen]
            )
            position[:, chosen], velocity[:, chosen] = moved
        end = Stars(position, velocity, stars.mass_msun)
        frequency = jnp.asarray(omega)
        energies = [jacobi_energy(s, frequency, t, softening_au) for s, t in ((stars, 0.0), (end, t_end_yr))]
        depth = potential_energy(jnp.asarray(stars.position_au), jnp.asarray(stars.mass_msun), softening_au)
        return end, np.asarray(jnp.abs((energies[1] - energies[0]) / depth))
