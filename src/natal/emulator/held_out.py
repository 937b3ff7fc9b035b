"""How far the emulator is off at points that it has not seen, and whether its members' spread says so."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from natal.data.runs import Runs, replicate_means
from natal.data.scatter import local_scatter
from natal.emulator.ensemble import Ensemble
from natal.variables import SUMMARIES

SUPPOSED_FACTOR = 2.0
"""Error over spread that is assumed for `HeldOut.variance`; with another number slopes would be unbiased as well."""

Z_95 = 1.645
"""Standard errors above which 5 % of a normal law lie."""

ERROR = ("emulator", "emulator_se", "emulator_limit", "emulator_variance", "emulator_variance_se")
AVERAGED = (
    *("member_variance", "member_variance_se", "mean_variance", "mean_variance_se"),
    *("spread_variance", "removed"),
)
SPREAD = ("spread", "factor", "squared_factor", "squared_factor_se")


class HeldOut(NamedTuple):
    """The emulator at points with two or more surviving realizations, in squared physical units.

    Attributes:
        x: Births.
        squared_error: An unbiased estimate at each point, which may be negative.
        squared_spread: Variance of the members.
        variance: About the variance of `squared_error`, from training runs only; nan if these have no replicates.
    """

    x: Float[np.ndarray, "point birth"]
    squared_error: Float[np.ndarray, "point summary"]
    squared_spread: Float[np.ndarray, "point summary"]
    variance: Float[np.ndarray, "point summary"]

    def at(self, rows: np.ndarray) -> "HeldOut":
        """The points of these rows."""
        return HeldOut(*(values[rows] for values in self))

    def mean_squared_error(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean squared error over points, and its standard error, both (summary,); nan for fewer than two points."""
        if len(self.x) < 2:
            unknown = np.full(self.squared_error.shape[1], np.nan)
            return unknown, unknown
        return self.squared_error.mean(0), self.squared_error.std(0, ddof=1) / np.sqrt(len(self.x))

    def squared_factor(self) -> tuple[np.ndarray, np.ndarray]:
        """Slope of squared error against squared spread, and its standard error, both (summary,).

        It is a least-squares fit with the weights 1 / `variance`. These do not depend on the squared errors, so the
        slope is unbiased.
        """
        information = (self.squared_spread**2 / self.variance).sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (self.squared_error * self.squared_spread / self.variance).sum(0) / information
            return slope, information**-0.5


def held_out_errors(ensemble: Ensemble, train: Runs, runs: Runs) -> HeldOut:
    """Squared errors of the ensemble's mean at the points of `runs`, and the members' variance (ddof = 1) there.

    The squared distance of a replicate mean from the prediction contains the noise of that mean, scatter^2 / n, which
    is subtracted. Points with one survivor have no scatter and are left out.

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
    # the variance of the squared distance, and that of the noise that is subtracted
    variance = 2 * (noise2 + SUPPOSED_FACTOR**2 * spread**2) ** 2 + 2 * noise2**2 / (n - 1)
    return HeldOut(x, squared_error, spread**2, variance)


def error_of_the_mean(points: HeldOut) -> dict[str, dict[str, float | None]]:
    """The error of the ensemble's mean, and how well it is known.

    Args:
        points: Points that the emulator has not learned from.

    Returns:
        By summary, in physical units: `emulator_variance`, the mean squared error over points, and its standard error
        `emulator_variance_se`: an unbiased estimate, which may be negative by chance if the error is small; `emulator`,
        its root, 0 if it is negative; `emulator_se`, the root's standard error, None if the variance is below `Z_95`
        standard errors; `emulator_limit`, which the root is below with 95 %. All are None if fewer than two points have
        replicates.
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
    """The factor by which the members' spread is too small, for each summary.

    Squared factors of single summaries (`HeldOut.squared_factor`) are uncertain. Since all summaries share their
    networks, factors are moved towards their common mean, the more so the more their errors explain their differences
    (DerSimonian & Laird 1986). No spread is made smaller: the least factor is 1.

    Args:
        points: Points that the emulator has not learned from: validation to calibrate, test to check.

    Returns:
        By summary: `spread`, the members' root-mean-square standard deviation in physical units; `factor`, to multiply
        a spread with; `squared_factor` and `squared_factor_se`, the summary's own slope, which may be negative, and its
        standard error. Without replicates of training or of these points the factor is 1 and all others are None.
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


def gain_of_averaging(ensemble: Ensemble, runs: Runs) -> dict[str, dict[str, Any]]:
    """How much closer to the simulator the members' mean is than a single one of them.

    At every point the mean over members of (member - truth)^2 is (mean of the members - truth)^2 plus their variance
    (Krogh & Vedelsby 1995): averaging takes off what the members do not have in common, and nothing else. The truth is
    a replicate mean, whose noise is taken off.

    Args:
        ensemble: The emulator.
        runs: Runs that it has not learned from.

    Returns:
        By output: `rmse_members`, the root-mean-square error of each member against single runs, and `rmse` of their
        mean; in squared physical units, over points with two survivors or more, `member_variance` of one member,
        `mean_variance` of their mean, each with its standard error (`_se`), and `spread_variance`, which is the
        difference of both; `removed`, that as a share of `member_variance`, None where this is not above `Z_95` of its
        errors. Errors are unbiased estimates, negative by chance where they are small.
    """
    single = np.asarray(ensemble.at_points(runs.x), float) - runs.y[:, None]
    points = replicate_means(runs)
    known = points.n > 1
    apart = np.asarray(ensemble.at_points(points.x[known]), float) - points.mean[known, None]
    noise2 = points.scatter[known] ** 2 / points.n[known, None]
    of_member, of_mean = (apart**2).mean(1) - noise2, apart.mean(1) ** 2 - noise2
    found: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(SUMMARIES):
        part: dict[str, Any] = {
            "rmse_members": np.sqrt((single[..., k] ** 2).mean(0)).tolist(),
            "rmse": float(np.sqrt((single[..., k].mean(1) ** 2).mean())),
        }
        if len(apart) < 2:
            found[name] = part | dict.fromkeys(AVERAGED)
            continue
        for column, values in (("member", of_member[:, k]), ("mean", of_mean[:, k])):
            part[f"{column}_variance"] = float(values.mean())
            part[f"{column}_variance_se"] = float(values.std(ddof=1) / np.sqrt(len(values)))
        part["spread_variance"] = float(apart[..., k].var(1).mean())
        measured = part["member_variance"] > Z_95 * part["member_variance_se"]
        part["removed"] = part["spread_variance"] / part["member_variance"] if measured else None
        found[name] = part
    return found


def _drawn_together(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Several estimates, each moved towards their mean, the more so the more their errors explain their differences."""
    weights = errors**-2
    mean = (weights * values).sum() / weights.sum()
    excess = (weights * (values - mean) ** 2).sum() - (len(values) - 1)
    between = max(0.0, excess / (weights.sum() - (weights**2).sum() / weights.sum()))
    drawn: np.ndarray = (between * values + errors**2 * mean) / (between + errors**2)
    return drawn
