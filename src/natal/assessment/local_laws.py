"""The law of one cluster's summaries at any place, from simulations around it, without a network.

Runs lie on a regular grid of (Q0, a) points. At each place a polynomial of second order is fitted to the runs around it
(Cleveland & Devlin 1988). It gives the mean of the summaries (in the form of `cases.near_normal`). Its residuals give
the law about the mean, in two ways: a normal law with their covariance (synthetic likelihood, Wood 2010,
doi:10.1038/nature09319), and a kernel estimate with a kernel at each residual. How far away a run may be is chosen so
that each half of the runs predicts the other half best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement, product

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.assessment.cases import near_normal
from natal.errors import NatalError
from natal.variables import BIRTH, SUMMARIES, Box, limits_of

REACHES = tuple(product((0.06, 0.09, 0.13, 0.19, 0.27), (0.15, 0.27, 0.45, 0.8)))
"""Kernel widths in Q0 and ln a to choose from, in units of the box's extent."""

KERNELS = ("synthetic", "kernel")
MIN_EFFECTIVE_RUNS = 20.0
"""Fewest runs around a place, counted by weight: fewer give no useful covariance."""


@dataclass(frozen=True)
class SimulatedRuns:
    """Runs at the points of a regular grid, the same number at each.

    Attributes:
        x: Births, shape (run, birth).
        z: Summaries as `near_normal` gives them, shape (run, summary); nan where a cluster dissolved.
        replicate: Number of a run within its point, shape (run,).
    """

    x: np.ndarray  # (run, birth)
    z: np.ndarray  # (run, summary), `near_normal`, nan where dissolved
    replicate: np.ndarray  # (run,), counting the runs of a point

    def half(self, which: int) -> "SimulatedRuns":
        """Every other run of each point.

        Args:
            which: 0 for even replicates, 1 for odd ones.
        """
        kept = self.replicate % 2 == which
        return SimulatedRuns(self.x[kept], self.z[kept], self.replicate[kept])


@dataclass(frozen=True)
class LocalLaws:
    """The law of one run's summaries at each of several places.

    Attributes:
        log_survival: ln of the probability to survive.
        mean: Means of the summaries, as `near_normal` gives them.
        covariance: Their covariances.
        weight: The weight of every surviving run at each place; weights add up to 1.
        residual: Every surviving run's residual.
    """

    log_survival: Float[np.ndarray, " place"]
    mean: Float[np.ndarray, "place summary"]
    covariance: Float[np.ndarray, "place summary summary"]
    weight: Float[np.ndarray, "place survivor"]  # sums to 1
    residual: Float[np.ndarray, "survivor summary"]

    @cached_property
    def _root(self) -> np.ndarray:
        """Inverse Cholesky factors of the covariances."""
        return np.linalg.inv(np.linalg.cholesky(self.covariance))

    @cached_property
    def _kernels(self) -> tuple[np.ndarray, np.ndarray]:
        """Whitened centres (place, survivor, summary) of the kernels, and their width at each place."""
        # Silverman's width; residuals shrink to leave the covariance as it is (West 1993)
        n = self.residual.shape[1]
        width = (4.0 / (n + 2.0) * (self.weight**2).sum(1)) ** (1 / (n + 4))
        centred = self.residual - (self.weight @ self.residual)[:, None]
        return centred @ (np.sqrt(1 - width**2)[:, None, None] * np.swapaxes(self._root, 1, 2)), width

    def log_likelihood(self, z: Float[np.ndarray, " summary"], kernel: str) -> Float[np.ndarray, " place"]:
        """ln of the likelihood of one observation at each place, up to a constant.

        Args:
            z: Summaries, as `near_normal` gives them.
            kernel: "synthetic" or "kernel" (see the module).
        """
        apart = np.einsum("pij,pj->pi", self._root, z - self.mean)
        scale = self.log_survival + np.log(np.diagonal(self._root, axis1=1, axis2=2)).sum(1)
        if kernel == "synthetic":
            normal: np.ndarray = scale - 0.5 * (apart**2).sum(1)
            return normal
        centres, width = self._kernels
        distance2 = ((apart[:, None] - centres) ** 2).sum(2) / width[:, None] ** 2
        # far from all runs only the nearest one counts: it is taken out, so that the sum is not 0
        nearest = distance2.min(1)
        near = (self.weight * np.exp(-0.5 * (distance2 - nearest[:, None]))).sum(1)
        smooth: np.ndarray = scale - len(z) * np.log(width) - 0.5 * nearest + np.log(np.maximum(near, 1e-300))
        return smooth


def simulated_runs(table: pd.DataFrame, n_stars: int) -> SimulatedRuns:
    """Arrange a table of runs.

    Args:
        table: Columns are births, `realization` and summaries (nan where a cluster dissolved).
        n_stars: Stars of a cluster at birth.
    """
    z = near_normal(table[list(SUMMARIES)].to_numpy(float), n_stars)
    return SimulatedRuns(table[list(BIRTH)].to_numpy(float), z, table.realization.to_numpy())


