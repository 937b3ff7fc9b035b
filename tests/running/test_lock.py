"""One workflow at a time on a campaign, and none of the jobs that a killed one left behind."""

import errno
import os
import platform
import re
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager

import pytest

from natal.errors import NatalError
from natal.files import locks
from natal.running import lock
from natal.running import slurm as slurm_module
from natal.running.lock import lock_campaign
from natal.running.slurm import RUNS, accounting_is_off, cancel_orphans, cancel_run, note_run

HOLDER = """
import sys
from pathlib import Path
from natal.running.lock import lock_campaign
from natal.errors import NatalError
try:
    lock_campaign(Path(sys.argv[1]))
except NatalError as error:
    sys.exit(str(error))
print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path):
    """Results of a campaign; the folder is not there yet."""
    return tmp_path / "results" / "smoke"


@pytest.fixture(autouse=True)
def own_locks(monkeypatch):
    """Locks of this process end with the test."""
    monkeypatch.setattr(lock, "_locks", [])
    yield
    for file in lock._locks:
        file.close()


@contextmanager
def holder(folder):
    """A process that tries to lock a campaign and, if it can, keeps it until it reads a line."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused(folder):
    """In one line that names process, machine and time of the first; when that one ends, the lock is free."""
    with holder(folder) as first:
        assert first.stdout.readline() == "locked\n"
        with holder(folder) as second:
            output, message = second.communicate(timeout=60)
        assert (second.returncode, output) == (1, "")
        with pytest.raises(NatalError) as caught:
            lock_campaign(folder)
        assert message == f"{caught.value}\n"
        who = f"process {first.pid} on {re.escape(platform.node())}, since \\d{{4}}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d"
        assert re.fullmatch(f"{re.escape(str(folder))} is being worked on by {who}: wait for it, or stop it\n", message)
        first.communicate("\n", timeout=60)
    lock_campaign(folder)


def test_the_lock_of_a_killed_process_is_free(folder):
    """SIGKILL leaves nothing that a person has to remove; the next process puts its own name there."""
    with holder(folder) as first:
        assert first.stdout.readline() == "locked\n"
        first.kill()
        assert first.wait(60) == -signal.SIGKILL
    lock_campaign(folder)
    (line,) = (folder / ".lock").read_text().splitlines()
    assert line.startswith(f"process {os.getpid()} on ")


def test_a_process_locks_for_as_long_as_it_lives(folder):
    """Not only while somebody holds on to what the function returns."""
    lock_campaign(folder)
    for _ in range(2):
        with holder(folder) as second:
            _, message = second.communicate(timeout=60)
        assert f"process {os.getpid()} on " in message


def test_children_do_not_hold_the_lock(folder):
    """A job that outlives a killed workflow keeps nobody from starting the next one."""
    lock_campaign(folder)
    command = [sys.executable, "-c", "print(flush=True); input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, close_fds=False, **pipes) as child:
        child.stdout.readline()
        lock._locks.pop().close()
        lock_campaign(folder)
        child.communicate(b"\n", timeout=60)


def test_other_campaigns_are_free(folder):
    """The lock is of one folder."""
    lock_campaign(folder)
    lock_campaign(folder.with_name("default"))
    assert len(lock._locks) == 2


@pytest.mark.parametrize("code", ["ENOLCK", "ENOTSUP", "ENOSYS"])
def test_a_file_system_without_locks(folder, monkeypatch, code):
    """Is no reason to refuse work."""

    def refuse(*_):
        raise OSError(getattr(errno, code), "no locks")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    lock_campaign(folder)
    lock_campaign(folder)


def test_other_trouble_with_the_lock_is_not_hidden(folder, monkeypatch):
    """An error that means something else is raised."""

    def refuse(*_):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="broken disk"):
        lock_campaign(folder)


class FakeSlurm:
    """Commands `scancel` and `squeue` that answer from a file and write down how they were called."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.queue, self.calls = folder / "queue", folder / "calls"
        self.queue.write_text("")
        self.calls.write_text("")
        (folder / "bin").mkdir()
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        self.command("scancel", "exit 0")
        # cancelled jobs are there for two more looks
        looks = (
            f"""test $(grep -c '^squeue' '{self.calls}') -gt "$(cat '{folder}/gone_after' 2>/dev/null || echo 99)" """
        )
        self.command("squeue", f"{looks} && exit 0; cat '{self.queue}'")

    def command(self, name, what):
        """Put a shell script in front of the real command."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\necho {name} \"$@\" >> '{self.calls}'\n{what}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def holds(self, *job_ids, gone_after=99):
        """These jobs are in the queue for so many looks at it."""
        self.queue.write_text("".join(f"{job_id}\n" for job_id in job_ids))
        (self.folder / "gone_after").write_text(str(gone_after))

    def called(self, name):
        """Arguments of each call of a command."""
        lines = [line.split() for line in self.calls.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == name]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A cluster whose queue is a file; nobody waits in earnest."""
    monkeypatch.setattr(slurm_module.time, "sleep", lambda _: None)
    return FakeSlurm(tmp_path, monkeypatch)


@pytest.fixture
def noted(folder):
    """The folder of a campaign on which two runs worked."""
    folder.mkdir(parents=True)
    note_run(folder, "run-a")
    note_run(folder, "run-b")
    return folder


def test_without_runs_slurm_is_not_asked(slurm, folder):
    """Neither where no run was noted, nor where none of them is left."""
    cancel_orphans(folder)
    folder.mkdir(parents=True)
    (folder / RUNS).write_text("")
    cancel_orphans(folder)
    assert slurm.calls.read_text() == ""


def test_runs_without_jobs_are_forgotten(slurm, noted, capsys):
    """Only the user's own jobs of these runs are looked at, and the next call has nothing to ask."""
    cancel_orphans(noted)
    assert slurm.called("scancel") == []
    ((*options,),) = slurm.called("squeue")
    assert {"--me", "--name=run-a,run-b"} <= set(options)
    assert capsys.readouterr().err == ""
    cancel_orphans(noted)
    assert len(slurm.called("squeue")) == 1


