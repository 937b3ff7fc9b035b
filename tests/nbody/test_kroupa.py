"""The mass function of Kroupa (2001): dN/dm ~ m^-1.3 below 0.5 Msun and m^-2.3 above, continuous at the break."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from natal.nbody.plummer import sample_kroupa_masses

LOW, BREAK, HIGH = 0.08, 0.5, 50.0
N = 200_000


def number(m, low, high):
    """Unnormalised number of stars between `low` and min(m, high), by numerical integration."""
    edges = [BREAK] if low < BREAK < m else None
    return integrate.quad(lambda x: (x / BREAK) ** (-1.3 if x < BREAK else -2.3), low, min(m, high), points=edges)[0]


def cumulative(low, high):
    """Cumulative distribution of masses between two limits."""
    grid = np.geomspace(low, high, 400)
    share = np.array([number(m, low, high) for m in grid]) / number(high, low, high)
    # linear interpolation on 400 points errs by < 1e-4, well below the KS resolution 1 / sqrt(N) = 2e-3
    return lambda m: np.interp(m, grid, share)


@pytest.fixture(scope="module")
def masses():
    """200 000 stars between 0.08 and 50 Msun."""
    with jax.enable_x64(True):
        return np.asarray(sample_kroupa_masses(jax.random.key(21), N, (LOW, HIGH)))


def test_masses_stay_within_their_range(masses):
    """No star is lighter or heavier than the limits, and both ends are populated."""
    assert LOW <= masses.min() < 1.001 * LOW  # 108 are expected below
    assert 20.0 < masses.max() <= HIGH  # 276 are expected above 20 Msun


def test_the_whole_distribution_matches_its_integral(masses):
    """Kolmogorov-Smirnov against the numerically integrated mass function."""
    assert stats.kstest(masses, cumulative(LOW, HIGH)).pvalue > 1e-3


@pytest.mark.parametrize(("low", "high", "slope"), [(LOW, BREAK, 1.3), (BREAK, HIGH, 2.3)])
def test_each_side_of_the_break_has_its_slope(masses, low, high, slope):
    """Kolmogorov-Smirnov on each side, and the slope itself from the mean of ln m."""
    side = masses[(masses >= low) & (masses < high)]
    assert stats.kstest(side, cumulative(low, high)).pvalue > 1e-3
    # <ln m> is the sufficient statistic of the slope
    norm = integrate.quad(lambda x: x**-slope, low, high)[0]
    mean = integrate.quad(lambda x: np.log(x) * x**-slope, low, high)[0] / norm
    assert abs(np.log(side).mean() - mean) < 4 * np.log(side).std() / np.sqrt(len(side))


def test_the_density_is_continuous_at_the_break(masses):
    """Stars per mass just below and just above 0.5 Msun agree: 0.05 Msun wide bins, corrected for the slopes."""
    below, above = ((masses > a) & (masses < b) for a, b in ((0.45, BREAK), (BREAK, 0.55)))
    expected = number(BREAK, 0.45, BREAK) / number(0.55, BREAK, 0.55)
    # ratio of two Poisson counts
    error = expected * np.sqrt(1 / below.sum() + 1 / above.sum())
    assert abs(below.sum() / above.sum() - expected) < 4 * error
