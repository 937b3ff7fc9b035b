"""Two CPU devices, natal's signatures checked at run time, and the fixtures that all tests share."""

import fcntl
import gc
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import yaml
from by_file import pytest_xdist_make_scheduler  # noqa: F401 (a hook of pytest's)
from jaxtyping import install_import_hook
from project import ROOT, merged

MOST_MAPS = 15_000

# the collector would look through all that imports leave behind, again and again: for a third of their time
gc.disable()
# waiting threads of linear algebra take the processors from the other process: workers and jobs inherit this
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# tests patch constants that are no part of a traced program's name: none is kept between processes
os.environ["NATAL_PROGRAMS"] = ""
jax.config.update("jax_num_cpu_devices", 2)
install_import_hook("natal", "runtime_types.check")


def pytest_configure(config) -> None:
    """The same program is compiled once, by whatever process and whenever, and quickly.

    Most of the time goes into compiling programs that run once: they are optimised little, in jobs of Snakemake, too,
    and where nothing integrates or trains for long, not at all. A user's own flags stay.
    """
    level = 0 if "not slow" in config.option.markexpr else 1
    flags = f"--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level={level}"
    os.environ.setdefault("XLA_FLAGS", flags + " --xla_llvm_disable_expensive_passes=true" * (level == 0))
    from natal.running.device import processor

    jax.config.update("jax_compilation_cache_dir", str(ROOT / ".cache" / "tests" / processor()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_finish(session) -> None:
    """What is imported now stays: from here on, the collector looks at what tests make."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="module")
def _few_programs():
    """Forget compiled programs, between two files, before they are too many.

    Each takes some ten memory maps. Linux gives a process 65,530; at the limit the compiler ends it.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def float64():
    """Double precision for everything in the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def config():
    """The default configuration, to be changed at will."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def smoke_config(config):
    """The smoke configuration: its file holds only differences from the default."""
    return merged(config, yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text()))


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder that all processes of this test session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def once(shared):
    """What a function returns, from the process that comes first; the others wait and read it."""

    def once(make, name):
        made = shared / f"{name}.pickle"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                made.write_bytes(pickle.dumps(make()))
        return pickle.loads(made.read_bytes())

    return once


# The linear simulator's runs, an ensemble trained on them and clusters recovered with it. What is imported here is
# imported when it is needed, and not by the process that only hands out tests.


@pytest.fixture(scope="session")
def runs():
    """Training, validation and test runs of the linear simulator: 200, 60 and 40 points of 8 realizations."""
    from closed_form import make_runs

    return SimpleNamespace(
        train=make_runs("train", 200, 8, seed=1),
        validation=make_runs("validation", 60, 8, seed=2),
        test=make_runs("test", 40, 8, seed=3),
    )


@pytest.fixture(scope="session")
def trained(runs, once, shared):
    """(ensemble, history) of five members trained as by default, in larger steps: a third of the epochs."""
    from closed_form import BOX

    from natal.emulator.ensemble import load_ensemble, save_ensemble
    from natal.emulator.training import train_ensemble
    from natal.settings.emulator import TrainingSettings

    def make():
        settings = TrainingSettings(learning_rate=3e-3, patience=50)
        ensemble, history = train_ensemble(jax.random.key(4), runs.train, runs.validation, BOX, settings)
        save_ensemble(shared / "trained.eqx", ensemble, design_digest="", made_by={})
        return history

    history = once(make, "trained")
    return load_ensemble(shared / "trained.eqx"), history


@pytest.fixture(scope="session")
def ensemble(trained):
    """The trained ensemble."""
    return trained[0]


@pytest.fixture(scope="session")
def fitted_likelihood(ensemble, runs):
    """The likelihood as a campaign makes it: the trained ensemble, the width of validation runs."""
    from natal.likelihood.kinds import make_likelihood
    from natal.likelihood.widths import fit_widths

    return make_likelihood("constant", ensemble, fit_widths(ensemble, runs.validation))


@pytest.fixture(scope="session")
def recovery(fitted_likelihood, runs, once):
    """One test run of each of 32 points recovered by grid and NUTS: truths x, data y, `recovered` and `truths`."""
    from closed_form import BOX

    from natal.posterior.recovery import recover
    from natal.settings.inference import NutsSettings

    def make():
        chosen = np.arange(32) * 8
        x, y = runs.test.x[chosen], runs.test.y[chosen]
        settings = NutsSettings(cases_per_batch=16)
        recovered = recover(jax.random.key(6), fitted_likelihood, BOX, y, np.zeros_like(y), settings, (96, 64), x)
        return SimpleNamespace(
            x=x, y=y, recovered=recovered, truths=recovered.truths, point_id=runs.test.point_id[chosen]
        )

    return once(make, "recovery")