def test_jobs_that_are_left_are_cancelled_and_waited_for(slurm, noted, capsys):
    """Each once, until they are gone; one line says so."""
    slurm.holds("101", "100", gone_after=3)
    cancel_orphans(noted)
    assert slurm.called("scancel") == [["100", "101"]]
    assert len(slurm.called("squeue")) == 4
    assert capsys.readouterr().err == "natal: cancelling 2 jobs of an earlier run: 100 101\n"
    assert not (noted / RUNS).exists()


def test_a_job_that_slurm_accepts_late_is_cancelled_too(slurm, noted, capsys):
    """Its submission was under way when snakemake was killed."""
    slurm.command(
        "squeue",
        f"case $(grep -c '^squeue' '{slurm.calls}') in 1) echo 100;; 2) echo 100; echo 102;; 3) echo 102;; esac",
    )
    cancel_orphans(noted)
    assert slurm.called("scancel") == [["100"], ["102"]]


def test_jobs_that_are_ending_are_waited_for(slurm, noted):
    """A job that writes its last snapshot is in no state of those that `squeue` lists by default."""
    slurm.holds("100", gone_after=2)
    cancel_orphans(noted)
    for options in slurm.called("squeue"):
        (states,) = [option for option in options if option.startswith("--states=")]
        assert {"PENDING", "RUNNING", "COMPLETING"} <= set(states.removeprefix("--states=").split(","))


def test_jobs_that_do_not_end_are_named(slurm, noted, monkeypatch):
    """After a while, in one line that says what to do; the next call looks for them again."""
    monkeypatch.setattr(slurm_module, "CANCEL_TIMEOUT_S", 0.05)
    slurm.holds("100", "102")
    with pytest.raises(NatalError) as caught:
        cancel_orphans(noted)
    assert str(caught.value) == "Slurm jobs 100 102 of an earlier run do not end: cancel them and run again"
    assert slurm.called("scancel") == [["100", "102"]]
    assert (noted / RUNS).read_text() == "run-a\nrun-b\n"


def test_a_scancel_that_fails_is_seen_by_the_queue(slurm, noted):
    """It complains about a job that ended just now: that is no error."""
    slurm.command("scancel", "echo 'scancel: error: Invalid job id 100' >&2; exit 1")
    slurm.holds("100", gone_after=1)
    cancel_orphans(noted)
    assert len(slurm.called("scancel")) == 1


def test_a_run_that_ends_cancels_what_is_in_the_queue_under_its_name(slurm, capfd):
    """Without waiting: the next call does. Nothing there, or no answer, is no error."""
    slurm.holds("100", "102")
    slurm.command("scancel", "echo 'scancel: error: Job/step already completing' >&2; exit 1")
    cancel_run("run-a")
    assert slurm.called("scancel") == [["100", "102"]]
    slurm.holds()
    cancel_run("run-a")
    slurm.command("squeue", "echo 102; exit 1")
    cancel_run("run-a")
    assert len(slurm.called("scancel")) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("failure", [1, 2])
def test_a_controller_that_does_not_answer_is_asked_again(slurm, noted, failure):
    """An empty answer with an error does not mean that no jobs are there, or that they are gone."""
    slurm.holds("100", gone_after=4)
    fails = f"test $(grep -c '^squeue' '{slurm.calls}') -eq {failure} && {{ echo 'Socket timed out' >&2; exit 1; }}"
    script = (slurm.folder / "bin" / "squeue").read_text().splitlines()[2]
    slurm.command("squeue", f"{fails}\n{script}")
    cancel_orphans(noted)
    assert slurm.called("scancel") == [["100"]]
    assert len(slurm.called("squeue")) == 5


def test_a_controller_that_never_answers_is_named(slurm, noted, monkeypatch):
    """Jobs may or may not be there: somebody has to look."""
    monkeypatch.setattr(slurm_module, "CANCEL_TIMEOUT_S", 0.05)
    slurm.command("squeue", "echo 'squeue: error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(NatalError, match="Slurm does not say whether jobs of an earlier run are left"):
        cancel_orphans(noted)
    assert (noted / RUNS).exists()


def test_without_slurm_nothing_is_done(noted, tmp_path, monkeypatch, capsys):
    """A campaign may go on where there is no Slurm; its runs stay noted for where there is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    cancel_orphans(noted)
    assert capsys.readouterr().err == ""
    assert (noted / RUNS).exists()


@pytest.mark.parametrize(
    ("kind", "off"), [("accounting_storage/slurmdbd", False), ("accounting_storage/none", True), ("(null)", True)]
)
def test_whether_accounting_is_off(slurm, kind, off):
    """By Slurm's configuration, in which older versions say `none` and newer ones nothing."""
    slurm.command("scontrol", f"echo 'AccountingStorageTRES   = cpu,mem'; echo 'AccountingStorageType   = {kind}'")
    assert accounting_is_off() == off
    assert slurm.called("scontrol") == [["show", "config"]]


def test_a_controller_that_does_not_answer_has_accounting(slurm):
    """Nothing is changed on a guess."""
    slurm.command("scontrol", "exit 1")
    assert not accounting_is_off()
