"""Small files: atomic, and readable by any JSON or CSV reader."""

import errno
import json
import os
import platform
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest

from natal.files import atomic
from natal.files.atomic import atomic_path
from natal.files.formats import read_json, write_csv, write_json


def test_success_leaves_just_the_file(tmp_path):
    """The partial file becomes the file; missing folders are made."""
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_path(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("written", [True, False])
def test_failure_leaves_nothing(tmp_path, error, written):
    """Neither the file nor a partial one, whether or not writing had begun, on Ctrl-C too."""
    path = tmp_path / "file.txt"
    with pytest.raises(error), atomic_path(path) as partial:  # noqa: PT012
        if written:
            partial.write_text("ha")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_failure_leaves_the_old_file(tmp_path):
    """What was there stays, byte for byte."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="half-way"), atomic_path(path) as partial:  # noqa: PT012
        partial.write_text("new")
        raise ValueError("half-way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_success_replaces_the_old_file(tmp_path):
    """And the partial file that a killed job left behind goes; that of a living process stays."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = platform.node().partition(".")[0]
    path.with_name(f"file.txt.{host}.{dead.pid}.partial").write_text("left behind, and longer")
    living = path.with_name(f"file.txt.{host}.{os.getppid()}.partial")
    living.write_text("another job's")
    with atomic_path(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"
    assert sorted(tmp_path.iterdir()) == [path, living]


def test_no_room_is_known_before_writing(tmp_path):
    """A file larger than the process may write is refused at once, and nothing is left of it."""
    script = """
import resource, sys
from natal.files.atomic import atomic_path
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with atomic_path(sys.argv[1], n_bytes=90_000) as partial:
    partial.write_text("fits")
try:
    with atomic_path(sys.argv[2], n_bytes=110_000):
        print("written")
except OSError as error:
    print(error.errno)
"""
    command = [sys.executable, "-c", script, tmp_path / "small", tmp_path / "large"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EFBIG}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def refuse(name):
    """JSON's standard has no NaN or Infinity."""
    raise AssertionError(f"{name} is not JSON")


def test_numbers_that_json_has_no_name_for_become_null(tmp_path):
    """nan and infinities, from Python and NumPy, at any depth."""
    path = tmp_path / "metrics.json"
    write_json(
        path, {"a": np.nan, "b": [1.0, np.float64("inf")], "c": {"d": (np.float32("nan"), np.array([-np.inf, 2]))}}
    )
    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "a": None,
        "b": [1.0, None],
        "c": {"d": [None, [None, 2]]},
    }


@pytest.mark.parametrize(
    ("code", "raised"),
    [(errno.EINVAL, False), (errno.EOPNOTSUPP, False), (errno.ENOSYS, False), (524, False), (errno.ENOSPC, True)],
)
def test_a_file_system_that_cannot_tell_has_room(tmp_path, monkeypatch, code, raised):
    """Only what says that there is none stops a job."""

    def refuse(*_):
        raise OSError(code, "no")

    monkeypatch.setattr(atomic.os, "posix_fallocate", refuse)
    path = tmp_path / "file.txt"
    with pytest.raises(OSError, match="no") if raised else nullcontext(), atomic_path(path, n_bytes=10) as partial:
        partial.write_text("written")
    assert list(tmp_path.iterdir()) == [path] * (not raised)


def test_numpy_values_become_plain_ones(tmp_path):
    """Numbers, booleans, arrays and keys; doubles keep all digits."""
    path = tmp_path / "metrics.json"
    write_json(path, {1: np.int64(3), "x": np.bool_(True), "y": np.arange(3), "z": np.float64(0.1) + 0.2, "s": "text"})
    assert read_json(path) == {"1": 3, "x": True, "y": [0, 1, 2], "z": 0.1 + 0.2, "s": "text"}


def test_a_table_keeps_all_digits(tmp_path):
    """Doubles survive CSV exactly; a missing value is empty."""
    values = np.append(np.random.default_rng(1).lognormal(sigma=20, size=100), np.nan)
    write_csv(tmp_path / "table.csv", pd.DataFrame({"x": values}))
    header, *lines = (tmp_path / "table.csv").read_text().splitlines()
    assert header == "x"
    assert [float(line) for line in lines[:-1]] == values[:-1].tolist()
    assert lines[-1] in ("", '""')
