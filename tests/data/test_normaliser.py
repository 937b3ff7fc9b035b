"""Shift and scale: zero mean and unit variance over the training runs, and over nothing else."""

import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import make_runs

from natal.data.normaliser import fit_normaliser
from natal.errors import NatalError


def test_training_runs_have_zero_mean_and_unit_variance(float64):
    """Every input and every output of the training runs, in double precision, to rounding."""
    train = make_runs("train", 50, 8, seed=1)
    normaliser = fit_normaliser(train, "float64")
    for values in (normaliser.normalise_x(jnp.asarray(train.x)), normaliser.normalise_y(jnp.asarray(train.y))):
        # sums of 400 doubles; the largest mean, r_h's, is a few of its standard deviations
        np.testing.assert_allclose(values.mean(0), 0.0, atol=1e-13)
        np.testing.assert_allclose(values.var(0), 1.0, rtol=1e-13)


def test_single_precision_is_as_good_as_its_rounding():
    """In float32, as used, means and variances miss 0 and 1 by rounding only."""
    train = make_runs("train", 50, 8, seed=1)
    normaliser = fit_normaliser(train)
    for values in (normaliser.normalise_x(jnp.asarray(train.x)), normaliser.normalise_y(jnp.asarray(train.y))):
        assert values.dtype == jnp.float32
        # float32 carries 6e-8 of values up to about 5 standard deviations from zero; mean and scale both round
        np.testing.assert_allclose(np.asarray(values, float).mean(0), 0.0, atol=1e-6)
        np.testing.assert_allclose(np.asarray(values, float).var(0), 1.0, rtol=1e-6)


def test_the_statistics_are_numpys():
    """Mean and population standard deviation of the training rows, in physical units."""
    train = make_runs("train", 20, 4, seed=2)
    normaliser = fit_normaliser(train)
    for name, values in (("x", train.x), ("y", train.y)):
        np.testing.assert_array_equal(getattr(normaliser, f"{name}_mean"), values.mean(0).astype(np.float32))
        np.testing.assert_array_equal(getattr(normaliser, f"{name}_std"), values.std(0).astype(np.float32))


def test_denormalising_undoes_normalising(float64):
    """Outputs come back in physical units."""
    train = make_runs("train", 20, 4, seed=3)
    normaliser = fit_normaliser(train, "float64")
    y = jnp.asarray(train.y)
    # two roundings of values that a shift of a few standard deviations may cancel
    np.testing.assert_allclose(normaliser.denormalise_y(normaliser.normalise_y(y)), y, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_statistics_of_other_splits_are_refused(split):
    """Normalising with validation or test rows would let them into the emulator."""
    with pytest.raises(NatalError, match=f"not from {split} runs"):
        fit_normaliser(make_runs(split, 5, 2, seed=4))


# 0.5 and 100 average to themselves exactly; the mean of many 0.1 or 0.7 is off by rounding, and so has a "spread"
@pytest.mark.parametrize("value", [0.5, 100.0, 0.1, 0.7])
@pytest.mark.parametrize("column", ["q0", "a_au", "f_bound", "sigma_v_kms", "r_h_au"])
def test_a_column_that_does_not_vary_is_refused(column, value):
    """Nothing can be learned from a constant, whatever its value; the error names it."""
    train = make_runs("train", 16, 3, seed=5)
    columns = {"q0": train.x[:, 0], "a_au": train.x[:, 1]}
    columns |= {"f_bound": train.y[:, 0], "sigma_v_kms": train.y[:, 1], "r_h_au": train.y[:, 2]}
    columns[column][:] = value
    with pytest.raises(NatalError, match=f"all have the same {column}"):
        fit_normaliser(train)


def positive_runs(split, seed):
    """Runs whose dispersions and radii span two decades, all positive."""
    runs = make_runs(split, 50, 4, seed=seed)
    rng = np.random.default_rng(seed)
    runs.y[:, 1:] = 10 ** rng.uniform(0.0, 2.0, runs.y[:, 1:].shape)
    return runs


def test_logarithms_are_normalised_where_asked_for(float64):
    """(log10(y) - mu_log) / sigma_log for the named columns, the usual for the others; physical units come back."""
    train = positive_runs("train", 6)
    normaliser = fit_normaliser(train, "float64", ["a_au", "sigma_v_kms"])
    logs = np.log10(train.y[:, 1])
    y = normaliser.normalise_y(jnp.asarray(train.y))
    np.testing.assert_allclose(y[:, 1], (logs - logs.mean()) / logs.std(), rtol=1e-12, atol=1e-12)
    plain = fit_normaliser(train, "float64")
    np.testing.assert_array_equal(y[:, 2], plain.normalise_y(jnp.asarray(train.y))[:, 2])
    x = normaliser.normalise_x(jnp.asarray(train.x))
    logs = np.log10(train.x[:, 1])
    np.testing.assert_allclose(x[:, 1], (logs - logs.mean()) / logs.std(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(normaliser.denormalise_y(y), train.y, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, -2.0])
@pytest.mark.parametrize(("column", "part", "k"), [("q0", "x", 0), ("r_h_au", "y", 2)])
def test_what_has_no_logarithm_is_named(column, part, k, value):
    """One line with column, split, point and value; other columns may be what they are."""
    train = positive_runs("train", 7)
    getattr(train, part)[9, k] = value
    with pytest.raises(NatalError, match=f"emulator.log10: {column} of train point 2, realization 1, is {value:g}"):
        fit_normaliser(train, log10=[column])
    fit_normaliser(train, log10=["a_au"])
