"""Random keys: every number drawn follows from the campaign's seed and from what it is drawn for."""

import zlib

import jax
from jaxtyping import Array, PRNGKeyArray


def realization_key(seed_key: PRNGKeyArray, point_id: Array, realization: Array) -> PRNGKeyArray:
    """The key of one simulated cluster.

    Args:
        seed_key: Key of the campaign's seed.
        point_id: Number of the point.
        realization: Number of the realization at this point.

    Returns:
        A key that depends on these three only, not on which clusters are simulated together.
    """
    return jax.random.fold_in(jax.random.fold_in(seed_key, point_id), realization)


def stage_key(seed: int, stage: str) -> PRNGKeyArray:
    """The key of one stage of the campaign.

    Args:
        seed: The campaign's seed.
        stage: Name of the stage.

    Returns:
        A key of its own for each name.

    Examples:
        >>> bool((stage_key(1, "train") == stage_key(1, "train")) & (stage_key(1, "train") != stage_key(1, "recover")))
        True
    """
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(stage.encode()))
