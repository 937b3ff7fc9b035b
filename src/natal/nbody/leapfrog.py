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
    """Where a step starts from: the stars, and the accelerations that the step before ended with."""

    position_au: Coordinates
    """In AU."""
    velocity_au_yr: Coordinates
    """In AU/yr."""
    acceleration_au_yr2: Coordinates
    """At these positions, in AU/yr^2."""


class Trajectory(NamedTuple):
    """Positions and velocities at the snapshot times, the initial state first."""

    position_au: Float[Array, "time 3 batch star"]
    """In AU."""
    velocity_au_yr: Float[Array, "time 3 batch star"]
    """In AU/yr."""


def start(position_au: Coordinates, velocity_au_yr: Coordinates, mass_msun: Masses, softening_au: float) -> State:
    """The state that a first step needs.

    Args:
        position_au: Positions in AU.
        velocity_au_yr: Velocities in AU/yr.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU.

    Returns:
        The given stars with their accelerations.
    """
    return State(position_au, velocity_au_yr, accelerations(position_au, mass_msun, softening_au))


def step(state: State, mass_msun: Masses, dt_yr: float, softening_au: float) -> State:
    """Advance by one kick-drift-kick step.

    Args:
        state: Where to start.
        mass_msun: Masses in Msun.
        dt_yr: The step in years; a negative one goes back in time.
        softening_au: Plummer softening in AU.

    Returns:
        The state `dt_yr` later.
    """
    half = state.velocity_au_yr + 0.5 * dt_yr * state.acceleration_au_yr2
    position = state.position_au + dt_yr * half
    acceleration = accelerations(position, mass_msun, softening_au)
    return State(position, half + 0.5 * dt_yr * acceleration, acceleration)


def take_steps(
    state: State, mass_msun: Masses, n_steps: int | Int[Array, ""], dt_yr: float, softening_au: float
) -> State:
    """Advance by many steps. Call it under `jax.jit`.

    Args:
        state: Where to start.
        mass_msun: Masses in Msun.
        n_steps: How many; a traced number is possible, so that one compiled program serves all numbers.
        dt_yr: The step in years.
        softening_au: Plummer softening in AU.

    Returns:
        The state `n_steps * dt_yr` later.
    """
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
    """Follow every cluster of a batch, with states at equal intervals. Call it under `jax.jit`.

    Args:
        position_au: Positions in AU at t = 0.
        velocity_au_yr: Velocities in AU/yr at t = 0.
        mass_msun: Masses in Msun.
        dt_yr: Time step in years.
        steps_per_snapshot: Steps between one state and the next.
        n_snapshots: States in all, the first at t = 0.
        softening_au: Plummer softening in AU.

    Returns:
        The states.

    Examples:
        >>> import jax.numpy as jnp  # two stars of 0.5 Msun on a circle of 1 AU: a period of one year
        >>> position = jnp.array([[[-0.5, 0.5]], [[0.0, 0.0]], [[0.0, 0.0]]])
        >>> velocity = jnp.array([[[0.0, 0.0]], [[-jnp.pi, jnp.pi]], [[0.0, 0.0]]])
        >>> how = {"dt_yr": 0.001, "steps_per_snapshot": 500, "n_snapshots": 3, "softening_au": 0.0}
        >>> x = integrate(position, velocity, jnp.full((1, 2), 0.5), **how).position_au[:, 0, 0, 1]
        >>> x.round(3).tolist() == [0.5, -0.5, 0.5]
        True
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
