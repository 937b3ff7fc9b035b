"""Gaussian likelihoods of one observed cluster: widths from validation runs, each part of the scatter counted once."""

import json
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import SIGMA, blank_ensemble, diagonal_widths, make_runs, uniform_points
from scipy.stats import chi2, multivariate_normal, norm

from natal.data.runs import Runs
from natal.emulator.held_out import error_of_the_mean, held_out_errors
from natal.errors import NatalError
from natal.likelihood.kinds import ConstantLikelihood, make_likelihood
from natal.likelihood.protocols import Conditional, Likelihood
from natal.likelihood.widths import (
    Widths,
    fit_covariance,
    fit_remainder,
    fit_sigma_total,
    fit_widths,
    sigma_budget,
    widths_from_json,
    widths_to_json,
)
from natal.settings.likelihood import KINDS

NO_ERROR = jnp.zeros(3)
CORRELATION = np.array([[1.0, 0.8, -0.6], [0.8, 1.0, -0.3], [-0.6, -0.3, 1.0]])
COVARIANCE = CORRELATION * np.outer(SIGMA, SIGMA)
GAUSSIAN = ("constant", "constant_full", "ensemble")


@pytest.fixture(scope="module")
def likelihood(ensemble):
    """The trained ensemble with the simulator's own widths."""
    return make_likelihood("constant", ensemble, diagonal_widths())


def with_outputs(members):
    """An ensemble whose members predict `members` (member, 3) everywhere."""
    blank = blank_ensemble(len(members))
    last = blank.networks.layers[-1]
    leaves = lambda e: (e.networks.layers[-1].weight, e.networks.layers[-1].bias)  # noqa: E731
    outputs = (jnp.asarray(members, "float32") - blank.normaliser.y_mean) / blank.normaliser.y_std
    return eqx.tree_at(leaves, blank, (jnp.zeros_like(last.weight), outputs))


def with_residuals(residuals, centre=0.0):
    """Validation runs, one at each of many points, that lie so far from `centre`."""
    runs = make_runs("validation", len(residuals), 1, seed=1)
    return replace(runs, y=centre + residuals)


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


@pytest.mark.slow
@pytest.mark.parametrize("kind", GAUSSIAN)
def test_large_errors_flatten_the_likelihood(ensemble, kind):
    """A measurement a thousand times worse than the scatter tells nothing: the whole box is as likely."""
    likelihood = make_likelihood(kind, ensemble, diagonal_widths())
    y = np.array([0.6, 6.0, 400.0])
    points = uniform_points(50, np.random.default_rng(1))

    def span(factor):
        return np.ptp([log_prob(likelihood, x, y, jnp.asarray(factor * SIGMA, "float32")) for x in points])

    # the box spans about 15 widths in each of three outputs: (15 / 1000)^2 / 2 each
    assert span(1000.0) < 3 * (15 / 1000) ** 2 / 2
    assert span(1000.0) < span(10.0) < span(1.0) < span(0.0)


@pytest.mark.parametrize("error", [None, np.zeros(3), np.array([0.03, 0.5, 20.0]), np.array([0.0, 0.0, 6000.0])])
def test_the_full_covariance_is_used(ensemble, error):
    """SciPy's multivariate normal density about the emulator's mean, errors on the diagonal; its exponent, too."""
    likelihood = make_likelihood("constant_full", ensemble, Widths(SIGMA, COVARIANCE, COVARIANCE))
    total = COVARIANCE + np.diag((np.zeros(3) if error is None else error) ** 2)
    measured = None if error is None else jnp.asarray(error, "float32")
    rng = np.random.default_rng(2)
    for x in uniform_points(10, rng):
        law = likelihood.conditional(jnp.asarray(x, "float32"))
        y = np.asarray(law.mean, float) + rng.multivariate_normal(np.zeros(3), total)
        # in widths, where SciPy can invert the matrix
        apart, scaled = (y - np.asarray(law.mean, float)) / SIGMA, total / np.outer(SIGMA, SIGMA)
        expected = multivariate_normal.logpdf(apart, np.zeros(3), scaled) - np.log(SIGMA).sum()
        found = law.observed(measured).log_prob(jnp.asarray(y, "float32"))
        # as above, amplified by the correlations' condition number of 22
        assert float(found) == pytest.approx(expected, abs=22 * 20 * 6 * 3 * 2.0**-22)
        distance2 = law.distance2(jnp.asarray(y, "float32"), measured)
        assert float(distance2) == pytest.approx(apart @ np.linalg.solve(scaled, apart), abs=22 * 20 * 6 * 3 * 2.0**-22)


