"""Kick-drift-kick leapfrog with a fixed time step.

v_{1/2} = v_0 + dt/2 a(x_0);  x_1 = x_0 + dt v_{1/2};  v_1 = v_{1/2} + dt/2 a(x_1).
This is velocity Verlet: second order, symplectic and time reversible (Hairer, Lubich & Wanner 2003, Acta
Numerica 12, 399). The acceleration at the end of a step is kept for the next one: one force per step.
"""

from typing import NamedTuple

import jax
from jax import lax
from jaxtyping import Array, Float, Int

from natal.nbody.gravity import Coordinates, Masses, accelerations


class State(NamedTuple):
    """Positions (AU), velocities (AU/yr) and the accelerations (AU/yr^2) at those positions."""

    position_au: Coordinates
    velocity_au_yr: Coordinates
    acceleration_au_yr2: Coordinates


class Trajectory(NamedTuple):
    """Positions and velocities at the snapshot times, the initial state first."""

    position_au: Float[Array, "time 3 batch star"]
    velocity_au_yr: Float[Array, "time 3 batch star"]


def start(position_au: Coordinates, velocity_au_yr: Coordinates, mass_msun: Masses, softening_au: float) -> State:
    """The state that a first step needs: the given phase-space point and its accelerations."""
    return State(position_au, velocity_au_yr, accelerations(position_au, mass_msun, softening_au))


def step(state: State, mass_msun: Masses, dt_yr: float, softening_au: float) -> State:
    """Advance by one kick-drift-kick step of `dt_yr` (negative to go back in time)."""
    half = state.velocity_au_yr + 0.5 * dt_yr * state.acceleration_au_yr2
    position = state.position_au + dt_yr * half
    acceleration = accelerations(position, mass_msun, softening_au)
    return State(position, half + 0.5 * dt_yr * acceleration, acceleration)


def take_steps(
    state: State, mass_msun: Masses, n_steps: int | Int[Array, ""], dt_yr: float, softening_au: float
) -> State:
    """Advance by `n_steps` steps of `dt_yr`, a number known when compiling or not. To be called under `jax.jit`."""
    moved: State = lax.fori_loop(0, n_steps, lambda _, s: step(s, mass_msun, dt_yr, softening_au), state)
    return moved


def integrate(
    position_au: Coordinates,
    velocity_au_yr: Coordinates,
    mass_msun: Masses,
    *,
    dt_yr: float,
    steps_per_snapshot: int,
    n_snapshots: int,
    softening_au: float,
) -> Trajectory:
    """Integrate every cluster of the batch and return `n_snapshots` states, the first at t = 0 and each next
    one `steps_per_snapshot` * `dt_yr` later. To be called under `jax.jit`.
    """

    def to_next_snapshot(state: State, _: None) -> tuple[State, Trajectory]:
        state = take_steps(state, mass_msun, steps_per_snapshot, dt_yr, softening_au)
        return state, Trajectory(state.position_au, state.velocity_au_yr)

    first = start(position_au, velocity_au_yr, mass_msun, softening_au)
    _, later = lax.scan(to_next_snapshot, first, None, length=n_snapshots - 1)
    trajectory: Trajectory = jax.tree.map(
        lambda initial, rest: jax.numpy.concatenate([initial[None], rest]),
        Trajectory(position_au, velocity_au_yr),
        later,
    )
    return trajectory
