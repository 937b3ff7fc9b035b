"""Slurm jobs of earlier runs, and what Slurm can tell."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from natal.errors import NatalError

CANCEL_TIMEOUT_S = 120
"""How long cancelled jobs may take to end."""
UNFINISHED = "PENDING,RUNNING,SUSPENDED,CONFIGURING,COMPLETING"
"""States of jobs that are in Slurm's queue."""
FOR_NOW = (
    r"Submit\w*Limit|emporarily un|Unable to contact|timed out|onnection refused|Connection reset|Zero Bytes"
    r"|Transport endpoint|not respond|standby mode"
)
"""Refusals that pass, in sbatch's words."""
ANY_LIMIT = "Job violates accounting/QOS policy"
"""sbatch's words for a limit that it does not name."""
NO_SUCH_GPU = r"(?i)generic resource|\bgres\b|--gpus|Requested node configuration is not available"
"""sbatch's words when it does not know the GPU that is asked for."""
RUNS = ".slurm-runs"
"""File with the names of the Slurm runs that worked on a campaign, one a line: all jobs of a run have its name."""


def note_run(folder: Path, name: str) -> None:
    """Write down the name that a run's Slurm jobs will have, before the first one is submitted.

    Args:
        folder: The campaign's results.
        name: Of the run.
    """
    with open(folder / RUNS, "a", encoding="utf-8") as file:
        file.write(f"{name}\n")
        file.flush()
        os.fsync(file.fileno())


def cancel_orphans(folder: Path) -> None:
    """Cancel what earlier runs of the campaign left in Slurm's queue, and wait until it is gone.

    Jobs are found by the names that `note_run` wrote down, also a job that Slurm accepted when nobody was left to note
    its number. Simulations that run have written their last snapshot: new jobs go on from there.

    Args:
        folder: The campaign's results.

    Raises:
        NatalError: Jobs do not end, or Slurm does not answer.
    """
    path = folder / RUNS
    runs = path.read_text(encoding="utf-8").split() if path.exists() else []
    if not runs or shutil.which("scancel") is None:
        return
    cancelled: set[str] = set()
    deadline = time.monotonic() + CANCEL_TIMEOUT_S
    while (left := _in_queue(runs)) is None or left:
        new = [job_id for job_id in left or [] if job_id not in cancelled]
        if new:
            print(f"natal: cancelling {len(new)} jobs of an earlier run: {' '.join(new)}", file=sys.stderr)
            subprocess.run(["scancel", *new], check=False)
            cancelled.update(new)
        if time.monotonic() > deadline:
            if left is None:
                raise NatalError("Slurm does not say whether jobs of an earlier run are left (squeue): run again later")
            raise NatalError(f"Slurm jobs {' '.join(left)} of an earlier run do not end: cancel them and run again")
        time.sleep(1)
    path.unlink()


def cancel_run(name: str) -> None:
    """Cancel what is in Slurm's queue under a run's name. What is left if Slurm does not answer, the next run cancels.

    Args:
        name: Of the run.
    """
    if left := _in_queue([name]):
        # it complains of those that are ending already
        subprocess.run(["scancel", *left], capture_output=True, check=False)


def accounting_is_off() -> bool:
    """Whether Slurm keeps no record of ended jobs, so that sacct has nothing to say.

    Slurm's configuration tells: sacct also fails if a database does not answer for a moment.
    """
    answer = subprocess.run(["scontrol", "show", "config"], capture_output=True, check=False)
    kind = re.search(r"^AccountingStorageType\s*=\s*(\S+)", answer.stdout.decode(errors="replace"), re.M)
    return kind is not None and kind[1] != "accounting_storage/slurmdbd"


def is_refused_for_now(error: str, *, others_are_queued: bool) -> bool:
    """Whether sbatch may take later what it refuses now: a limit on the number of jobs, or a scheduler that is away.

    Args:
        error: What sbatch said.
        others_are_queued: Whether jobs of this run wait or run. If so, a limit that Slurm does not name is taken for
            one on the number of jobs.

    Returns:
        Whether to try again.
    """
    if re.search(FOR_NOW, error):
        return True
    return others_are_queued and ANY_LIMIT in error and not re.search(r"\b(QOS|Assoc)\w+", error)


def advice(error: str) -> str | None:
    """What a user can do about sbatch's refusal.

    Args:
        error: What sbatch said.

    Returns:
        A line; None if sbatch's own words are enough.
    """
    if re.search(NO_SUCH_GPU, error) and "Memory" not in error:
        return (
            "Slurm refuses what simulate asks for. A cluster that wants --gres in place of --gpus: write `gres: gpu:1` "
            "for `gpu: 1` in profiles/slurm/config.yaml; one without GPUs: `gpu: 0` (docs/howto/slurm.md)"
        )
    return None


def advice_on_step(output: str) -> str | None:
    """What a user can do if Slurm refuses to a job's own step what it gave the job.

    Args:
        output: What the job printed.

    Returns:
        A line; None if it failed for another reason.
    """
    if re.search(r"(?i)Unable to create step.*\b(generic resource|gres)\b", output):
        return (
            "Slurm gave a job its GPU and refuses it to the step in it (select/linear in older Slurms does): write"
            " `gpu: 0` in profiles/slurm/config.yaml; the node's GPUs are there all the same (docs/howto/slurm.md)"
        )
    return None


def _in_queue(runs: list[str]) -> list[str] | None:
    """Ids of the runs' jobs that wait, run or are ending; None if Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%A", f"--name={','.join(runs)}", f"--states={UNFINISHED}"]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return None if answer.returncode else sorted(set(answer.stdout.split()))
