"""Are the posteriors honest, and do they say anything? Coverage, log score, contraction over cases of known truth."""

from typing import Any

import numpy as np

from natal.variables import BIRTH, Box

LEVELS = (0.50, 0.68, 0.90, 0.95)


def contraction(sd: np.ndarray, prior_box: Box) -> np.ndarray:
    """How much the data narrow each parameter: 1 - posterior variance / prior variance.

    Args:
        sd: Posterior standard deviations, shape (case, birth).
        prior_box: The uniform prior's ranges.

    Returns:
        0 where the data say nothing, near 1 where they say nearly everything; below 0 where a posterior has its mass at
        both ends of the box. Shape (case, birth).

    Examples:
        >>> contraction(np.array([[0.1, 100.0]]), {"q0": (0.0, 1.2), "a_au": (0.0, 1200.0)}).round(3).tolist()
        [[0.917, 0.917]]
    """
    width = np.array([high - low for low, high in (prior_box[name] for name in BIRTH)])
    return 1 - sd**2 / (width**2 / 12)


def coverage(pit: np.ndarray, hpd_level: np.ndarray) -> dict[str, dict[str, float]]:
    """Share of truths inside central intervals of q0 and a_au, and inside joint highest-density regions.

    An honest posterior covers as many truths as its level says.

    Args:
        pit: Marginal cumulative probability at the truth, shape (case, birth).
        hpd_level: Posterior mass that is denser than the truth, shape (case,).

    Returns:
        Shares by level ('50', '68', '90', '95'), then by parameter and `joint`.

    Examples:
        >>> coverage(np.array([[0.5, 0.3], [0.99, 0.6]]), np.array([0.6, 0.2]))["50"]
        {'q0': 0.5, 'a_au': 1.0, 'joint': 0.5}
    """
    by_level = {}
    for level in LEVELS:
        inside = np.abs(pit - 0.5) <= level / 2
        shares = [*inside.mean(0), (hpd_level <= level).mean()]
        by_level[f"{100 * level:.0f}"] = dict(zip((*BIRTH, "joint"), map(float, shares), strict=True))
    return by_level


def clustered_errors(pit: np.ndarray, hpd_level: np.ndarray, point_id: np.ndarray) -> dict[str, dict[str, float]]:
    """Standard errors of `coverage`.

    Realizations of a point share their truth, so they are no independent cases, and binomial errors would be too small
    (Liang & Zeger 1986, Biometrika 73, 13).

    Args:
        pit: Marginal cumulative probability at the truth, shape (case, birth).
        hpd_level: Posterior mass that is denser than the truth, shape (case,).
        point_id: The design point of each case.
    """
    by_level = {}
    for level in LEVELS:
        inside = np.column_stack([np.abs(pit - 0.5) <= level / 2, hpd_level <= level]).astype(float)
        errors = [clustered_error(column, point_id) for column in inside.T]
        by_level[f"{100 * level:.0f}"] = dict(zip((*BIRTH, "joint"), errors, strict=True))
    return by_level


def clustered_error(values: np.ndarray, point_id: np.ndarray) -> float:
    """Standard error of a mean over cases, where cases of one design point depend on each other.

    Args:
        values: One number a case.
        point_id: The design point of each case.

    Examples:
        >>> values = np.array([0.0, 0.0, 1.0, 1.0])
        >>> clustered_error(values, np.array([1, 2, 3, 4])), round(clustered_error(values, np.array([1, 1, 2, 2])), 3)
        (0.25, 0.354)
    """
    _, cluster = np.unique(point_id, return_inverse=True)
    excess = np.bincount(cluster, weights=values - values.mean())
    return float(np.sqrt((excess**2).sum()) / len(values))


def terciles(values: np.ndarray, point_id: np.ndarray) -> list[np.ndarray]:
    """Cut cases into three groups by increasing value, with equally many design points in each.

    Args:
        values: One number a case; cases of a point have the same.
        point_id: The design point of each case.

    Returns:
        Indices of the cases in each group; fewer groups if there are fewer than three points.

    Examples:
        >>> [group.tolist() for group in terciles(np.array([5.0, 1.0, 3.0]), np.array([0, 1, 2]))]
        [[1], [2], [0]]
    """
    _, first, point = np.unique(point_id, return_index=True, return_inverse=True)
    thirds = np.array_split(np.argsort(values[first], kind="stable"), 3)
    return [np.flatnonzero(np.isin(point, third)) for third in thirds if len(third)]


def calibration_report(
    truth: np.ndarray,
    point_id: np.ndarray,
    pit: np.ndarray,
    hpd_level: np.ndarray,
    log_density: np.ndarray,
    shrunk: np.ndarray,
) -> dict[str, Any]:
    """Coverage, log score and mean contraction, over all cases and by thirds of the points' Q0 and a.

    Args:
        truth: The births by which cases are cut into thirds, shape (case, birth).
        point_id: The design point of each case.
        pit: Marginal cumulative probability at the truth, shape (case, birth).
        hpd_level: Posterior mass that is denser than the truth, shape (case,).
        log_density: ln of the posterior density at the truth, per unit Q0 and AU, shape (case,). Its mean is the log
            score.
        shrunk: The `contraction`, shape (case, birth).
    """

    def report(cases: np.ndarray) -> dict[str, Any]:
        return {
            "n_cases": len(cases),
            "coverage": coverage(pit[cases], hpd_level[cases]),
            "coverage_se": clustered_errors(pit[cases], hpd_level[cases], point_id[cases]),
            "log_score": float(log_density[cases].mean()),
            "log_score_se": clustered_error(log_density[cases], point_id[cases]),
            "contraction": dict(zip(BIRTH, shrunk[cases].mean(0).tolist(), strict=True)),
        }

    numbers = report(np.arange(len(truth)))
    for k, name in enumerate(BIRTH):
        numbers[f"by_{name}_tercile"] = [
            {f"{name}_min": float(truth[cases, k].min()), f"{name}_max": float(truth[cases, k].max())} | report(cases)
            for cases in terciles(truth[:, k], point_id)
        ]
    return numbers
