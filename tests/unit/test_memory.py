"""The memory that a job is said to need is what it takes: peaks are measured in processes of their own."""

import subprocess
import sys

import pytest

from natal.cost import memory_bytes
from natal.errors import NatalError
from natal.simulator import ClusterModel, simulate_clusters

SNAPSHOTS = 11
JOB = """
import sys
import numpy as np, pandas as pd
from natal import device
from natal.simulator import ClusterModel, Integration, simulate_clusters
from natal.store import write_shard

n_stars, n_runs, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
device.set_up(threads=2, cpu_devices=2)
runs = simulate_clusters(
    np.full(n_runs, 0.7),
    np.full(n_runs, 100.0),
    cluster=ClusterModel(n_stars=n_stars),
    integration=Integration(t_end_yr=0.5),
)
points = pd.DataFrame({"point_id": [0], "split": ["train"], "q0": [0.7], "a_au": [100.0]})
write_shard(folder + "/shard.h5", points, n_runs, runs, {})
# not getrusage: its peak includes that of the parent before the fork
(line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(1024 * int(line.split()[1]))
"""


def peak_bytes(n_stars, n_runs, folder):
    """The largest resident memory of a process that simulates and writes a shard."""
    done = subprocess.run(
        [sys.executable, "-c", JOB, str(n_stars), str(n_runs), str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


@pytest.mark.parametrize(("n_stars", "n_runs"), [(100, 16), (100, 2560), (1024, 256)])
def test_peak_memory_is_the_predicted_one(n_stars, n_runs, tmp_path):
    """Within 30 %, from a job that is all baseline to one that is half snapshots."""
    assert peak_bytes(n_stars, n_runs, tmp_path) == pytest.approx(memory_bytes(n_runs, n_stars, SNAPSHOTS), rel=0.3)


@pytest.mark.slow
def test_many_stars_take_no_more_than_their_snapshots(tmp_path):
    """64 realizations of 4096 stars: one array of pairs of one cluster would be 134 MB, of a batch 8.6 GB."""
    assert peak_bytes(4096, 64, tmp_path) == pytest.approx(memory_bytes(64, 4096, SNAPSHOTS), rel=0.1)


def test_a_job_that_cannot_fit_says_so_before_it_starts():
    """One line that names the setting and what it needs."""
    with pytest.raises(
        NatalError, match=r"needs 1\.\d\d GB, more than resources.max_memory_gb = 1: raise it, or lower"
    ):
        simulate_clusters([0.5] * 2000, 100.0, cluster=ClusterModel(n_stars=1000), max_memory_gb=1.0)
