"""What a simulate job takes, from its configuration alone: interactions, batch size, memory.

Plain arithmetic without JAX, so that the workflow can ask for resources before anything runs.
"""

from natal.errors import NatalError

CPU_PAIRS_PER_BATCH = 80_000
"""Pair weights of a batch on a CPU: 640 kB in float64, to stay in a core's second-level cache."""

ACCELERATOR_STARS_PER_BATCH = 2**19
"""Stars of a batch on an accelerator, one thread each: enough to fill it."""

BASELINE_BYTES = 490e6
"""Python, its libraries and the compiler at work, before any array (measured on Linux, jax 0.10)."""

PAIR_ARRAYS = 3
"""Arrays of pairs that a batch holds at its peak on a CPU (measured at N = 2048 and 4096)."""

SNAPSHOT_COPIES = 2
"""Copies of all snapshots on the host: as they come from the device, and joined."""


def batch_size(n_stars: int, *, on_cpu: bool) -> int:
    """Clusters that one device integrates together when memory is no concern."""
    if on_cpu:
        return max(1, CPU_PAIRS_PER_BATCH // n_stars**2)
    return max(1, ACCELERATOR_STARS_PER_BATCH // n_stars)


def interactions(n_runs: int, n_stars: int, n_steps: int) -> float:
    """Pair interactions of `n_runs` runs, all N^2 of a step counted."""
    return float(n_runs) * n_stars**2 * n_steps


def memory_bytes(n_runs: int, n_stars: int, n_snapshots: int, n_devices: int, item_bytes: int = 8) -> float:
    """Peak memory of a simulate job that uses `n_devices` cores of a CPU, in bytes."""
    snapshots = n_runs * n_snapshots * n_stars * 6 * item_bytes
    pairs = n_devices * batch_size(n_stars, on_cpu=True) * n_stars**2 * item_bytes
    return BASELINE_BYTES + PAIR_ARRAYS * pairs + SNAPSHOT_COPIES * snapshots


def devices_that_fit(
    n_runs: int, n_stars: int, n_snapshots: int, n_devices: int, item_bytes: int, max_memory_gb: float
) -> int:
    """How many of `n_devices` cores a job may use at once within `max_memory_gb` (1e9 bytes each).

    Raises `NatalError` if not even one fits, naming what to change.
    """
    for n in range(n_devices, 0, -1):
        needed = memory_bytes(n_runs, n_stars, n_snapshots, n, item_bytes)
        if needed <= max_memory_gb * 1e9:
            return n
    raise NatalError(
        f"a job of {n_runs} runs of {n_stars} stars needs {needed / 1e9:.2f} GB, more than resources.max_memory_gb = "
        f"{max_memory_gb:g}: raise it, or lower design.points_per_job, design.realizations or integration.snapshots"
    )
