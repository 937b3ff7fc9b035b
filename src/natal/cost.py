"""What a simulate job takes, from its configuration alone: interactions, batch size, memory.

Plain arithmetic without JAX, so that the workflow can ask for resources before anything runs.
"""

from natal.errors import NatalError

CPU_PAIRS_PER_BATCH = 40_000
"""Pair weights of a batch on a CPU: 320 kB in float64, to stay well inside a core's second-level cache."""

ACCELERATOR_STARS_PER_BATCH = 2**19
"""Stars of a batch on an accelerator, one thread each: enough to fill it."""

BASELINE_BYTES = 575e6
"""Python, its libraries and the compiler at work, before any array (measured on Linux, jax 0.10, CPU)."""


def batch_size(n_stars: int, *, on_cpu: bool) -> int:
    """Clusters that one device integrates together when memory is no concern."""
    if on_cpu:
        return max(1, CPU_PAIRS_PER_BATCH // n_stars**2)
    return max(1, ACCELERATOR_STARS_PER_BATCH // n_stars)


def interactions(n_runs: int, n_stars: int, n_steps: int) -> float:
    """Pair interactions of `n_runs` runs, all N^2 of a step counted."""
    return float(n_runs) * n_stars**2 * n_steps


def memory_bytes(n_runs: int, n_stars: int, n_snapshots: int, item_bytes: int = 8) -> float:
    """Peak memory of a simulate job on the host, in bytes.

    All snapshots of the job are held until they are written; what is being integrated takes a few MB besides, since
    pairs are handled in blocks.
    """
    return BASELINE_BYTES + float(n_runs) * n_snapshots * n_stars * 6 * item_bytes


def check_memory(n_runs: int, n_stars: int, n_snapshots: int, item_bytes: int, max_memory_gb: float) -> None:
    """Raise `NatalError` naming what to change if a job needs more than `max_memory_gb` (1e9 bytes each)."""
    needed = memory_bytes(n_runs, n_stars, n_snapshots, item_bytes)
    if needed > max_memory_gb * 1e9:
        raise NatalError(
            f"a job of {n_runs} runs of {n_stars} stars needs {needed / 1e9:.2f} GB, more than "
            f"resources.max_memory_gb = {max_memory_gb:g}: raise it, or lower design.points_per_job, "
            "design.realizations or integration.snapshots"
        )
