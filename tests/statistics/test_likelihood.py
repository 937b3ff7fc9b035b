"""The likelihood of one observed cluster: a diagonal Gaussian about the emulator, of the width of validation runs."""

import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import SIGMA, make_runs, uniform_points
from scipy.stats import norm

from natal.dataset import Runs
from natal.errors import NatalError
from natal.inputs import nuts_settings
from natal.likelihood import ConstantLikelihood, fit_sigma_total, make_likelihood
from natal.nuts import NutsSettings

NO_ERROR = jnp.zeros(3)
FITTED = {"sigma_total": {"r_h_au": 60.0, "f_bound": 0.06, "sigma_v_kms": 0.4}}


@pytest.fixture(scope="module")
def likelihood(ensemble):
    """The trained ensemble with the simulator's own widths."""
    return make_likelihood("constant", ensemble, FITTED)


def log_prob(likelihood, x, y, error=NO_ERROR):
    """Natural log of the likelihood of y at x."""
    return float(likelihood.conditional(jnp.asarray(x, "float32")).observed(error).log_prob(jnp.asarray(y, "float32")))


def test_the_width_is_the_error_on_single_validation_runs(ensemble, runs):
    """Root mean square of run minus prediction, in physical units, each output by itself."""
    expected = np.sqrt(((runs.validation.y - np.asarray(ensemble(runs.validation.x)[0], float)) ** 2).mean(0))
    np.testing.assert_allclose(fit_sigma_total(ensemble, runs.validation), expected, rtol=1e-12)


def test_the_width_holds_scatter_and_emulator_error_once(ensemble, runs):
    """It is the scatter of the simulator, with the much smaller error of the emulator added in quadrature."""
    found = fit_sigma_total(ensemble, runs.validation) / SIGMA
    # the error of a root mean square over n = 480 runs is 1 / sqrt(2 n) = 3.2 %, 4 sigma; the emulator's error is
    # below that of a replicate mean of 8 runs (test_training), so its square below 1 / 8
    assert np.all(found > 1 - 4 / np.sqrt(2 * 480))
    assert np.all(found < np.sqrt(1 + 1 / 8) + 4 / np.sqrt(2 * 480))


def test_a_biased_emulator_has_a_wider_likelihood(ensemble, runs):
    """A shift of all validation runs by three widths widens it to the square root of ten."""
    v = runs.validation
    shifted = Runs("validation", v.x, v.y + 3 * SIGMA, v.point_id, v.realization, 0)
    residual = (v.y - np.asarray(ensemble(v.x)[0], float)) / SIGMA
    expected = np.sqrt((residual**2).mean(0) + 6 * residual.mean(0) + 9)
    np.testing.assert_allclose(fit_sigma_total(ensemble, shifted) / SIGMA, expected, rtol=1e-12)


@pytest.mark.parametrize("split", ["train", "test"])
def test_other_splits_do_not_set_the_width(ensemble, split):
    """Training residuals are too small, and test runs are for the report."""
    with pytest.raises(NatalError, match=f"not from {split} runs"):
        fit_sigma_total(ensemble, make_runs(split, 4, 2, seed=1))


@pytest.mark.parametrize("error", [np.zeros(3), np.array([0.03, 0.5, 20.0])])
def test_the_log_likelihood_is_a_sum_of_normal_ones(likelihood, error):
    """SciPy's normal densities about the emulator's mean; measurement errors add in quadrature."""
    rng = np.random.default_rng(0)
    for x in uniform_points(10, rng):
        mean = np.asarray(likelihood.ensemble.mean(jnp.asarray(x, "float32")), float)
        y = mean + 2 * SIGMA * rng.standard_normal(3)
        expected = norm.logpdf(y, mean, np.hypot(SIGMA, error)).sum()
        # float32: 2^-24 of a mean or a value of up to 20 widths, times slopes of up to 6, and three logarithms
        assert log_prob(likelihood, x, y, jnp.asarray(error)) == pytest.approx(expected, abs=20 * 6 * 3 * 2.0**-22)


def test_large_errors_flatten_the_likelihood(likelihood):
    """A measurement a thousand times worse than the scatter tells nothing: the whole box is as likely."""
    y = np.array([0.6, 6.0, 400.0])
    points = uniform_points(50, np.random.default_rng(1))

    def span(factor):
        return np.ptp([log_prob(likelihood, x, y, jnp.asarray(factor * SIGMA, "float32")) for x in points])

    # the box spans about 15 widths in each of three outputs: (15 / 1000)^2 / 2 each
    assert span(1000.0) < 3 * (15 / 1000) ** 2 / 2
    assert span(1000.0) < span(10.0) < span(1.0) < span(0.0)


def test_an_unknown_likelihood_is_refused(ensemble):
    """The error names the key, the value and what is allowed."""
    with pytest.raises(NatalError, match="likelihood = 'students' is not known; allowed: constant"):
        make_likelihood("students", ensemble, FITTED)


def test_widths_are_found_by_name(likelihood):
    """Not by their order in the file."""
    assert isinstance(likelihood, ConstantLikelihood)
    np.testing.assert_array_equal(likelihood.sigma_total, SIGMA.astype("float32"))


def test_the_samplers_settings_come_from_the_configuration(config):
    """Every field of the settings is a key of `inference`."""
    config["inference"]["draws"] = 123
    assert nuts_settings(config) == NutsSettings(draws=123)
