"""An interrupted simulation goes on from its checkpoint file and gives the bits of one that was never interrupted."""

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
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from natal.errors import NatalError
from natal.files.locks import is_locked
from natal.running import device
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation import checkpoint as checkpoint_module
from natal.simulation import run
from natal.simulation.batches import BatchEngine
from natal.simulation.checkpoint import HEADER_BYTES, Checkpoint
from natal.simulation.run import simulate_clusters, snapshot_type

N_RUNS, N_SNAPSHOTS = 7, 5  # two of a core's batches of four, the last of them not full
CALL = {
    "q0": np.linspace(0.5, 1.5, N_RUNS),
    "a_au": np.linspace(50.0, 200.0, N_RUNS),
    "point_id": 100 + np.arange(N_RUNS) // 3,
    "realization": np.arange(N_RUNS) % 3,
    "seed": 5,
    "cluster": ClusterModel(n_stars=100, imf="kroupa"),
    "integration": Integration(t_end_yr=2.0, dt_yr=0.05, snapshots=N_SNAPSHOTS),
}
RECORD_BYTES = snapshot_type(N_RUNS, 100, "float64").itemsize + 16

# starts a simulation; after some snapshots kills itself, or waits to be told whether to go on
OTHER_PROCESS = """
import os, signal, sys
from natal.running import device
from natal.simulation.checkpoint import Checkpoint
from test_checkpoint import simulate

path, cache, stop_after, then = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
append, n_appended = Checkpoint.append, 0

def append_and_stop(self, snapshot):
    global n_appended
    append(self, snapshot)
    n_appended += 1
    if n_appended == stop_after:
        print("stopped", flush=True)
        if then == "killed" or sys.stdin.readline() == "die\\n":
            os.kill(os.getpid(), signal.SIGKILL)

Checkpoint.append = append_and_stop
device.set_up(threads=2, cpu_devices=2, cache_folder=cache)
simulate(path)
"""


class Interrupted(Exception):
    """What stops a simulation in these tests."""


def simulate(path=None, **changes):
    """All arrays of the seven runs, copied; with a checkpoint file if there is a path."""
    if path is None:
        runs = simulate_clusters(**(CALL | changes))
    else:
        with Checkpoint(path) as checkpoint:
            runs = simulate_clusters(**(CALL | changes), checkpoint=checkpoint)
    names = ("time_yr", "position_au", "velocity_au_yr", "mass_msun", "kinetic_energy", "potential_energy")
    return {name: np.array(getattr(runs, name)) for name in names} | {
        name: np.array(values) for name, values in runs.summaries._asdict().items()
    }


def assert_identical(runs, expected):
    """Every array has the type, shape and bits of the expected one."""
    assert runs.keys() == expected.keys()
    for name, values in runs.items():
        assert values.dtype == expected[name].dtype
        assert values.shape == expected[name].shape
        assert values.tobytes() == expected[name].tobytes(), name


@contextmanager
def interruption(after):
    """Let `after` snapshots be written, and fail at the next one."""
    append, written = Checkpoint.append, []

    def append_or_fail(self, snapshot):
        if len(written) == after:
            raise Interrupted
        written.append(append(self, snapshot))

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):  # noqa: PT012
        patch.setattr(Checkpoint, "append", append_or_fail)
        yield


@pytest.fixture(scope="module")
def uninterrupted():
    """The runs of one call without a checkpoint, by programs compiled for it."""
    return simulate()


