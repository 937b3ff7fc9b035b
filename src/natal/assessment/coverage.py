"""Are the posteriors honest, and do they say anything? Coverage, log score, contraction over cases of known truth."""

from typing import Any

import numpy as np

from natal.variables import BIRTH, Box

LEVELS = (0.50, 0.68, 0.90, 0.95)


def contraction(sd: np.ndarray, prior_box: Box) -> np.ndarray:
    """1 - posterior variance / prior variance by case and parameter, for posterior deviations `sd` (case, birth).

    0 where the data say nothing, 1 where they say everything; below 0 where a posterior sits in both ends of the box.
    """
    width = np.array([high - low for low, high in (prior_box[name] for name in BIRTH)])
    return 1 - sd**2 / (width**2 / 12)


def coverage(pit: np.ndarray, hpd_level: np.ndarray) -> dict[str, dict[str, float]]:
    """Share of truths inside central intervals of q0 and a_au and inside joint highest-density regions.

    `pit` (case, birth) is the marginal cumulative probability at the truth, `hpd_level` (case,) the posterior mass
    denser than the truth. An honest posterior covers as many as its level says. Keys: '50', '68', '90', '95'.
    """
    by_level = {}
    for level in LEVELS:
        inside = np.abs(pit - 0.5) <= level / 2
        shares = [*inside.mean(0), (hpd_level <= level).mean()]
        by_level[f"{100 * level:.0f}"] = dict(zip((*BIRTH, "joint"), map(float, shares), strict=True))
    return by_level


def clustered_errors(pit: np.ndarray, hpd_level: np.ndarray, point_id: np.ndarray) -> dict[str, dict[str, float]]:
    """Standard errors of `coverage`, with cases of one design point taken as one cluster (shape of `point_id`: case).

    Realizations of a point share their truth, so that binomial errors in the number of cases are too small
    (Liang & Zeger 1986, Biometrika 73, 13).
    """
    by_level = {}
    for level in LEVELS:
        inside = np.column_stack([np.abs(pit - 0.5) <= level / 2, hpd_level <= level]).astype(float)
        errors = [clustered_error(column, point_id) for column in inside.T]
        by_level[f"{100 * level:.0f}"] = dict(zip((*BIRTH, "joint"), errors, strict=True))
    return by_level


def clustered_error(values: np.ndarray, point_id: np.ndarray) -> float:
    """Standard error of the mean of `values` (case,), with cases of one design point taken as one cluster."""
    _, cluster = np.unique(point_id, return_inverse=True)
    excess = np.bincount(cluster, weights=values - values.mean())
    return float(np.sqrt((excess**2).sum()) / len(values))


def terciles(values: np.ndarray, point_id: np.ndarray) -> list[np.ndarray]:
    """Index arrays of the cases in each third of the points, by increasing value.

    Cases of a point share their value and stay together. Fewer than three points make fewer groups.
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
    """Coverage, log score and mean contraction over all cases and by tercile of the points' true Q0, and true a.

    `truth` has shape (case, birth), `point_id` (case,) says which cases share a design point; `log_density` is the
    natural log of the posterior density at the truth, per unit Q0 and AU, whose mean is the log score; `shrunk`
    (case, birth) is the `contraction`.
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
