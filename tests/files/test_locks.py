"""Locks on files: one holder at a time, and file systems that have none."""

import errno
import os
import subprocess
import sys

import pytest

from natal.files import locks
from natal.files.locks import is_locked, lock


@pytest.fixture
def path(tmp_path):
    """A file."""
    path = tmp_path / "x.checkpoint"
    path.touch()
    return path


def answering(number):
    """What stands in for `flock` where it fails with an error."""

    def refuse(*_):
        raise OSError(number, "no locks")

    return refuse


def test_one_holder_at_a_time(path):
    """Until it closes the file."""
    with open(path) as first, open(path) as second:
        assert lock(first)
        assert is_locked(path)
        with pytest.raises(BlockingIOError):
            lock(second)
        first.close()
        assert not is_locked(path)
        assert lock(second, wait=True)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, 524])
def test_a_file_system_without_locks_lets_all_in(path, monkeypatch, number):
    """And says so to whom it matters."""
    monkeypatch.setattr(locks.fcntl, "flock", answering(number))
    with open(path) as file:
        assert not lock(file)
    assert not is_locked(path)


def test_any_other_error_is_raised(path, monkeypatch):
    """But one who only looks gets an answer."""
    monkeypatch.setattr(locks.fcntl, "flock", answering(errno.EIO))
    with open(path) as file, pytest.raises(OSError, match="no locks"):
        lock(file)
    assert not is_locked(path)


WRITING = """
import fcntl, sys
import natal
import h5py
with open(sys.argv[1], "rb") as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    for mode in "wr":
        with h5py.File(sys.argv[1], mode) as file:
            file.attrs.get("seed")
"""


@pytest.mark.parametrize(("set_by_user", "fails"), [(None, False), ("TRUE", True)])
def test_hdf5_takes_no_locks_of_its_own(path, set_by_user, fails):
    """They would fail where the file system has none, after hours of simulating; whoever wants them has them."""
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    environment |= {"HDF5_USE_FILE_LOCKING": set_by_user} if set_by_user else {}
    done = subprocess.run([sys.executable, "-c", WRITING, path], env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stderr
    assert ("unable to lock file" in done.stderr) == fails
