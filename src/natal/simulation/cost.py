"""What a simulate job needs, from its configuration alone: interactions, batch size, memory.

Plain arithmetic without JAX, so that the workflow can ask for resources before anything runs.
"""

import math
from bisect import bisect_right

CPU_PAIRS_PER_BATCH = 40_000
"""Pair weights of a batch on a CPU: 320 kB in float64, to stay well inside a core's second-level cache."""

ACCELERATOR_STARS_PER_BATCH = 2**19
"""Stars of a batch on an accelerator, one thread each: enough to keep all of it busy."""

BASELINE_BYTES = 300e6
"""What Python, its libraries and the compiler take before any array (measured on Linux, jax 0.10, CPU)."""

WORKFLOW_BYTES = 700e6
"""What else counts towards a job's limit: the Snakemake processes above it, shared libraries, file buffers."""

GPU_HOST_BYTES = 4e9
"""What a job on a GPU needs besides on the host: CUDA's libraries, its context and compiler. Generous; not measured."""

SNAPSHOTS_HELD = 3
"""Snapshots that a job with a checkpoint file holds: the last one, the one in the making, and its copy for the file."""

STATE_NUMBERS = 45
"""Numbers a star of a batch that is on its way: of its state, before, after and in between (measured: 35 to 45)."""


def batch_size(n_stars: int, *, on_cpu: bool, n_runs: int, clusters_per_batch: int | None = None) -> int:
    """Clusters that one device integrates together.

    Args:
        n_stars: Stars of a cluster.
        on_cpu: Whether the device is a CPU.
        n_runs: Clusters of the job. On an accelerator, or where a size is asked for, a small job gets a smaller batch,
            of 2^k clusters so that jobs of about the same size share a compiled program.
        clusters_per_batch: The size that is asked for; None: as many as seem best.

    Returns:
        At least 1.
    """
    if on_cpu and clusters_per_batch is None:
        return max(1, CPU_PAIRS_PER_BATCH // n_stars**2)
    smallest_power: int = 2 ** math.ceil(math.log2(n_runs))
    return min(clusters_per_batch or max(1, ACCELERATOR_STARS_PER_BATCH // n_stars), smallest_power)


def clusters_computed(n_runs: int, n_stars: int, clusters_per_batch: int | None) -> int:
    """Clusters that a job computes: a last batch that is not full is filled up.

    Args:
        n_runs: Clusters of the job.
        n_stars: Stars of each.
        clusters_per_batch: As for `batch_size`; with None the few copies are not counted.

    Returns:
        At least `n_runs`.

    Examples:
        >>> clusters_computed(n_runs=10, n_stars=100, clusters_per_batch=4)
        12
    """
    if clusters_per_batch is None:
        return n_runs
    size = batch_size(n_stars, on_cpu=True, n_runs=n_runs, clusters_per_batch=clusters_per_batch)
    return -(-n_runs // size) * size


def interactions(n_runs: int, n_stars: int, n_steps: int) -> float:
    """Pair interactions of a job, all N^2 of each step counted.

    Args:
        n_runs: Clusters.
        n_stars: Stars N of each.
        n_steps: Leapfrog steps.

    Returns:
        Their number.

    Examples:
        >>> interactions(n_runs=8, n_stars=100, n_steps=10_000)
        800000000.0
    """
    return float(n_runs) * n_stars**2 * n_steps


def memory_bytes(
    n_runs: int,
    n_stars: int,
    n_snapshots_held: int = SNAPSHOTS_HELD,
    item_bytes: int = 8,
    clusters_per_batch: int | None = None,
    n_devices: int | None = None,
) -> float:
    """Peak memory of a job on the host.

    A snapshot takes seven numbers a star. What a batch of natal's own size integrates comes to a few MB more, since
    pairs are handled in blocks; of another size, to `STATE_NUMBERS` a star.

    Args:
        n_runs: Clusters.
        n_stars: Stars of each.
        n_snapshots_held: Snapshots in memory at once.
        item_bytes: Of one number.
        clusters_per_batch: As for `batch_size`.
        n_devices: Batches that are on their way at once; None: all of them.

    Returns:
        Bytes.
    """
    held, moving = 7.0 * n_snapshots_held * n_runs, 0.0
    if clusters_per_batch is not None:
        computed = clusters_computed(n_runs, n_stars, clusters_per_batch)
        moving = STATE_NUMBERS * min(computed, (n_devices or n_runs) * clusters_per_batch)
    return BASELINE_BYTES + item_bytes * n_stars * (held + moving)


def runtime_minutes(
    n_runs: int, n_stars: int, n_steps: int, gint_per_s: float, clusters_per_batch: int | None = None
) -> int:
    """Wall time to ask for: twice what the interactions take, and ten minutes.

    The ten minutes are for a busy file system, start-up and compilation.

    Args:
        n_runs: Clusters.
        n_stars: Stars of each.
        n_steps: Leapfrog steps.
        gint_per_s: Speed in 1e9 interactions a second.
        clusters_per_batch: As for `batch_size`.

    Returns:
        Whole minutes.
    """
    computed = clusters_computed(n_runs, n_stars, clusters_per_batch)
    return math.ceil(10 + 2 * interactions(computed, n_stars, n_steps) / (gint_per_s * 1e9) / 60)


def runs_in_minutes(
    minutes: float,
    n_stars: int,
    n_steps: int,
    gint_per_s: float,
    max_bytes: float,
    clusters_per_batch: int | None = None,
) -> int:
    """How many clusters a job can simulate.

    Args:
        minutes: Time that it should take.
        n_stars: Stars of a cluster.
        n_steps: Leapfrog steps.
        gint_per_s: Speed in 1e9 interactions a second.
        max_bytes: Memory that it may use.
        clusters_per_batch: As for `batch_size`.

    Returns:
        At least 1.
    """
    in_time = int(60 * minutes * gint_per_s * 1e9 / interactions(1, n_stars, n_steps))

    def needed(n_runs: int) -> float:
        return memory_bytes(n_runs, n_stars, clusters_per_batch=clusters_per_batch)

    return max(1, bisect_right(range(1, in_time + 1), max_bytes, key=needed))


DEFAULT_GINT_PER_S = 0.5
"""1e9 pair interactions a second where nothing is known: less than one core of an old processor reaches."""