@pytest.fixture(scope="module")
def compile_cache(uninterrupted, tmp_path_factory):
    """A compile cache for all other calls, here and in other processes."""
    folder = tmp_path_factory.mktemp("cache")
    settings = {
        "jax_compilation_cache_dir": str(folder / device.processor()),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for values in (settings, before):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if values is settings:
            yield folder


@pytest.fixture
def computed(monkeypatch, compile_cache):
    """A list that grows by an entry with every snapshot that is computed."""
    next_snapshot, calls = BatchEngine.next_snapshot, []

    def counted(self, before, now, n_steps):
        calls.append(before is None)
        return next_snapshot(self, before, now, n_steps)

    monkeypatch.setattr(BatchEngine, "next_snapshot", counted)
    return calls


@pytest.fixture
def no_engine(monkeypatch):
    """An engine that compiles nothing and fills snapshots with their number; the list of those numbers."""
    made = []

    class Engine:
        def __init__(self, *_):
            pass

        def next_snapshot(self, before, now, n_steps):
            made.append(0 if before is None else int(before["n_bound"][0]) + 1)
            now["n_bound"] = made[-1]
            yield 1.0

        def close(self):
            pass

    monkeypatch.setattr(run, "BatchEngine", Engine)
    return made


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
def other_process(path, cache, stop_after, then):
    """A process that simulates the same runs and has stopped after some snapshots."""
    command = [sys.executable, "-c", OTHER_PROCESS, str(path), str(cache), str(stop_after), then]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
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


# simulations


def test_a_checkpoint_changes_no_bits(uninterrupted, computed, path):
    """Whether snapshots go to a file or stay in memory, the arrays are the same."""
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS


@pytest.mark.parametrize("after", range(N_SNAPSHOTS))
def test_an_interrupted_call_made_again(uninterrupted, computed, logged, path, after):
    """Stopped at any snapshot: only what is missing is computed, and the bits are those of one call."""
    with interruption(after):
        simulate(path)
    computed.clear()
    assert_identical(simulate(path), uninterrupted)
    assert computed == [True] * (after == 0) + [False] * (N_SNAPSHOTS - max(1, after))
    expected = f"resuming from snapshot {after} of 5 (step {10 * (after - 1)} of 40)"
    assert [line for line in logged() if "resuming" in line] == [expected] * (after > 0)


def test_interrupted_at_every_snapshot(uninterrupted, computed, path):
    """Five calls that get one snapshot further each leave nothing to compute, and the bits of one call."""
    for _ in range(N_SNAPSHOTS):
        with interruption(1):
            simulate(path)
            raise Interrupted
    computed.clear()
    assert_identical(simulate(path), uninterrupted)
    assert computed == []


def test_a_complete_checkpoint_computes_and_compiles_nothing(uninterrupted, computed, monkeypatch, path):
    """What it holds is returned as it is."""
    simulate(path)

    def refuse(*_):
        raise AssertionError("nothing is left to compute")

    monkeypatch.setattr(run, "BatchEngine", refuse)
    assert_identical(simulate(path), uninterrupted)


@pytest.mark.parametrize(("damaged", "place"), [(0, 0), (2, RECORD_BYTES // 2), (4, RECORD_BYTES - 8)])
def test_a_flipped_byte_is_computed_again(uninterrupted, computed, logged, path, damaged, place):
    """The damaged snapshot is named and dropped, with all after it; the bits are the same."""
    simulate(path)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + damaged * RECORD_BYTES + place] ^= 1
    path.write_bytes(content)
    computed.clear()
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS - damaged
    assert f"{path}: snapshot {damaged} is damaged; going on from the one before" in logged()


@pytest.mark.parametrize(("kept", "whole"), [(3.5, 3), (1 - 1e-9, 0), (0.0, 0)])
def test_a_file_cut_short_is_filled_up(uninterrupted, computed, path, kept, whole):
    """By a full disk, or by a machine that went down; the bits are the same."""
    simulate(path)
    os.truncate(path, HEADER_BYTES + int(kept * RECORD_BYTES))
    computed.clear()
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS - whole
    assert path.stat().st_size == HEADER_BYTES + N_SNAPSHOTS * RECORD_BYTES


def test_another_seeds_checkpoint_is_not_used(uninterrupted, computed, path):
    """It is computed from the start, with the bits of a call without a checkpoint."""
    simulate(path, seed=6)
    computed.clear()
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 6}, "seed"),
        ({"point_id": 101 + np.arange(N_RUNS) // 3}, "runs"),
        ({"realization": np.arange(N_RUNS)}, "runs"),
        ({"q0": np.linspace(0.5, 1.6, N_RUNS)}, "runs"),
        ({"a_au": 100.0}, "runs"),
        ({name: CALL[name][:6] for name in ("q0", "a_au", "point_id", "realization")}, "runs"),
        ({"cluster": ClusterModel(n_stars=99, imf="kroupa")}, "cluster"),
        ({"cluster": ClusterModel(imf="kroupa", imf_mass_range_msun=(0.1, 50.0))}, "cluster"),
        ({"integration": Integration(t_end_yr=2.0, dt_yr=0.025, snapshots=5)}, "integration"),
        ({"integration": Integration(t_end_yr=2.0, dt_yr=0.05, snapshots=3)}, "integration"),
        (
            {"integration": Integration(t_end_yr=2.0, snapshots=5, precision="float32"), "seed": 6},
            "runs, seed, integration",
        ),
    ],
)
def test_other_settings_start_anew(no_engine, logged, path, changes, named):
    """A file of other runs or settings is not continued; the log says what differs, and only that."""
    simulate(path)
    no_engine.clear()
    runs = simulate(path, **changes)
    n_snapshots = (CALL | changes)["integration"].snapshots
    assert no_engine == runs["n_bound"][0].tolist() == list(range(n_snapshots))
    assert f"{path}: a checkpoint of other {named}; starting anew" in logged()
    assert not [line for line in logged() if "resuming" in line]


@pytest.mark.parametrize(
    ("function", "answer", "named"),
    [
        ("code_digest", "0123456789abcdef", "code"),
        ("version", "0.0.1", "versions"),
        ("processor", "x86_64-0123456789ab", "device"),
    ],
)
def test_other_code_or_processor_starts_anew(no_engine, logged, monkeypatch, path, function, answer, named):
    """Other programs may round differently: what they wrote is not continued, and the log says why."""
    simulate(path)
    no_engine.clear()
    monkeypatch.setattr(run, function, lambda *_: answer)
    simulate(path)
    assert no_engine == list(range(N_SNAPSHOTS))
    assert f"{path}: a checkpoint of other {named}; starting anew" in logged()


def test_the_same_settings_go_on(no_engine, logged, path):
    """A call that spells the same runs differently, or allows them another energy error, is the same call."""
    with interruption(2):
        simulate(path)
    no_engine.clear()
    simulate(
        path,
        q0=CALL["q0"].tolist(),
        point_id=CALL["point_id"].astype(np.int32),
        cluster=ClusterModel(imf="kroupa"),
        integration=CALL["integration"].model_copy(update={"max_energy_error": 0.1}),
    )
    assert no_engine == [2, 3, 4]
    assert "resuming from snapshot 2 of 5 (step 10 of 40)" in logged()


def test_time_spent_adds_up_over_interruptions(no_engine, monkeypatch, path):
    """By a clock that advances a second at every look: five snapshots in two calls are five seconds of integration."""
    seconds = iter(range(100))
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr(run, "time", clock)
    with interruption(2):
        simulate(path)
    with Checkpoint(path) as checkpoint:
        runs = simulate_clusters(**CALL, checkpoint=checkpoint)
        assert checkpoint.records()["elapsed_s"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert runs.timing_s == {"compile": 1.0, "integrate": 5.0}


# processes


@pytest.mark.parametrize("after", [1, 4])
def test_the_checkpoint_of_a_killed_process_goes_on(uninterrupted, compile_cache, computed, path, after):
    """SIGKILL leaves no lock and no half-written state: the next process computes the rest, to the same bits."""
    with other_process(path, compile_cache, after, "killed") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert not is_locked(path)
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS - after


@pytest.mark.parametrize(("answer", "left"), [("go on", 0), ("die", N_SNAPSHOTS - 2)])
def test_a_second_process_waits_for_the_first(uninterrupted, compile_cache, computed, logged, path, answer, left):
    """And then goes on from what the first one wrote, be it all or some."""
    results = []
    second = threading.Thread(target=lambda: results.append(simulate(path)))
    with other_process(path, compile_cache, 2, "waits") as first:
        assert is_locked(path)
        second.start()
        wait_for(logged)
        assert logged() == [f"{path}: another job is at work on this shard; waiting for it to end"]
        second.join(0.2)
        assert second.is_alive()
        assert computed == []
        first.communicate(f"{answer}\n", timeout=60)
    second.join(60)
    assert_identical(results[0], uninterrupted)
    assert len(computed) == left


# the file itself, with small records

IDENTITY = {"seed": 1, "cluster": {"range": (0.1, 50.0)}, "versions": {"jax": "1"}}
SMALL = np.dtype([("x", np.float64, (10, 3)), ("n", np.int32, 7), ("flag", np.bool_)], align=True)
SMALL_BYTES = SMALL.itemsize + 16


def _snapshots():
    rng = np.random.default_rng(3)
    found = np.zeros(6, SMALL)
    found["x"] = rng.normal(size=found["x"].shape)
    found["n"] = rng.integers(0, 1000, found["n"].shape)
    found["flag"] = [True, False, True, True, False, True]
    return found


SNAPSHOTS = _snapshots()


@pytest.fixture
def four(path):
    """A file of four snapshots."""
    with Checkpoint(path) as checkpoint:
        assert checkpoint.begin(IDENTITY, SMALL) == 0
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
    with Checkpoint(path) as checkpoint:
        assert checkpoint.begin(IDENTITY, SMALL) == n
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
    assert json.loads(line) == json.loads(json.dumps(IDENTITY))


@pytest.mark.parametrize("record", range(4))
@pytest.mark.parametrize("place", [0, 100, 239, 240, 268, SMALL_BYTES - 8, SMALL_BYTES - 1])
@pytest.mark.parametrize("bit", [1, 128])
def test_any_flipped_bit_is_found(four, record, place, bit):
    """In the numbers, flags and checksums; what comes before is kept."""
    content = bytearray(four.read_bytes())
    content[HEADER_BYTES + record * SMALL_BYTES + place] ^= bit
    four.write_bytes(content)
    assert_holds(four, record)


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


def test_an_identity_with_less_to_say_differs_too(four, logged):
    """What the file has and the call has not is named as well."""
    with Checkpoint(four) as checkpoint:
        assert checkpoint.begin({name: IDENTITY[name] for name in ("seed", "cluster")}, SMALL) == 0
    assert logged() == [f"{four}: a checkpoint of other versions; starting anew"]


def test_an_empty_file_is_as_good_as_none(path, logged):
    """A job that was stopped before it wrote anything leaves one."""
    with Checkpoint(path):
        pass
    assert path.stat().st_size == 0
    assert_holds(path, 0)
    assert logged() == []


@pytest.mark.parametrize(("again", "held"), [(False, 4), (True, 5)], ids=["stays full", "has room again"])
def test_a_disk_that_fills_up_within_a_record(four, again, held):
    """The error is raised and the lock ends; the half record is finished if room is made at once, or dropped later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large"), Checkpoint(four) as checkpoint:  # noqa: PT012
            checkpoint.begin(IDENTITY, SMALL)
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
    with Checkpoint(four):
        assert is_locked(four)
        assert is_locked(four)
    assert not is_locked(four)


def test_is_not_locked_after_a_failure(path):
    """An error inside ends the lock, too."""
    with pytest.raises(Interrupted), Checkpoint(path):
        raise Interrupted
    assert not is_locked(path)


def test_who_waited_for_a_removed_file_makes_a_new_one(four, logged):
    """What is written goes into the file of that name, not into the one that is no more."""
    held = []

    def work():
        with Checkpoint(four) as checkpoint:
            held.append(checkpoint.begin(IDENTITY, SMALL))
            checkpoint.append(SNAPSHOTS[0, ...])

    waiter = threading.Thread(target=work)
    with Checkpoint(four):
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
        raise OSError(checkpoint_module.errno.ENOLCK, "no locks")

    monkeypatch.setattr(checkpoint_module.fcntl, "flock", refuse)


def test_two_writers_notice_each_other(four, no_locks):
    """The one that finds the file longer than it left it stops; what is out of turn does not count later on."""
    with Checkpoint(four) as first, Checkpoint(four) as second:
        for checkpoint in (first, second):
            assert checkpoint.begin(IDENTITY, SMALL) == 4
        first.append(SNAPSHOTS[4, ...])
        with pytest.raises(NatalError) as caught:
            second.append(SNAPSHOTS[4, ...])
        assert str(caught.value) == f"{four}: another job writes to this file, too: see that one runs at a time"
        first.append(SNAPSHOTS[5, ...])
        first.check_complete(6)


def test_a_record_out_of_turn_does_not_count(four, no_locks):
    """Two jobs that wrote at the very same time have each written the same number."""
    with Checkpoint(four) as first, Checkpoint(four) as second:
        for checkpoint in (first, second):
            checkpoint.begin(IDENTITY, SMALL)
        first.append(SNAPSHOTS[4, ...])
        os.truncate(four, HEADER_BYTES + 4 * SMALL_BYTES)
        second.append(SNAPSHOTS[4, ...])
        record = four.read_bytes()[-SMALL_BYTES:]
        with open(four, "ab") as file:
            file.write(record)
        for checkpoint in (first, second):
            with pytest.raises(NatalError, match="another job writes"):
                checkpoint.check_complete(6)
    assert_holds(four, 5)


@pytest.mark.parametrize("n_snapshots", [3, 5])
def test_complete_means_neither_less_nor_more(four, n_snapshots):
    """Four records are no three and no five."""
    with Checkpoint(four) as checkpoint:
        checkpoint.begin(IDENTITY, SMALL)
        checkpoint.check_complete(4)
        with pytest.raises(NatalError, match="another job writes"):
            checkpoint.check_complete(n_snapshots)


def test_a_damaged_record_is_not_complete(four):
    """The file has the right size, but a byte of it was changed since this job wrote it."""
    with Checkpoint(four) as checkpoint:
        checkpoint.begin(IDENTITY, SMALL)
        with open(four, "r+b") as file:
            file.seek(HEADER_BYTES + 2 * SMALL_BYTES)
            file.write(b"\x55")
        with pytest.raises(NatalError, match="another job writes"):
            checkpoint.check_complete(4)


def test_a_simulation_that_was_not_alone_fails(no_engine, no_locks, path):
    """What another job wrote in between is noticed before anything is made of it."""
    append = Checkpoint.append

    def append_after_another(self, snapshot):
        append(self, snapshot)
        if len(no_engine) == N_SNAPSHOTS:
            with open(path, "ab") as file:
                file.write(b"x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "append", append_after_another)
        with pytest.raises(NatalError, match="another job writes"):
            simulate(path)
    simulate(path)
