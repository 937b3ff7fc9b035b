"""Locks on files: one holder at a time, and file systems that have none."""

import errno

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


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
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
