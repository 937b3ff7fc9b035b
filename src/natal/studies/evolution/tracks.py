"""The snapshots of a finished campaign, `tracks.csv`: one row a cluster and time, from which the networks learn."""

from pathlib import Path

import numpy as np
import pandas as pd

from natal.data.outcomes import Outcomes, final_outcomes
from natal.errors import NatalError
from natal.variables import Box

BIRTH_AND_AGE = ("q0", "a_au", "t_yr")
COLUMNS = ("point_id", "realization", "q0", "a_au", "t_yr", "dissolved", "f_bound", "n_bound", "sigma_v_kms", "r_h_au")
SPLITS = ("train", "validation", "test", "calibration")

Range = tuple[float, float]
Ranges = tuple[Range, Range, Range]
"""Ranges of (q0, a_au, t_yr)."""


def read_tracks(path: str | Path, n_stars: int, ranges: Box) -> pd.DataFrame:
    """Read a campaign's tracks, without t = 0: there all clusters are the Plummer spheres that were drawn.

    Args:
        path: A campaign's tracks.csv.
        n_stars: Stars of its clusters.
        ranges: Ranges of birth conditions by name.

    Raises:
        NatalError: If columns or splits are missing, if clusters have another number of stars, or if a point is outside
            the ranges.
    """
    table = pd.read_csv(path)
    missing = [name for name in (*COLUMNS, "split") if name not in table]
    if missing:
        raise NatalError(f"{path} lacks the columns {', '.join(missing)}: name a campaign's tracks.csv")
    missing = [split for split in SPLITS if not (table.split == split).any()]
    if missing:
        raise NatalError(f"{path} has no {' and no '.join(missing)} clusters, which this study needs")
    whole = table.n_bound[table.f_bound == 1]
    if (len(whole) and not (whole == n_stars).all()) or table.n_bound.max() > n_stars:
        raise NatalError(f"{path} has clusters of {table.n_bound.max()} stars, not of n_stars = {n_stars}")
    for name, (low, high) in ranges.items():
        if table[name].min() < low or table[name].max() > high:
            raise NatalError(
                f"{path} has points from {name} = {table[name].min():g} to {table[name].max():g}, not all of them in "
                f"box.{name} = [{low:g}, {high:g}]"
            )
    return table[table.t_yr > 0].reset_index(drop=True)


def snapshots(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split.

    Args:
        table: Tracks, from `read_tracks`.
        split: train, validation or test.
    """
    return table[table.split == split].reset_index(drop=True)


def outcomes(table: pd.DataFrame) -> Outcomes:
    """Snapshots as outcomes, with x = (q0, a_au, t_yr), shape (row, 3)."""
    seen = final_outcomes(table)
    return seen._replace(x=np.column_stack([seen.x, table.t_yr]))


def time_range(table: pd.DataFrame) -> Range:
    """The first and the last of the stored times, in yr."""
    return float(table.t_yr.min()), float(table.t_yr.max())


def refuse_gaps(gaps: dict[str, list[float]], table: pd.DataFrame) -> None:
    """Check the times that are left out of training.

    Args:
        gaps: Times by the name of the gap.
        table: Snapshots.

    Raises:
        NatalError: If a gap names a time that is not stored, or all times.
    """
    stored = set(table.t_yr.unique())
    for name, times in gaps.items():
        if not set(times) < stored:
            raise NatalError(
                f"config: gaps.{name} = {times} is not allowed: some, not all, of the stored times "
                f"{', '.join(f'{time:g}' for time in sorted(stored))} yr"
            )
