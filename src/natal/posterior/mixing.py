"""Do chains agree, and how many independent draws are they worth? R-hat and effective sample sizes.

The formulas are those of Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021, Bayesian Analysis 16, 667), and the
numbers those of ArviZ. Here they are computed for many quantities at once, without starting ArviZ, which takes as long
as starting JAX.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpyro.diagnostics import autocovariance, gelman_rubin
from scipy.special import ndtri

Draws = Float[np.ndarray, "chain draw *quantity"]
Halves = Float[np.ndarray, "half place *quantity"]
Numbers = Float[np.ndarray, "*quantity"]


def rhat(draws: Draws) -> Numbers:
    """Rank-normalised split R-hat: the larger one of those for location and for spread.

    Args:
        draws: Chains of draws of many quantities.

    Returns:
        For each quantity a number that is 1 if all chains sample the same law, and larger else.

    Examples:
        >>> draws = np.random.default_rng(0).normal(size=(4, 1000, 2))
        >>> draws[0, :, 1] += 1  # one chain is elsewhere
        >>> rhat(draws).round(2).tolist()
        [1.0, 1.09]
    """
    halves = _halves(draws)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    larger: Numbers = np.maximum(*(gelman_rubin(_normal_scores(values)) for values in (halves, folded)))
    return larger


def ess_bulk(draws: Draws) -> Numbers:
    """Bulk effective sample size: of rank-normalised split chains.

    Args:
        draws: Chains of draws of many quantities.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> independent = rng.normal(size=(4, 1000, 1))
        >>> walking = np.cumsum(independent, axis=1)
        >>> bool(ess_bulk(independent)[0] > 3500), bool(ess_bulk(walking)[0] < 50)
        (True, True)
    """
    return _ess(_normal_scores(_halves(draws)))


def ess_sd(draws: Draws) -> Numbers:
    """Effective sample size for a standard deviation: of squares about the mean, in split chains.

    Args:
        draws: Chains of draws of many quantities.
    """
    return _ess(_halves((draws - draws.mean((0, 1))) ** 2))


def _halves(draws: Draws) -> Halves:
    n = draws.shape[1] // 2
    return np.concatenate([draws[:, :n], draws[:, -n:]])


def _normal_scores(halves: Halves) -> Halves:
    """Ranks of each quantity over all chains, as quantiles of a normal law (Blom 1958)."""
    columns = halves.reshape(halves.shape[0] * halves.shape[1], -1)
    ranks = pd.DataFrame(columns).rank().to_numpy()
    scores: Halves = ndtri((ranks - 3 / 8) / (len(ranks) + 1 / 4)).reshape(halves.shape)
    return scores


def _ess(halves: Halves) -> Numbers:
    """The number of draws over their autocorrelation time (Geyer's initial positive and monotone sequence)."""
    n_halves, n_draws = halves.shape[:2]
    covariance = autocovariance(halves, axis=1).mean(0)
    within = covariance[0] * n_draws / (n_draws - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = 1 - (within - covariance) / (covariance[0] + halves.mean(1).var(0, ddof=1))
    # nan where nothing moved
    correlation[0] = 1 + 0 * correlation[1]
    even, odd = (correlation[parity : (n_draws - 1) // 2 * 2 : 2] for parity in (0, 1))
    pairs = even + odd
    # the sum ends at the first pair that is not positive, or at the last; of this pair only the even lag counts, if it
    # is positive
    goes_on = pairs > 0
    goes_on[-1] = False
    end = goes_on.argmin(0)[None]
    before = np.logical_and.accumulate(goes_on)
    time = -1 + 2 * np.where(before, np.minimum.accumulate(pairs), 0).sum(0)
    time += np.maximum(np.take_along_axis(even, end, 0)[0], 0)
    n = n_halves * n_draws
    # chains that swing about their mean are worth more than independent draws, within reason
    size: Numbers = n / np.maximum(time, 1 / np.log10(n))
    return size
