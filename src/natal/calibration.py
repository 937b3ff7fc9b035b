"""Are the posteriors honest? Coverage, log score and PIT over cases with known truth."""

from typing import Any

import numpy as np

LEVELS = (0.50, 0.68, 0.90, 0.95)
PARAMETERS = ("q0", "a_au")

CHI2_UNEXPLAINED = 16.0
"""Squared distance from every law of the prior's box beyond which an observation counts as unexplained (4 sigma)."""


def coverage(pit: np.ndarray, hpd_level: np.ndarray) -> dict[str, dict[str, float]]:
    """Share of truths inside central intervals of q0 and a_au and inside joint highest-density regions.

    `pit` (case, 2) is the marginal cumulative probability at the truth, `hpd_level` (case,) the posterior mass
    denser than the truth. An honest posterior covers as many as its level says. Keys: '50', '68', '90', '95'.
    """
    found = {}
    for level in LEVELS:
        inside = np.abs(pit - 0.5) <= level / 2
        shares = [*inside.mean(0), (hpd_level <= level).mean()]
        found[f"{100 * level:.0f}"] = dict(zip((*PARAMETERS, "joint"), map(float, shares), strict=True))
    return found


def clustered_errors(pit: np.ndarray, hpd_level: np.ndarray, point_id: np.ndarray) -> dict[str, dict[str, float]]:
    """Standard errors of `coverage`, with cases of one design point taken as one cluster (shape of `point_id`: case).

    Realizations of a point share their truth, so that binomial errors in the number of cases are too small
    (Liang & Zeger 1986, Biometrika 73, 13).
    """
    found = {}
    _, cluster = np.unique(point_id, return_inverse=True)
    for level in LEVELS:
        inside = np.column_stack([np.abs(pit - 0.5) <= level / 2, hpd_level <= level]).astype(float)
        excess = [np.bincount(cluster, weights=column) for column in (inside - inside.mean(0)).T]
        errors = [np.sqrt((total**2).sum()) / len(pit) for total in excess]
        found[f"{100 * level:.0f}"] = dict(zip((*PARAMETERS, "joint"), map(float, errors), strict=True))
    return found


def terciles(values: np.ndarray, point_id: np.ndarray) -> list[np.ndarray]:
    """Index arrays of the cases in each third of the points, by increasing value.

    Cases of a point share their value and stay together. Fewer than three points make fewer groups.
    """
    _, first, point = np.unique(point_id, return_index=True, return_inverse=True)
    thirds = np.array_split(np.argsort(values[first], kind="stable"), 3)
    return [np.flatnonzero(np.isin(point, third)) for third in thirds if len(third)]


def calibration_report(
    truth: np.ndarray, point_id: np.ndarray, pit: np.ndarray, hpd_level: np.ndarray, log_density: np.ndarray
) -> dict[str, Any]:
    """Coverage and log score over all cases and by tercile of the points' true Q0.

    `truth` has shape (case, 2), `point_id` (case,) says which cases share a design point; `log_density` is the
    natural log of the posterior density at the truth, per unit Q0 and AU, whose mean is the log score.
    """

    def report(cases: np.ndarray) -> dict[str, Any]:
        return {
            "n_cases": len(cases),
            "coverage": coverage(pit[cases], hpd_level[cases]),
            "coverage_se": clustered_errors(pit[cases], hpd_level[cases], point_id[cases]),
            "log_score": float(log_density[cases].mean()),
        }

    by_tercile = []
    for cases in terciles(truth[:, 0], point_id):
        limits = {"q0_min": float(truth[cases, 0].min()), "q0_max": float(truth[cases, 0].max())}
        by_tercile.append(limits | report(cases))
    return report(np.arange(len(truth))) | {"by_q0_tercile": by_tercile}
