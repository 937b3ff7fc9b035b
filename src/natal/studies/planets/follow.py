"""Follows many systems of three planets and says which of them last."""

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
"""So many times what has ended is set aside."""


class Run(NamedTuple):
    """Where systems are, and what was seen of them so far; nan or infinite where nothing was."""

    now: System
    mass_msun: Masses
    axes0_au: Masses
    hill_au: Float[Array, "system pair"]
    closest: Float[Array, " system"]  # distance of neighbours over their mutual Hill radius
    max_change: Float[Array, " system"]
    t_end_yr: Float[Array, " system"]  # inf: it lasts


def advance(run: Run, t_yr: Float[Array, ""], *, dt_yr: float, n_steps: int) -> Run:
    """`n_steps` steps, with a look at distances and axes after each.

    A system ends when two neighbours come within their mutual Hill radius or an axis has changed by
    `UNSTABLE_CHANGE`; it moves on, to nothing that counts.
    """

    def take(k: Array, run: Run) -> Run:
        now = kick(drift(run.now, run.mass_msun, dt_yr), run.mass_msun, dt_yr)
        gap = now.position_au[..., 1:] - now.position_au[..., :-1]
        closest = (jnp.sqrt((gap**2).sum(0)) / run.hill_au).min(-1)
        # a kick of half a step late: nothing at ten per cent
        change = jnp.abs(axes_au(now, run.mass_msun) / run.axes0_au - 1).max(-1)
        # a planet that leaves has no ellipse, and nan is no number below a limit
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
    """Follow the systems of `table` (`systems.draw`) for `n_orbits` of the innermost planet, in double precision.

    Returns, one row a system: t_end_orbits (when it came apart, nan if it lasts), closest (smallest distance of
    neighbours in mutual Hill radii, up to then) and max_change (largest relative change of a semi-major axis).
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
            # half as many cost half as much, and compile once
            if 2 * going.sum() <= len(which):
                chosen = np.flatnonzero(going)
                which, run = which[chosen], _keep(run, chosen)
    t_end = followed.pop("t_end_yr") / period_yr
    return pd.DataFrame({"t_end_orbits": np.where(np.isfinite(t_end), t_end, np.nan), **followed})


def _keep(run: Run, chosen: np.ndarray) -> Run:
    kept: Run = jax.tree.map(lambda leaf: leaf[:, chosen] if leaf.ndim == 3 else leaf[chosen], run)
    return kept
