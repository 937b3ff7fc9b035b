"""What a busy site does to jobs: a limit on their number, urgent jobs of others, a database that does not answer."""

import os
import shutil
import signal

import pytest
from private_slurm import PrivateSlurm
from slurm_project import CAMPAIGN, SHARDS, SUMMARIES, SlurmProject

pytestmark = pytest.mark.slurm

SETTINGS = """
AccountingStorageEnforce=limits,qos
JobRequeue=0
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=urgent Nodes={node} PriorityTier=10 MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="module")
def strict_slurm(can_run):
    """A Slurm with limits, in which urgent jobs end others."""
    with PrivateSlurm(settings=SETTINGS) as running:
        yield running


@pytest.fixture
def project(strict_slurm, tmp_path, cache):
    """A project in which nothing has run."""
    project = SlurmProject(tmp_path / "project", cache, strict_slurm, CAMPAIGN)
    yield project
    project.stop()
    shutil.rmtree(project.folder, ignore_errors=True)


def test_a_limit_on_submitted_jobs_and_urgent_jobs(project, undisturbed):
    """What is refused waits for its turn: no job fails, and one line says what happens.

    Then urgent jobs end others while the database is away. PREEMPTED is the end of a job, which is submitted again; and
    squeue knows all that sacct does not tell.
    """
    *first, last = SHARDS
    limit = ("sacctmgr", "-i", "modify", "user", "root", "set")
    project.slurm.run(*limit, "MaxSubmitJobs=1")
    try:
        project.finish(*(f"results/faults/simulations/{shard}.h5" for shard in first), "--retries", "0")
    finally:
        project.slurm.run(*limit, "MaxSubmitJobs=-1")
    assert [job["State"] for job in project.jobs()] == ["COMPLETED"] * len(first)
    assert project.output.count("natal: Slurm takes no more jobs for now (AssocMaxSubmitJobLimit)") == 1
    project.assert_shards_as_undisturbed(undisturbed, *first)

    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(last, 8)
    database = project.slurm.daemon("slurmdbd").pid
    os.kill(database, signal.SIGSTOP)
    try:
        urgent = ("--partition=urgent", "--exclusive", "--mem=10", "--account=test", "--output=/dev/null")
        project.slurm.run("sbatch", *urgent, "--wrap=true")
        assert driver.wait() == 0, project.output
    finally:
        os.kill(database, signal.SIGCONT)
    assert "ended as PREEMPTED" in project.output
    assert project.resumed_from(last) >= 8
    project.assert_as_undisturbed(undisturbed)


def test_the_only_node_fails_while_shards_are_left_to_submit(project, undisturbed):
    """Its job ends as NODE_FAIL; this and the other are submitted for the same node, and run when it is back."""
    shards = SHARDS[:2]
    profile = project.folder / "profiles" / "slurm" / "config.yaml"
    text = profile.read_text()
    assert "slurm-requeue: true" in text
    # else Slurm itself starts the job again (test_faults.py)
    profile.write_text(text.replace("slurm-requeue: true", "slurm-requeue: false"))
    driver = project.start(*(f"results/faults/simulations/{shard}.h5" for shard in shards), "--jobs", "1")
    project.wait_for(lambda: max(project.snapshots().values()) >= 8, "snapshots")
    (first,) = project.slurm.queue()
    project.slurm.fail_node()
    project.wait_for(lambda: f"Slurm job {first['JOBID']} ended as NODE_FAIL" in project.output, "the failed job")
    # the next one waits for a node that may never come back, which is said
    project.wait_for(lambda: "natal: Slurm lets jobs of this run wait: " in project.output, "the line")
    project.slurm.start_node()
    assert driver.wait() == 0, project.output
    assert "--exclude" not in project.output
    assert [job["State"] for job in project.jobs()] == ["NODE_FAIL", *["COMPLETED"] * len(shards)]
    assert max(map(project.resumed_from, shards)) >= 8
    project.assert_shards_as_undisturbed(undisturbed, *shards)
