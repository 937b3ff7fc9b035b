"""Programs kept on disk: the same bits as traced ones, and another program for whatever a trace depends on."""

import hashlib
import json
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from project import ROOT

from natal.likelihood.mixture_density import Counts, temperature
from natal.population.inference import sample_laws
from natal.population.terms import Terms
from natal.posterior import programs
from natal.settings.population import Population

SHARES = np.array([0.05, 0.45, 0.6, 0.9], "float32")

traced = programs._traced
PACKAGE = ROOT / "src" / "natal"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of kept programs, as a process finds it that has run none yet."""
    monkeypatch.setenv(programs.FOLDER, str(tmp_path / "kept"))
    monkeypatch.setattr(programs, "_loaded", {})
    monkeypatch.setattr(programs, "_code", lambda: "code")
    return tmp_path / "kept"


@pytest.fixture
def later(folder, monkeypatch):
    """Begins another process: it must not trace."""

    def begin():
        monkeypatch.setattr(programs, "_loaded", {})
        monkeypatch.setattr(programs, "_kept", lambda *_: pytest.fail("a kept program is traced again"))
        monkeypatch.setattr(programs, "_traced", lambda *_: pytest.fail("a kept program is traced again"))

    return begin


def kept(folder):
    """Names of the programs in a folder."""
    return {path.name for path in folder.glob("*.program")}


def test_a_later_process_does_not_trace(folder, later):
    """It takes the program from disk, with other numbers too, and returns the same bits."""
    assert programs.call(temperature, SHARES, 0.5).tolist() == traced(temperature, (SHARES, 0.5)).tolist()
    later()
    others = SHARES[::-1].copy()
    assert programs.call(temperature, others, 0.5).tolist() == traced(temperature, (others, 0.5)).tolist()
    assert len(kept(folder)) == 1


def changed_code(monkeypatch):
    monkeypatch.setattr(programs, "_code", lambda: "other code")
    return temperature, SHARES, 0.5


def split(array):
    return jax.device_put(array, NamedSharding(programs.device_mesh(), PartitionSpec("device")))


CHANGES = {
    "a number that is no array": lambda _: (temperature, SHARES, 0.25),
    "a shape": lambda _: (temperature, SHARES[:2], 0.5),
    "a type": lambda _: (temperature, SHARES.astype("float16"), 0.5),
    "natal's code": changed_code,
    "where an array is": lambda _: (temperature, split(SHARES), 0.5),
    "the function": lambda _: (jnp.nextafter, SHARES, 0.5),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_a_trace_depends_on_has_a_program_of_its_own(folder, monkeypatch, change):
    """The first one is never taken for the second."""
    programs.call(temperature, SHARES, 0.5)
    function, *arguments = change(monkeypatch)
    found = programs.call(function, *arguments)
    assert np.array_equal(found, traced(function, tuple(arguments)))
    assert len(kept(folder)) == 2


@pytest.mark.parametrize(
    "setting",
    ["jax_debug_nans", "jax_high_dynamic_range_gumbel", "jax_softmax_custom_jvp", "jax_threefry_partitionable"],
)
def test_settings_of_jax_have_programs_of_their_own(folder, setting):
    """All of them: which ones a trace depends on is JAX's affair."""
    programs.call(temperature, SHARES, 0.5)
    before = getattr(jax.config, setting)
    jax.config.update(setting, not before)
    try:
        programs.call(temperature, SHARES, 0.5)
    finally:
        jax.config.update(setting, before)
    assert len(kept(folder)) == 2


def local(share, *_):
    return 2 * share


class Mine(eqx.Module):
    factor: float = 2.0


UNKNOWN = {
    "a function that is not natal's": (local, SHARES),
    "a lambda": (lambda share: 2 * share, SHARES),
    "a wrapped function": (jax.vmap(jnp.negative), SHARES),
    "a method": (Counts(100, 0).cell, SHARES, SHARES),
    "a type that is not natal's": (temperature, SHARES, Mine()),
    "a function in a static field": (temperature, SHARES, jax.tree_util.Partial(local)),
}


