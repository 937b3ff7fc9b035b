"""The law of one cluster's outcome: probabilities that add up, draws that follow it, measurement errors of any size."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import kstest, norm

from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts
from natal.likelihood.protocols import Conditional

N_STARS = 100
CUT, OPEN = Counts(N_STARS, 5), Counts(N_STARS, 0)
SURVIVE = 0.8
# a cluster that keeps most stars, one that lost half, and a small remnant, of which 3 % are cut off: ln km/s, ln AU,
# logits of shares
LAW = Mixture(
    log_weight=jnp.log(jnp.array([0.4, 0.3, 0.1])),
    location=jnp.array([[1.7, 5.5, 3.5], [1.2, 6.0, 0.3], [0.5, 5.0, -2.0]]),
    cholesky=jnp.array(
        [
            [[0.10, 0.0, 0.0], [-0.05, 0.15, 0.0], [0.4, -0.2, 0.5]],
            [[0.15, 0.0, 0.0], [0.05, 0.20, 0.0], [0.0, 0.0, 0.3]],
            [[0.30, 0.0, 0.0], [-0.2, 0.30, 0.0], [-0.3, 0.1, 0.4]],
        ]
    ),
    counts=CUT,
)
EDGES = np.concatenate([[-np.inf], np.log(np.arange(1, 101) / np.arange(100, 0, -1)), [np.inf]])
ERRORS = {
    "tiny": [1e-5, 1e-4, 1e-2],
    "small": [0.005, 0.1, 5.0],
    "typical": [0.03, 0.4, 25.0],
    "large": [0.2, 1.5, 150.0],
}


@partial(jax.jit, static_argnames="measured")
def _log_prob(y, error, measured):
    return LAW.observed(error if measured else None).log_prob(y)


def log_prob(y, error=None):
    """Natural log of the density at y (row, 3)."""
    y = jnp.atleast_2d(jnp.asarray(y, "float32"))
    given = jnp.zeros(3) if error is None else jnp.asarray(error, "float32")
    return np.asarray(_log_prob(y, given, error is not None), float)


def draws(n, error=None, seed=0, law=LAW):
    """Summaries of `n` survivors."""
    error = None if error is None else jnp.asarray(error, "float32")
    return np.asarray(law.observed(error).sample(jax.random.key(seed), (n,)), float)


def count_probabilities(sizes):
    """P(count and sizes) of all counts for one (ln sigma_v, ln r_h), in double precision with SciPy."""
    found = np.zeros(N_STARS + 1)
    for log_weight, location, factor in zip(LAW.log_weight, LAW.location, LAW.cholesky, strict=True):
        location, factor = np.asarray(location, float), np.asarray(factor, float)
        independent = np.linalg.solve(factor[:2, :2], sizes - location[:2])
        density = norm.pdf(independent).prod() / (factor[0, 0] * factor[1, 1])
        scaled = (EDGES - location[2] - factor[2, :2] @ independent) / factor[2, 2]
        found += np.exp(float(log_weight)) * density * cell_probabilities(scaled) / kept(location, factor)
    return found


def cell_probabilities(scaled):
    """P(count) of a standard normal number cut at `EDGES`, of which `scaled` are the places; none below the cut."""
    return np.where(np.arange(N_STARS + 1) < CUT.fewest, 0.0, np.diff(norm.cdf(scaled)))


def kept(location, factor):
    """The share of a component that is not cut off."""
    return norm.sf(EDGES[CUT.fewest], location[2], np.linalg.norm(factor[2]))


def test_the_density_is_that_of_its_definition():
    """SciPy's normal density of the sizes times that of the cell, per unit f_bound, km/s and AU."""
    y = draws(40)
    for row, found in zip(y, log_prob(y), strict=True):
        cell = count_probabilities(np.log(row[1:]))[round(N_STARS * row[0])]
        # float32: exponents of up to 50 halves of squares of up to 10
        assert found == pytest.approx(np.log(cell * N_STARS / row[1] / row[2]), abs=50 * 10 * 2.0**-22)


def test_probabilities_add_up_to_the_chance_to_survive():
    """Sums over counts, quadrature over both sizes in their logarithms."""
    step = 0.1
    axes = np.arange(CUT.fewest, N_STARS + 1) / N_STARS, np.arange(-2.0, 3.0, step), np.arange(3.0, 8.0, step)
    y = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    y[:, 1:] = np.exp(y[:, 1:])
    total = (np.exp(log_prob(y)) * y[:, 1] * y[:, 2]).sum() * step**2 / N_STARS
    # sums over normal densities in steps of their width are exact to e^-20; beyond the range lie 5 sigma tails
    assert total == pytest.approx(SURVIVE, abs=1e-5)


