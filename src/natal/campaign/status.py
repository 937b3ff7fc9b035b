"""Where a campaign's simulations stand, read from their files and logs, whoever runs them and wherever."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from natal.errors import NatalError
from natal.files.locks import is_locked
from natal.files.sealed import read_seal

STATES = ("done", "running", "stopped", "failed", "waiting")
"""Running: a job has the checkpoint open. Stopped: there is a checkpoint, from which the next job goes on. Failed: the
last job ended with an error. Waiting: nothing happened yet."""


@dataclass(frozen=True)
class ShardStatus:
    """Where one shard stands."""

    name: str
    """The shard's."""
    state: str
    """One of `STATES`."""
    detail: str = ""
    """What more there is to say."""


def shard_status(simulations: Path, logs: Path, name: str) -> ShardStatus:
    """Look at one shard's file, checkpoint and log.

    Args:
        simulations: Folder of shards and checkpoints.
        logs: Folder of the jobs' logs.
        name: The shard's name.

    Returns:
        Where it stands.
    """
    progress, trouble = _read_log(logs / f"{name}.log")
    # files come and go while a campaign runs: each is opened once
    try:
        locked = is_locked(simulations / f"{name}.checkpoint")
    except FileNotFoundError:
        locked = None
    if locked:
        return ShardStatus(name, "running", progress)
    path = simulations / f"{name}.h5"
    try:
        seal = read_seal(path)
        speed = seal["interactions"] / seal["integrate_time_s"] / 1e9
        return ShardStatus(name, "done", f"{seal['n_points']} points, {speed:.2f} Gint/s")
    except FileNotFoundError:
        pass
    except NatalError as error:
        return ShardStatus(name, "failed", f"{error}; the next run makes it again")
    except (KeyError, TypeError, ZeroDivisionError):
        return ShardStatus(name, "failed", f"{path}: its first line makes no sense; the next run makes it again")
    if trouble:
        return ShardStatus(name, "failed", trouble)
    if locked is not None:
        return ShardStatus(name, "stopped", progress)
    return ShardStatus(name, "waiting")


def table(statuses: Iterable[ShardStatus], campaign: str) -> str:
    """Show where shards stand.

    Args:
        statuses: Of all shards.
        campaign: Its name.

    Returns:
        One line for every shard that is not done, and a summary.
    """
    statuses = list(statuses)
    width = max((len(s.name) for s in statuses), default=0)
    lines = [f"{s.name:{width}}  {s.state:8}  {s.detail}".rstrip() for s in statuses if s.state != "done"]
    counts = Counter(s.state for s in statuses)
    counted = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return "\n".join([*lines, f"{campaign}: {len(statuses)} shards: {counted}"])


def _read_log(path: Path) -> tuple[str, str]:
    """The last line on progress and the error that ended the job, each empty if there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "", ""
    progress = next((found for line in reversed(lines) if (found := _progress(line))), "")
    last = lines[-1] if lines else ""
    if " ERROR " in last:
        return progress, last.partition(" ERROR ")[2]
    return progress, last if any(line.startswith("Traceback") for line in lines) else ""


def _progress(line: str) -> str:
    found = re.search(r" INFO (?:simulate: |(?=resuming))(.*)", line)
    return found.group(1) if found else ""
