"""What became of Slurm jobs: squeue is asked by their ids, and sacct about those that squeue no longer knows.

No clock matters: sacct's window of time ends far from now. If no answer comes, nothing is concluded. Of a job that
Slurm no longer knows, its files tell how it ended.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

COMPLETED = "COMPLETED"
GONE = "GONE"
"""No word of Slurm's: it no longer knows the job, and the job left no result."""
FAILED = {
    *("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("RECONFIG_FAIL", "REVOKED", "TIMEOUT"),
}
"""States of jobs that ended badly."""
USUAL = {"", "None", "Priority", "Resources", "BeginTime"}
"""Reasons for waiting that pass by themselves. Others last until somebody does something, and are told to the user."""
ASK_TIMEOUT_S = 60
"""How long squeue and sacct may take."""
TELL_EVERY_S = 60
"""Shortest time between two lines on something that lasts."""
GIVE_UP_S = 300
"""After so long without news of a job the worst is assumed."""
N_NAMED = 5
"""Most jobs that a line names."""


def tell(line: str) -> None:
    """Print a line on the terminal of whoever runs snakemake.

    Args:
        line: The text.
    """
    print(f"natal: {line}", file=sys.stderr, flush=True)


@dataclass
class Watch:
    """Follows the jobs of one run."""

    has_accounting: bool
    """Whether sacct can have an answer."""
    tell: Callable[[str], None] = tell
    """What lines are said with."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, from any time on."""

    _silent_since: dict[str, float] = field(default_factory=dict)
    _told: float = float("-inf")
    _told_reasons: set[str] = field(default_factory=lambda: set(USUAL))

    def ended(self, jobs: Mapping[str, Callable[[], bool]], *, all_clusters: bool = False) -> dict[str, str]:
        """How jobs ended.

        A job that squeue does not list has ended. If sacct does not know how, it ended well if its files are there; if
        they are not, it is `GONE` after `GIVE_UP_S`. If squeue does not answer, a bad end in sacct's record may be that
        of a job which is about to start again: it counts after `GIVE_UP_S`.

        Args:
            jobs: For each job's id, a function that says whether all of its files were made since it was submitted.
            all_clusters: Whether jobs may be on other clusters than this one.

        Returns:
            States by id; jobs that have not ended, or of which nothing is known, are left out.
        """
        where = ["--clusters=all"] if all_clusters else []
        queue, trouble = _ask("squeue", "--noheader", "--states=all", "--format=%A|%T|%r", *where, ids=jobs)
        states = {job: state for job, (state, _) in (queue or {}).items()}
        lost = [job for job in jobs if job not in states]
        records: dict[str, tuple[str, str]] | None = {}
        if lost and self.has_accounting:
            # for named jobs sacct looks from the beginning of time, but by itself only to now by this machine's clock
            form = ("--allocations", "--noheader", "--parsable2", "--format=JobIDRaw,State", "--endtime=2037-01-01")
            records, more = _ask("sacct", *form, *where, ids=lost)
            trouble = "; ".join(filter(None, [trouble, more]))

        now = self.clock()
        unknown = {job: self._silent_since.get(job, now) for job in lost}
        for job, since in unknown.items():
            record, _ = (records or {}).get(job, ("", ""))
            is_patience_over = now - since >= GIVE_UP_S
            if record == COMPLETED or (record in FAILED and (queue is not None or is_patience_over)):
                states[job] = record
            elif queue is not None and jobs[job]():
                states[job] = COMPLETED
            elif queue is not None and is_patience_over:
                states[job] = GONE
        self._silent_since = {job: since for job, since in unknown.items() if job not in states}
        self._tell_silence(now, trouble)
        self._tell_reasons(
            reason for job, (state, reason) in (queue or {}).items() if job in jobs and state == "PENDING"
        )
        return {job: states[job] for job in jobs if states.get(job) in {COMPLETED, GONE, *FAILED}}

    @property
    def is_silent(self) -> bool:
        """Whether nothing was known of some job when Slurm was asked last."""
        return bool(self._silent_since)

    def tell_at_times(self, line: str) -> None:
        """Say something that may stay true for long: once a minute at most.

        Args:
            line: The text.
        """
        now = self.clock()
        if now - self._told >= TELL_EVERY_S:
            self._told = now
            self.tell(line)

    def _tell_silence(self, now: float, trouble: str) -> None:
        seconds = now - min(self._silent_since.values(), default=now)
        if seconds >= TELL_EVERY_S:
            why = trouble or "Slurm lists them no longer, and they left no result"
            what = f"waiting for news of Slurm jobs {_named(self._silent_since)}, of which nothing is known for"
            self.tell_at_times(f"{what} {seconds / 60:.0f} min ({why})")

    def _tell_reasons(self, reasons: Iterable[str]) -> None:
        """Tell each reason once: nodes that are down, a hold after too many failed starts, a limit."""
        for reason in sorted(set(reasons) - self._told_reasons):
            self._told_reasons.add(reason)
            self.tell(f"Slurm lets jobs of this run wait: {reason} (squeue --me shows which)")


def _named(jobs: Collection[str]) -> str:
    """Ids of jobs for a line of text, not too many."""
    rest = len(jobs) - N_NAMED
    return " ".join(list(jobs)[:N_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _ask(program: str, *options: str, ids: Collection[str]) -> tuple[dict[str, tuple[str, str]] | None, str]:
    """States and reasons by id, and what is amiss. None: no answer; empty: Slurm knows no such job."""
    command = [program, *options, f"--jobs={','.join(ids)}"]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=ASK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"{program} does not answer within {ASK_TIMEOUT_S} s"
    except OSError as error:
        return None, f"{program}: {error.strerror}"
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().splitlines()
        # squeue's answer if it is asked for one job that it does not know
        if any("Invalid job id" in line for line in said):
            return {}, ""
        return None, f"{program}: {said[-1] if said else f'exit code {answer.returncode}'}"
    rows = (line.split("|") for line in answer.stdout.decode(errors="replace").splitlines())
    # a state may be "CANCELLED by 1000"; with several clusters there are lines with their names
    return {row[0].strip(): (row[1].partition(" ")[0], "".join(row[2:])) for row in rows if len(row) > 1}, ""
