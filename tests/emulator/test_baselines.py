"""Each baseline is exact on functions of its own class, and on no larger one."""

import numpy as np
import pytest
from closed_form import SIGMA, linear_mean, make_runs, smooth_mean, uniform_points
from scipy.spatial.distance import cdist

from natal.emulator.baselines import fit_baselines


def quadratic_mean(x):
    """A full quadratic: squares and the product of Q0 and a."""
    q0, a_au = x.T
    return linear_mean(x) + np.column_stack([0.3 * q0**2, 2e-4 * a_au**2, 1.5 * q0 * a_au])


def constant_mean(x):
    """The same everywhere."""
    return np.tile([0.7, 5.0, 300.0], (len(x), 1))


CLASSES = {"mean": constant_mean, "linear": linear_mean, "quadratic": quadratic_mean}
LARGER = {"mean": linear_mean, "linear": quadratic_mean, "quadratic": smooth_mean}


@pytest.mark.parametrize("kind", CLASSES)
def test_exact_on_its_own_class(kind):
    """Without scatter, least squares reproduces a function of its class everywhere in the box."""
    train = make_runs("train", 20, 2, seed=1, mean=CLASSES[kind], sigma=0.0)
    x = uniform_points(200, np.random.default_rng(0))
    # least squares in standardised inputs: rounding times a condition number of order ten
    np.testing.assert_allclose(fit_baselines(train)[kind](x), CLASSES[kind](x), rtol=1e-12)


@pytest.mark.parametrize("kind", CLASSES)
def test_not_exact_on_a_larger_class(kind):
    """A curved function leaves each of them an error: they are what their names say, and no more."""
    train = make_runs("train", 40, 2, seed=1, mean=LARGER[kind], sigma=0.0)
    x = uniform_points(200, np.random.default_rng(0))
    error = fit_baselines(train)[kind](x) - LARGER[kind](x)
    assert np.all(np.sqrt((error**2).mean(0)) > 0.01 * LARGER[kind](x).std(0))


def test_the_mean_baseline_is_the_training_mean():
    """The average of all training runs, whatever is asked."""
    train = make_runs("train", 10, 3, seed=2)
    found = fit_baselines(train)["mean"](uniform_points(5, np.random.default_rng(1)))
    np.testing.assert_allclose(found, np.tile(train.y.mean(0), (5, 1)), rtol=1e-15)


def test_least_squares_has_the_error_it_should():
    """With scatter sigma and n runs, coefficients make a mean square error of sigma^2 p / n at the training runs."""
    sums = {"linear": 0.0, "quadratic": 0.0}
    n_sets = 100
    for seed in range(n_sets):
        train = make_runs("train", 30, 2, seed=seed)
        fitted = fit_baselines(train)
        for kind in sums:
            sums[kind] += (((fitted[kind](train.x) - linear_mean(train.x)) / SIGMA) ** 2).sum()
    # the sum over runs is chi-square with p degrees of freedom for each of 3 outputs and 100 sets; 5 sigma
    for kind, p in (("linear", 3), ("quadratic", 6)):
        assert abs(sums[kind] - 3 * n_sets * p) < 5 * np.sqrt(2 * 3 * n_sets * p)


def test_nearest_gives_the_replicate_mean_of_the_nearest_point():
    """Distances count in standard deviations of the training inputs; a point answers with the mean of its runs."""
    train = make_runs("train", 30, 4, seed=4)
    x = uniform_points(100, np.random.default_rng(4))
    points, means = train.x[::4], train.y.reshape(30, 4, 3).mean(1)
    scale = train.x.std(0)
    nearest = cdist(x / scale, points / scale).argmin(1)
    predict = fit_baselines(train)["nearest"]
    np.testing.assert_allclose(predict(x), means[nearest], rtol=1e-14)
    np.testing.assert_allclose(predict(points), means, rtol=1e-14)
