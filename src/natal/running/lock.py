"""A lock on a campaign, so that one process at a time submits its jobs.

Snakemake's own lock stays behind when Snakemake is killed, and has to be removed by hand; the kernel frees this one.
"""

import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from natal.errors import NatalError
from natal.files.locks import lock

# kept open as long as the process lives
_locks: list[IO[str]] = []


def lock_campaign(folder: Path) -> None:
    """Make this process the only one that runs a campaign, as long as it lives.

    A file system without locks lets all in.

    Args:
        folder: The campaign's results.

    Raises:
        NatalError: Another process runs it, or the folder cannot be written.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise NatalError(f"{path} cannot be written ({error.strerror}): mend that and run again") from error
    try:
        locked = lock(file)
    except BlockingIOError:
        with file:
            file.seek(0)
            holder = file.read().strip() or "another process"
        raise NatalError(f"{folder} is being worked on by {holder}: wait for it, or stop it") from None
    except OSError:
        file.close()
        raise
    if not locked:
        file.close()
        return
    _locks.append(file)
    # the note is less important than the lock: a full disk must not stop the run here
    with suppress(OSError):
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        file.flush()
