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
    """The surviving runs of one split: inputs x = (q0, a_au) and outputs y = (f_bound, sigma_v_kms, r_h_au).

    Dissolved runs, which have no dispersion or radius, are left out and counted in `n_dissolved`.
    """

    split: str
    x: np.ndarray  # (run, birth)
    y: np.ndarray  # (run, summary)
    point_id: np.ndarray  # (run,)
    realization: np.ndarray  # (run,)
    n_dissolved: int

    def __len__(self) -> int:
        return len(self.x)

    def at(self, chosen: np.ndarray) -> "Runs":
        """The runs of these indices, or where a mask is true; dissolved ones are counted no more."""
        return Runs(
            self.split, self.x[chosen], self.y[chosen], self.point_id[chosen], self.realization[chosen], n_dissolved=0
        )

    def within(self, box: Box) -> "Runs":
        """The runs whose (q0, a_au) lie in `box`."""
        inside = [(low <= x) & (x <= high) for x, (low, high) in zip(self.x.T, box.values(), strict=True)]
        return self.at(np.logical_and(*inside))


@dataclass(frozen=True)
class ReplicateMeans:
    """Mean and scatter over the surviving realizations of each point."""

    x: np.ndarray  # (point, birth)
    mean: np.ndarray  # (point, summary)
    scatter: np.ndarray  # (point, summary), standard deviation with ddof = 1; nan for a single survivor
    n: np.ndarray  # (point,)


def read_runs(path: str | Path, split: str) -> Runs:
    """Read one split's table of runs. Raises `NatalError` if the file holds rows of another split or no rows."""
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
    """Cut a table of runs into one table a split, calibration draws included where there are any.

    Raises `NatalError` if another split has no rows.
    """
    parts = {split: summaries[summaries.split == split] for split in (*SPLITS, CALIBRATION)}
    if parts[CALIBRATION].empty:
        del parts[CALIBRATION]
    for split, part in parts.items():
        if part.empty:
            raise NatalError(f"the campaign has no {split} points: all of {', '.join(SPLITS)} are needed")
    return parts


def replicate_means(runs: Runs) -> ReplicateMeans:
    """Average the surviving realizations of each point."""
    table = pd.DataFrame(runs.y).groupby(runs.point_id)
    x = pd.DataFrame(runs.x).groupby(runs.point_id).first().to_numpy()
    return ReplicateMeans(x, table.mean().to_numpy(), table.std().to_numpy(), table.size().to_numpy())


def design_digest(runs: Runs) -> str:
    """Digest of the points behind a split: an emulator belongs to the training points that made it."""
    points = pd.DataFrame(runs.x, index=runs.point_id).groupby(level=0).first().sort_index()
    return hashlib.sha256(points.to_csv(float_format="%.12g").encode()).hexdigest()[:16]
