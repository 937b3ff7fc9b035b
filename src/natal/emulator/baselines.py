"""What the emulator has to beat: simple predictors on the same training runs."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree

from natal.data.runs import Runs, replicate_means

Predictor = Callable[[np.ndarray], np.ndarray]


def fit_baselines(train: Runs) -> dict[str, Predictor]:
    """Fit each baseline on training runs; a predictor maps inputs to outputs in physical units, one row a run.

    mean: the training mean; linear, quadratic: least squares in standardised inputs; nearest: the replicate mean
    of the closest training point (a single run would add the scatter of one cluster).
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
