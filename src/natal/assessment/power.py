"""What would a calibration check see? The smallest defect that a check of n cases finds four times in five.

Posteriors are normal, and there are two defects: a mean that is off, or widths that are all too small by one factor.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import brentq
from scipy.special import bdtr, ndtr, ndtri, stdtrit

from natal.assessment.uniformity import are_uniform, places

POWER = 0.8
"""Share of campaigns with the defect in which the check fails."""

N_SIMULATED = 1000
"""Number of simulated campaigns from which a share is taken, which is so known to 1.3 %."""

LARGEST = 5.0
"""Largest defect that is tried: a bias in standard deviations, or ln of the factor by which widths are too small."""

SHARE = 0.68
"""Defects of widths are stated for the regions that should hold this share of truths."""

RANKED = ("sbc", "tarp")
"""Checks that count draws to know a posterior's probability."""

Cdf = Callable[[Float[np.ndarray, " place"], float], Float[np.ndarray, " place"]]


def _biased(place: Float[np.ndarray, " place"], size: float) -> Float[np.ndarray, " place"]:
    """The probability below the truth, which lies `size` standard deviations off."""
    cdf: np.ndarray = ndtr(ndtri(place) - size)
    return cdf


def _narrow_intervals(place: Float[np.ndarray, " place"], size: float) -> Float[np.ndarray, " place"]:
    """The mass of central intervals that reach to the truth, where widths are too small by exp(size)."""
    cdf: np.ndarray = 2 * ndtr(ndtri((1 + place) / 2) * np.exp(-size)) - 1
    return cdf


def _narrow_regions(place: Float[np.ndarray, " place"], size: float) -> Float[np.ndarray, " place"]:
    """The mass of joint regions of two parameters that reach to the truth."""
    cdf: np.ndarray = 1 - (1 - place) ** np.exp(-2 * size)
    return cdf


def _narrow_from_afar(place: Float[np.ndarray, " place"], size: float) -> Float[np.ndarray, " place"]:
    """The mass of discs that reach to the truth, about points so far off that the discs' edges are straight lines."""
    cdf: np.ndarray = ndtr(ndtri(place) * np.exp(-size))
    return cdf


# by the beginning of a check's name, the longer one first: the distribution of its numbers under a defect; from that
# the share of truths inside regions of SHARE; the words
DEFECTS: dict[str, tuple[Cdf, Cdf | None, str]] = {
    "pit": (_biased, None, "a bias of {:.2f} sd"),
    "sbc": (_biased, None, "a bias of {:.2f} sd"),
    "coverage_joint": (_narrow_regions, _narrow_regions, "joint 68 % regions that hold {:.1f} %"),
    "coverage": (_narrow_intervals, _narrow_intervals, "68 % intervals that hold {:.1f} %"),
    "tarp": (_narrow_from_afar, _narrow_regions, "joint 68 % regions that hold {:.1f} %"),
}


def would_see(check: str, n: int, n_draws: int, false_alarm: float) -> dict[str, Any]:
    """The smallest defect that a check sees with a probability of `POWER`.

    Args:
        check: Its name among `natal.assessment.sbc.verdicts`.
        n: Number of cases that it looks at.
        n_draws: Posterior draws of each case, among which sbc and tarp count.
        false_alarm: Probability with which honest posteriors fail the check.

    Returns:
        `detects`, the defect as a number; None if n is too small to see any. For pit and sbc it is a bias in standard
        deviations of the posterior; for coverage the share of truths inside 68 % intervals; for coverage_joint and tarp
        that inside joint 68 % regions; for log_score how far it is below the promised one. `would_see`, the same in
        words.

    Examples:
        >>> would_see("pit_q0", 500, 99, 0.05)["would_see"]
        'a bias of 0.15 sd'
    """
    if check == "log_score":
        size = _log_score_size(n, false_alarm)
        number = None if size is None else float(np.expm1(2 * size))
        words = "a log score {:.2f} below the promised one"
    else:
        kind = next(kind for kind in DEFECTS if check.startswith(kind))
        cdf, held, words = DEFECTS[kind]
        size = _uniform_size(cdf, n, n_draws if kind in RANKED else None, false_alarm)
        number = size if size is None or held is None else float(held(np.array([SHARE]), size)[0])
    if number is None:
        return {"detects": None, "would_see": "nothing: n is too small"}
    return {"detects": number, "would_see": words.format(100 * number if "%" in words else number)}


@cache
def _uniform_size(cdf: Cdf, n: int, n_draws: int | None, false_alarm: float) -> float | None:
    place = places(n)

    def fails(size: float) -> Bool[np.ndarray, " campaign"]:
        if n_draws is None:
            below = cdf(place, size)
        else:
            edges, share_below = _ranks(n, n_draws)
            below = share_below @ np.diff(cdf(edges, size))
        shares = np.diff(below, prepend=0.0, append=1.0).clip(0)
        counts = np.random.default_rng(n).multinomial(n, shares / shares.sum(), N_SIMULATED).cumsum(1)[:, :-1]
        return ~are_uniform(counts, n, false_alarm)

    return _smallest(fails)


@cache
def _ranks(n: int, n_draws: int) -> tuple[Float[np.ndarray, " edge"], Float[np.ndarray, "place cell"]]:
    """Edges of cells of a probability, and the law of a rank's share (`sbc.rank_shares`) in each cell."""
    edges = np.linspace(0, 1, 501)
    middle = (edges[1:] + edges[:-1]) / 2
    rank, rest = np.divmod(places(n)[:, None] * (n_draws + 1), 1)
    below = np.where(rank > 0, bdtr(rank - 1, n_draws, middle), 0.0)
    return edges, below + rest * (bdtr(rank, n_draws, middle) - below)


@cache
def _log_score_size(n: int, false_alarm: float) -> float | None:
    # of normal posteriors in two dimensions log density + entropy is 1 - an exponential number
    distance2 = np.random.default_rng(n).exponential(size=(N_SIMULATED, n))
    mean, error = distance2.mean(1), distance2.std(1, ddof=1) / np.sqrt(n)
    reach = -stdtrit(n - 1, false_alarm / 2)
    # widths too small by exp(size): 1 - exp(2 size) times it
    return _smallest(lambda size: np.abs(np.exp(-2 * size) - mean) > reach * error)


def _smallest(fails: Callable[[float], Bool[np.ndarray, " campaign"]]) -> float | None:
    """The defect with which a share `POWER` of campaigns fails; None if not even the largest defect does that."""

    def excess(size: float) -> float:
        return float(fails(size).mean()) - POWER

    return float(brentq(excess, 0.0, LARGEST, xtol=1e-3)) if excess(LARGEST) > 0 else None
