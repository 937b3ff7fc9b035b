"""Splits and normalisation: from a table of runs to what the emulator is trained on."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from natal.campaign import CALIBRATION, SPLITS
from natal.design import INPUTS
from natal.errors import NatalError
from natal.summaries import OUTPUTS


@dataclass(frozen=True)
class Runs:
    """The surviving runs of one split: inputs x = (q0, a_au) and outputs y = (f_bound, sigma_v_kms, r_h_au).

    Dissolved runs, which have no dispersion or radius, are left out and counted in `n_dissolved`.
    """

    split: str
    x: np.ndarray  # (run, 2)
    y: np.ndarray  # (run, 3)
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

    def within(self, box: dict[str, tuple[float, float]]) -> "Runs":
        """The runs whose (q0, a_au) lie in `box`."""
        inside = [(low <= x) & (x <= high) for x, (low, high) in zip(self.x.T, box.values(), strict=True)]
        return self.at(np.logical_and(*inside))


@dataclass(frozen=True)
class ReplicateMeans:
    """Mean and scatter over the surviving realizations of each point."""

    x: np.ndarray  # (point, 2)
    mean: np.ndarray  # (point, 3)
    scatter: np.ndarray  # (point, 3), standard deviation with ddof = 1; nan for a single survivor
    n: np.ndarray  # (point,)


def read_runs(path: str | Path, split: str) -> Runs:
    """Read one split's table of runs. Raises `NatalError` if the file holds rows of another split or no rows."""
    table = pd.read_csv(path)
    found = sorted(table.split.unique())
    if found != [split]:
        raise NatalError(f"{path} should hold {split} rows only, but holds: {', '.join(found) or 'none'}")
    alive = table[~table.dissolved.astype(bool)]
    if alive.empty:
        raise NatalError(f"{path}: every {split} run is dissolved; a lower q0 leaves bound stars")
    return Runs(
        split=split,
        x=alive[list(INPUTS)].to_numpy(),
        y=alive[list(OUTPUTS)].to_numpy(),
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


class Normaliser(eqx.Module):
    """Shift and scale of inputs and outputs to zero mean and unit variance over the training runs.

    `x` has trailing axis (q0, a_au), `y` (f_bound, sigma_v_kms, r_h_au), in physical units; so are the statistics, but
    those of the columns `log10`, which are statistics of the common logarithms.
    """

    x_mean: Float[Array, "2"]
    x_std: Float[Array, "2"]
    y_mean: Float[Array, "3"]
    y_std: Float[Array, "3"]
    log10: tuple[str, ...] = eqx.field(static=True, default=())

    def normalise_x(self, x: Float[Array, "*batch 2"]) -> Float[Array, "*batch 2"]:
        return (self._changed(jnp.log10, x, INPUTS) - self.x_mean) / self.x_std

    def normalise_y(self, y: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
        return (self._changed(jnp.log10, y, OUTPUTS) - self.y_mean) / self.y_std

    def denormalise_y(self, y: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
        return self._changed(lambda exponent: 10.0**exponent, y * self.y_std + self.y_mean, OUTPUTS)

    def _changed(self, function: Callable, values: Array, columns: Sequence[str]) -> Array:
        """`values` with `function` applied to the columns of `log10`."""
        for k, column in enumerate(columns):
            if column in self.log10:
                values = values.at[..., k].set(function(values[..., k]))
        return values


def fit_normaliser(runs: Runs, dtype: str = "float32", log10: Sequence[str] = ()) -> Normaliser:
    """Mean and standard deviation of the training runs, for the columns named in `log10` of their logarithms.

    Raises `NatalError` for runs of any other split (statistics of validation or test data would leak into the
    emulator), for an input or output that does not vary, and as `refuse_non_positive` does.
    """
    if runs.split != "train":
        raise NatalError(f"normalisation must come from training runs, not from {runs.split} runs")
    refuse_non_positive(runs, log10)
    statistics: dict[str, Array] = {}
    for name, columns, values in (("x", INPUTS, runs.x), ("y", OUTPUTS, runs.y)):
        logarithmic = [column in log10 for column in columns]
        values = np.where(logarithmic, np.log10(values, where=logarithmic, out=np.zeros_like(values)), values)
        mean, std = values.mean(0), values.std(0)
        for column, spread, size in zip(columns, std, np.abs(values).max(0), strict=True):
            # the deviation of equal numbers is a rounding error, not always zero
            if not spread > 1e-12 * size:
                raise NatalError(f"the training runs all have the same {column}: nothing can be learned from it")
        statistics |= {f"{name}_mean": jnp.asarray(mean, dtype), f"{name}_std": jnp.asarray(std, dtype)}
    return Normaliser(**statistics, log10=tuple(log10))


def refuse_non_positive(runs: Runs, log10: Sequence[str]) -> None:
    """Raise `NatalError` naming the column of `log10`, and the run, whose value has no logarithm."""
    for columns, values in ((INPUTS, runs.x), (OUTPUTS, runs.y)):
        for column, found in zip(columns, values.T, strict=True):
            if column in log10 and not np.all(found > 0):
                row = int(np.argmin(found > 0))
                raise NatalError(
                    f"emulator.log10: {column} of {runs.split} point {runs.point_id[row]}, realization "
                    f"{runs.realization[row]}, is {found[row]:g}, which has no logarithm; take {column} off the list"
                )
