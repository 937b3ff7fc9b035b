"""What became of Slurm jobs, as stand-ins for squeue and sacct tell it."""

import os

import pytest

from natal.running.slurm import advice, advice_on_step, is_refused_for_now
from natal.running.slurm_states import GIVE_UP_S, GONE, TELL_EVERY_S, Watch

ALL_LIMITS = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


class Slurm:
    """Stand-ins for squeue and sacct on PATH, which answer as they are told, and a clock."""

    def __init__(self, folder):
        self.folder, self.lines, self.now = folder, [], 0.0
        self.says("squeue")
        self.says("sacct")

    def says(self, program, *rows, fails_with=None):
        """Rows `id|state` of the next answers, or the error."""
        lines = [f"echo '{row}'" for row in rows]
        if fails_with is not None:
            lines = [f"echo '{fails_with}' >&2", "exit 1"]
        path = self.folder / program
        path.write_text("\n".join(["#!/bin/sh", f'echo "$@" >> {self.folder}/{program}.asked', *lines, ""]))
        path.chmod(0o755)

    def asked(self, program):
        """Arguments of each call."""
        path = self.folder / f"{program}.asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Slurm(tmp_path)


@pytest.fixture
def watch(slurm):
    return Watch(has_accounting=True, tell=slurm.lines.append, clock=lambda: slurm.now)


def not_made():
    return False


def made():
    return True


JOBS = {"1": not_made, "2": not_made}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "A_STATE_OF_SLURM_99"])
def test_a_job_that_squeue_lists_is_under_way(slurm, watch, state):
    """Whatever its state is called; sacct is not asked."""
    slurm.says("squeue", f"1|{state}", "2|COMPLETED", "77|FAILED")
    for slurm.now in (0, 10_000):
        assert watch.ended(JOBS) == {"2": "COMPLETED"}
    assert slurm.asked("sacct") == []
    assert slurm.lines == []


@pytest.mark.parametrize(
    "state",
    ["BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"],
)
@pytest.mark.parametrize("program", ["squeue", "sacct"])
def test_every_bad_end_is_one(slurm, watch, program, state):
    """By whoever tells it; sacct adds who cancelled a job."""
    slurm.says(program, f"1|{state} by 1000" if state == "CANCELLED" else f"1|{state}")
    assert watch.ended({"1": not_made}) == {"1": state}


def test_jobs_are_asked_for_by_id_and_no_clock_matters(slurm, watch):
    """sacct's window would otherwise end now, by the clock of the machine that asks."""
    watch.ended(JOBS)
    assert all("--jobs=1,2" in slurm.asked(program)[0] for program in ("squeue", "sacct"))
    assert "--endtime=2037-01-01" in slurm.asked("sacct")[0]
    assert "start" not in slurm.asked("sacct")[0]