@pytest.mark.parametrize("axis", [1, 2])
def test_draws_of_the_sizes_follow_the_law(axis):
    """Kolmogorov-Smirnov test of n = 4000 against the mixture's normal marginals."""
    y = draws(4000, seed=1, law=Mixture(LAW.log_weight, LAW.location, LAW.cholesky, OPEN))
    sd = np.sqrt((np.asarray(LAW.cholesky, float)[:, axis - 1, :2] ** 2).sum(1))
    weight = np.exp(np.asarray(LAW.log_weight, float)) / SURVIVE

    def cdf(value):
        return (weight * norm.cdf((np.log(value)[:, None] - np.asarray(LAW.location, float)[:, axis - 1]) / sd)).sum(1)

    assert kstest(y[:, axis], cdf).pvalue > 1e-3


def test_draws_of_the_count_follow_the_marginal_law():
    """Shares of counts in 20,000 draws, 4.5 sigma each: none below the cut."""
    seen = np.bincount(np.round(N_STARS * draws(20_000, seed=9)[:, 0]).astype(int), minlength=N_STARS + 1)
    exact = np.zeros(N_STARS + 1)
    for log_weight, location, factor in zip(LAW.log_weight, LAW.location, LAW.cholesky, strict=True):
        location, factor = np.asarray(location, float), np.asarray(factor, float)
        scaled = (EDGES - location[2]) / np.linalg.norm(factor[2])
        exact += np.exp(float(log_weight)) / SURVIVE * cell_probabilities(scaled) / kept(location, factor)
    assert exact.sum() == pytest.approx(1.0, abs=1e-6)
    assert seen[: CUT.fewest].sum() == 0
    assert np.all(np.abs(seen - 20_000 * exact) < 4.5 * np.sqrt(20_000 * exact * (1 - exact)) + 0.5)


def test_draws_of_a_component_below_the_cut_are_numbers():
    """It is all in the lowest cell, as its density says, wherever its location is."""
    law = Mixture(jnp.zeros(1), jnp.array([[1.0, 5.0, -10.0]]), jnp.diag(jnp.array([0.1, 0.1, 0.3]))[None], CUT)
    y = draws(1000, seed=10, law=law)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y[:, 0], CUT.fewest / N_STARS, rtol=1e-6)


@pytest.mark.slow
def test_draws_of_the_count_given_the_sizes_follow_the_law():
    """Shares of counts against the average of their exact probabilities given the drawn sizes, 4.5 sigma each."""
    y = draws(4000, seed=2)
    exact = np.array([(p := count_probabilities(np.log(row[1:]))) / p.sum() for row in y])
    counts = np.round(N_STARS * y[:, 0]).astype(int)
    seen = np.bincount(counts, minlength=N_STARS + 1)
    sd = np.sqrt((exact * (1 - exact)).sum(0))
    assert np.all(np.abs(seen - exact.sum(0)) < 4.5 * sd + 0.5)
    assert seen[N_STARS] > 50  # the pile-up at f_bound = 1 is there


