"""Jobs, nodes and drivers that end: the same command ends the campaign with the bytes of an undisturbed run, and redoes
nothing."""

import os
import re
import signal
import time

import pytest
from slurm_project import HALFWAY, SUMMARIES, VICTIM

pytestmark = pytest.mark.slurm


def assert_nothing_was_redone(project, snapshots):
    """A shard whose job ran more than once went on from what it had when the fault came."""
    for shard, n in snapshots.items():
        if len(project.jobs_of(shard, duplicates=True)) > 1 and n > 0:
            assert project.resumed_from(shard) >= n, shard


def test_a_killed_job(project, undisturbed):
    """SIGKILL half-way: the retry goes on from the last snapshot, within the same call."""
    driver = project.start(SUMMARIES)
    process = project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    os.kill(process, signal.SIGKILL)
    assert driver.wait() == 0, project.output
    assert_nothing_was_redone(project, snapshots)
    project.assert_as_undisturbed(undisturbed)
    assert [job["State"] for job in project.jobs_of(VICTIM)] == ["FAILED", "COMPLETED"]


def test_a_cancelled_job(project, undisturbed):
    """scancel sends SIGTERM: the job stops cleanly and says how to go on; the retry does."""
    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    (job,) = (job for job in project.slurm.queue() if VICTIM in job["COMMENT"])
    project.slurm.run("scancel", job["JOBID"])
    assert driver.wait() == 0, project.output
    assert "natal: stopped by SIGTERM" in project.slurm_log(VICTIM, job["JOBID"])
    assert_nothing_was_redone(project, snapshots)
    project.assert_as_undisturbed(undisturbed)


def test_a_time_limit(project, undisturbed):
    """A job that hangs is ended by its limit of a minute, and the retry has two; memory grows, too."""
    driver = project.start(SUMMARIES, "--set-resources", "simulate:gpu=1", "simulate:runtime=attempt")
    process = project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    os.kill(process, signal.SIGSTOP)
    assert driver.wait() == 0, project.output
    first, second = project.jobs_of(VICTIM)
    assert (first["State"], second["State"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("1", "2")
    memory = [int(job["ReqTRES"].partition("mem=")[2].partition("M")[0]) for job in (first, second)]
    assert memory[1] == 2 * memory[0]
    assert_nothing_was_redone(project, snapshots)
    project.assert_as_undisturbed(undisturbed)


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
    assert_nothing_was_redone(project, snapshots)
    project.assert_as_undisturbed(undisturbed)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_driver_that_ends_and_is_started_again(project, undisturbed, how):
    """The second call stops what the first left in the queue, and goes on from its snapshots.

    After SIGTERM Snakemake lets running jobs end; after the others they are cut. A killed driver cancels nothing: by
    Slurm's own accounts the second call does.
    """
    driver = project.start(SUMMARIES)
    process = project.wait_for_snapshots(VICTIM, HALFWAY)
    if how != signal.SIGTERM:
        # else it might end before anybody cuts it
        os.kill(process, signal.SIGSTOP)
    snapshots = project.snapshots()
    os.kill(driver.pid, how)
    driver.wait()
    output = project.finish(SUMMARIES)
    assert_nothing_was_redone(project, snapshots)
    assert (project.resumed_from(VICTIM) >= HALFWAY) == (how != signal.SIGTERM)
    if how == signal.SIGKILL:
        first, second = project.jobs_of(VICTIM)
        assert first["State"].startswith("CANCELLED")
        assert second["State"] == "COMPLETED"
        assert re.search(rf"natal: cancelling \d jobs of an earlier run: .*\b{first['JobID']}\b", output)
    project.assert_as_undisturbed(undisturbed)
