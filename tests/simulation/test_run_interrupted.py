"""An interrupted simulation goes on from its checkpoint file and gives the bits of one that was never interrupted."""

import logging
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from natal.errors import NatalError
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation import batches, run
from natal.simulation.batches import BatchEngine
from natal.simulation.checkpoint import HEADER_BYTES, Checkpoint
from natal.simulation.setup import Setup

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
SETUP = Setup.of(**CALL)
RECORD_BYTES = SETUP.snapshot_type.itemsize + 16


class Interrupted(Exception):
    """What stops a simulation in these tests."""


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    """All tests here simulate the same runs: their programs are compiled once."""
    compile_batch, programs = batches._compile, []

    def compile_or_reuse(setup, size, device):
        assert setup is SETUP
        if not programs:
            programs.append(compile_batch(setup, size, device))
        return programs[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_compile", compile_or_reuse)
        yield


def simulate(path=None, **made_with):
    """All arrays of the seven runs, copied; with a checkpoint file if there is a path."""
    if path is None:
        runs = run.simulate(SETUP)
    else:
        with Checkpoint(path, made_with) as checkpoint:
            runs = run.simulate(SETUP, checkpoint=checkpoint)
    names = ("time_yr", "position_au", "velocity_au_yr", "mass_msun", "kinetic_energy", "potential_energy")
    arrays = {name: getattr(runs, name) for name in names} | runs.summaries
    return {name: np.array(values) for name, values in arrays.items()}


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
def uninterrupted(compiled_once):
    """The runs of one call without a checkpoint."""
    return simulate()


@pytest.fixture
def computed(monkeypatch, uninterrupted):
    """A list that grows by an entry with every snapshot that is computed: whether it is the birth."""
    next_snapshot, calls = BatchEngine.next_snapshot, []

    def counted(self, before, now, n_steps):
        calls.append(before is None)
        return next_snapshot(self, before, now, n_steps)

    monkeypatch.setattr(BatchEngine, "next_snapshot", counted)
    return calls


@pytest.fixture
def logged(caplog):
    """Call it for the messages of the logger `natal`."""
    caplog.set_level(logging.INFO, "natal")
    return lambda: caplog.messages


@pytest.fixture
def path(tmp_path):
    """Of a checkpoint in a folder that is not there yet."""
    return tmp_path / "simulations" / "train0_000.checkpoint"


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
    """The first call computes each snapshot once, the second one nothing; both return the bits of one without file."""
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS

    def refuse(*_):
        raise AssertionError("nothing is left to compile")

    monkeypatch.setattr(BatchEngine, "compile", refuse)
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS


def test_a_flipped_byte_is_computed_again(uninterrupted, computed, path):
    """The damaged snapshot, with all after it; the bits are the same."""
    simulate(path)
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 2 * RECORD_BYTES + RECORD_BYTES // 2] ^= 1
    path.write_bytes(content)
    computed.clear()
    assert_identical(simulate(path), uninterrupted)
    assert len(computed) == N_SNAPSHOTS - 2
    assert path.stat().st_size == HEADER_BYTES + N_SNAPSHOTS * RECORD_BYTES


def test_a_checkpoint_of_other_code_is_not_used(uninterrupted, computed, logged, path):
    """All is computed from the start, with the bits of a call without a checkpoint."""
    simulate(path, code="before")
    computed.clear()
    assert_identical(simulate(path, code="now"), uninterrupted)
    assert len(computed) == N_SNAPSHOTS
    assert f"{path}: a checkpoint of other code; starting anew" in logged()
    assert not [line for line in logged() if "resuming" in line]


def test_time_spent_adds_up_over_interruptions(monkeypatch, computed, path):
    """By a clock that advances a second at every look: five snapshots in two calls are five seconds of integration."""
    seconds = iter(range(100))
    monkeypatch.setattr(run, "time", SimpleNamespace(perf_counter=lambda: float(next(seconds))))
    with interruption(2):
        simulate(path)
    with Checkpoint(path, {}) as checkpoint:
        runs = run.simulate(SETUP, checkpoint=checkpoint)
        assert checkpoint.records()["elapsed_s"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert runs.timing_s == {"compile": 1.0, "integrate": 5.0}


def test_a_simulation_that_was_not_alone_fails(computed, path):
    """What another job wrote in between is noticed before anything is made of it."""
    append = Checkpoint.append

    def append_after_another(self, snapshot):
        append(self, snapshot)
        if len(computed) == N_SNAPSHOTS:
            with open(path, "ab") as file:
                file.write(b"x")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "append", append_after_another)
        with pytest.raises(NatalError, match="another job writes"):
            simulate(path)
    simulate(path)


# what a simulation is told apart by


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 6}, {"seed"}),
        ({"point_id": 101 + np.arange(N_RUNS) // 3}, {"runs"}),
        ({"realization": np.arange(N_RUNS)}, {"runs"}),
        ({"q0": np.linspace(0.5, 1.6, N_RUNS)}, {"runs"}),
        ({"a_au": 100.0}, {"runs"}),
        ({name: CALL[name][:6] for name in ("q0", "a_au", "point_id", "realization")}, {"runs"}),
        ({"cluster": ClusterModel(n_stars=99, imf="kroupa")}, {"cluster"}),
        ({"cluster": ClusterModel(imf="kroupa", imf_mass_range_msun=(0.1, 50.0))}, {"cluster"}),
        ({"integration": Integration(t_end_yr=2.0, dt_yr=0.025, snapshots=5)}, {"integration"}),
        ({"integration": Integration(t_end_yr=2.0, dt_yr=0.05, snapshots=3)}, {"integration"}),
        (
            {"integration": Integration(t_end_yr=2.0, dt_yr=0.05, snapshots=5, precision="float32"), "seed": 6},
            {"runs", "seed", "integration"},
        ),
        ({"integration": Integration(t_end_yr=2.0, dt_yr=0.05, snapshots=5, clusters_per_batch=2)}, {"integration"}),
        # the same call, spelled differently; the energy error that is allowed decides on finished runs only
        ({"q0": CALL["q0"].tolist(), "point_id": CALL["point_id"].astype(np.int32)}, set()),
        ({"cluster": ClusterModel(imf="kroupa")}, set()),
        ({"integration": Integration(t_end_yr=2.0, dt_yr=0.05, snapshots=5, max_energy_error=0.1)}, set()),
    ],
)
def test_an_identity_differs_in_what_was_changed(changes, named):
    """In all that a snapshot's bits follow from, and in nothing else."""
    identity, other = SETUP.identity, Setup.of(**(CALL | changes)).identity
    assert {key for key in identity | other if identity.get(key) != other.get(key)} == named
