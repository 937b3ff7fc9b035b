"""Locks on files, held by the kernel: they end with the process."""

import fcntl
from pathlib import Path


def is_locked(path: str | Path) -> bool:
    """Whether a job has the checkpoint open (False where the file system has no locks)."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False
