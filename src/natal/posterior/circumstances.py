"""What is known of a cluster's age and mass, written as functions of a standard normal number.

The grid sums over that number, NUTS samples it.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ndtr, ndtri

KNOTS = np.linspace(-4.0, 4.0, 65)
"""Standard normal numbers at which quantiles are worked out; between them they are interpolated."""

FARTHEST_NODE = 2.5
"""Standard normal number of the outermost node of a sum over ages or masses, nearly."""

SMALLEST = 1e-3
"""Least age or mass, as a share of the measured value: both are positive."""


def quantiles(value: float, err_low: float, err_high: float, lower: float, upper: float) -> Float[np.ndarray, " knot"]:
    """The quantiles of an age or a mass at `KNOTS`.

    Args:
        value: As measured; nan if only the limits are known: then the law is uniform between them.
        err_low: Standard deviation below the value. If both errors are 0, the value is exact.
        err_high: Standard deviation above the value. The law is made of halves of two normal laws (Wallis 2014, Stat.
            Sci. 29, 106).
        lower: Lower limit; nan if there is none.
        upper: Upper limit; nan if there is none. Limits cut the law of a value.

    Returns:
        Quantiles in the unit of `value`.

    Examples:
        >>> np.interp([-1, 0, 1], KNOTS, quantiles(10.0, 1.0, 1.0, np.nan, np.nan)).round(2).tolist()
        [9.0, 10.0, 11.0]
    """
    levels = ndtr(KNOTS)
    if np.isnan(value):
        return np.asarray(lower + (upper - lower) * levels)
    if err_low == err_high == 0:
        return np.full(len(KNOTS), value)
    # a side without an error has no width
    low, high = max(err_low, 1e-6 * value), max(err_high, 1e-6 * value)
    share = low / (low + high)

    def below(x: float) -> float:
        if x < value:
            return float(2 * share * ndtr((x - value) / low))
        return float(share + (1 - share) * (2 * ndtr((x - value) / high) - 1))

    first = below(SMALLEST * value if np.isnan(lower) else lower)
    last = 1.0 if np.isnan(upper) else below(upper)
    u = np.clip(first + (last - first) * levels, 1e-12, 1 - 1e-12)
    left = value + low * ndtri(np.minimum(u / (2 * share), 0.5))
    right = value + high * ndtri(np.clip(0.5 + 0.5 * (u - share) / (1 - share), 0.5, 1 - 1e-12))
    return np.asarray(np.where(u < share, left, right))


def at(quantile: Any, z: Any) -> Array:
    """The age or the mass that belongs to standard normal numbers, by its quantiles at `KNOTS`.

    Args:
        quantile: The age (yr) or the mass (Msun) at each of `KNOTS`.
        z: Standard normal numbers; beyond the outermost knots the outermost value is given.
    """
    found: Array = jnp.interp(z, jnp.asarray(KNOTS, quantile.dtype), quantile)
    return found


def nodes(n: int) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Standard normal numbers at equal distances, and their weights, with a mean of 0 and a variance of 1.

    For likelihoods that are narrower than what is known of an age this is better than Gauss-Hermite quadrature, which
    wastes nodes in the tails.

    Args:
        n: How many: 1, or at least 4.

    Examples:
        >>> [[f"{value:.3f}" for value in values] for values in nodes(4)]
        [['-2.476', '-0.825', '0.825', '2.476'], ['0.029', '0.471', '0.471', '0.029']]
    """
    if n == 1:
        return np.zeros(1, "float32"), np.ones(1, "float32")
    places = np.linspace(-FARTHEST_NODE, FARTHEST_NODE, n)
    weights = np.exp(-0.5 * places**2)
    weights /= weights.sum()
    return (places / np.sqrt(weights @ places**2)).astype("float32"), weights.astype("float32")
