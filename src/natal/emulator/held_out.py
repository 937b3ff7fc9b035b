"""How far the emulator is off at points that it has not seen, and how much of that its members' spread foretells."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from natal.data.runs import Runs, replicate_means
from natal.data.scatter import local_scatter
from natal.emulator.ensemble import Ensemble
from natal.variables import SUMMARIES

SUPPOSED_FACTOR = 2.0
"""Error over spread that `HeldOut.variance` supposes; another one would leave slopes unbiased, too."""

Z_95 = 1.645
"""Standard errors above which 5 % of a normal law lie."""

ERROR = ("emulator", "emulator_se", "emulator_limit", "emulator_variance", "emulator_variance_se")
SPREAD = ("spread", "factor", "squared_factor", "squared_factor_se")


class HeldOut(NamedTuple):
    """The emulator at points with two surviving realizations or more, in squared physical units.

    `squared_error` is an unbiased estimate at each point, and so may be negative; `variance` is about that estimate's
    own, from training runs alone, and nan if these have no replicates.
    """

    x: Float[np.ndarray, "point birth"]
    squared_error: Float[np.ndarray, "point summary"]
    squared_spread: Float[np.ndarray, "point summary"]
    variance: Float[np.ndarray, "point summary"]

    def at(self, rows: np.ndarray) -> "HeldOut":
        """The points of these rows."""
        return HeldOut(*(values[rows] for values in self))

    def mean_squared_error(self) -> tuple[np.ndarray, np.ndarray]:
        """Over points, with its standard error, both (summary,); nan for fewer than two points."""
        if len(self.x) < 2:
            unknown = np.full(self.squared_error.shape[1], np.nan)
            return unknown, unknown
        return self.squared_error.mean(0), self.squared_error.std(0, ddof=1) / np.sqrt(len(self.x))

    def squared_factor(self) -> tuple[np.ndarray, np.ndarray]:
        """Slope of squared error against squared spread, with its standard error, both (summary,).

        Least squares, weighted with `variance`, which knows nothing of the squared errors: unbiased.
        """
        information = (self.squared_spread**2 / self.variance).sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (self.squared_error * self.squared_spread / self.variance).sum(0) / information
            return slope, information**-0.5


def held_out_errors(ensemble: Ensemble, train: Runs, runs: Runs) -> HeldOut:
    """Squared errors of the ensemble's mean at the points of `runs`, and the members' variance (ddof = 1) there.

    The squared distance of a replicate mean from the prediction holds the noise of that mean, scatter^2 / n, which is
    taken off. Points with a single survivor do not know their scatter and are left out.

    Args:
        ensemble: The emulator.
        train: What it has learned from.
        runs: Other runs: validation to calibrate, test to check.

    Returns:
        One row a point, in the order of the points' numbers.
    """
    points = replicate_means(runs)
    known = points.n > 1
    x, n = points.x[known], points.n[known, None]
    mean, spread = (np.asarray(part, float) for part in ensemble(x))
    squared_error = (points.mean[known] - mean) ** 2 - points.scatter[known] ** 2 / n
    noise2 = local_scatter(train, x) ** 2 / n
    # of the squared distance, and of the noise that is taken off it
    variance = 2 * (noise2 + SUPPOSED_FACTOR**2 * spread**2) ** 2 + 2 * noise2**2 / (n - 1)
    return HeldOut(x, squared_error, spread**2, variance)


def error_of_the_mean(points: HeldOut) -> dict[str, dict[str, float | None]]:
    """The error of the ensemble's mean, with how well it is known.

    Args:
        points: Points that the emulator has not learned from.

    Returns:
        By output, in physical units: `emulator_variance`, the mean squared error over points, with its standard error
        `emulator_variance_se`: an unbiased estimate, negative by chance where the error is small; `emulator`, its
        root, 0 if it is negative; `emulator_se`, the root's standard error if the variance is above `Z_95` of its own,
        else None; `emulator_limit`, below which the root is with 95 %. All None with replicates at fewer than two
        points.
    """
    found: dict[str, dict[str, float | None]] = {}
    for name, variance, variance_se in zip(SUMMARIES, *points.mean_squared_error(), strict=True):
        if not np.isfinite(variance):
            found[name] = dict.fromkeys(ERROR)
            continue
        root = np.sqrt(max(variance, 0.0))
        found[name] = {
            "emulator": float(root),
            "emulator_se": float(variance_se / (2 * root)) if variance > Z_95 * variance_se else None,
            "emulator_limit": float(np.sqrt(max(variance, 0.0) + Z_95 * variance_se)),
            "emulator_variance": float(variance),
            "emulator_variance_se": float(variance_se),
        }
    return found


def spread_calibration(points: HeldOut) -> dict[str, dict[str, float | None]]:
    """By what factor the members' spread is too small, for each output.

    Squared factors of single outputs (`HeldOut.squared_factor`) are uncertain. They are drawn towards their common mean
    as far as they do not differ by more than their errors (DerSimonian & Laird 1986), since the outputs share their
    networks. No spread is made smaller: the factor is 1 at least.

    Args:
        points: Points that the emulator has not learned from: validation to calibrate, test to check.

    Returns:
        By output: `spread`, the members' root-mean-square standard deviation in physical units; `factor`, to
        multiply a spread with; `squared_factor` and `squared_factor_se`, the output's own slope with its standard
        error, which may be negative. Without replicates of training or of these points only the factor is known: 1.
    """
    slope, slope_se = points.squared_factor()
    if not np.isfinite([slope, slope_se]).all():
        return {name: dict(zip(SPREAD, (None, 1.0, None, None), strict=True)) for name in SUMMARIES}
    factor = np.sqrt(np.maximum(_drawn_together(slope, slope_se), 1.0))
    columns = np.sqrt(points.squared_spread.mean(0)), factor, slope, slope_se
    return {
        name: dict(zip(SPREAD, numbers, strict=True))
        for name, numbers in zip(SUMMARIES, np.transpose(columns).tolist(), strict=True)
    }


def _drawn_together(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Each of several estimates, drawn towards their mean by what their errors explain of their differences."""
    weights = errors**-2
    mean = (weights * values).sum() / weights.sum()
    excess = (weights * (values - mean) ** 2).sum() - (len(values) - 1)
    between = max(0.0, excess / (weights.sum() - (weights**2).sum() / weights.sum()))
    drawn: np.ndarray = (between * values + errors**2 * mean) / (between + errors**2)
    return drawn
