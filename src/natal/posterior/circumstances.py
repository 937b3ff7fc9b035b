"""What is known of a cluster's age and mass, as functions of a standard normal number that grid and NUTS share."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import ndtr, ndtri

KNOTS = np.linspace(-4.0, 4.0, 65)
"""Standard normal numbers at which quantiles are worked out; between them they are interpolated."""

SMALLEST = 1e-3
"""Of the measured value: an age or a mass is positive."""


def quantiles(value: float, err_low: float, err_high: float, lower: float, upper: float) -> Float[np.ndarray, " knot"]:
    """The quantiles of an age or a mass at `KNOTS`.

    Args:
        value: As measured; nan: only the limits are known, and the law is uniform between them.
        err_low: Standard deviation below the value; both 0: it is known exactly.
        err_high: Standard deviation above it: halves of two normal laws that meet at the value (Wallis 2014).
        lower: Lower limit, nan: none.
        upper: Upper limit, nan: none. With a value, limits cut its law.
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
    """The age or the mass at standard normal numbers, by its quantiles at `KNOTS`."""
    found: Array = jnp.interp(z, jnp.asarray(KNOTS, quantile.dtype), quantile)
    return found


def nodes(n: int) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Standard normal numbers and weights of Gauss and Hermite's quadrature."""
    places, weights = np.polynomial.hermite_e.hermegauss(n)
    return places.astype("float32"), (weights / weights.sum()).astype("float32")
