"""The scatter of realizations near a place of the box."""

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from natal.data.runs import Runs, replicate_means
from natal.variables import SUMMARIES

N_NEIGHBOURS = 16
"""Training points whose scatter is pooled: from 4 realizations each, a standard deviation to 10 %."""


def local_scatter(train: Runs, x: Float[np.ndarray, "point birth"]) -> Float[np.ndarray, "point summary"]:
    """Standard deviation of realizations near each of `x`: pooled over the nearest training points.

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
    unit = train.x.std(0)
    _, nearest = cKDTree(points.x[known] / unit).query(x / unit, np.arange(1, 1 + min(N_NEIGHBOURS, known.sum())))
    freedom = (points.n[known] - 1)[nearest][..., None]
    scatter: np.ndarray = np.sqrt((freedom * points.scatter[known][nearest] ** 2).sum(1) / freedom.sum(1))
    return scatter
