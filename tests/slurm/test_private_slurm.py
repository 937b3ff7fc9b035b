"""The private Slurm itself: two GPUs, accounting, nothing left behind."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import private_slurm
import pytest
from private_slurm import PrivateSlurm

# the fixture skips where no Slurm can run
pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]


def submit(slurm, command, *options):
    """Submit a command, return the job's id."""
    return slurm.run("sbatch", "--parsable", "--mem=10", "--output=/dev/null", *options, f"--wrap={command}").strip()


def job(slurm, job_id, **options):
    """What accounting says of a job."""
    return [job for job in slurm.jobs(**options) if job["JobID"] == job_id]


def wait_for_a_running_job(slurm):
    """Until the first job in the queue runs."""
    deadline = time.monotonic() + 30
    while slurm.queue()[0]["STATE"] != "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_node_offers_two_gpus(slurm):
    """And is idle."""
    assert slurm.run("sinfo", "--noheader", "--format=%N %t %G").split() == [slurm.node, "idle", "gpu:2"]


def test_three_jobs_share_two_gpus(slurm):
    """Each has one; the third starts when one of the others has ended."""
    ids = [submit(slurm, "sleep 2", "--gpus=1") for _ in range(3)]
    slurm.wait_until_idle()
    jobs = [job(slurm, job_id)[0] for job_id in ids]
    assert all("gres/gpu=1," in each["AllocTRES"] for each in jobs)
    assert {each["State"] for each in jobs} == {"COMPLETED"}
    assert max(each["Start"] for each in jobs) >= min(each["End"] for each in jobs)


def test_a_job_outlives_its_node(slurm):
    """Set down, the node loses its job; back, it starts it again."""
    job_id = submit(slurm, "sleep 5", "--requeue")
    wait_for_a_running_job(slurm)
    slurm.set_node("down")
    slurm.set_node("resume")
    slurm.wait_until_idle()
    assert job(slurm, job_id)[0]["State"] == "COMPLETED"
    assert len(job(slurm, job_id, duplicates=True)) == 2


def assert_nothing_is_left(slurm):
    """No daemon, no process of a job, no file."""
    assert not slurm.folder.exists()
    assert not slurm.database.exists()
    for pid in slurm.pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    folder = os.fsencode(slurm.folder)
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            assert folder not in environment.read_bytes(), environment


def test_nothing_is_left(slurm):
    """Not even of a job that ignores SIGTERM; and a second Slurm runs beside the first."""
    with PrivateSlurm(accounting=False) as second:
        submit(second, "trap '' TERM; sleep 100")
        wait_for_a_running_job(second)
        assert len(second.pids) == 3
        assert "idle" in slurm.run("sinfo")
    assert_nothing_is_left(second)


def test_nothing_is_left_when_the_controller_died():
    """The others are stopped without it."""
    with PrivateSlurm(accounting=False) as second:
        submit(second, "sleep 100")
        wait_for_a_running_job(second)
        os.kill(second.pids[1], signal.SIGKILL)
    assert_nothing_is_left(second)


def test_nothing_is_left_of_a_failed_start(monkeypatch):
    """And the error says what the daemon said."""
    monkeypatch.setattr(private_slurm, "SLURM_CONF", private_slurm.SLURM_CONF + "Nonsense=1\n")
    second = PrivateSlurm(accounting=False)
    with pytest.raises(RuntimeError, match=r"slurmctld did not start:[\s\S]*Nonsense"), second:
        pass
    assert len(second.pids) == 2
    assert_nothing_is_left(second)
