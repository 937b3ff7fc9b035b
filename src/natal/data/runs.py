"""Tables of runs: cut into splits, read as arrays, averaged over the realizations of each point."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from natal.errors import NatalError
from natal.variables import BIRTH, CALIBRATION, SPLITS, SUMMARIES, Box


@dataclass(frozen=True)
class Runs:
    """The surviving runs of one split. Dissolved runs, which have no dispersion or radius, are left out and counted."""

    split: str
    """Name of the split."""
    x: np.ndarray
    """Births (q0, a_au)."""
    y: np.ndarray
    """Summaries (f_bound, sigma_v_kms, r_h_au)."""
    point_id: np.ndarray
    """Of each run."""
    realization: np.ndarray
    """Of each run."""
    n_dissolved: int
    """How many runs are left out."""

    def __len__(self) -> int:
        return len(self.x)

    def at(self, chosen: np.ndarray) -> "Runs":
        """Some of the runs.

        Args:
            chosen: Indices, or a mask.

        Returns:
            These runs; `n_dissolved` is 0.
        """
        return Runs(
            self.split, self.x[chosen], self.y[chosen], self.point_id[chosen], self.realization[chosen], n_dissolved=0
        )

    def within(self, box: Box) -> "Runs":
        """The runs that were born in a box.

        Args:
            box: Range of each birth condition.

        Returns:
            These runs; `n_dissolved` is 0.
        """
        inside = [(low <= x) & (x <= high) for x, (low, high) in zip(self.x.T, box.values(), strict=True)]
        return self.at(np.logical_and(*inside))


@dataclass(frozen=True)
class ReplicateMeans:
    """Mean and scatter over the surviving realizations of each point."""

    x: np.ndarray
    """Births."""
    mean: np.ndarray
    """Of the summaries."""
    scatter: np.ndarray
    """Standard deviations (n - 1); nan for a single survivor."""
    n: np.ndarray
    """Surviving realizations."""


def read_runs(path: str | Path, split: str) -> Runs:
    """Read one split's table of runs.

    Args:
        path: CSV with the columns of summaries.csv.
        split: The split whose rows it must hold.

    Returns:
        Its surviving runs.

    Raises:
        NatalError: It holds rows of another split, no rows, or no survivor.
    """
    table = pd.read_csv(path)
    splits = sorted(table.split.unique())
    if splits != [split]:
        raise NatalError(f"{path} should hold {split} rows only, but holds: {', '.join(splits) or 'none'}")
    alive = table[~table.dissolved.astype(bool)]
    if alive.empty:
        raise NatalError(f"{path}: every {split} run is dissolved; a lower q0 leaves bound stars")
    return Runs(
        split=split,
        x=alive[list(BIRTH)].to_numpy(),
        y=alive[list(SUMMARIES)].to_numpy(),
        point_id=alive.point_id.to_numpy(),
        realization=alive.realization.to_numpy(),
        n_dissolved=len(table) - len(alive),
    )


def split_table(summaries: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Cut a table of runs into one table for each split.

    Args:
        summaries: As summaries.csv.

    Returns:
        Tables by split; calibration draws are among them if there are any.

    Raises:
        NatalError: Another split has no rows.
    """
    parts = {split: summaries[summaries.split == split] for split in (*SPLITS, CALIBRATION)}
    if parts[CALIBRATION].empty:
        del parts[CALIBRATION]
    for split, part in parts.items():
        if part.empty:
            raise NatalError(f"the campaign has no {split} points: all of {', '.join(SPLITS)} are needed")
    return parts


def replicate_means(runs: Runs) -> ReplicateMeans:
    """Average the surviving realizations of each point.

    Args:
        runs: Runs of one split.

    Returns:
        One row a point, in the order of point ids.
    """
    table = pd.DataFrame(runs.y).groupby(runs.point_id)
    x = pd.DataFrame(runs.x).groupby(runs.point_id).first().to_numpy()
    return ReplicateMeans(x, table.mean().to_numpy(), table.std().to_numpy(), table.size().to_numpy())


def design_digest(runs: Runs) -> str:
    """Digest of the points behind a split: an emulator belongs to the training points that made it.

    Args:
        runs: Runs of one split.

    Returns:
        16 hexadecimal digits.
    """
    points = pd.DataFrame(runs.x, index=runs.point_id).groupby(level=0).first().sort_index()
    return hashlib.sha256(points.to_csv(float_format="%.12g").encode()).hexdigest()[:16]
