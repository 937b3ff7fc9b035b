"""Runs of the linear simulator and an ensemble trained on them, shared by all statistical tests."""

from types import SimpleNamespace

import jax
import pytest
from closed_form import BOX, make_runs

from natal.training import TrainingSettings, train_ensemble


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
