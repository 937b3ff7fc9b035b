"""Orbits in a fixed field: the leapfrog of `nbody.leapfrog` for test particles, and what it conserves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Field = Callable[[Float[Array, "3"]], Float[Array, "3"]]
State = tuple[Array, Array, Array]
"""Positions, velocities and accelerations."""


class Tracks(NamedTuple):
    """Test particles at the snapshot times, in units of G = M = a = 1.

    Attributes:
        time: The times.
        position: Positions.
        velocity: Velocities.
    """

    time: Float[np.ndarray, " time"]
    position: Float[np.ndarray, "time orbit 3"]
    velocity: Float[np.ndarray, "time orbit 3"]


def start_of(starts: dict[str, dict[str, list[float]]]) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities, shape (orbit, 3) each, of the configuration's section `orbits.starts`."""
    return (
        np.array([start["position"] for start in starts.values()], float),
        np.array([start["velocity"] for start in starts.values()], float),
    )


def follow(
    acceleration: Field,
    position: Float[np.ndarray, "orbit 3"],
    velocity: Float[np.ndarray, "orbit 3"],
    *,
    time: float,
    dt: float,
    snapshots: int,
) -> Tracks:
    """Integrate test particles by kick-drift-kick leapfrog in double precision.

    Args:
        acceleration: The field at one point.
        position: At time 0.
        velocity: At time 0.
        time: For how long.
        dt: Longest step; it is shortened so that a whole number of steps fits between snapshots.
        snapshots: How many, the first at 0.
    """
    between = time / (snapshots - 1)
    n_steps = int(np.ceil(between / dt - 1e-9))
    with jax.enable_x64(True):
        later = _follow(
            acceleration, jnp.asarray(position), jnp.asarray(velocity), between / n_steps, n_steps, snapshots
        )
        places, speeds = (
            np.concatenate([first[None], rest]) for first, rest in zip((position, velocity), later, strict=True)
        )
    return Tracks(np.linspace(0.0, time, snapshots), places, speeds)


@eqx.filter_jit
def _follow(
    acceleration: Any, position: Array, velocity: Array, dt: float, n_steps: int, snapshots: int
) -> tuple[Array, Array]:
    accelerations = jax.vmap(acceleration)

    def step(_: Any, state: State) -> State:
        x, v, a = state
        half = v + 0.5 * dt * a
        x = x + dt * half
        a = accelerations(x)
        return x, half + 0.5 * dt * a, a

    def to_next_snapshot(state: State, _: None) -> tuple[State, tuple[Array, Array]]:
        state = lax.fori_loop(0, n_steps, step, state)
        return state, state[:2]

    first = (position, velocity, accelerations(position))
    _, later = lax.scan(to_next_snapshot, first, None, length=snapshots - 1)
    return later


def distance(tracks: Tracks, reference: Tracks) -> Float[np.ndarray, "time orbit"]:
    """Distance of the same orbits in two fields, in a.

    Args:
        tracks: Orbits in one field.
        reference: The same orbits in another, at the same times.
    """
    apart: np.ndarray = np.linalg.norm(tracks.position - reference.position, axis=-1)
    return apart


def energy_change(tracks: Tracks, potential: Float[np.ndarray, "time orbit"]) -> Float[np.ndarray, "time orbit"]:
    """|E - E_0| / |E_0| along the tracks.

    Args:
        tracks: The orbits.
        potential: Phi along them.
    """
    energy = 0.5 * (tracks.velocity**2).sum(-1) + potential
    change: np.ndarray = np.abs(energy - energy[0]) / np.abs(energy[0])
    return change


def momentum_change(tracks: Tracks) -> Float[np.ndarray, "time orbit"]:
    """|L - L_0| over (largest |x|) (largest |v|) of the orbit, since an orbit may start with L = 0."""
    momentum = np.cross(tracks.position, tracks.velocity)
    scale = np.linalg.norm(tracks.position, axis=-1).max(0) * np.linalg.norm(tracks.velocity, axis=-1).max(0)
    change: np.ndarray = np.linalg.norm(momentum - momentum[0], axis=-1) / scale
    return change
