"""Follows many systems of three planets and finds out which of them last."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float

from natal.compiling import long_running
from natal.progress import track
from natal.studies.planets import systems
from natal.studies.planets.wisdom_holman import Masses, System, axes_au, drift, kick, start

UNSTABLE_CHANGE = 0.1
"""Relative change of a semi-major axis that ends a system, as in the study `triples`."""

CALLS = 50
"""Number of parts into which a run is cut; systems that have ended are set aside after each."""


class Run(NamedTuple):
    """Where systems are, and what was seen of them so far.

    Attributes:
        now: Positions and velocities.
        mass_msun: Masses of the planets.
        axes0_au: Semi-major axes at the start.
        hill_au: Mutual Hill radii of neighbours at the start.
        closest: Least distance of neighbours over their mutual Hill radius; infinite before the first look.
        max_change: Largest relative change of a semi-major axis.
        t_end_yr: When the system came apart; infinite if it lasts.
    """

    now: System
    mass_msun: Masses
    axes0_au: Masses
    hill_au: Float[Array, "system pair"]
    closest: Float[Array, " system"]  # distance of neighbours over their mutual Hill radius
    max_change: Float[Array, " system"]
    t_end_yr: Float[Array, " system"]  # inf: it lasts


def advance(run: Run, t_yr: Float[Array, ""], *, dt_yr: float, n_steps: int) -> Run:
    """Take steps, with a look at distances and axes after each.

    A system ends when two neighbours come within their mutual Hill radius or when an axis has changed by
    `UNSTABLE_CHANGE`. It moves on, but nothing counts any more.

    Args:
        run: The systems.
        t_yr: Their time.
        dt_yr: The step.
        n_steps: How many steps.
    """

    def take(k: Array, run: Run) -> Run:
        now = kick(drift(run.now, run.mass_msun, dt_yr), run.mass_msun, dt_yr)
        gap = now.position_au[..., 1:] - now.position_au[..., :-1]
        closest = (jnp.sqrt((gap**2).sum(0)) / run.hill_au).min(-1)
        # velocities are half a kick late, which does not matter for a change of ten per cent
        change = jnp.abs(axes_au(now, run.mass_msun) / run.axes0_au - 1).max(-1)
        # a planet that leaves has no ellipse: its nan must end the system as well
        ended = ~((closest >= 1) & (change <= UNSTABLE_CHANGE))
        going = jnp.isinf(run.t_end_yr)
        return run._replace(
            now=now,
            closest=jnp.where(going, jnp.fmin(run.closest, closest), run.closest),
            max_change=jnp.where(going, jnp.fmax(run.max_change, change), run.max_change),
            t_end_yr=jnp.where(going & ended, t_yr + (k + 1) * dt_yr, run.t_end_yr),
        )

    run = run._replace(now=kick(run.now, run.mass_msun, 0.5 * dt_yr))
    run = lax.fori_loop(0, n_steps, take, run)
    return run._replace(now=kick(run.now, run.mass_msun, -0.5 * dt_yr))


def follow(table: pd.DataFrame, *, n_orbits: float, steps_per_orbit: int) -> pd.DataFrame:
    """Follow systems in double precision.

    Args:
        table: Systems as `systems.draw` gives them.
        n_orbits: For how long, in orbits of the innermost planet.
        steps_per_orbit: Steps in one of these.

    Returns:
        One row a system: t_end_orbits (when it came apart; nan if it lasts), closest (least distance of neighbours in
        mutual Hill radii, up to then) and max_change (largest relative change of a semi-major axis).
    """
    with jax.enable_x64(True):
        position, velocity = map(jnp.asarray, systems.place(table))
        mass = jnp.asarray(systems.masses_msun(table))
        nothing = jnp.zeros(len(table))
        now = start(position, velocity, mass)
        hill = jnp.asarray(systems.hill_radii_au(table))
        run = Run(now, mass, axes_au(now, mass), hill, nothing + jnp.inf, nothing, nothing + jnp.inf)
        period_yr = float(1 / np.sqrt(1 + systems.masses_msun(table)[:, 0].max()))
        n_steps = -(-round(n_orbits * steps_per_orbit) // CALLS)
        dt_yr = period_yr / steps_per_orbit
        go = jax.jit(partial(advance, dt_yr=dt_yr, n_steps=n_steps), compiler_options=long_running())
        followed: dict[str, np.ndarray] = {
            name: np.array(getattr(run, name)) for name in ("closest", "max_change", "t_end_yr")
        }
        which = np.arange(len(table))
        for call in track(range(CALLS), total=CALLS, label="follow", unit=f"x {n_steps} steps"):
            run = go(run, jnp.asarray(call * n_steps * dt_yr))
            for name, values in followed.items():
                values[which] = np.asarray(getattr(run, name))
            going = np.isinf(followed["t_end_yr"][which])
            if not going.any():
                break
            # half as many systems cost half as much, for one more compilation
            if 2 * going.sum() <= len(which):
                chosen = np.flatnonzero(going)
                which, run = which[chosen], _keep(run, chosen)
    t_end = followed.pop("t_end_yr") / period_yr
    return pd.DataFrame({"t_end_orbits": np.where(np.isfinite(t_end), t_end, np.nan), **followed})


def _keep(run: Run, chosen: np.ndarray) -> Run:
    kept: Run = jax.tree.map(lambda leaf: leaf[:, chosen] if leaf.ndim == 3 else leaf[chosen], run)
    return kept
