"""Chooses the clusters that are checked or shown one by one, and gives the form in which summaries are compared."""

import numpy as np
from jaxtyping import Float

from natal.data.runs import Runs
from natal.variables import SUMMARIES


def near_normal(y: Float[np.ndarray, "*run summary"], n_stars: int) -> Float[np.ndarray, "*run summary"]:
    """Summaries in the form in which their laws are closest to normal: logit of a count, ln sigma_v, ln r_h.

    Args:
        y: Summaries in physical units.
        n_stars: Stars of a cluster at birth.

    Examples:
        >>> near_normal(np.array([0.5, 1.0, 1.0]), n_stars=100).tolist()
        [0.0, 0.0, 0.0]
    """
    # jobs that only choose cases start sooner without it
    from scipy.special import logit

    columns = [
        variable.transformed(y[..., k], n_stars=n_stars, log=np.log, logit=logit)
        for k, variable in enumerate(SUMMARIES.values())
    ]
    return np.stack(columns, axis=-1)


def cases_for_simulation(runs: Runs, n: int) -> np.ndarray:
    """Indices of `n` test runs at even steps through Q0; each of another point if there are enough points.

    Args:
        runs: Test runs.
        n: How many to choose, at most.

    Returns:
        Their places in `runs`, by increasing Q0.
    """
    _, first = np.unique(runs.point_id, return_index=True)
    candidates = first if len(first) >= n else np.arange(len(runs))
    by_q0 = candidates[np.argsort(runs.x[candidates, 0], kind="stable")]
    chosen: np.ndarray = by_q0[np.linspace(0, len(by_q0) - 1, min(n, len(by_q0))).round().astype(int)]
    return chosen


def cold_to_hot(q0_true: np.ndarray) -> np.ndarray:
    """Three cases: one near the lowest Q0, one in the middle, and a hot one.

    Args:
        q0_true: Of the cases.

    Returns:
        Their indices, by increasing Q0.

    Examples:
        >>> cold_to_hot(np.array([0.9, 0.5, 1.4, 0.6, 1.3, 0.7, 1.0, 0.8, 1.1, 1.2])).tolist()
        [1, 0, 4]
    """
    by_q0 = np.argsort(q0_true, kind="stable")
    chosen: np.ndarray = by_q0[((len(by_q0) - 1) * np.array([0.05, 0.5, 0.9])).round().astype(int)]
    return chosen


def cases_along_q0(q0_true: np.ndarray, n: int) -> np.ndarray:
    """Indices of `n` cases at even steps through the true Q0, without the extremes; some twice if there are fewer.

    Args:
        q0_true: True Q0 of all cases.
        n: How many to choose.

    Returns:
        Their places in `q0_true`.

    Examples:
        >>> cases_along_q0(np.array([0.5, 0.1, 0.9, 0.3, 0.7]), 3).tolist()
        [3, 0, 4]
    """
    by_q0 = np.argsort(q0_true, kind="stable")
    chosen: np.ndarray = by_q0[np.linspace(0, len(by_q0) - 1, n + 2)[1:-1].round().astype(int)]
    return chosen
