"""A campaign of a million clusters against stand-ins for Slurm's programs, which count how often they are called."""

import os
import re
import subprocess
from collections import Counter

import pytest
from project import TINY, Project

pytestmark = pytest.mark.slow

# 62,500 points of 16 clusters; an hour's jobs at the speed that is assumed where nothing is known
CONFIG = {
    **TINY,
    "campaign": "many",
    "cluster": {"n_stars": 100},
    "integration": {"t_end_yr": 500, "dt_yr": 0.05, "snapshots": 21},
    "design": {
        **{"realizations": 16, "job_minutes": 60},
        **{"train": [61_000], "validation": [750], "test": [750], "calibration": 0},
    },
}
# a job has made its shard as soon as it was submitted; only Snakemake looks whether it is there
STAND_IN = """#!/bin/sh
name=${0##*/}
echo "$name" >> FOLDER/calls
for word in "$@"; do
  case $word in
    --wrap=*) shard=$(echo "$word" | sed -n 's/.*simulate:shard=\\([a-z0-9_]*\\).*/\\1/p') ;;
    --jobs=*) ids=$(echo "${word#--jobs=}" | tr , ' ') ;;
  esac
done
case $name in
  sbatch)
    log=logs/many/simulate/$shard
    mkdir -p logs/many/simulate && touch results/many/simulations/$shard.h5 $log.log $log.benchmark.tsv && echo $$ ;;
  squeue) for id in $ids; do echo "$id|COMPLETED|None"; done ;;
  scontrol) echo "AccountingStorageType = accounting_storage/slurmdbd" ;;
  sacctmgr) echo test ;;
esac
"""
PROGRAMS = ("sbatch", "squeue", "sacct", "scontrol", "sacctmgr", "sshare", "sinfo", "scancel")


def test_a_million_clusters_take_fewer_than_a_hundred_calls(tmp_path, shared):
    """One for each job of an hour, one for the states of all jobs at once, and a few at the start.

    How often states are asked for in an hour: `test_an_hour_of_long_jobs_takes_some_thirty_looks`.
    """
    (shared / "cache").mkdir(exist_ok=True)
    project = Project(tmp_path / "project", shared / "cache", CONFIG)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(STAND_IN.replace("FOLDER", str(tmp_path)))
        (programs / name).chmod(0o755)
    options = ("--until", "simulate", "--slurm-init-seconds-before-status-checks", "1")
    options += ("--default-resources", "slurm_account=test", "slurm_partition=main")
    done = subprocess.run(
        project.command("profiles/slurm", "results/many/summaries.csv", *options),
        cwd=project.folder,
        env=project.environment | {"PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"cost: ([0-9,]+) clusters", done.stderr)[1].replace(",", "")) >= 1_000_000
    made = list((project.results() / "simulations").glob("*.h5"))
    calls = Counter((tmp_path / "calls").read_text().split())
    assert len(made) == calls["sbatch"] == (done.stdout + done.stderr).count("has been submitted with SLURM jobid")
    assert sum(calls.values()) < 100, calls
    # two threads submit
    assert calls["sacctmgr"] <= 2
    assert calls["sacct"] == calls["scancel"] == 0
