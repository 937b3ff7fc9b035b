"""The scatter of realizations near a place of the box."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from natal.data.runs import Runs, replicate_means
from natal.errors import NatalError
from natal.variables import SUMMARIES

N_NEIGHBOURS = 16
"""Training points whose scatter is pooled: from 4 realizations each, a standard deviation to 10 %."""

SMALLEST_SCATTER = 0.05
"""The smallest scatter that weights know, in root-mean-square scatters of the training runs."""


def local_scatter(train: Runs, x: Float[np.ndarray, "point birth"]) -> Float[np.ndarray, "point summary"]:
    """Standard deviation of realizations near given places: pooled over the nearest training points.

    Args:
        train: Training runs; points with a single survivor are left out.
        x: Places (q0, a_au). Distances are in standard deviations of the training points.

    Returns:
        In physical units; nan if no training point has replicates.
    """
    points = replicate_means(train)
    known = points.n > 1
    if not known.any():
        return np.full((len(x), len(SUMMARIES)), np.nan)
    spread = train.x.std(0)
    # in a design all points may have the same value of something
    unit = np.where(spread > 0, spread, 1.0)
    _, nearest = cKDTree(points.x[known] / unit).query(x / unit, np.arange(1, 1 + min(N_NEIGHBOURS, known.sum())))
    freedom = (points.n[known] - 1)[nearest][..., None]
    scatter: np.ndarray = np.sqrt((freedom * points.scatter[known][nearest] ** 2).sum(1) / freedom.sum(1))
    return scatter


def scatter_weights(train: Runs, x: Float[np.ndarray, "run birth"]) -> Float[np.ndarray, "run summary"]:
    """Weights of runs: one over the local scatter, scaled so that the training runs' mean weight is 1 for each output.

    This is a compromise. Equal weights (least squares) do not see errors where there is hardly any scatter; weights of
    the smallest variance (1 / scatter^2) do not see errors where there is much.

    Args:
        train: Training runs.
        x: Places (q0, a_au).

    Returns:
        A weight for each run and summary.

    Raises:
        NatalError: The training points have no replicates, or some output has no scatter.
    """
    scatter = local_scatter(train, train.x)
    unit = np.sqrt((scatter**2).mean(0))
    if not (unit > 0).all():
        raise NatalError("emulator.weighting: scatter needs training points with two surviving realizations or more")

    smallest = SMALLEST_SCATTER * unit
    mean_weight = (1 / np.maximum(scatter, smallest)).mean(0)
    weights: np.ndarray = 1 / np.maximum(local_scatter(train, x), smallest) / mean_weight
    return weights
