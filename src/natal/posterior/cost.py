"""What sampling the posteriors of many clusters takes: memory and time, for a job to ask for. No array library."""

from math import ceil

BASE_MB = 4000
"""Of a job for one cluster, compiling included; 636 clusters with 2000 draws each were measured at 1400 MB in all."""

BYTES_PER_DRAW = 200
"""A draw, its statistics, and their copies on the way to files."""

BASE_MIN = 15.0
"""Minutes of compiling on a busy machine, many times over."""

CLUSTERS_PER_MIN = 20.0
"""Clusters with measurement errors; two quiet cores do 110."""


def memory_mb(n_clusters: int, n_draws: int) -> int:
    """Megabytes for so many clusters with so many draws each, all chains together."""
    return ceil(BASE_MB + n_clusters * n_draws * BYTES_PER_DRAW / 1e6)


def runtime_min(n_clusters: int) -> int:
    """Minutes for so many clusters."""
    return ceil(BASE_MIN + n_clusters / CLUSTERS_PER_MIN)