@pytest.mark.parametrize("call", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_known_by_its_name_has_no_program(folder, call):
    """The code of others may change without natal's, and a name may be that of something else."""
    function, *arguments = call
    assert programs._name(programs._Call.of(function, tuple(arguments))) is None


def test_what_is_not_known_is_traced(folder):
    """With the same result, and nothing is written."""
    assert programs.call(local, SHARES).tolist() == (2 * SHARES).tolist()
    assert not kept(folder)


def test_code_that_changed_since_the_process_began_is_no_name(monkeypatch):
    """What was imported may be older than what the file says now."""
    programs._code.cache_clear()
    monkeypatch.setattr(programs, "BEGUN", time.time() + 60)
    assert len(programs._code()) == 64
    programs._code.cache_clear()
    monkeypatch.setattr(programs, "BEGUN", max(path.stat().st_ctime for path in PACKAGE.rglob("*.py")) - 1e-3)
    assert programs._code() is None
    programs._code.cache_clear()


def printing(share):
    jax.debug.print("{}", share)
    return 2 * share


def test_what_jax_cannot_write_down_is_traced_once(folder, monkeypatch):
    """A program with effects, for one."""
    monkeypatch.setattr(printing, "__module__", programs.__name__)
    monkeypatch.setattr(programs, "printing", printing, raising=False)
    monkeypatch.setattr(programs, "_kept", counted := Counted(programs._kept))
    for _ in range(2):
        assert programs.call(printing, SHARES).tolist() == (2 * SHARES).tolist()
    assert counted.calls == 1
    assert not kept(folder)


class Counted:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.function(*arguments)


FOREIGN = b'["os.system", "exit 1"]\n'

DAMAGES = {
    "empty": lambda whole: b"",
    "cut off": lambda whole: whole[:-10],
    "one byte in the middle": lambda whole: whole[: len(whole) // 2] + b"?" + whole[len(whole) // 2 + 1 :],
    "a foreign one": lambda whole: hashlib.sha256(FOREIGN + whole[-99:]).digest() + FOREIGN + whole[-99:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_program_is_made_again(folder, monkeypatch, damage):
    """By the next process that wants it."""
    programs.call(temperature, SHARES, 0.5)
    (path,) = folder.glob("*.program")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    monkeypatch.setattr(programs, "_loaded", {})
    assert programs.call(temperature, SHARES, 0.5).tolist() == traced(temperature, (SHARES, 0.5)).tolist()
    assert len(path.read_bytes()) == len(whole)


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(folder):
    """Here it would be below a file."""
    folder.write_text("a file")
    assert programs.call(temperature, SHARES, 0.5).tolist() == traced(temperature, (SHARES, 0.5)).tolist()


def test_results_are_written_without_their_code():
    """As names of types and numbers: nothing of the file is run in Python."""
    tree = (1, {"b": None, "a": (2, Counts(3, 4))}, Counts(5, (6, 7)))
    written = json.dumps(programs._written(tree))
    assert written.count("natal.likelihood.mixture_density.Counts") == 2
    assert programs._tree(json.loads(written)) == tree
    with pytest.raises(ValueError, match="results hold a list"):
        programs._written((1, [2]))
    for name in ("os.system", "builtins.eval", "builtins.list", "natal.files.formats.read_json"):
        with pytest.raises(ValueError, match=f"{name} is no kind of tuple"):
            programs._tree([name, "1"])
    with pytest.raises(ValueError, match="results hold 'text'"):
        programs._tree(["builtins.tuple", "text"])


def test_nothing_is_kept_without_a_folder(folder, monkeypatch, tmp_path):
    """As in a user's own Python, where constants may be anything."""
    monkeypatch.setenv(programs.FOLDER, "")
    programs.call(temperature, SHARES, 0.5)
    assert not kept(folder)


@pytest.mark.slow
def test_nuts_walks_the_same_way_from_disk(folder, later):
    """NUTS on a law of a population, over two devices: the same bits traced, made and read."""
    edges = np.linspace(0.5, 1.5, 41).astype("float32"), np.linspace(3.9, 5.3, 21).astype("float32")
    terms = Terms(*edges, np.ones((3, 40, 20), "float32"), np.ones((1, 40, 20), "float32"), np.zeros(3, "int32"))
    settings = Population(sampler={"chains": 2, "warmup": 20, "draws": 20})

    def draws():
        return sample_laws(jax.random.key(0), "normal", [terms], settings)[0].parameters

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(programs.FOLDER, "")
        found = draws()
    made = draws()
    assert len(kept(folder)) == 1
    later()
    read = draws()
    for name, values in found.items():
        assert np.array_equal(values, made[name]), name
        assert np.array_equal(values, read[name]), name