def test_distances_are_chi_squared(ensemble):
    """Those of draws from the law, with three degrees of freedom: mean within 4 standard errors of n = 400."""
    likelihood = make_likelihood("constant_full", ensemble, Widths(SIGMA, COVARIANCE, COVARIANCE))
    law = likelihood.conditional(jnp.array([0.9, 120.0]))
    drawn = np.random.default_rng(3).multivariate_normal(np.asarray(law.mean, float), COVARIANCE, 400)
    found = np.asarray(jax.vmap(law.distance2)(jnp.asarray(drawn, "float32")))
    assert abs(found.mean() - 3) < 4 * np.sqrt(chi2.var(3) / 400)


def test_the_residual_covariance_is_that_of_validation_runs():
    """The mean outer product of the residuals; its diagonal is the squared constant width."""
    residuals = np.random.default_rng(4).multivariate_normal(np.zeros(3), COVARIANCE, 200)
    centre = np.array([0.6, 6.0, 300.0])
    validation = with_residuals(residuals, centre)
    ensemble = with_outputs([centre, centre])
    found = fit_covariance(ensemble, validation) / np.outer(SIGMA, SIGMA)
    # float32 predictions are off by 2^-24 of up to 15 widths
    np.testing.assert_allclose(found, residuals.T @ residuals / 200 / np.outer(SIGMA, SIGMA), atol=15 * 4 * 2.0**-23)
    np.testing.assert_allclose(np.sqrt(np.diag(found)) * SIGMA, fit_sigma_total(ensemble, validation), rtol=1e-6)


@pytest.mark.slow
def test_members_that_agree_leave_the_whole_residual():
    """The first limit of the ensemble likelihood: it is `constant_full`."""
    residuals = np.random.default_rng(5).multivariate_normal(np.zeros(3), COVARIANCE, 300)
    ensemble, validation = with_outputs(np.zeros((4, 3))), with_residuals(residuals)
    expected = fit_covariance(ensemble, validation)
    np.testing.assert_allclose(fit_remainder(ensemble, validation), expected, rtol=1e-9, atol=1e-12)
    law = make_likelihood("ensemble", ensemble, fit_widths(ensemble, validation)).conditional(jnp.array([0.9, 99.0]))
    np.testing.assert_allclose(law.covariance / np.outer(SIGMA, SIGMA), expected / np.outer(SIGMA, SIGMA), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_what_members_explain_is_not_added_again(share):
    """Together the members' covariance and the remainder are the residual covariance, whatever the members' part."""
    rng = np.random.default_rng(6)
    residuals = rng.multivariate_normal(np.zeros(3), COVARIANCE, 300)
    members = whitened(rng.standard_normal((6, 3))) @ np.linalg.cholesky(share * residuals.T @ residuals / 300).T
    ensemble, validation = with_outputs(members), with_residuals(residuals)
    law = make_likelihood("ensemble", ensemble, fit_widths(ensemble, validation)).conditional(jnp.array([0.9, 99.0]))
    scale = np.outer(SIGMA, SIGMA)
    np.testing.assert_allclose(law.covariance / scale, residuals.T @ residuals / 300 / scale, atol=1e-4)
    remainder = np.diag(fit_remainder(ensemble, validation)) / np.diag(residuals.T @ residuals / 300)
    np.testing.assert_allclose(remainder, 1 - share, atol=1e-4)


def test_members_that_explain_everything_leave_next_to_nothing():
    """The second limit: members that scatter as much as they err, or more, leave a thousandth of the variance."""
    rng = np.random.default_rng(7)
    residuals = rng.multivariate_normal(np.zeros(3), COVARIANCE, 300)
    members = whitened(rng.standard_normal((6, 3))) @ np.linalg.cholesky(2 * residuals.T @ residuals / 300).T
    ensemble, validation = with_outputs(members), with_residuals(residuals)
    expected = 1e-3 * residuals.T @ residuals / 300
    np.testing.assert_allclose(fit_remainder(ensemble, validation), expected, rtol=1e-6, atol=1e-12)


def whitened(values):
    """The same with a mean of zero and the unit matrix as covariance."""
    centred = values - values.mean(0)
    return centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred.T))).T


