"""The memory that a job is said to need is what it takes: peaks are measured in processes of their own."""

import os
import subprocess
import sys
import tempfile

import pytest

from natal.errors import NatalError
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.cost import memory_bytes
from natal.simulation.setup import Setup

JOB = """
import os, sys, threading, time
import numpy as np, pandas as pd
from natal.running import device
from natal.simulation.checkpoint import Checkpoint
from natal.simulation.conservation import check_runs
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
from natal.simulation.shard_files import write_shard

n_stars, n_runs, snapshots, per_batch, folder = *map(int, sys.argv[1:5]), sys.argv[5]
peak_kb = 0

def watch():
    # not the process's own peak, which counts pages of the checkpoint file that the system may drop at any time
    global peak_kb
    while True:
        (line,) = (line for line in open("/proc/self/status") if line.startswith("RssAnon:"))
        peak_kb = max(peak_kb, int(line.split()[1]))
        time.sleep(0.002)

threading.Thread(target=watch, daemon=True).start()
device.set_up(threads=2, cpu_devices=2, cache_folder=None)
setup = Setup.of(
    np.full(n_runs, 0.7),
    np.full(n_runs, 100.0),
    cluster=ClusterModel(n_stars=n_stars),
    integration=Integration(
        t_end_yr=0.05 * (snapshots - 1), snapshots=snapshots, clusters_per_batch=per_batch or None
    ),
)
with Checkpoint(folder + "/shard.checkpoint", {}) as checkpoint:
    runs = simulate(setup, checkpoint=checkpoint)
    points = pd.DataFrame({"point_id": [0, 1], "split": ["train"] * 2, "q0": [0.7] * 2, "a_au": [100.0] * 2})
    check_runs(runs, points, n_runs // 2, 1.0)
    write_shard(folder + "/shard.h5", points, n_runs // 2, runs, {})
print(1024 * peak_kb, flush=True)
# not through the end of the interpreter, with the watching thread in the middle of something
os._exit(0)
"""


def peak_bytes(n_stars, n_runs, snapshots, folder, per_batch=0):
    """The largest memory of its own that a process has while it simulates and writes a shard."""
    command = [sys.executable, "-c", JOB, *map(str, (n_stars, n_runs, snapshots, per_batch, folder))]
    # the compiler works as it does in a job, not as in these tests
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def lower_peak_bytes(*job, folder, per_batch=0):
    """Of two tries: compiler threads and freed blocks that the allocator keeps add 10 MB by chance, seldom 30 MB."""
    return min(peak_bytes(*job, tempfile.mkdtemp(dir=folder), per_batch) for _ in range(2))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The peak of a job that is all baseline."""
    return lower_peak_bytes(100, 16, 3, folder=tmp_path_factory.mktemp("small"))


@pytest.mark.slow
def test_the_baseline(small):
    """Libraries and compiler, to a third: versions differ."""
    assert small == pytest.approx(memory_bytes(16, 100), rel=0.33)


@pytest.mark.slow
def test_memory_of_many_runs(small, tmp_path):
    """8000 runs of 100 stars: what they add to the baseline is three snapshots of 45 MB, and not much besides."""
    added = lower_peak_bytes(100, 8_000, 3, folder=tmp_path) - small
    assert added == pytest.approx(memory_bytes(8_000, 100) - memory_bytes(0, 100), rel=0.2)


@pytest.mark.slow
def test_memory_of_large_batches(small, tmp_path):
    """8000 runs in two batches side by side: 290 MB more than in batches of natal's own size."""
    added = lower_peak_bytes(100, 8_000, 3, folder=tmp_path, per_batch=4_000) - small
    expected = memory_bytes(8_000, 100, clusters_per_batch=4_000, n_devices=2) - memory_bytes(0, 100)
    assert added == pytest.approx(expected, rel=0.25)


@pytest.mark.slow
def test_snapshots_go_to_disk(small, tmp_path):
    """501 snapshots of 128 runs are 360 MB on disk; a fifth of that, at most, is ever held."""
    assert peak_bytes(100, 128, 501, tmp_path) - small < 0.2 * 7 * 8 * 128 * 100 * 501


@pytest.mark.slow
def test_pairs_take_no_memory(small, tmp_path):
    """16 runs of 4096 stars: one array of pairs of one cluster would be 134 MB, of a batch 2.1 GB."""
    assert peak_bytes(4096, 16, 3, tmp_path) - small < memory_bytes(16, 4096) - memory_bytes(0, 4096) + 60e6


def test_a_job_that_cannot_fit_says_so_before_it_starts():
    """One line that names the setting and what it needs: without a checkpoint file all snapshots are held."""
    with pytest.raises(
        NatalError, match=r"needs 1\.\d\d GB, more than resources.max_memory_gb = 1: raise it, or lower"
    ):
        Setup.of([0.5] * 2000, 100.0, cluster=ClusterModel(n_stars=1000)).check_memory(1.0, n_snapshots_held=11)


def test_what_batches_take_counts():
    """A job that fits with natal's own batches does not with one large one, and the line names it."""
    in_one = Integration(clusters_per_batch=2000)
    Setup.of([0.5] * 2000, 100.0, cluster=ClusterModel(n_stars=1000)).check_memory(1.0, n_snapshots_held=3)
    with pytest.raises(
        NatalError, match=r"needs 1\.36 GB, .*: raise it, or lower integration.clusters_per_batch = 2000"
    ):
        Setup.of([0.5] * 2000, 100.0, cluster=ClusterModel(n_stars=1000), integration=in_one).check_memory(1.0, 3)
