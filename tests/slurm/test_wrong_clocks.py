"""A driver whose clock is wrong: jobs, slurmctld, slurmd and the dates of files have the right one."""

import re
import shutil
import time
from datetime import datetime

import h5py
import pytest
from slurm_project import SHARDS, SUMMARIES

pytestmark = pytest.mark.slurm

# libfaketime breaks the system call behind Python's own
SITECUSTOMIZE = """
import select, time
def sleep(seconds):
    select.select([], [], [], seconds)
time.sleep = sleep
"""

PROGRAMS = {
    # nothing of the driver's clock reaches jobs
    "sbatch": """
        unset LD_PRELOAD FAKETIME FAKETIME_SHARED DONT_FAKE_MONOTONIC NO_FAKE_STAT
        PYTHONPATH=${{PYTHONPATH#*:}} exec {program} "$@" """,
    # knows no job that has ended, as where MinJobAge is short: sacct is asked
    "squeue": """
        for word; do shift; [ "$word" = --states=all ] || set -- "$@" "$word"; done
        exec {program} "$@" """,
}


@pytest.fixture
def start_with_clock(project, tmp_path):
    """Start drivers whose clock is so many minutes ahead."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    for name, text in PROGRAMS.items():
        (folder / name).write_text("#!/bin/sh" + text.format(program=shutil.which(name)))
        (folder / name).chmod(0o755)

    def start(*arguments, minutes):
        given = project.environment | project.slurm.environment
        paths = {name: f"{folder}:{given[name]}" for name in ("PATH", "PYTHONPATH")}
        # files have the dates that their disk gives them
        around = ["faketime", "-m", "--exclude-monotonic", "-f", f"{minutes:+d}m"]
        return project.start(*arguments, around=around, more_environment=paths | {"NO_FAKE_STAT": "1"})

    return start


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime (tests/slurm/install.sh)")
def test_a_clock_that_is_ahead_and_one_that_is_behind(project, undisturbed, start_with_clock):
    """Twenty minutes: each driver ends by itself when its jobs have.

    The first makes two shards, the second the rest of the campaign. To that, files of the first are from the future:
    one line says so, and none is made again.
    """
    *first, _ = SHARDS
    shards = [f"results/faults/simulations/{shard}.h5" for shard in first]
    began, outputs = time.time(), []
    for targets, minutes in ((shards, 20), ([SUMMARIES], -20)):
        before = len(project.output)
        driver = start_with_clock(*targets, minutes=minutes)
        assert driver.wait() == 0, project.output[before:]
        outputs.append(project.output[before:])
    project.assert_as_undisturbed(undisturbed)
    assert project.n_jobs() == dict.fromkeys(SHARDS, 1)

    (ahead,), (behind,) = map(_began, outputs)
    assert time.time() < ahead
    assert behind < began
    for shard in SHARDS:
        with h5py.File(project.shard(shard)) as file:
            assert began < file.attrs["started_unix_s"] < time.time()
    said = " in the future, and so are 1 more files: the clock of this machine or of the disk is wrong; set to now"
    assert [output.count(said) for output in outputs] == [0, 1]
    assert not any("Traceback" in output for output in outputs)


def _began(output):
    """When a call began by its own clock, in Unix time."""
    return [datetime.fromisoformat(date).timestamp() for date in re.findall(r"^ +Date: (.+)$", output, re.M)]