def local_laws(
    runs: SimulatedRuns, places: Float[np.ndarray, "place birth"], box: Box, reach: tuple[float, ...]
) -> LocalLaws:
    """The law of a run at each of several places, from runs around it.

    Args:
        runs: Runs at the points of a regular grid.
        places: Places (q0, a_au).
        box: Ranges of the design, in whose units distances are measured.
        reach: Widths of the kernel that weighs runs, in Q0 and in ln a, in units of the box.

    Raises:
        NatalError: If there are too few runs around a place.
    """
    points, point_of = np.unique(runs.x, axis=0, return_inverse=True)
    x, targets = _unit(points, box), _unit(places, box)
    alive = np.isfinite(runs.z).all(1)
    n_runs = np.bincount(point_of, minlength=len(x))
    # from here on only surviving runs
    point_of, z = point_of[alive], runs.z[alive]
    n_alive = np.bincount(point_of, minlength=len(x))
    # all runs of a point have the same weight
    kernel = _kernel(targets, x, reach)
    # half a run more on either side: a finite number of runs does not show a probability of exactly 0 or 1
    effective = (kernel @ n_runs) ** 2 / (kernel**2 @ n_runs)
    share = (kernel @ n_alive) / (kernel @ n_runs)
    log_survival = np.log((share * effective + 0.5) / (effective + 1))

    counted = (kernel @ n_alive) ** 2 / np.maximum(kernel**2 @ n_alive, 1e-300)
    if counted.min() < MIN_EFFECTIVE_RUNS:
        place = ", ".join(f"{name} = {value:.3g}" for name, value in zip(BIRTH, places[counted.argmin()], strict=True))
        raise NatalError(
            f"checks.brute_force: about {counted.min():.0f} surviving runs near {place}, {MIN_EFFECTIVE_RUNS:.0f} are "
            "needed: raise grid or realizations"
        )
    total = np.stack([np.bincount(point_of, column, len(x)) for column in z.T], axis=-1)
    at_points = _smoother(x, x, n_alive, reach)
    # a fit is closer to its own runs than to others; its leverage says by how much
    leverage = np.minimum(np.diag(at_points), 0.9)[point_of]
    residual = (z - (at_points @ total)[point_of]) / np.sqrt(1 - leverage)[:, None]
    weight = (kernel / (kernel @ n_alive)[:, None])[:, point_of]
    n = residual.shape[1]
    products = (residual[:, :, None] * residual[:, None, :]).reshape(-1, n * n)
    covariance = (weight @ products).reshape(-1, n, n)
    return LocalLaws(log_survival, _smoother(targets, x, n_alive, reach) @ total, covariance, weight, residual)


def choose_reach(runs: SimulatedRuns, box: Box) -> tuple[float, ...]:
    """The reach with which each half of the runs predicts the other half best, by the synthetic likelihood.

    Args:
        runs: Simulated clusters of many points.
        box: Ranges of Q0 and a, of which the reach is a share.

    Returns:
        The best of `REACHES`.

    Raises:
        NatalError: If there are too few runs for any reach.
    """
    scores = {}
    for reach in REACHES:
        try:
            scores[reach] = np.mean([_score(runs.half(k), runs.half(1 - k), box, reach) for k in (0, 1)])
        except NatalError:
            continue
    if not scores:
        raise NatalError("checks.brute_force: too few runs for any estimate: raise grid or realizations")
    return max(scores, key=scores.__getitem__)


def _score(fitted: SimulatedRuns, other: SimulatedRuns, box: Box, reach: tuple[float, ...]) -> float:
    points, index = np.unique(other.x, axis=0, return_inverse=True)
    laws = local_laws(fitted, points, box, reach)
    alive = np.isfinite(other.z).all(1)
    values = np.log1p(-np.exp(laws.log_survival))[index]
    root = np.linalg.cholesky(laws.covariance)[index[alive]]
    apart = other.z[alive] - laws.mean[index[alive]]
    distance2 = (np.linalg.solve(root, apart[..., None]) ** 2).sum((1, 2))
    log_width = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
    values[alive] = laws.log_survival[index[alive]] - log_width - 0.5 * distance2
    return float(values.mean())


def _unit(x: Float[np.ndarray, "n birth"], box: Box) -> Float[np.ndarray, "n birth"]:
    """Births as shares of the box; of its logarithm where the birth condition is declared so."""
    columns = []
    for variable, values, (low, high) in zip(BIRTH.values(), x.T, limits_of(box), strict=True):
        is_log = variable.transform == "log"
        columns.append(np.log(values / low) / np.log(high / low) if is_log else (values - low) / (high - low))
    return np.column_stack(columns)


def _kernel(targets: np.ndarray, x: np.ndarray, reach: Sequence[float]) -> Float[np.ndarray, "target point"]:
    """A normal kernel of the distance."""
    weights: np.ndarray = np.exp(-0.5 * (((targets[:, None] - x) / np.asarray(reach)) ** 2).sum(2))
    return weights


def _smoother(
    targets: np.ndarray, x: np.ndarray, n_alive: np.ndarray, reach: Sequence[float]
) -> Float[np.ndarray, "target point"]:
    """The weight of each run of a point in the local polynomial of second order at each target."""
    terms, at_target = (_terms(2 * place - 1) for place in (x, targets))
    kernel = _kernel(targets, x, reach)
    products = (terms[:, :, None] * terms[:, None, :]).reshape(len(x), -1)
    moment = ((kernel * n_alive) @ products).reshape(len(targets), *[terms.shape[1]] * 2)
    coefficient = np.linalg.solve(moment, at_target[..., None])[..., 0]
    contributions: np.ndarray = kernel * (coefficient @ terms.T)
    return contributions


def _terms(x: np.ndarray) -> Float[np.ndarray, "n term"]:
    return np.column_stack([np.ones(len(x)), x, *(a * b for a, b in combinations_with_replacement(x.T, 2))])
