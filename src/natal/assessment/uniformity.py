"""Are n independent numbers uniform on [0, 1]? Their empirical distribution (ECDF) with simultaneous bands.

Posterior probabilities of known truths are uniform if the posterior is honest, so this is the test behind every
calibration check. The band holds the whole ECDF of uniform numbers with its probability, not each place by itself
(Säilynoja, Bürkner & Vehtari 2022, Statistics and Computing 32, 32, algorithm 1).
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import bdtr, bdtrc

N_SIMULATED = 10_000
"""Simulated samples behind a band. They resolve tail probabilities down to 1e-4, and know one of 1 % to 10 %."""

MAX_PLACES = 100
"""The ECDF is compared at as many evenly spaced places, or at n if that is less."""


class Band(NamedTuple):
    """Bounds of the ECDF of n uniform numbers at `place`, as shares."""

    place: Float[np.ndarray, " place"]
    low: Float[np.ndarray, " place"]
    high: Float[np.ndarray, " place"]


def places(n: int) -> Float[np.ndarray, " place"]:
    """Where the ECDF of n numbers is compared: evenly spaced within (0, 1)."""
    n_places = min(n, MAX_PLACES)
    return np.arange(1, n_places + 1) / (n_places + 1)


def ecdf(values: Float[np.ndarray, " n"], at: Float[np.ndarray, " place"]) -> Float[np.ndarray, " place"]:
    """Share of `values` that do not exceed each place."""
    return np.searchsorted(np.sort(values), at, side="right") / len(values)


def binomial_range(probability: float, n: int, share: Any) -> tuple[Any, Any]:
    """The central range that holds the successes of `n` independent trials with `probability`, for each `share`."""
    # scipy.stats has it, too, and takes as long to start as JAX
    reached = bdtr(np.arange(n + 1), n, np.asarray(share, float)[..., None])
    low, high = ((reached < tail).sum(-1) for tail in ((1 - probability) / 2, (1 + probability) / 2))
    return low, high


def simultaneous_band(n: int, probability: float = 0.95) -> Band:
    """The band that holds the ECDF of n uniform numbers at all places at once with `probability`."""
    place, tails = places(n), _two_sided_tails(n)
    # where a count may lie, place by place, without being rarer than the rarest that is allowed
    allowed = tails >= _rarest_allowed(n, 1 - probability)
    low = allowed.argmax(0)
    high = n - allowed[::-1].argmax(0)
    return Band(place, low / n, high / n)


def check_uniform(values: Float[np.ndarray, " n"], false_alarm: float) -> dict[str, Any]:
    """Compare the ECDF of independent `values` with the band that honest ones leave with probability `false_alarm`.

    Returns `n`, `p_value` (of the rarest place, corrected for looking at all of them), `passed`, and, where the ECDF
    is rarest (`at`), its `statistic` (ECDF minus uniform) beside the `band` that it may lie in.
    """
    n = len(values)
    band = simultaneous_band(n, 1 - false_alarm)
    share = ecdf(values, band.place)
    tails = _tails_of(np.round(n * share).astype(int)[None], n)[0]
    rarest = int(tails.argmin())
    at = band.place[rarest]
    p_value = (1 + np.searchsorted(_simulated_rarest(n), tails[rarest], side="right")) / (N_SIMULATED + 1)
    return {
        "n": n,
        "at": float(at),
        "statistic": float(share[rarest] - at),
        "band": [float(band.low[rarest] - at), float(band.high[rarest] - at)],
        "p_value": float(p_value),
        "passed": bool(tails[rarest] >= _rarest_allowed(n, false_alarm)),
    }


def are_uniform(counts: Int[np.ndarray, "sample place"], n: int, false_alarm: float) -> Bool[np.ndarray, " sample"]:
    """Whether each of many samples of n numbers, given as its counts up to each of `places`, passes `check_uniform`."""
    uniform: np.ndarray = _tails_of(counts, n).min(1) >= _rarest_allowed(n, false_alarm)
    return uniform


def _rarest_allowed(n: int, false_alarm: float) -> float:
    """The two-sided tail probability below which the rarest place of uniform samples falls with `false_alarm`."""
    rank = int(false_alarm * (N_SIMULATED + 1)) - 1
    if rank < 0:
        raise ValueError(f"a false-alarm probability of {false_alarm} takes more than {N_SIMULATED} samples")
    return float(_simulated_rarest(n)[rank])


@cache
def _simulated_rarest(n: int) -> Float[np.ndarray, " sample"]:
    """The smallest two-sided tail probability over all places, for many samples of n uniform numbers, sorted."""
    n_places = len(places(n))
    counts = np.random.default_rng(n).multinomial(n, np.full(n_places + 1, 1 / (n_places + 1)), N_SIMULATED)
    return np.sort(_tails_of(counts.cumsum(1)[:, :-1], n).min(1))


def _tails_of(counts: Int[np.ndarray, "sample place"], n: int) -> Float[np.ndarray, "sample place"]:
    return np.take_along_axis(_two_sided_tails(n), counts, axis=0)


@cache
def _two_sided_tails(n: int) -> Float[np.ndarray, "count place"]:
    """Twice the smaller binomial tail of finding 0 to n of n uniform numbers below each place."""
    count, place = np.arange(n + 1)[:, None], places(n)
    return 2 * np.minimum(bdtr(count, n, place), bdtrc(count - 1, n, place))
