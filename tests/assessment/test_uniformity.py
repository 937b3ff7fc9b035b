"""Bands hold the whole ECDF of uniform numbers with the probability they state, and others leave them."""

import warnings

import numpy as np
import pytest
from scipy.stats import binom, norm

from natal.assessment.uniformity import binomial_range, check_uniform, ecdf, places, simultaneous_band

with warnings.catch_warnings():
    # ArviZ 0.23 announces its next major version at every import
    warnings.simplefilter("ignore", FutureWarning)
    from arviz.stats.ecdf_utils import ecdf_confidence_band


def test_ecdf_by_hand():
    """Shares that do not exceed each place, whatever the order."""
    found = ecdf(np.array([0.9, 0.2, 0.5, 0.5]), np.array([0.1, 0.2, 0.5, 0.95]))
    np.testing.assert_array_equal(found, [0.0, 0.25, 0.75, 1.0])


@pytest.mark.parametrize("probability", [0.68, 0.95, 0.9975])
@pytest.mark.parametrize("n", [1, 10, 590])
def test_binomial_ranges_are_scipys(n, probability):
    """For any share, none and all included."""
    share = np.array([0, *np.linspace(0.003, 0.9987, 97), 1])
    np.testing.assert_array_equal(binomial_range(probability, n, share), binom.interval(probability, n, share))
    assert binomial_range(probability, n, 0.3) == binom.interval(probability, n, 0.3)


@pytest.mark.parametrize(("n", "n_places"), [(1, 1), (24, 24), (100, 100), (590, 100)])
def test_places_are_evenly_spaced(n, n_places):
    """As many as there are numbers, a hundred at most, none at 0 or 1 where every ECDF is the same."""
    found = places(n)
    assert len(found) == n_places
    np.testing.assert_allclose(np.diff([0.0, *found, 1.0]), 1 / (n_places + 1), rtol=1e-12)


@pytest.mark.parametrize(("probability", "counts"), [(0.95, 1), (0.996, 2)])
@pytest.mark.parametrize("n", [8, 200, 590])
def test_the_band_is_that_of_arviz(n, probability, counts):
    """ArviZ computes it by recursion and optimisation, here it is simulated: the same to a count or two of n.

    The 0.4 % level rests on 40 of 10,000 simulations and is known to a sixth of itself. A count of sd 12 at 3.3 sd then
    moves by 12 / 3.3 / 6 = 0.6, twice that at 2 sigma, and is rounded.
    """
    band = simultaneous_band(n, probability)
    for found, expected in zip(
        band[1:], ecdf_confidence_band(n, band.place, band.place, probability, method="optimized"), strict=True
    ):
        assert np.abs(n * (found - expected)).max() < counts + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 100, 590])
def test_uniform_numbers_leave_the_band_as_often_as_it_says(n):
    """4000 samples of n, checked at 5 % and at 1 %: binomial bounds that are missed once in 10,000 seeds."""
    rng = np.random.default_rng(n)
    found = [[check_uniform(sample, level)["passed"] for level in (0.05, 0.01)] for sample in rng.random((4000, n))]
    failures = 4000 - np.sum(found, axis=0)
    for failed, level in zip(failures, (0.05, 0.01), strict=True):
        # the band's own level is known to sqrt(p (1 - p) / 10,000) from its simulations, 4 sigma; counts are discrete,
        # so that few numbers fail less often than allowed
        spread = 4 * np.sqrt(level * (1 - level) / 10_000)
        assert failed <= binom.isf(1e-4, 4000, level + spread)
        if n > 10:
            assert failed >= binom.ppf(1e-4, 4000, 0.8 * level - spread)


def test_p_values_of_uniform_numbers_are_uniform():
    """P(p <= t) is t at most, and not much less for n = 590; 4000 samples, 4 sigma, and 4 of the 10,000 simulations."""
    p_values = np.array([check_uniform(x, 0.01)["p_value"] for x in np.random.default_rng(0).random((4000, 590))])
    for level in (0.01, 0.05, 0.2, 0.5):
        spread = 4 * np.sqrt(level * (1 - level) * (1 / 4000 + 1 / 10_000))
        assert 0.85 * level - spread < (p_values <= level).mean() < level + spread


@pytest.mark.parametrize("n", [3, 24, 590])
def test_verdict_band_and_p_value_agree(n):
    """A sample fails if and only if its ECDF leaves the band somewhere, and its p-value is no more than allowed."""
    rng = np.random.default_rng(n)
    seen = set()
    for width in (0.6, 0.8, 1.0, 1.3):
        for values in norm.cdf(rng.standard_normal((50, n)) / width):
            check = check_uniform(values, 0.05)
            band = simultaneous_band(n, 0.95)
            share = ecdf(values, band.place)
            assert check["passed"] == bool(np.all((band.low <= share) & (share <= band.high)))
            assert check["passed"] == (check["p_value"] > 0.05)
            low, high = check["band"]
            # the place that is named is where a sample fails, if it does
            assert check["passed"] == (low <= check["statistic"] <= high)
            assert check["statistic"] == pytest.approx(ecdf(values, np.array([check["at"]]))[0] - check["at"])
            seen.add(check["passed"])
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("too narrow", lambda z: norm.cdf(z / 0.8)),
        ("too wide", lambda z: norm.cdf(z / 1.25)),
        ("shifted", lambda z: norm.cdf(z + 0.25)),
        ("stuck", lambda z: np.where(np.arange(len(z)) % 20 == 0, 0.001, norm.cdf(z))),
    ],
)
def test_what_590_cases_can_tell(name, values):
    """Widths wrong by a quarter, shifts of a quarter sd, one case in twenty lost: seen in 19 of 20 samples, n = 590."""
    rng = np.random.default_rng(1)
    failed = [not check_uniform(values(rng.standard_normal(590)), 0.05 / 12)["passed"] for _ in range(60)]
    # with a power of 0.95, fewer than 51 of 60 would be seen once in 500 seeds
    assert sum(failed) >= 51


def test_values_at_the_ends_count():
    """A PIT may be 0 or 1 exactly."""
    check = check_uniform(np.repeat([0.0, 1.0], 50), 0.01)
    assert not check["passed"]
    assert abs(check["statistic"]) == pytest.approx(0.5, abs=0.01)


def test_more_than_the_simulations_can_tell_is_refused():
    """Ten thousand samples know no level of one in a hundred thousand."""
    with pytest.raises(ValueError, match="takes more than 10000 samples"):
        check_uniform(np.linspace(0, 1, 20), 1e-5)
