"""Could the prior have made this observation? If it could not, even the best (Q0, a) explains it badly."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import Grid, make_grid, nearest_distance
from natal.posterior.spread import map_cases
from natal.variables import BIRTH, SUMMARIES, Box

N_REPLICATES = 999
"""Number of clusters that are drawn from the prior predictive; with 999 the smallest p-value is 0.001."""

GRID_SHAPE = (64, 64)
"""Cells among which the nearest law is sought, both for an observation and for its replicates."""

# what a measured value may be
_LOWEST = np.array([-np.inf if variable.support == "real" else 0.0 for variable in SUMMARIES.values()], DTYPE)
_HIGHEST = np.array([1.0 if variable.support == "fraction" else np.inf for variable in SUMMARIES.values()], DTYPE)


def mahalanobis_p(
    key: PRNGKeyArray,
    likelihood: Likelihood,
    prior_box: Box,
    y: Float[np.ndarray, "case summary"],
    error: Float[np.ndarray, "case summary"],
) -> Float[np.ndarray, " case"]:
    """Prior predictive p-value of each observation's distance from the nearest law (Box 1980).

    Clusters are drawn from prior and likelihood, and observed with the same errors. The p-value is the share of them
    that lie at least as far as this observation from the law of their own nearest (Q0, a) (`grid.nearest_distance`). It
    is uniform for clusters of the prior if the likelihood is right. Source: J. R. Stat. Soc. A 143, 383.

    Args:
        key: For the draws.
        likelihood: Gives the law of a cluster's summaries.
        prior_box: The uniform prior's ranges.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; 0 means exact.

    Returns:
        p-values, at least 1 / (`N_REPLICATES` + 1).
    """
    grid = make_grid(likelihood, prior_box, GRID_SHAPE)
    low, high = jnp.asarray([prior_box[name] for name in BIRTH], DTYPE).T
    values, errors = jnp.asarray(y, DTYPE), jnp.asarray(error, DTYPE)
    if not np.any(error):
        # without errors all cases have the same replicates
        replicates = _distances(grid, _replicates(key, likelihood, low, high, None), None)
        distances = np.asarray(_distances(grid, values, None), float)
        return np.asarray(_shares_beyond(distances[:, None], np.asarray(replicates, float)))
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(len(y)))
    shared = (grid, likelihood, low, high)
    found = map_cases(_with_replicates, shared, (keys, values, errors), label="prior predictive", unit="clusters")
    return np.asarray(_shares_beyond(found[:, :1], found[:, 1:]), float)


def _with_replicates(shared: Any, case: Any) -> Float[Array, " distance"]:
    """The distance of a cluster, followed by those of its replicates."""
    (grid, likelihood, low, high), (key, y, error) = shared, case
    replicates = _replicates(key, likelihood, low, high, error)
    return _distances(grid, jnp.concatenate([y[None], replicates]), error)


def _shares_beyond(distance: Any, of_replicates: np.ndarray) -> Any:
    # the distance of an observation that is very far off may overflow: it is farther than any replicate
    beyond = (of_replicates >= np.nan_to_num(distance, nan=np.inf)).sum(-1)
    return (1 + beyond) / (N_REPLICATES + 1)


@eqx.filter_jit
def _replicates(
    key: PRNGKeyArray,
    likelihood: Likelihood,
    low: Float[Array, " birth"],
    high: Float[Array, " birth"],
    error: Float[Array, " summary"] | None,
) -> Float[Array, "replicate summary"]:
    """Clusters from the prior, as they would be observed with these errors."""

    def one(key: PRNGKeyArray) -> Float[Array, " summary"]:
        key_x, key_y, key_error = jax.random.split(key, 3)
        x = jax.random.uniform(key_x, (len(BIRTH),), DTYPE, low, high)
        replicate: Array = likelihood.conditional(x).observed().sample(key_y)
        return replicate if error is None else _measured(key_error, replicate, error)

    return jax.vmap(one)(jax.random.split(key, N_REPLICATES))


def _measured(
    key: PRNGKeyArray, y: Float[Array, " summary"], error: Float[Array, " summary"]
) -> Float[Array, " summary"]:
    """Summaries with a normal error, cut to values that can be observed: nobody reports a radius below zero."""
    # a normal law may lie beyond what can be observed
    true, width = jnp.clip(y, _LOWEST, _HIGHEST), jnp.where(error > 0, error, 1.0)
    noise = jax.random.truncated_normal(key, (_LOWEST - true) / width, (_HIGHEST - true) / width)
    return jnp.where(error > 0, true + error * noise, y)


@eqx.filter_jit
def _distances(
    grid: Grid, y: Float[Array, "case summary"], error: Float[Array, " summary"] | None
) -> Float[Array, " case"]:
    distances: Array = lax.map(lambda one: nearest_distance(grid, one, error), y)
    return distances
