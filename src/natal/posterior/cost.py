"""Memory and time that a job needs to sample the posteriors of many clusters. No array library is imported."""

from math import ceil

BASE_MB = 4000
"""Memory of a job for one cluster, compiling included. A job of 636 clusters with 2000 draws took 1400 MB in all."""

BYTES_PER_DRAW = 200
"""Memory of one draw, of its statistics, and of their copies on the way to files."""

BASE_MIN = 15.0
"""Minutes before the first cluster: many times what compiling takes on a busy machine."""

CLUSTERS_PER_MIN = 20.0
"""Clusters with measurement errors that are sampled in a minute. Two cores without other work do 110."""


def memory_mb(n_clusters: int, n_draws: int) -> int:
    """Memory that a job needs, in megabytes.

    Args:
        n_clusters: Clusters to sample.
        n_draws: Draws for each, over all chains.

    Examples:
        >>> memory_mb(636, 2000)
        4255
    """
    return ceil(BASE_MB + n_clusters * n_draws * BYTES_PER_DRAW / 1e6)


def runtime_min(n_clusters: int) -> int:
    """Time that a job needs, in minutes.

    Args:
        n_clusters: Clusters to sample.

    Examples:
        >>> runtime_min(100)
        20
    """
    return ceil(BASE_MIN + n_clusters / CLUSTERS_PER_MIN)
