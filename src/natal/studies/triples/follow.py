"""Follows many triples for a number of outer orbits: which of them keep their orbits, and which move chaotically?

Some systems need a thousand times more steps than others. So a batch is a set of slots: when a system is done, the next
one takes its place. The longest runs begin first.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from natal.compiling import long_running
from natal.nbody.gravity import kinetic_energy, potential_energy
from natal.progress import Progress
from natal.studies.triples import megno, systems
from natal.studies.triples.transformed_leapfrog import NO_SOFTENING_AU, Clocked, step
from natal.units import G_AU3_PER_MSUN_YR2

STEPS_PER_SAMPLE = 32
"""Number of steps between two looks at the orbits: a third of an inner orbit or less."""

SAMPLES_PER_CALL = 100

STOP_CHANGE = 1.0
"""Relative change of a semi-major axis at which a run ends; orbits that are not bound have negative axes."""


class Elements(NamedTuple):
    """Osculating two-body orbits: inner (star 2 about 1) and outer (star 3 about their centre of mass).

    Attributes:
        axis_au: Semi-major axes; negative for orbits that are not bound.
        distance_au: Distances.
    """

    axis_au: Float[Array, "batch 2"]
    distance_au: Float[Array, "batch 2"]


class Run(NamedTuple):
    """Where a batch is, and what was seen of it so far; every leaf has an axis for the slots.

    Attributes:
        now: Positions, velocities and time.
        beside: An infinitely near neighbour, for MEGNO.
        mass_msun: Masses.
        h_au_yr: Step in the transformed time.
        axis0_au: Semi-major axes at the start.
        energy0: Energy at the start.
        max_change: Largest relative change of an axis.
        t_change_yr: When an axis first changed by more than the limit; infinite if it has not.
        max_energy_error: Largest relative energy error until then.
        n_steps: Steps.
    """

    now: Clocked
    beside: megno.Neighbour
    mass_msun: Float[Array, "batch 3"]
    h_au_yr: Float[Array, " batch"]
    axis0_au: Float[Array, "batch 2"]
    energy0: Float[Array, " batch"]
    max_change: Float[Array, " batch"]
    t_change_yr: Float[Array, " batch"]
    max_energy_error: Float[Array, " batch"]
    n_steps: Int[Array, " batch"]


def elements(
    position_au: Float[Array, "3 batch 3"],
    velocity_au_yr: Float[Array, "3 batch 3"],
    mass_msun: Float[Array, "batch 3"],
) -> Elements:
    """Semi-major axes from energies, 1/a = 2/r - v^2 / (G M), and distances, inner and outer.

    Args:
        position_au: Positions of the three stars.
        velocity_au_yr: Their velocities.
        mass_msun: Their masses; the first two are the inner pair.
    """
    m1, m2, m3 = mass_msun.T
    gm = G_AU3_PER_MSUN_YR2 * jnp.stack([m1 + m2, m1 + m2 + m3], axis=-1)

    def squares(values: Float[Array, "3 batch 3"]) -> Float[Array, "batch 2"]:
        first, second, third = jnp.moveaxis(values, -1, 0)
        relative = jnp.stack([second - first, third - (m1 * first + m2 * second) / (m1 + m2)], axis=-1)
        return (relative**2).sum(0)

    distance, speed2 = jnp.sqrt(squares(position_au)), squares(velocity_au_yr)
    return Elements(1 / (2 / distance - speed2 / gm), distance)


def total_energy(now: Clocked, mass_msun: Float[Array, "batch 3"]) -> Float[Array, " batch"]:
    """Kinetic plus potential energy, in Msun AU^2 / yr^2.

    Args:
        now: The triples.
        mass_msun: Masses of the three stars.
    """
    return kinetic_energy(now.velocity_au_yr, mass_msun) + potential_energy(now.position_au, mass_msun, NO_SOFTENING_AU)


def begin(
    position_au: Float[Array, "3 batch 3"],
    velocity_au_yr: Float[Array, "3 batch 3"],
    mass_msun: Float[Array, "batch 3"],
    eta: Float[Array, ""],
) -> Run:
    """Triples at t = 0.

    Args:
        position_au: Positions.
        velocity_au_yr: Velocities.
        mass_msun: Masses.
        eta: The step: 2 pi / eta of them an inner orbit.
    """
    axis = elements(position_au, velocity_au_yr, mass_msun).axis_au
    now, beside = megno.begin(position_au, velocity_au_yr, axis[:, 0])
    zero = jnp.zeros_like(now.t_yr)
    return Run(
        now=now,
        beside=beside,
        mass_msun=mass_msun,
        # s grows by P / a an inner orbit: 2 pi / eta steps
        h_au_yr=eta * jnp.sqrt(axis[:, 0] / (G_AU3_PER_MSUN_YR2 * mass_msun[:, :2].sum(1))),
        axis0_au=axis,
        energy0=total_energy(now, mass_msun),
        max_change=zero,
        t_change_yr=zero + jnp.inf,
        max_energy_error=zero,
        n_steps=jnp.zeros(zero.shape, int),
    )


def is_active(run: Run, t_end_yr: Float[Array, ""]) -> Bool[Array, " batch"]:
    """Whether a system must be followed further.

    Args:
        run: The systems so far.
        t_end_yr: When to stop.
    """
    return (run.now.t_yr < t_end_yr) & (run.max_change < STOP_CHANGE)


def advance(
    run: Run, t_end_yr: Float[Array, ""], unstable_change: Float[Array, ""]
) -> tuple[Run, Bool[Array, " batch"]]:
    """Take `SAMPLES_PER_CALL` times `STEPS_PER_SAMPLE` steps of every active system, with a look after each time.

    Osculating axes change at every passage of a pericentre although nothing has happened. So they count only while both
    distances are at least the osculating axes, in the outer half of both orbits, or if an orbit is not bound. The same
    holds for the energy, which counts only until the label is known: after that there is an encounter of three stars.

    Args:
        run: The batch.
        t_end_yr: For how long systems are followed.
        unstable_change: Relative change of an axis that makes a triple unstable.

    Returns:
        The batch, and who is still active.
    """

    def sample(_: Int[Array, ""], run: Run) -> Run:
        active = is_active(run, t_end_yr)

        def take(_: Int[Array, ""], carry: tuple[Clocked, Clocked, Array]) -> tuple[Clocked, Clocked, Array]:
            now, shift, n_steps = carry
            moving = active & (now.t_yr < t_end_yr)
            one = partial(step, mass_msun=run.mass_msun, b_au=run.axis0_au[:, 0], h_au_yr=moving * run.h_au_yr)
            return *jax.jvp(one, (now,), (shift,)), n_steps + moving

        now, shift, n_steps = lax.fori_loop(0, STEPS_PER_SAMPLE, take, (run.now, run.beside.shift, run.n_steps))
        seen = elements(now.position_au, now.velocity_au_yr, run.mass_msun)
        counts = active & jnp.all(seen.distance_au >= seen.axis_au, axis=1)
        change = jnp.where(counts, jnp.abs(seen.axis_au / run.axis0_au - 1).max(1), 0.0)
        still = jnp.isinf(run.t_change_yr)
        error = jnp.where(counts & still, jnp.abs(total_energy(now, run.mass_msun) / run.energy0 - 1), 0.0)
        first = still & (change > unstable_change)
        return run._replace(
            now=now,
            beside=megno.look(run.beside, shift, now, run.mass_msun, run.now.t_yr),
            max_change=jnp.maximum(run.max_change, change),
            t_change_yr=jnp.where(first, now.t_yr, run.t_change_yr),
            max_energy_error=jnp.maximum(run.max_energy_error, error),
            n_steps=n_steps,
        )

    run = lax.fori_loop(0, SAMPLES_PER_CALL, sample, run)
    return run, is_active(run, t_end_yr)


def follow(
    table: pd.DataFrame,
    *,
    eta: float,
    n_orbits: float,
    unstable_change: float,
    slots: int,
    shift: float = 0.0,
    label: str = "follow",
) -> pd.DataFrame:
    """Follow triples in double precision.

    Args:
        table: Triples as `systems.draw` gives them.
        eta: The step: 2 pi / eta of them an inner orbit.
        n_orbits: For how long, in initial outer periods.
        unstable_change: Relative change of an axis that makes a triple unstable.
        slots: Systems that move at the same time.
        shift: Share by which the births of all stars are stretched, to see whether neighbours part.
        label: Name of the work in progress lines.

    Returns:
        One row a triple: max_change (largest relative change of either semi-major axis; the run ends at `STOP_CHANGE`),
        t_change_orbits (when it first passed `unstable_change`; nan if never), megno (`natal.studies.triples.megno`, at
        the end), energy_error (largest |E / E_0 - 1| up to t_change), t_orbits and n_steps (how far), and the inner
        separation at the end in AU (inner_x_au, inner_y_au, inner_z_au).
    """
    with jax.enable_x64(True):
        position, velocity = systems.place(table)
        mass = systems.masses_msun(table)
        step_size, t_end_yr, limit = (jnp.asarray(float(value)) for value in (eta, n_orbits, unstable_change))
        birth = jax.jit(partial(begin, eta=step_size))
        go = jax.jit(partial(advance, t_end_yr=t_end_yr, unstable_change=limit), compiler_options=long_running())
        finished = _run_slots((position * (1 + shift), velocity, mass), _order(table), birth, go, slots, label)
    first, second = (finished.now.position_au[..., k] for k in (0, 1))
    t_change = finished.t_change_yr
    return pd.DataFrame(
        {
            "max_change": finished.max_change,
            "t_change_orbits": np.where(np.isfinite(t_change), t_change, np.nan),
            "megno": finished.beside.mean,
            "energy_error": finished.max_energy_error,
            "t_orbits": finished.now.t_yr,
            "n_steps": finished.n_steps,
            **dict(zip(("inner_x_au", "inner_y_au", "inner_z_au"), second - first, strict=True)),
        }
    )


def _order(table: pd.DataFrame) -> np.ndarray:
    """Triples with the most inner orbits first."""
    return np.argsort(-table.period_ratio.to_numpy(), kind="stable")


def _run_slots(
    births: tuple[np.ndarray, np.ndarray, np.ndarray],
    order: np.ndarray,
    birth: Callable[[np.ndarray, np.ndarray, np.ndarray], Run],
    go: Callable[[Run], tuple[Run, Array]],
    slots: int,
    label: str,
) -> Run:
    """Move `slots` systems at a time, and store and replace those that are done; returns all ends as NumPy arrays."""
    position, velocity, mass = births
    # as a whole, so that slots can be filled with any of them
    fresh = jax.tree.map(np.array, birth(position, velocity, mass))
    stored: Run = jax.tree.map(np.array, fresh)
    in_slot = order[np.minimum(np.arange(slots), len(order) - 1)]
    waiting, busy = order[slots:], np.arange(slots) < len(order)
    run = _take(fresh, in_slot)
    with Progress(total=len(order), label=label, unit="triples") as progress:
        while busy.any():
            moved, active = go(run)
            # copies, since arrays of JAX cannot be written to
            run = jax.tree.map(np.array, moved)
            done = busy & ~np.asarray(active)
            _put(stored, in_slot[done], _take(run, done))
            free = np.flatnonzero(done)[: len(waiting)]
            busy &= ~done
            busy[free], in_slot[free], waiting = True, waiting[: len(free)], waiting[len(free) :]
            _put(run, free, _take(fresh, in_slot[free]))
            progress.advance(int(done.sum()))
    return stored


def _take(run: Run, chosen: np.ndarray) -> Run:
    """The systems of these indices; vectors are (3, batch, star), everything else begins with the batch."""
    taken: Run = jax.tree.map(lambda leaf: leaf[:, chosen] if leaf.ndim == 3 else leaf[chosen], run)
    return taken


def _put(run: Run, chosen: np.ndarray, values: Run) -> None:
    """Overwrite the systems of these indices."""

    def put(leaf: np.ndarray, new: np.ndarray) -> None:
        leaf[(slice(None), chosen) if leaf.ndim == 3 else chosen] = new

    jax.tree.map(put, run, values)
