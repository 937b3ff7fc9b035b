"""Two CPU devices, natal's signatures checked at run time, and the fixtures that all tests share."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
import yaml
from jaxtyping import install_import_hook
from project import ROOT, merged

jax.config.update("jax_num_cpu_devices", 2)
install_import_hook("natal", "runtime_types.check")

# only now: what is imported earlier is not checked
from closed_form import BOX, make_runs  # noqa: E402

from natal.emulator.training import train_ensemble  # noqa: E402
from natal.likelihood.kinds import make_likelihood  # noqa: E402
from natal.likelihood.widths import fit_widths  # noqa: E402
from natal.posterior.recovery import locate_truths, recover  # noqa: E402
from natal.settings.emulator import TrainingSettings  # noqa: E402
from natal.settings.inference import NutsSettings  # noqa: E402


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
def runs():
    """Training, validation and test runs of the linear simulator: 200, 60 and 40 points of 8 realizations."""
    return SimpleNamespace(
        train=make_runs("train", 200, 8, seed=1),
        validation=make_runs("validation", 60, 8, seed=2),
        test=make_runs("test", 40, 8, seed=3),
    )


@pytest.fixture(scope="session")
def trained(runs):
    """(ensemble, history) of five members trained with the default settings."""
    return train_ensemble(jax.random.key(4), runs.train, runs.validation, BOX, TrainingSettings())


@pytest.fixture(scope="session")
def ensemble(trained):
    """The trained ensemble."""
    return trained[0]


@pytest.fixture(scope="session")
def fitted_likelihood(ensemble, runs):
    """The likelihood as a campaign makes it: the trained ensemble, the width of validation runs."""
    return make_likelihood("constant", ensemble, fit_widths(ensemble, runs.validation))


@pytest.fixture(scope="session")
def recovery(fitted_likelihood, runs):
    """One test run of each of 32 points recovered by grid and NUTS: truths x, data y, `recovered` and `truths`."""
    chosen = np.arange(32) * 8
    x, y = runs.test.x[chosen], runs.test.y[chosen]
    settings = NutsSettings(draws=1000, cases_per_batch=16)
    recovered = recover(jax.random.key(6), fitted_likelihood, BOX, y, np.zeros_like(y), settings, (96, 64))
    truths = locate_truths(fitted_likelihood, recovered, x, y)
    return SimpleNamespace(x=x, y=y, recovered=recovered, truths=truths, point_id=runs.test.point_id[chosen])
