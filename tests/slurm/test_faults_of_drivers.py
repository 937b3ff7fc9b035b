"""Drivers that end before their jobs: as in test_faults.py, which runs beside this."""

import os
import re
import shutil
import signal

import pytest
from slurm_project import HALFWAY, SHARDS, SUMMARIES, VICTIM

pytestmark = pytest.mark.slurm


def assert_nothing_was_redone(project, snapshots):
    """A shard whose job ran more than once went on from what it had when the fault came."""
    for shard, n in snapshots.items():
        if len(project.jobs_of(shard, duplicates=True)) > 1 and n > 0:
            assert project.resumed_from(shard) >= n, shard


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


def test_snakemakes_folder_is_removed_and_a_driver_is_killed(project, undisturbed):
    """Nothing more can be recorded: the call says so, cancels its jobs and ends, and the next one goes on.

    That one is killed, and its jobs end. Shards that nobody was there to see complete are not simulated again.
    """
    driver = project.start(SUMMARIES)
    process = project.wait_for_snapshots(VICTIM, 3)
    # else it might end first
    os.kill(process, signal.SIGSTOP)
    shutil.rmtree(project.folder / ".snakemake")
    assert driver.wait() != 0
    assert ".snakemake/ was removed while jobs ran: they are cancelled; run again to go on" in project.output
    project.slurm.wait_until_idle()

    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, HALFWAY)
    assert project.resumed_from(VICTIM) >= 3
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    project.slurm.wait_until_idle(120)
    assert all(project.shard(shard).exists() for shard in SHARDS)
    n_jobs = project.n_jobs()
    project.finish(SUMMARIES)
    for shard, n in project.n_jobs().items():
        assert n == n_jobs[shard] or project.resumed_from(shard) == 21
    project.assert_as_undisturbed(undisturbed)
