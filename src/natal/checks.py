"""What the checks against the simulator share."""

import numpy as np
from jaxtyping import Float
from scipy.special import logit

from natal.dataset import Runs


def transformed(y: Float[np.ndarray, "*run 3"], n_stars: int) -> Float[np.ndarray, "*run 3"]:
    """(logit f_bound, ln sigma_v, ln r_h), half a star added to the bound and the lost each: f_bound may be 0 or 1."""
    bound = (y[..., 0] * n_stars + 0.5) / (n_stars + 1)
    return np.stack([logit(bound), np.log(y[..., 1]), np.log(y[..., 2])], axis=-1)


def spread_cases(runs: Runs, n: int) -> np.ndarray:
    """Indices of `n` test runs at even steps through Q0, all of different points where there are enough."""
    _, first = np.unique(runs.point_id, return_index=True)
    candidates = first if len(first) >= n else np.arange(len(runs))
    by_q0 = candidates[np.argsort(runs.x[candidates, 0], kind="stable")]
    return by_q0[np.linspace(0, len(by_q0) - 1, min(n, len(by_q0))).round().astype(int)]
