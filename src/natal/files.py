"""Small files, written atomically: JSON, CSV and a record of what made them."""

import errno
import glob
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from natal.git import git_commit


@contextmanager
def atomic_path(path: str | Path, *, n_bytes: int = 0) -> Iterator[Path]:
    """Give a partial path to write to; rename it to `path` on success, remove it on failure.

    The partial name is the process's own: jobs that a killed workflow left behind may write the same file at the same
    time. What dead processes of this machine left behind is removed. Raises `OSError` at once if there is no room for
    `n_bytes`: HDF5 crashes when a disk fills up under it. The room is not kept: who writes empties the file
    first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # without its domain
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
            # a file system that cannot tell
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON; numbers that are not finite become null, as the standard has no name for them."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(_plain(content), indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _plain(value: Any) -> Any:
    """Replace NumPy types, and what JSON cannot hold, by plain ones."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV; floats keep all their digits."""
    with atomic_path(path) as partial:
        table.to_csv(partial, index=False)


def provenance() -> dict[str, str]:
    """Versions, git commit and machine that made a file."""
    packages = ("natal", "jax", "jaxlib", "equinox", "optax", "numpyro", "numpy", "h5py", "snakemake")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "commit": git_commit() or "unknown",
        **{f"version_{name}": found for name in packages if (found := _version(name))},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    """None for one that is not installed: natal's Python interface does without Snakemake."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
