"""Simple predictors on the same training runs: what the emulator has to beat."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from natal.data.runs import Runs, replicate_means

Predictor = Callable[[np.ndarray], np.ndarray]


def fit_baselines(train: Runs) -> dict[str, Predictor]:
    """Fit each baseline on training runs.

    Args:
        train: Training runs.

    Returns:
        Predictors by name; each maps births to summaries in physical units, one row a run. `mean` is the training mean.
        `linear` and `quadratic` are least squares in standardised births. `nearest` is the mean of the runs at the
        closest training point (a single run would add the scatter of one cluster).
    """
    shift, scale = train.x.mean(0), train.x.std(0)

    def standardise(x: np.ndarray) -> np.ndarray:
        standardised: np.ndarray = (x - shift) / scale
        return standardised

    def least_squares(features: Callable[[np.ndarray], np.ndarray]) -> Predictor:
        coefficients, *_ = np.linalg.lstsq(features(standardise(train.x)), train.y, rcond=None)
        return lambda x: features(standardise(x)) @ coefficients

    points = replicate_means(train)
    tree = cKDTree(standardise(points.x))
    return {
        "mean": lambda x: np.tile(train.y.mean(0), (len(x), 1)),
        "linear": least_squares(_linear),
        "quadratic": least_squares(_quadratic),
        "nearest": lambda x: points.mean[tree.query(standardise(x))[1]],
    }


def _linear(z: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(z)), z])


def _quadratic(z: np.ndarray) -> np.ndarray:
    return np.column_stack([_linear(z), z**2, *(a * b for a, b in combinations(z.T, 2))])
