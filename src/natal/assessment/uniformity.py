"""Are n independent numbers uniform on [0, 1]? Their empirical distribution (ECDF) with simultaneous bands.

Posterior probabilities of known truths are uniform if the posterior is honest, so this is the test behind every
calibration check. A simultaneous band holds the whole ECDF of uniform numbers with a given probability, and not only
each place by itself (Säilynoja, Bürkner & Vehtari 2022, Statistics and Computing 32, 32, algorithm 1).
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import bdtr, bdtrc

N_SIMULATED = 10_000
"""Number of simulated samples from which a band is made.

They resolve tail probabilities down to 1e-4. The relative error of a tail probability of 1 % is 10 %.
"""

MAX_PLACES = 100
"""Most places at which the ECDF is compared; n places if n is smaller."""


class Band(NamedTuple):
    """Bounds of the ECDF of n uniform numbers.

    Attributes:
        place: Places on [0, 1].
        low: The least share of numbers below each place.
        high: The largest share.
    """

    place: Float[np.ndarray, " place"]
    low: Float[np.ndarray, " place"]
    high: Float[np.ndarray, " place"]


def places(n: int) -> Float[np.ndarray, " place"]:
    """The places at which the ECDF of n numbers is compared: evenly spaced within (0, 1).

    Examples:
        >>> places(3).tolist()
        [0.25, 0.5, 0.75]
    """
    n_places = min(n, MAX_PLACES)
    return np.arange(1, n_places + 1) / (n_places + 1)


def ecdf(values: Float[np.ndarray, " n"], at: Float[np.ndarray, " place"]) -> Float[np.ndarray, " place"]:
    """The share of values that are not above each place.

    Args:
        values: A sample.
        at: Places.

    Returns:
        Shares from 0 to 1.

    Examples:
        >>> ecdf(np.array([0.1, 0.4, 0.9]), np.array([0.25, 0.5])).round(3).tolist()
        [0.333, 0.667]
    """
    return np.searchsorted(np.sort(values), at, side="right") / len(values)


def binomial_range(probability: float, n: int, share: Any) -> tuple[Any, Any]:
    """The central range of the number of successes in `n` independent trials.

    Args:
        probability: Probability of the range.
        n: Number of trials.
        share: Probability of a success; a number or an array.

    Returns:
        Least and largest number of successes.

    Examples:
        >>> [int(count) for count in binomial_range(0.95, 100, 0.5)]
        [40, 60]
    """
    # scipy.stats has this, too, but importing it takes as long as importing JAX
    reached = bdtr(np.arange(n + 1), n, np.asarray(share, float)[..., None])
    low, high = ((reached < tail).sum(-1) for tail in ((1 - probability) / 2, (1 + probability) / 2))
    return low, high


def simultaneous_band(n: int, probability: float = 0.95) -> Band:
    """The band that holds the ECDF of n uniform numbers at all places at once.

    Args:
        n: How many numbers.
        probability: With which the band holds the whole ECDF.

    Examples:
        >>> band = simultaneous_band(100)
        >>> middle = int(np.argmin(np.abs(band.place - 0.5)))
        >>> float(band.low[middle]), float(band.high[middle])
        (0.35, 0.64)
    """
    place, tails = places(n), _two_sided_tails(n)
    # counts that are not too rare, place by place
    allowed = tails >= _rarest_allowed(n, 1 - probability)
    low = allowed.argmax(0)
    high = n - allowed[::-1].argmax(0)
    return Band(place, low / n, high / n)


def check_uniform(values: Float[np.ndarray, " n"], false_alarm: float) -> dict[str, Any]:
    """Test whether independent numbers are uniform, by their ECDF.

    Args:
        values: The numbers.
        false_alarm: Probability with which uniform numbers fail the test.

    Returns:
        `n`; `at`, the place where the ECDF is least likely; there the `statistic`, ECDF minus uniform, and the `band`
        in which it may lie; `p_value`, corrected for looking at all places; `passed`.

    Examples:
        >>> check_uniform(np.linspace(0.005, 0.995, 100), 0.05)["passed"]
        True
        >>> check_uniform(np.linspace(0.005, 0.995, 100) ** 2, 0.05)["passed"]
        False
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
    """Whether each of many samples of n numbers passes `check_uniform`.

    Args:
        counts: For each sample the numbers of values up to each of `places`.
        n: Size of a sample.
        false_alarm: Probability with which uniform numbers fail.
    """
    uniform: np.ndarray = _tails_of(counts, n).min(1) >= _rarest_allowed(n, false_alarm)
    return uniform


def _rarest_allowed(n: int, false_alarm: float) -> float:
    """The least allowed tail probability: at their rarest place, uniform samples are below it with `false_alarm`."""
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
