"""Split conformal prediction: intervals with the right coverage though no model need be right.

Runs need only be exchangeable. A score says how unusual a run is for a predictor. The quantile of the scores of runs
that did not train the predictor bounds the score of the next run (Lei et al. 2018, JASA 113, 1094, sec. 2.2). If the
score is the residual divided by a predicted scale, the intervals adapt to the scatter (their sec. 5.2).

There are two limits. The coverage is an average over the design: it holds over all clusters together, not for each Q0.
And realizations of one point are not exchangeable with others. `by_point` therefore counts points instead of runs (Lee,
Barber & Willett 2023, arXiv:2306.06342, sec. 3): all runs of a point together have the weight 1, and the next point
adds a weight of 1 with an infinite score. This is exact for a run at a new point, and gives wide intervals if there are
few points.
"""

from functools import partial
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.gaussian import DiagonalGaussian
from natal.likelihood.kinds import ConstantLikelihood
from natal.posterior.grid import Grid


@runtime_checkable
class GaussianLikelihood(Protocol):
    """A likelihood whose law has a mean and a standard deviation for each summary."""

    ensemble: Ensemble

    def conditional(self, x: Float[Array, " birth"]) -> DiagonalGaussian:
        """The law of the summaries at x = (q0, a_au)."""
        ...


def fix_scale(ensemble: Ensemble, train: Runs) -> ConstantLikelihood:
    """A predictor with one scale for all points, the root-mean-square training residual: others stay exchangeable.

    Args:
        ensemble: Predicts the means.
        train: Runs that give the residuals.
    """
    residual = train.y - np.asarray(ensemble(train.x)[0], dtype=float)
    return ConstantLikelihood(ensemble, jnp.asarray(np.sqrt((residual**2).mean(0)), DTYPE))


class Calibrated(eqx.Module):
    """A predictor with the scores of the calibration runs.

    Attributes:
        predictor: Gives the mean and the scale.
        scores: Scores of the calibration runs.
        point: Runs with the same number count as one, shape (run,).
    """

    predictor: GaussianLikelihood
    scores: Float[np.ndarray, "run summary"]
    point: np.ndarray  # (run,), which runs count as one

    def bounds(self, level: float) -> np.ndarray:
        """Largest score of each summary inside intervals of `level`; infinite if there are too few runs."""
        return np.array([conformal_quantile(column, level, self.point) for column in self.scores.T])

    def joint_bound(self, level: float) -> float:
        """Largest of a run's three scores inside the joint region of `level`."""
        return conformal_quantile(self.scores.max(1), level, self.point)


def conformal_quantile(scores: np.ndarray, level: float, point: np.ndarray) -> float:
    """The smallest score at which the weight of all scores up to it reaches `level`; the next point's is infinite.

    Args:
        scores: Scores of the calibration runs, shape (run,).
        level: A probability.
        point: Runs with the same number count as one, shape (run,).

    Returns:
        A score, or infinity if there are too few points. With one run a point it is the ceil((n + 1) level)-th smallest
        score.

    Examples:
        >>> scores = np.array([0.1, 0.2, 0.3, 0.4])
        >>> conformal_quantile(scores, 0.6, np.arange(4)), conformal_quantile(scores, 0.9, np.arange(4))
        (0.3, inf)
    """
    _, group, size = np.unique(point, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    reached = np.cumsum(1 / size[group[order]]) / (len(size) + 1)
    # to rounding: ten tenths are one
    first = np.searchsorted(reached, level - 1e-12)
    return float(scores[order][first]) if first < len(scores) else np.inf


def calibrate(predictor: GaussianLikelihood, calibration: Runs, by_point: bool = False) -> Calibrated:
    """Score the calibration runs.

    Args:
        predictor: Gives the mean and the scale.
        calibration: Runs that did not train the predictor.
        by_point: Whether all runs of a point count as one.

    Raises:
        NatalError: For training runs, which the predictor knows, and for test runs, which are kept for the report.
    """
    if calibration.split in ("train", "test"):
        raise NatalError(f"conformal scores must come from validation runs, not from {calibration.split} runs")
    scores = run_scores(predictor, calibration)
    return Calibrated(predictor, scores, calibration.point_id if by_point else np.arange(len(calibration)))


def run_scores(predictor: GaussianLikelihood, runs: Runs) -> Float[np.ndarray, "run summary"]:
    """Absolute residual of each run and summary, divided by the predicted scale.

    Args:
        predictor: Gives mean and scale at each birth.
        runs: Runs that neither has learned from.

    Returns:
        No unit: 2 is a residual of two predicted standard deviations.
    """
    laws = laws_at(predictor, runs.x)
    scores: np.ndarray = np.abs(runs.y - np.asarray(laws.mean, dtype=float)) / np.asarray(laws.sigma, dtype=float)
    return scores


def laws_at(predictor: GaussianLikelihood, x: Float[np.ndarray, "run birth"]) -> DiagonalGaussian:
    """The predictor's laws at many points, leaves with a leading axis.

    Args:
        predictor: Gives a law at one birth.
        x: Births (Q0, a in AU).
    """
    return _laws_at(predictor, jnp.asarray(x, DTYPE))


@eqx.filter_jit
def _laws_at(predictor: GaussianLikelihood, x: Float[Array, "run birth"]) -> DiagonalGaussian:
    return jax.vmap(predictor.conditional)(x)


@eqx.filter_jit
def region_shares(
    grid: Grid, y: Float[Array, "case summary"], bound: Float[Array, " level"]
) -> Float[Array, "case level"]:
    """The size of the region of births that an observation leaves possible, by inverting the prediction.

    A (Q0, a) belongs to the region if the observation is inside the prediction made there: every summary's score is at
    most `bound`. So the region holds the truth as often as predictions hold observations. It may be empty.

    Args:
        grid: With the predictor's laws.
        y: Observed summaries.
        bound: Largest score for each level.

    Returns:
        The region's share of the grid's cells.
    """
    laws = grid.laws
    assert isinstance(laws, DiagonalGaussian)

    def one(bound: Array, y: Array) -> Array:
        score = (jnp.abs(y - laws.mean) / laws.sigma).max(-1)
        return (score[..., None] <= bound).mean((0, 1))

    shares: Array = lax.map(partial(one, bound), y)
    return shares
