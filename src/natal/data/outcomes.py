"""What the density networks learn from: outcomes of single clusters, also dissolved ones, also rescaled snapshots.

Self-gravity has no scale: multiply lengths by s, times by s^1.5 and velocities by s^-0.5, and a solution stays one. A
cluster born with (Q0, a) therefore looks at time t like one born with (Q0, a s) at t_end, but for its size, with s =
(t_end / t)^(2/3). Every snapshot thus tells the outcome of a larger cluster. Only softening and time step do not scale
along; both are small against a.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from natal.variables import BIRTH, MIN_BOUND_STARS, SIZE, SUMMARIES

EDGE = 1.1
"""Outcomes up to this factor beyond the box's largest a are kept, so that the networks do not end at its edge."""


class Outcomes(NamedTuple):
    """Single clusters at the end of the campaign's time: how they were born and what became of them."""

    x: np.ndarray
    """Births."""
    y: np.ndarray
    """Summaries, nan where dissolved."""
    survived: np.ndarray
    """Whether the cluster is still one."""


def final_outcomes(table: pd.DataFrame) -> Outcomes:
    """The outcomes of a table of runs.

    Args:
        table: As summaries.csv, one run a row.

    Returns:
        One outcome a row.
    """
    survived = ~table.dissolved.to_numpy(dtype=bool)
    y = np.where(survived[:, None], table[list(SUMMARIES)].to_numpy(dtype=float), np.nan)
    return Outcomes(table[list(BIRTH)].to_numpy(dtype=float), y, survived)


def fewest_bound(table: pd.DataFrame, n_stars: int) -> int:
    """How many bound stars a surviving cluster has at least, in the stars that its bound fraction counts.

    Args:
        table: As summaries.csv.
        n_stars: Stars of a cluster at birth.

    Returns:
        `MIN_BOUND_STARS`; 0 where stars have unequal masses, since a fraction of mass has no smallest value.
    """
    counted = np.abs(table.f_bound * n_stars - table.n_bound) < 1e-6 * n_stars
    return MIN_BOUND_STARS if counted.all() else 0


def rescaled_outcomes(tracks: pd.DataFrame, t_end_yr: float, a_max_au: float) -> Outcomes:
    """Every snapshot as the outcome of a larger cluster at the end of the campaign's time.

    Args:
        tracks: As tracks.csv: `t_yr` and the columns of summaries.csv, a snapshot a row.
        t_end_yr: The campaign's time.
        a_max_au: Largest scale radius of interest; clusters that would be more than `EDGE` times as large are left out.

    Returns:
        Outcomes, in the order of the snapshots that are kept.
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
