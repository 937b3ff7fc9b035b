"""What the density networks learn from: outcomes of single clusters, dissolved ones included, rescaled snapshots too.

Self-gravity has no scale: lengths times s and times times s^1.5 are another solution, with velocities over sqrt(s).
A cluster born with (Q0, a) looks at t as one born with (Q0, a s), s = (t_end / t)^(2/3), would at t_end. Every snapshot
is therefore an outcome at a larger a. Only softening and time step do not scale along; both are small against a.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from natal.variables import BIRTH, MIN_BOUND_STARS, SIZE, SUMMARIES

EDGE = 1.1
"""Outcomes up to this factor beyond the box's largest a are kept, so that the networks do not end at its edge."""


class Outcomes(NamedTuple):
    """Single clusters at the end of the campaign's time: where they were born and what became of them."""

    x: np.ndarray  # (row, birth)
    y: np.ndarray  # (row, summary), nan where dissolved
    survived: np.ndarray  # (row,)


def final_outcomes(table: pd.DataFrame) -> Outcomes:
    """The outcomes of a table of runs (`summaries.csv`), one a row."""
    survived = ~table.dissolved.to_numpy(dtype=bool)
    y = np.where(survived[:, None], table[list(SUMMARIES)].to_numpy(dtype=float), np.nan)
    return Outcomes(table[list(BIRTH)].to_numpy(dtype=float), y, survived)


def fewest_bound(table: pd.DataFrame, n_stars: int) -> int:
    """Stars that a surviving cluster of `table` has at least, as its bound fraction counts them.

    0 where stars have unequal masses: a bound fraction is one of mass, and has no smallest value.
    """
    counted = np.abs(table.f_bound * n_stars - table.n_bound) < 1e-6 * n_stars
    return MIN_BOUND_STARS if counted.all() else 0


def rescaled_outcomes(tracks: pd.DataFrame, t_end_yr: float, a_max_au: float) -> Outcomes:
    """Every snapshot of `tracks` (columns t_yr and those of `summaries.csv`) as an outcome at `t_end_yr`.

    Snapshots that would lie at more than `EDGE` times `a_max_au` are left out, t = 0 among them.
    """
    later = tracks[tracks.t_yr > 0]
    scale = (t_end_yr / later.t_yr.to_numpy()) ** (2 / 3)
    seen = final_outcomes(later)
    x, y = (
        values * np.column_stack([scale**variable.size_power for variable in variables.values()])
        for values, variables in ((seen.x, BIRTH), (seen.y, SUMMARIES))
    )
    kept = x[:, SIZE] <= EDGE * a_max_au
    return Outcomes(x[kept], y[kept], seen.survived[kept])
