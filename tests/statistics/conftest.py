"""The linear simulator's runs, an ensemble trained on them and clusters recovered with it, shared by all tests."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from closed_form import BOX, make_runs

from natal.emulator.training import TrainingSettings, train_ensemble
from natal.likelihood.likelihoods import make_likelihood
from natal.likelihood.widths import fit_widths
from natal.posterior.nuts import NutsSettings
from natal.posterior.recovery import locate_truths, recover


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
