"""How good are probabilities of a yes-or-no outcome? Proper scores, calibration and ranking, with their errors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import binom, norm, rankdata

Probabilities = Float[np.ndarray, " case"]
Outcomes = Bool[np.ndarray, " case"]


class Reliability(NamedTuple):
    """Cases in bins of predicted probability.

    Attributes:
        predicted: Mean predicted probability.
        observed: Share of yes.
        n: Number of cases.
        low: Lower end of the binomial 95 % range.
        high: Its upper end.
    """

    predicted: Float[np.ndarray, " bin"]
    observed: Float[np.ndarray, " bin"]
    n: Float[np.ndarray, " bin"]
    low: Float[np.ndarray, " bin"]
    high: Float[np.ndarray, " bin"]


def brier(probability: Probabilities, outcome: Outcomes) -> float:
    """Mean squared difference of probability and outcome (Brier 1950).

    Args:
        probability: Predicted probabilities.
        outcome: Whether it happened.

    Returns:
        0 is best; 1/4 is what a constant 1/2 gets.

    Examples:
        >>> brier(np.array([0.8, 0.4]), np.array([True, False]))
        0.1
    """
    return float(((probability - outcome) ** 2).mean())


def _bins(probability: Probabilities, n_bins: int) -> list[np.ndarray]:
    """Indices of the cases in each of `n_bins` equal ranges of probability that has any."""
    which = np.minimum((probability * n_bins).astype(int), n_bins - 1)
    return [np.flatnonzero(which == k) for k in np.unique(which)]


def reliability(probability: Probabilities, outcome: Outcomes, n_bins: int = 10) -> Reliability:
    """Observed against predicted shares in equal bins of probability, with the range of honest probabilities.

    That is the central 95 % range of a binomial share at the bin's mean probability.

    Args:
        probability: Predicted probabilities.
        outcome: Whether it happened.
        n_bins: Bins; empty ones are left out.
    """
    groups = _bins(probability, n_bins)
    predicted = np.array([probability[g].mean() for g in groups])
    n = np.array([float(len(g)) for g in groups])
    low, high = np.asarray(binom.interval(0.95, n, predicted)) / n
    return Reliability(predicted, np.array([outcome[g].mean() for g in groups]), n, low, high)


def brier_parts(probability: Probabilities, outcome: Outcomes, n_bins: int = 10) -> dict[str, float]:
    """The Brier score as reliability - resolution + uncertainty + within_bins.

    Murphy (1973) split it so for bins of equal forecasts. What varies within bins, variance less covariance
    (Stephenson, Coelho & Jolliffe 2008), makes the sum exact.

    Args:
        probability: Predicted probabilities.
        outcome: Whether it happened.
        n_bins: Bins of probability.
    """
    base = outcome.mean()
    parts = {"reliability": 0.0, "resolution": 0.0, "uncertainty": float(base * (1 - base))}
    for g in _bins(probability, n_bins):
        share, observed = len(g) / len(outcome), outcome[g].mean()
        parts["reliability"] += float(share * (probability[g].mean() - observed) ** 2)
        parts["resolution"] += float(share * (observed - base) ** 2)
    total = brier(probability, outcome)
    within = total - parts["reliability"] + parts["resolution"] - parts["uncertainty"]
    return {"brier": total, **parts, "within_bins": within}


def roc_curve(score: Probabilities, outcome: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1); higher scores mean yes.

    Args:
        score: One number a case.
        outcome: Whether it happened.

    Examples:
        >>> no, yes = roc_curve(np.array([0.9, 0.6, 0.3]), np.array([True, False, True]))
        >>> no.tolist(), yes.tolist()
        ([0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0])
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    yes, no = np.cumsum(outcome[order])[last], np.cumsum(~outcome[order])[last]
    return np.append(0, no / no[-1]), np.append(0, yes / yes[-1])


class Ranking(NamedTuple):
    """Areas under the ROC curves of several scores of the same cases.

    Attributes:
        auc: The areas.
        covariance: Of these estimates.
    """

    auc: Float[np.ndarray, " score"]
    covariance: Float[np.ndarray, "score score"]

    def interval(self, k: int, level: float = 0.95) -> tuple[float, float]:
        """Normal interval of area k, with the probability `level`.

        Args:
            k: Place of the score.
            level: Of the interval.

        Returns:
            Its ends; the upper one is at most 1.
        """
        half = norm.ppf(0.5 + level / 2) * np.sqrt(self.covariance[k, k])
        return float(self.auc[k] - half), float(min(self.auc[k] + half, 1.0))

    def difference(self, k: int, other: int, level: float = 0.95) -> tuple[float, float, float]:
        """Area k minus another area, with its normal interval; cases are paired.

        Args:
            k: Place of one score.
            other: Place of the other.
            level: Of the interval.

        Returns:
            The difference and the ends of its interval.
        """
        gap = self.auc[k] - self.auc[other]
        variance = self.covariance[k, k] + self.covariance[other, other] - 2 * self.covariance[k, other]
        half = norm.ppf(0.5 + level / 2) * np.sqrt(max(variance, 0.0))
        return float(gap), float(gap - half), float(gap + half)


def auc_ranking(scores: Float[np.ndarray, "score case"], outcome: Outcomes) -> Ranking:
    """Areas under ROC curves with their covariance, by midranks.

    Sources: DeLong, DeLong & Clarke-Pearson (1988); Sun & Xu (2014).

    Args:
        scores: Several scores of the same cases; higher scores mean yes.
        outcome: Whether it happened; both outcomes must occur at least twice.

    Examples:
        >>> auc_ranking(np.array([[0.9, 0.7, 0.6, 0.3]]), np.array([True, False, True, False])).auc.tolist()
        [0.75]
    """
    yes, no = scores[:, outcome], scores[:, ~outcome]
    m, n = yes.shape[1], no.shape[1]
    among_all = rankdata(np.concatenate([yes, no], axis=1), axis=1)
    above = (among_all[:, :m] - rankdata(yes, axis=1)) / n
    below = 1 - (among_all[:, m:] - rankdata(no, axis=1)) / m
    covariance = np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n
    return Ranking(above.mean(1), covariance)


def bootstrap(
    per_case: Float[np.ndarray, "quantity case"], rng: np.random.Generator, n_resamples: int = 2000
) -> Float[np.ndarray, "quantity 2"]:
    """95 % percentile intervals of means over cases, with all quantities resampled together (Efron 1979).

    Args:
        per_case: One row a quantity.
        rng: For the resampling.
        n_resamples: How many.
    """
    n = per_case.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), n_resamples) / n
    intervals: np.ndarray = np.quantile(weights @ per_case.T, [0.025, 0.975], axis=0).T
    return intervals