def test_the_budget_splits_the_width_into_scatter_and_error(ensemble):
    """Replicates that scatter by SIGMA about an emulator that is off by 2 SIGMA: 1, 2 and sqrt(5) widths."""
    runs = make_runs("validation", 100, 8, seed=8)
    centre = np.asarray(ensemble(runs.x)[0], float)
    rng = np.random.default_rng(8)
    off = replace(runs, y=centre + 2 * SIGMA + SIGMA * rng.standard_normal(runs.y.shape))
    budget = sigma_budget(fit_widths(ensemble, off), off, error_of_the_mean(held_out_errors(ensemble, off, off)))
    for k, found in enumerate(budget.values()):
        # a standard deviation from n numbers is good to 1 / sqrt(2 n): n = 700 degrees of freedom, 4 sigma; within a
        # point the emulator does not vary
        assert found["simulator"] / SIGMA[k] == pytest.approx(1, abs=4 / np.sqrt(2 * 700))
        assert found["emulator"] / SIGMA[k] == pytest.approx(2, abs=4 / np.sqrt(800))
        assert found["total"] == pytest.approx(np.hypot(found["simulator"], found["emulator"]), rel=2e-3)


def test_single_realizations_leave_the_budget_open(ensemble):
    """Without replicates nobody knows the simulator's share."""
    runs = make_runs("validation", 50, 1, seed=9)
    errors = error_of_the_mean(held_out_errors(ensemble, runs, runs))
    for found in sigma_budget(fit_widths(ensemble, runs), runs, errors).values():
        assert {found[name] for name in found if name != "total"} == {None}


@pytest.mark.parametrize("kind", GAUSSIAN)
def test_all_gaussian_likelihoods_answer_alike(ensemble, kind):
    """They are what inference asks for, and no error is the same as errors of zero."""
    likelihood = make_likelihood(kind, ensemble, Widths(SIGMA, COVARIANCE, COVARIANCE))
    assert isinstance(likelihood, Likelihood)
    law = likelihood.conditional(jnp.array([0.9, 120.0]))
    assert isinstance(law, Conditional)
    y = law.mean + jnp.asarray(SIGMA, "float32")
    assert float(law.observed().log_prob(y)) == pytest.approx(float(law.observed(NO_ERROR).log_prob(y)), rel=1e-6)
    assert float(law.distance2(y)) == pytest.approx(float(law.distance2(y, NO_ERROR)), rel=1e-6)


def test_density_likelihoods_need_their_networks(ensemble):
    """Names of likelihoods whose networks were not given are as unknown as any."""
    for kind in set(KINDS) - set(GAUSSIAN):
        with pytest.raises(NatalError, match=f"likelihood = '{kind}' is not known"):
            make_likelihood(kind, ensemble, diagonal_widths())


def test_widths_survive_their_file():
    """As JSON and back."""
    widths = Widths(SIGMA, COVARIANCE, 0.5 * COVARIANCE)
    again = widths_from_json(json.loads(json.dumps(widths_to_json(widths), default=lambda array: array.tolist())))
    np.testing.assert_array_equal(again.sigma_total, SIGMA)
    np.testing.assert_array_equal(again.covariance, COVARIANCE)
    np.testing.assert_array_equal(again.remainder, 0.5 * COVARIANCE)


def test_an_unknown_likelihood_is_refused(ensemble):
    """The error names the key, the value and what is allowed."""
    with pytest.raises(NatalError, match="likelihood = 'students' is not known; allowed: constant"):
        make_likelihood("students", ensemble, diagonal_widths())


def test_widths_are_found_by_name(ensemble):
    """Not by their order in the file."""
    content = widths_to_json(diagonal_widths())
    content["sigma_total"] = dict(reversed(content["sigma_total"].items()))
    likelihood = make_likelihood("constant", ensemble, widths_from_json(content))
    assert isinstance(likelihood, ConstantLikelihood)
    np.testing.assert_array_equal(likelihood.sigma_total, SIGMA.astype("float32"))