@pytest.mark.slow
def test_an_error_of_zero_is_no_error():
    """The path with errors ends where the one without is: f_bound counts as spread over its cell in both."""
    y = draws(200, seed=3)
    np.testing.assert_allclose(log_prob(y, np.zeros(3)), log_prob(y), rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("size", ERRORS)
def test_measured_densities_are_those_of_draws(size):
    """Against the mean of the measurement's density over 200,000 true values; 5 standard errors and 3 % at most.

    The latent value of f_bound is approximated, given the sizes, by one normal number: 3 % is less than sampling does.
    """
    error = np.array(ERRORS[size])
    true = draws(200_000, seed=4)
    y = draws(12, error, seed=5)
    found = log_prob(y, error)
    for row, value in zip(y, found, strict=True):
        if size == "tiny":
            # no draw is that close: the density without errors
            assert value == pytest.approx(log_prob(row)[0], abs=0.03)
            continue
        terms = norm.logpdf(row, true, error).sum(1)
        expected = logsumexp(terms) - np.log(len(true)) + np.log(SURVIVE)
        weights = np.exp(terms - terms.max())
        relative_error = np.sqrt((weights**2).sum()) / weights.sum()
        assert value == pytest.approx(expected, abs=0.03 + 5 * relative_error)


def test_measurements_below_zero_are_possible():
    """An error larger than the value may carry it there: 3 % and 5 standard errors again."""
    true, error = draws(200_000, seed=8), np.array([0.3, 5.0, 600.0])
    row = np.array([-0.1, -1.0, -100.0])
    terms = norm.logpdf(row, true, error).sum(1)
    expected = logsumexp(terms) - np.log(len(true)) + np.log(SURVIVE)
    assert log_prob(row, error)[0] == pytest.approx(expected, abs=0.03 + 5 / np.sqrt(len(true)) * 3)


@pytest.mark.slow
def test_huge_errors_tell_nothing_but_survival():
    """Ten thousand times what the summaries vary by: the same for a law of another place, up to survival."""
    other = Mixture(LAW.log_weight + jnp.log(0.5), LAW.location - 0.7, LAW.cholesky, CUT)
    y, error = jnp.array([0.6, 5.0, 300.0]), jnp.array([1e4, 1e5, 1e7])
    difference = LAW.observed(error).log_prob(y) - other.observed(error).log_prob(y)
    assert float(difference) == pytest.approx(np.log(2.0), abs=0.01)


@pytest.mark.slow
def test_gradients_are_finite_far_away():
    """NUTS walks through regions that explain nothing: values and gradients stay numbers there."""

    def value(shift, y, error):
        law = Mixture(LAW.log_weight, LAW.location + shift, LAW.cholesky, CUT)
        return law.observed(error).log_prob(y)

    both = jax.jit(jax.vmap(jax.value_and_grad(value), in_axes=(0, None, None)))
    for y in ([1.0, 20.0, 40.0], [0.1, 0.5, 5000.0], [0.0, 5.0, 300.0]):
        for error in (None, jnp.zeros(3), jnp.array([0.1, 1.0, 50.0])):
            at, slope = both(jnp.array([-8.0, 0.0, 8.0]), jnp.array(y), error)
            assert np.isfinite(at).all()
            assert np.isfinite(slope).all()


def test_moments_are_those_of_draws():
    """Mean and covariance of the latent values, nothing cut off, against 20,000 draws of sizes, 5 standard errors."""
    law = Mixture(LAW.log_weight, LAW.location, LAW.cholesky, OPEN)
    mean, covariance = (np.array(part, float) for part in (law.from_afar().mean, law.from_afar().covariance))
    sizes = np.log(draws(20_000, seed=6, law=law)[:, 1:])
    sd = np.sqrt(np.diag(covariance))[:2]
    assert np.all(np.abs(sizes.mean(0) - mean[:2]) < 5 * sd / np.sqrt(20_000))
    # a variance is good to sqrt((kurtosis - 1) / n), a heavy kurtosis of 5 allowed
    np.testing.assert_allclose(np.cov(sizes.T), covariance[:2, :2], atol=5 * np.sqrt(4 / 20_000) * sd.max() ** 2)


@pytest.mark.slow
def test_distances_tell_odd_observations():
    """Draws lie at about 3, observations that no component explains far beyond; errors bring them closer."""
    near = np.asarray(jax.vmap(LAW.distance2)(jnp.asarray(draws(2000, seed=7), "float32")))
    # the count fixes its latent value only to a cell, so that the distance is at most that of three degrees of freedom
    assert 2 < near.mean() < 3.1
    odd = jnp.array([0.5, 40.0, 20.0])
    assert float(LAW.distance2(odd)) > 50
    assert float(LAW.distance2(odd, jnp.array([0.1, 40.0, 20.0]))) < float(LAW.distance2(odd)) / 3


@pytest.mark.parametrize("error", [None, pytest.param(1e-6, marks=pytest.mark.slow)], ids=["exact", "error"])
def test_counts_far_from_a_component_keep_their_precision(error):
    """SciPy's normal distribution in double precision, from whose tail differences of the CDF would vanish."""
    for z in (-25.0, -5.0, 0.0, 25.0, 30.0):
        law = Mixture(jnp.zeros(1), jnp.array([[0.0, 0.0, z]]), jnp.diag(jnp.array([0.1, 0.1, 1.0]))[None], OPEN)
        for count in (0, 3, 50, 100):
            low, high = (
                np.log(k / (101 - k)) if 0 < k < 101 else np.copysign(np.inf, k - 50) for k in (count, count + 1)
            )
            in_cell = logsumexp([norm.logcdf(high - z), norm.logcdf(low - z)], b=[1, -1])
            if low > z:
                in_cell = logsumexp([norm.logsf(low - z), norm.logsf(high - z)], b=[1, -1])
            expected = in_cell + np.log(N_STARS) + 2 * norm.logpdf(0, scale=0.1)
            measured = None if error is None else jnp.full(3, error)
            found = float(law.observed(measured).log_prob(jnp.array([count / N_STARS, 1.0, 1.0])))
            assert found == pytest.approx(expected, rel=2e-5, abs=2e-4), (z, count)


def test_it_is_a_law_as_all_likelihoods_have():
    """What inference asks for."""
    assert isinstance(LAW, Conditional)


@pytest.mark.parametrize("error", [None, jnp.array([0.05, 0.2, 20.0])])
def test_only_clusters_with_few_bound_stars_are_tempered(error):
    """ln densities are divided by 1 + 0.5 (0.65 - f); draws are those of the law itself."""
    tempered = replace(LAW, tempering=0.5)
    for share, by in ((0.25, 1.2), (0.64, 1.005), (0.66, 1.0), (1.0, 1.0), (-0.1, 1.325)):
        if share < 0 and error is None:
            continue
        y = jnp.array([share, 1.1, 160.0])
        expected = LAW.observed(error).log_prob(y) / by
        assert float(tempered.observed(error).log_prob(y)) == pytest.approx(float(expected), rel=1e-5)
    key = jax.random.key(0)
    np.testing.assert_array_equal(tempered.observed().sample(key, (9,)), LAW.observed().sample(key, (9,)))
