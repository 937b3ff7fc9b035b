"""Jobs and nodes that end: the same command ends the campaign with the bytes of an undisturbed run, and redoes
nothing."""

import os
import signal
import time

import pytest
from slurm_project import HALFWAY, SHARDS, SUMMARIES, VICTIM

pytestmark = pytest.mark.slurm


def test_jobs_that_hang_are_killed_or_are_cancelled(project, undisturbed):
    """Each shard's job ends half-way in its own way; the retry goes on from the last snapshot, within the same call.

    What hangs is ended by its limit of a minute, and the retry has two; memory grows, too. Meanwhile a job gets SIGKILL
    and one is cancelled: scancel sends SIGTERM, at which the job stops cleanly and says how to go on.
    """
    hanging, killed, cancelled = SHARDS
    a_minute = f"simulate:runtime=attempt if wildcards.shard == '{hanging}' else 10"
    driver = project.start(SUMMARIES, "--set-resources", "simulate:gpu=1", a_minute)
    snapshots = {}
    # two run at a time, in any order
    while left := set(SHARDS) - set(snapshots):
        shard, process = project.wait_for_first(left, HALFWAY)
        snapshots[shard] = project.snapshots()[shard]
        if shard == hanging:
            os.kill(process, signal.SIGSTOP)
        elif shard == killed:
            os.kill(process, signal.SIGKILL)
        else:
            (job_id,) = (job["JOBID"] for job in project.slurm.queue() if shard in job["COMMENT"])
            project.slurm.run("scancel", job_id)
    assert driver.wait() == 0, project.output

    for shard in SHARDS:
        assert project.resumed_from(shard) >= snapshots[shard] >= HALFWAY
    project.assert_as_undisturbed(undisturbed)
    assert [job["State"] for job in project.jobs_of(killed)] == ["FAILED", "COMPLETED"]
    assert "natal: stopped by SIGTERM" in project.slurm_log(cancelled, job_id)
    first, second = project.jobs_of(hanging)
    assert (first["State"], second["State"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("1", "2")
    memory = [int(job["ReqTRES"].partition("mem=")[2].partition("M")[0]) for job in (first, second)]
    assert memory[1] == 2 * memory[0]


def test_a_node_that_goes_down_and_comes_back(project, undisturbed):
    """Slurm starts the node's jobs again; they go on from their snapshots."""
    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    project.slurm.set_node("down")
    time.sleep(1)
    project.slurm.set_node("resume")
    assert driver.wait() == 0, project.output
    assert len(project.jobs_of(VICTIM, duplicates=True)) == 2
    for shard, n in snapshots.items():
        if len(project.jobs_of(shard, duplicates=True)) > 1 and n > 0:
            assert project.resumed_from(shard) >= n, shard
    project.assert_as_undisturbed(undisturbed)
