"""What is asked of the scheduler and the device, by numbers worked out by hand."""

import pytest

from natal.simulation.cost import (
    batch_size,
    clusters_computed,
    interactions,
    memory_bytes,
    runs_in_minutes,
    runtime_minutes,
)


def test_interactions_count_all_pairs():
    """Runs x stars^2 x steps, as a real number: large campaigns do not overflow anything."""
    assert interactions(3, 100, 7) == 210_000.0
    assert interactions(10**6, 10**5, 10**7) == 1e23


def test_runtime_by_hand():
    """600 runs of 1000 stars, 10 000 steps are 6e12 interactions, 100 minutes at 1e9 a second: twice that and ten."""
    assert runtime_minutes(600, 1000, 10_000, 1.0) == 210
    assert runtime_minutes(600, 1000, 10_000, 4.0) == 60
    assert runtime_minutes(600, 1000, 10_000, 0.5) == 410


def test_a_default_shard_by_hand():
    """16 points x 32 realizations of 100 stars, 500 yr of 0.05 yr: 5.12e10, 102.4 s at 0.5e9; 10 min and 204.8 s."""
    assert runtime_minutes(16 * 32, 100, 10_000, 0.5) == 14


def test_the_smallest_job_has_ten_minutes():
    """Start-up and a busy file system take their time whatever is computed; minutes are rounded up."""
    assert runtime_minutes(1, 2, 1, 1000.0) == 11
    assert isinstance(runtime_minutes(1, 2, 1, 1000.0), int)


@pytest.mark.parametrize(
    ("runs", "stars", "steps", "speed", "factor"),
    [(3, 1, 1, 1, 3), (1, 3, 1, 1, 9), (1, 1, 3, 1, 3), (1, 1, 1, 0.25, 4), (2, 2, 2, 4, 4)],
)
def test_runtime_grows_with_the_work(runs, stars, steps, speed, factor):
    """In proportion to runs, steps and the square of the stars, and inversely to the speed, but for the ten minutes."""
    base = runtime_minutes(1000, 1000, 10_000, 1.0) - 10
    grown = runtime_minutes(1000 * runs, 1000 * stars, 10_000 * steps, float(speed)) - 10
    # both are rounded up
    assert factor * (base - 1) < grown <= factor * base


@pytest.mark.parametrize(("stars", "size"), [(1, 40_000), (2, 10_000), (100, 4), (200, 1), (201, 1), (100_000, 1)])
@pytest.mark.parametrize("n_runs", [1, 7, 10**6])
def test_a_cores_batch_follows_from_the_stars(stars, size, n_runs):
    """However many runs a job has: a realization's bits must not depend on its company."""
    assert batch_size(stars, on_cpu=True, n_runs=n_runs) == size


@pytest.mark.parametrize(("stars", "size"), [(1, 524_288), (100, 5242), (1024, 512), (2**19, 1), (2**19 + 1, 1)])
def test_an_accelerators_full_batch(stars, size):
    """Half a million stars, or one cluster if that has more."""
    assert batch_size(stars, on_cpu=False, n_runs=10**7) == size


@pytest.mark.parametrize(
    ("n_runs", "size"),
    [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (512, 512), (513, 1024), (4096, 4096), (4097, 5242), (5242, 5242)],
)
def test_a_small_job_on_an_accelerator(n_runs, size):
    """The next power of two, but no more than a full batch of 5242 clusters of 100 stars."""
    assert batch_size(100, on_cpu=False, n_runs=n_runs) == size


def test_jobs_on_an_accelerator_share_few_programs():
    """Any job smaller than a full batch fills more than half of its own, and all of them have 13 sizes together."""
    sizes = {n: batch_size(100, on_cpu=False, n_runs=n) for n in range(1, 4097)}
    assert all(n <= size < 2 * n for n, size in sizes.items())
    assert sorted(set(sizes.values())) == [2**k for k in range(13)]


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize(("n_runs", "size"), [(1, 1), (3, 4), (9, 16), (20, 20), (21, 20), (1000, 20)])
def test_a_batch_that_is_asked_for(on_cpu, n_runs, size):
    """On any device; a job that is smaller fills no twenty places."""
    assert batch_size(100, on_cpu=on_cpu, n_runs=n_runs, clusters_per_batch=20) == size


def test_copies_in_a_last_batch_take_time():
    """101 runs in batches of 100 are 200; the few copies in batches of natal's own size are not counted."""
    assert clusters_computed(101, 100, clusters_per_batch=100) == 200
    assert clusters_computed(5, 100, clusters_per_batch=100) == 8
    assert clusters_computed(101, 100, clusters_per_batch=None) == 101
    # 600 runs in two batches of 400: 8e12 interactions in place of 6e12
    assert runtime_minutes(600, 1000, 10_000, 1.0, clusters_per_batch=400) == 277


def test_batches_take_memory():
    """45 numbers a star for each batch that is on its way, at most for all clusters of the job."""
    without = memory_bytes(1000, 100)
    for n_devices, moving in ((1, 100), (2, 200), (64, 1000), (None, 1000)):
        with_batches = memory_bytes(1000, 100, clusters_per_batch=100, n_devices=n_devices)
        assert with_batches - without == 45 * 8 * 100 * moving


def test_clusters_of_a_job_by_time():
    """So many minutes at a speed, no more than fit into memory, at least one."""
    # 100 clusters of 100 stars, 6e5 steps: 6e11 interactions, 10 min at 1e9 a second
    assert runs_in_minutes(10, 100, 600_000, 1.0, 1e12) == 100
    assert runs_in_minutes(20, 100, 600_000, 0.5, 1e12) == 100
    assert runs_in_minutes(1, 10_000, 10_000_000, 0.5, 1e12) == 1
    fitting = runs_in_minutes(1e6, 100, 600_000, 100.0, 1e9)
    assert memory_bytes(fitting, 100) <= 1e9 < memory_bytes(fitting + 1, 100)
    fewer = runs_in_minutes(1e6, 100, 600_000, 100.0, 1e9, clusters_per_batch=4096)
    needed = [memory_bytes(n, 100, clusters_per_batch=4096) for n in (fewer, fewer + 1)]
    assert needed[0] <= 1e9 < needed[1]
