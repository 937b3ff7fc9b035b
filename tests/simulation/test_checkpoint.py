"""A checkpoint file holds whole snapshots or none, of one simulation, from one writer, whatever happens to it."""

import errno
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from natal.errors import NatalError
from natal.files import locks
from natal.files.locks import is_locked
from natal.simulation.checkpoint import HEADER_BYTES, Checkpoint

N_SNAPSHOTS = 6
IDENTITY = {"seed": 1, "cluster": {"range": (0.1, 50.0)}}
MADE_WITH = {"code": "0123456789abcdef", "versions": {"jax": "1"}, "device": "x86_64-0123456789ab"}
SMALL = np.dtype([("x", np.float64, (10, 3)), ("n", np.int32, 7), ("flag", np.bool_)], align=True)
SMALL_BYTES = SMALL.itemsize + 16

# writes two snapshots; then kills itself, or waits to be told whether to go on
OTHER_PROCESS = """
import os, signal, sys
from test_checkpoint import SNAPSHOTS, begun

with begun(sys.argv[1]) as checkpoint:
    for k in range(2):
        checkpoint.append(SNAPSHOTS[k, ...])
    print("stopped", flush=True)
    if sys.argv[2] == "killed" or sys.stdin.readline() == "die\\n":
        os.kill(os.getpid(), signal.SIGKILL)
    for k in range(2, 4):
        checkpoint.append(SNAPSHOTS[k, ...])
"""


class Interrupted(Exception):
    """What stops a job in these tests."""


def _snapshots():
    rng = np.random.default_rng(3)
    found = np.zeros(N_SNAPSHOTS, SMALL)
    found["x"] = rng.normal(size=found["x"].shape)
    found["n"] = rng.integers(0, 1000, found["n"].shape)
    found["flag"] = [True, False, True, True, False, True]
    return found


SNAPSHOTS = _snapshots()


@contextmanager
def begun(path, expected=0):
    """A checkpoint of the small snapshots that says it holds `expected` of them."""
    with Checkpoint(path, MADE_WITH) as checkpoint:
        assert checkpoint.begin(IDENTITY, SMALL, N_SNAPSHOTS) == expected
        yield checkpoint


@pytest.fixture
def logged(caplog):
    """Call it for the messages of the logger `natal`."""
    caplog.set_level(logging.INFO, "natal")
    return lambda: caplog.messages


@pytest.fixture
def path(tmp_path):
    """Of a checkpoint in a folder that is not there yet."""
    return tmp_path / "simulations" / "train0_000.checkpoint"


@contextmanager
def other_process(path, then):
    """A process that has written two snapshots and stopped."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(path), then]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        try:
            assert process.stdout.readline() == "stopped\n"
            yield process
        finally:
            process.kill()


def wait_for(condition):
    """Until it holds, a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_process_leaves_whole_snapshots_and_no_lock(path):
    """The next one goes on from what it wrote."""
    with other_process(path, "killed") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert not is_locked(path)
    assert_holds(path, 2)


@pytest.mark.parametrize(("answer", "n_written"), [("go on", 4), ("die", 2)])
def test_a_second_process_waits_for_the_first(logged, path, answer, n_written):
    """And then goes on from what the first one wrote, be it all or some."""
    second = threading.Thread(target=lambda: assert_holds(path, n_written))
    with other_process(path, "waits") as first:
        assert is_locked(path)
        second.start()
        wait_for(logged)
        assert logged() == [f"{path}: another job is at work on this shard; waiting for it to end"]
        second.join(0.2)
        assert second.is_alive()
        first.communicate(f"{answer}\n", timeout=60)
    second.join(60)
    with begun(path, n_written + 1):
        pass


@pytest.fixture
def four(path):
    """A file of four snapshots."""
    with begun(path) as checkpoint:
        assert checkpoint.records().shape == (0,)
        for k in range(4):
            checkpoint.append(SNAPSHOTS[k, ...])
    return path


def assert_first(n, records):
    """They are the first `n` of the snapshots."""
    assert len(records) == n
    for name in SMALL.names:
        np.testing.assert_array_equal(records[name], SNAPSHOTS[name][:n])


def assert_holds(path, n):
    """The file says that it holds the first `n` of the snapshots; it does, and takes another one."""
    with begun(path, n) as checkpoint:
        assert_first(n, checkpoint.records())
        checkpoint.append(SNAPSHOTS[n, ...])
        assert_first(n + 1, checkpoint.records())
    assert path.stat().st_size == HEADER_BYTES + (n + 1) * SMALL_BYTES


