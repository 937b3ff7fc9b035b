"""Atomic writes: a file appears under its name when it is whole, or not at all."""

import errno
import glob
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from natal.files.locks import ENOTSUPP


@contextmanager
def atomic_path(path: str | Path, *, n_bytes: int = 0) -> Iterator[Path]:
    """Give a partial path to write to; rename it to `path` on success, remove it on failure.

    The partial name belongs to this process: jobs that a killed workflow left behind may write the same file at the
    same time. What dead processes of this machine left behind is removed.

    Args:
        path: The file.
        n_bytes: Room that it needs. It is looked for at once, since HDF5 crashes when a disk fills up under it, but not
            kept: who writes empties the file first.

    Yields:
        The partial path.

    Raises:
        OSError: There is no room for `n_bytes`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the host's name without its domain
    host = platform.node().partition(".")[0]
    for left in path.parent.glob(f"{glob.escape(path.name)}.{glob.escape(host)}.*.partial"):
        pid = left.suffixes[-2][1:]
        if pid.isdigit() and not _is_alive(int(pid)):
            left.unlink(missing_ok=True)
    partial = path.with_name(f"{path.name}.{host}.{os.getpid()}.partial")
    try:
        if n_bytes and hasattr(os, "posix_fallocate"):
            _check_room(partial, n_bytes)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _check_room(partial: Path, n_bytes: int) -> None:
    with open(partial, "wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            # some file systems cannot tell
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, ENOTSUPP):
                raise


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
