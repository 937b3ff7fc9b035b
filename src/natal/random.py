"""Random keys: every number drawn follows from the campaign seed and from what it is drawn for."""

import zlib

import jax
from jaxtyping import Array, PRNGKeyArray


def realization_key(seed_key: PRNGKeyArray, point_id: Array, realization: Array) -> PRNGKeyArray:
    """The key of one simulated cluster: a function of campaign seed, point and realization only."""
    return jax.random.fold_in(jax.random.fold_in(seed_key, point_id), realization)


def stage_key(seed: int, stage: str) -> PRNGKeyArray:
    """The key of one stage of the campaign, by its name."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(stage.encode()))