def test_snapshots_come_back(four):
    """As they were written, in order."""
    assert_holds(four, 4)


def test_the_first_line_says_what_is_simulated(four):
    """JSON that a person can read with `head -1`."""
    line = four.read_bytes()[:HEADER_BYTES]
    assert line.index(b"\n") == HEADER_BYTES - 1
    assert json.loads(line) == json.loads(json.dumps(IDENTITY | MADE_WITH))


@pytest.mark.parametrize("record", [0, 2])
@pytest.mark.parametrize("place", [0, 100, 239, 240, 268, SMALL_BYTES - 8, SMALL_BYTES - 1])
def test_any_flipped_bit_is_found(four, logged, record, place):
    """In the numbers, flags and checksums: the snapshot is named, what comes before is kept."""
    content = bytearray(four.read_bytes())
    content[HEADER_BYTES + record * SMALL_BYTES + place] ^= 1
    four.write_bytes(content)
    assert_holds(four, record)
    assert logged() == [f"{four}: snapshot {record} is damaged; going on from the one before"]


@pytest.mark.parametrize(
    "cut", [1, 8, SMALL_BYTES // 2, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 4 * SMALL_BYTES]
)
def test_the_rest_of_a_record_is_dropped(four, cut):
    """Wherever the file ends, the whole records count."""
    os.truncate(four, four.stat().st_size - cut)
    assert_holds(four, 4 - -(-cut // SMALL_BYTES))


def test_zeros_are_no_record(four):
    """File systems may fill a file with zeros after a power failure."""
    with open(four, "ab") as file:
        file.write(bytes(2 * SMALL_BYTES))
    assert_holds(four, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"natal\n",
        b"x" * 100_000,
        bytes(10_000),
        np.random.default_rng(1).bytes(100_000),
        b"\xff\xfe{}" * 5000,
        b"[1, 2]\n",
        b'"seed"\n' + b" " * 9000,
        b"17".ljust(9000),
        b"[" * 9000,
        b"{}\n",
        b'{"seed": 1}\n',
    ],
    ids=[
        "text",
        "long text",
        "zeros",
        "noise",
        "utf-16",
        "list",
        "string",
        "number",
        "nested",
        "nothing said",
        "one key",
    ],
)
def test_a_foreign_file_is_replaced(path, logged, content):
    """Whatever lies there: one line in the log, and a file that works."""
    path.parent.mkdir()
    path.write_bytes(content)
    assert_holds(path, 0)
    (line,) = logged()
    assert line.startswith(f"{path}: a checkpoint of ")
    assert line.endswith("; starting anew")
    assert "of other ;" not in line
    assert_holds(path, 1)


@pytest.mark.parametrize("cut", [1, 1000, HEADER_BYTES - 90, HEADER_BYTES - 20])
def test_a_header_cut_short_is_replaced(four, logged, cut):
    """The log does not claim a difference where there is none to name."""
    os.truncate(four, HEADER_BYTES - cut)
    assert_holds(four, 0)
    assert logged() == [f"{four}: a checkpoint of an unknown kind; starting anew"]


@pytest.mark.parametrize(
    ("identity", "made_with", "named"),
    [
        (IDENTITY | {"seed": 2}, MADE_WITH, "seed"),
        (IDENTITY, MADE_WITH | {"code": "fedcba9876543210"}, "code"),
        (IDENTITY, MADE_WITH | {"versions": {"jax": "2"}}, "versions"),
        (IDENTITY, MADE_WITH | {"device": "x86_64-ba9876543210"}, "device"),
        (IDENTITY | {"seed": 2}, MADE_WITH | {"code": ""}, "seed, code"),
        # what the file has and the job has not
        (IDENTITY, {}, "code, device, versions"),
    ],
)
def test_another_simulation_is_not_gone_on_from(four, logged, identity, made_with, named):
    """Of other settings, or by programs that may round differently: the log says what differs, and only that."""
    with Checkpoint(four, made_with) as checkpoint:
        assert checkpoint.begin(identity, SMALL, N_SNAPSHOTS) == 0
        checkpoint.append(SNAPSHOTS[0, ...])
        assert_first(1, checkpoint.records())
    assert logged() == [f"{four}: a checkpoint of other {named}; starting anew"]


def test_an_empty_file_is_as_good_as_none(path, logged):
    """A job that was stopped before it wrote anything leaves one."""
    with Checkpoint(path, MADE_WITH):
        pass
    assert path.stat().st_size == 0
    assert_holds(path, 0)
    assert logged() == []


@pytest.mark.parametrize(("again", "held"), [(False, 4), (True, 5)], ids=["stays full", "has room again"])
def test_a_disk_that_fills_up_within_a_record(four, again, held):
    """The error is raised and the lock ends; the half record is finished if room is made at once, or dropped later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large"), begun(four, 4) as checkpoint:  # noqa: PT012
            resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES + int(4.5 * SMALL_BYTES), hard))
            try:
                checkpoint.append(SNAPSHOTS[4, ...])
            finally:
                assert four.stat().st_size == HEADER_BYTES + int(4.5 * SMALL_BYTES)
                if again:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not is_locked(four)
    assert_holds(four, held)


def test_is_locked_while_it_is_open(four):
    """By whichever process, this one as well."""
    assert not is_locked(four)
    with begun(four, 4):
        assert is_locked(four)
        assert is_locked(four)
    assert not is_locked(four)


def test_is_not_locked_after_a_failure(path):
    """An error inside ends the lock, too."""
    with pytest.raises(Interrupted), begun(path):
        raise Interrupted
    assert not is_locked(path)


def test_who_waited_for_a_removed_file_makes_a_new_one(four, logged):
    """What is written goes into the file of that name, not into the one that is no more."""
    held = []

    def work():
        with Checkpoint(four, MADE_WITH) as checkpoint:
            held.append(checkpoint.begin(IDENTITY, SMALL, N_SNAPSHOTS))
            checkpoint.append(SNAPSHOTS[0, ...])

    waiter = threading.Thread(target=work)
    with begun(four, 4):
        waiter.start()
        wait_for(logged)
        four.unlink()
    waiter.join(60)
    assert held == [0]
    assert_holds(four, 1)


@pytest.fixture
def no_locks(monkeypatch):
    """A file system without locks: two jobs may write to a file."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


def test_two_writers_notice_each_other(four, no_locks):
    """The one that finds the file longer than it left it stops; what is out of turn does not count later on."""
    with begun(four, 4) as first, begun(four, 4) as second:
        first.append(SNAPSHOTS[4, ...])
        with pytest.raises(NatalError) as caught:
            second.append(SNAPSHOTS[4, ...])
        assert str(caught.value) == f"{four}: another job writes to this file, too: see that one runs at a time"
        first.append(SNAPSHOTS[5, ...])
        first.check_complete()


def test_a_record_out_of_turn_does_not_count(four, no_locks):
    """Two jobs that wrote at the very same time have each written the same number."""
    with begun(four, 4) as first, begun(four, 4) as second:
        first.append(SNAPSHOTS[4, ...])
        os.truncate(four, HEADER_BYTES + 4 * SMALL_BYTES)
        second.append(SNAPSHOTS[4, ...])
        record = four.read_bytes()[-SMALL_BYTES:]
        with open(four, "ab") as file:
            file.write(record)
        for checkpoint in (first, second):
            with pytest.raises(NatalError, match="another job writes"):
                checkpoint.check_complete()
    assert_holds(four, 5)


@pytest.mark.parametrize("n_snapshots", [3, 5])
def test_complete_means_neither_less_nor_more(four, n_snapshots):
    """Four records are no three and no five."""
    with Checkpoint(four, MADE_WITH) as checkpoint:
        checkpoint.begin(IDENTITY, SMALL, 4)
        checkpoint.check_complete()
        checkpoint.begin(IDENTITY, SMALL, n_snapshots)
        with pytest.raises(NatalError, match="another job writes"):
            checkpoint.check_complete()


def test_a_damaged_record_is_not_complete(four):
    """The file has the right size, but a byte of it was changed since this job wrote it."""
    with Checkpoint(four, MADE_WITH) as checkpoint:
        checkpoint.begin(IDENTITY, SMALL, 4)
        with open(four, "r+b") as file:
            file.seek(HEADER_BYTES + 2 * SMALL_BYTES)
            file.write(b"\x55")
        with pytest.raises(NatalError, match="another job writes"):
            checkpoint.check_complete()
