"""Locks on files, held by the kernel: they end with the process. Not every file system has them."""

import errno
import fcntl
from pathlib import Path
from typing import IO, Any

ENOTSUPP = 524
"""The kernel's own "not supported". Programs are not meant to see it, but network file systems such as DVS return
it."""

NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, ENOTSUPP}
"""What a file system without locks answers."""


def lock(file: IO[Any], *, wait: bool = False) -> bool:
    """Lock an open file for its holder alone, until it is closed.

    Args:
        file: The open file.
        wait: Wait for another holder to end.

    Returns:
        True, or False on a file system without locks.

    Raises:
        BlockingIOError: Another one has it, and `wait` is False.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    return True


def is_locked(path: str | Path) -> bool:
    """Whether someone has locked a file.

    Args:
        path: The file.

    Returns:
        False also where that cannot be told.
    """
    with open(path, "rb") as file:
        try:
            # a shared lock: two that look at the same time do not see each other
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False
