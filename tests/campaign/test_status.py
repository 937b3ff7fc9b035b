"""What `make status` says of shards, from their files alone."""

import fcntl

import h5py
import pytest

from natal.campaign.status import ShardStatus, shard_status, table
from natal.files.sealed import SEAL_BYTES, write_seal
from natal.simulation.shard_format import FORMAT

PROGRESS = "2026-11-23 10:00:00 INFO simulate: 4000 of 10000 steps, 31 s elapsed, 46 s left, 3.31 Gint/s"


@pytest.fixture
def folders(tmp_path):
    """simulations/ and logs/."""
    found = tmp_path / "simulations", tmp_path / "logs"
    for folder in found:
        folder.mkdir()
    return found


def write_log(folders, *lines):
    """The log of shard a."""
    (folders[1] / "a.log").write_text("".join(f"{line}\n" for line in lines))


def test_nothing_yet(folders):
    """No file, no log."""
    assert shard_status(*folders, "a") == ShardStatus("a", "waiting")


def test_done(folders):
    """A sealed file: how many points, how fast."""
    path = folders[0] / "a.h5"
    with h5py.File(path, "w", userblock_size=SEAL_BYTES) as file:
        file["x"] = [1.0]
    write_seal(path, {"format": FORMAT, "first_id": 0, "n_points": 16, "interactions": 6e9, "integrate_time_s": 2.0})
    (folders[0] / "a.checkpoint").touch()
    assert shard_status(*folders, "a") == ShardStatus("a", "done", "16 points, 3.00 Gint/s")


def test_running_and_stopped(folders):
    """A job holds the checkpoint's lock; without one the shard has stopped. Both say how far it is."""
    write_log(folders, "2026-11-23 10:00:00 INFO 16 points x 16 realizations on 1 x cpu (cpu)", PROGRESS)
    with open(folders[0] / "a.checkpoint", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        running = shard_status(*folders, "a")
    stopped = shard_status(*folders, "a")
    progress = "4000 of 10000 steps, 31 s elapsed, 46 s left, 3.31 Gint/s"
    assert running == ShardStatus("a", "running", progress)
    assert stopped == ShardStatus("a", "stopped", progress)


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        ([PROGRESS, "2026-11-23 10:00:09 ERROR cannot write: disk full"], "cannot write: disk full"),
        ([PROGRESS, "Traceback (most recent call last):", "ValueError: odd"], "ValueError: odd"),
    ],
    ids=["mistake", "defect"],
)
def test_failed(folders, lines, detail):
    """The last line of the log says why."""
    write_log(folders, *lines)
    (folders[0] / "a.checkpoint").touch()
    assert shard_status(*folders, "a") == ShardStatus("a", "failed", detail)


def test_a_foreign_file(folders):
    """Named, and what will happen to it."""
    (folders[0] / "a.h5").write_text("not a shard")
    status = shard_status(*folders, "a")
    assert status.state == "failed"
    assert "a.h5" in status.detail
    assert "the next run makes it again" in status.detail


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"n_points": 16, "interactions": 6e9, "integrate_time_s": 0.0},
        {"n_points": 16, "interactions": 6e9, "integrate_time_s": None},
    ],
)
def test_a_seal_that_makes_no_sense(folders, content):
    """One line, and the other shards are still shown."""
    path = folders[0] / "a.h5"
    with h5py.File(path, "w", userblock_size=SEAL_BYTES) as file:
        file["x"] = [1.0]
    write_seal(path, {"format": FORMAT, **content})
    status = shard_status(*folders, "a")
    assert status.state == "failed"
    assert status.detail == f"{path}: its first line makes no sense; the next run makes it again"


def test_files_that_vanish_between_two_looks(folders, monkeypatch):
    """The campaign goes on while it is looked at: what is gone was not there."""
    monkeypatch.setattr(type(folders[0]), "exists", lambda _: True)
    assert shard_status(*folders, "a") == ShardStatus("a", "waiting")


def test_the_table():
    """Lines for what is not done, then counts in a fixed order."""
    statuses = [ShardStatus("a_1", "waiting"), ShardStatus("b", "done", "x"), ShardStatus("c", "running", "far")]
    assert table(statuses, "default").splitlines() == [
        "a_1  waiting",
        "c    running   far",
        "default: 3 shards: 1 done, 1 running, 1 waiting",
    ]