def test_without_any_answer_nothing_ends_and_it_is_said_once_a_minute(slurm, watch):
    """What is waited for, and what Slurm's programs say."""
    slurm.says("squeue", fails_with="slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    slurm.says("sacct", fails_with="sacct: error: Problem talking to the database: Connection refused")
    for slurm.now in range(0, 10 * TELL_EVERY_S, 20):
        assert watch.ended(JOBS) == {}
        assert watch.is_silent
    assert len(slurm.lines) == 9
    assert slurm.lines[2] == (
        "waiting for news of Slurm jobs 1 2, of which nothing is known for 3 min (squeue: slurm_load_jobs error: "
        "Unable to contact slurm controller (connect failure); sacct: sacct: error: Problem talking to the database: "
        "Connection refused)"
    )
    slurm.says("squeue", "1|RUNNING", "2|COMPLETED")
    assert watch.ended(JOBS) == {"2": "COMPLETED"}
    assert not watch.is_silent


def test_without_squeue_a_record_of_success_counts_at_once_and_one_of_failure_later(slurm, watch):
    """The job may be about to start again, which Slurm's database learns last."""
    slurm.says("squeue", fails_with="slurm_load_jobs error: Socket timed out on send/recv operation")
    slurm.says("sacct", "1|COMPLETED", "2|NODE_FAIL")
    assert watch.ended(JOBS) == {"1": "COMPLETED"}
    slurm.now = GIVE_UP_S
    assert watch.ended({"2": not_made}) == {"2": "NODE_FAIL"}


def test_squeue_knows_better_than_the_database(slurm, watch):
    """A job that was started again."""
    slurm.says("squeue", "1|PENDING")
    slurm.says("sacct", "1|NODE_FAIL", "2|CANCELLED by 0")
    assert watch.ended(JOBS) == {"2": "CANCELLED"}


@pytest.mark.parametrize("record", [[], ["1|RUNNING"], ["1|PENDING"]])
def test_a_job_that_slurm_has_no_longer_is_gone_in_the_end(slurm, watch, record):
    """A database that never heard of its end cannot hold the run; its files would tell that it was well."""
    slurm.says("sacct", *record)
    assert watch.ended({"1": not_made}) == {}
    slurm.now = GIVE_UP_S - 1
    assert watch.ended({"1": not_made}) == {}
    slurm.now = GIVE_UP_S
    assert watch.ended({"1": not_made}) == {"1": GONE}
    assert watch.ended({"1": made}) == {"1": "COMPLETED"}


def test_news_in_between_count_as_such(slurm, watch):
    """Patience begins anew with every silence."""
    assert watch.ended({"1": not_made}) == {}
    slurm.says("squeue", "1|RUNNING")
    slurm.now = GIVE_UP_S / 2
    assert watch.ended({"1": not_made}) == {}
    slurm.says("squeue")
    slurm.now = GIVE_UP_S
    assert watch.ended({"1": not_made}) == {}


def test_the_only_job_is_unknown(slurm, watch):
    """squeue calls it an error then: an answer all the same."""
    slurm.says("squeue", fails_with="slurm_load_jobs error: Invalid job id specified")
    slurm.says("sacct", "1|TIMEOUT")
    assert watch.ended({"1": not_made}) == {"1": "TIMEOUT"}


def test_a_program_that_hangs_or_is_not_there_is_no_news(slurm, watch, monkeypatch):
    """As a database that is asked by too many."""
    monkeypatch.setattr("natal.running.slurm_states.ASK_TIMEOUT_S", 0.2)
    (slurm.folder / "squeue").write_text("#!/bin/sh\nexec sleep 60\n")
    assert watch.ended(JOBS) == {}
    monkeypatch.setenv("PATH", str(slurm.folder / "nowhere"))
    slurm.now = TELL_EVERY_S
    assert watch.ended(JOBS) == {}
    assert "(squeue: No such file or directory; sacct: No such file or directory)" in slurm.lines[0]


def test_without_accounting_sacct_is_not_asked(slurm, watch):
    """Files tell of jobs that squeue has forgotten."""
    watch.has_accounting = False
    assert watch.ended({"1": made, "2": not_made}) == {"1": "COMPLETED"}
    assert slurm.asked("sacct") == []


def test_why_jobs_wait_is_said_once(slurm, watch):
    """If it may be for ever: not that the cluster is busy."""
    down = "ReqNodeNotAvail, UnavailableNodes:node1"
    slurm.says("squeue", f"1|PENDING|{down}", "2|PENDING|Priority", "77|PENDING|JobHeldUser")
    for _ in range(3):
        assert watch.ended(JOBS) == {}
    assert slurm.lines == [f"Slurm lets jobs of this run wait: {down} (squeue --me shows which)"]


def test_jobs_on_other_clusters(slurm, watch):
    """Whose names stand between the rows."""
    slurm.says("squeue", "CLUSTER: one", "1|RUNNING", "CLUSTER: two", "2|FAILED")
    assert watch.ended(JOBS, all_clusters=True) == {"2": "FAILED"}
    assert "--clusters=all" in slurm.asked("squeue")[0]


@pytest.mark.parametrize(
    "error",
    [
        f"sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: {ALL_LIMITS}",
        f"sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: {ALL_LIMITS}",
        f"sbatch: error: QOSGrpSubmitJobsLimit\nsbatch: error: Batch job submission failed: {ALL_LIMITS}",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
    ],
)
def test_refusals_that_pass(error):
    assert is_refused_for_now(error, others_are_queued=False)


def test_a_limit_without_a_name_is_one_of_number_while_others_are_queued():
    """Older Slurms name none: with no other job in the queue it would be refused for ever."""
    assert is_refused_for_now(ALL_LIMITS, others_are_queued=True)
    assert not is_refused_for_now(ALL_LIMITS, others_are_queued=False)


@pytest.mark.parametrize(
    "error",
    [
        f"sbatch: error: QOSMaxCpuPerJobLimit\nsbatch: error: Batch job submission failed: {ALL_LIMITS}",
        f"sbatch: error: AssocMaxWallDurationPerJobLimit\nsbatch: error: Batch job submission failed: {ALL_LIMITS}",
        "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
        "sbatch: error: Requested GRES option unsupported by configured SelectType plugin",
    ],
)
def test_refusals_that_stay(error):
    assert not is_refused_for_now(error, others_are_queued=True)


@pytest.mark.parametrize(
    "error",
    [
        "sbatch: error: Requested GRES option unsupported by configured SelectType plugin",
        "sbatch: error: Batch job submission failed: Invalid generic resource (gres) specification",
        "sbatch: error: Batch job submission failed: Requested node configuration is not available",
    ],
)
def test_a_refused_gpu_is_explained(error):
    """With the line of the profile that cures it."""
    assert "`gres: gpu:1`" in advice(error)


def test_other_refusals_speak_for_themselves():
    unavailable = "sbatch: error: Batch job submission failed: Requested node configuration is not available"
    assert advice(f"sbatch: error: Memory specification can not be satisfied\n{unavailable}") is None
    assert advice("sbatch: error: invalid partition specified: gpuu") is None


def test_a_gpu_that_a_step_is_refused_is_explained():
    """By srun's words in the job's output, not by GPUs that are named elsewhere in it."""
    refused = "srun: error: Unable to create step for job 1: Invalid generic resource (gres) specification"
    assert "`gpu: 0`" in advice_on_step(f"Execute 1 jobs...\n{refused}\nError in rule simulate:")
    assert (
        advice_on_step("sbatch --gpus=1\nsrun: error: Unable to create step for job 1: Memory required by task") is None
    )
    assert advice_on_step("natal: stopped by SIGTERM") is None
