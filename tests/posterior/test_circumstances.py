"""Ages and masses as quantiles of a standard normal number."""

import numpy as np
import pytest
from scipy.special import ndtr

from natal.posterior.circumstances import KNOTS, at, nodes, quantiles

NONE = float("nan")


def test_an_exact_value_is_itself():
    """Without errors."""
    assert (quantiles(2e6, 0.0, 0.0, NONE, NONE) == 2e6).all()


def test_a_normal_law_far_from_zero():
    """Value plus error times the number."""
    np.testing.assert_allclose(quantiles(500.0, 20.0, 20.0, NONE, NONE), 500 + 20 * KNOTS, rtol=1e-6)


def test_asymmetric_errors():
    """Each side's width; the lower side holds low / (low + high) of the probability."""
    found = quantiles(100.0, 5.0, 15.0, NONE, NONE)
    assert found[0] == pytest.approx(100 - 5 * 3.83, abs=0.5)
    assert np.interp(100.0, found, ndtr(KNOTS)) == pytest.approx(0.25, abs=0.005)


def test_between_limits_it_is_uniform():
    """Quantiles are levels."""
    np.testing.assert_allclose(quantiles(NONE, NONE, NONE, 1e6, 3e6), 1e6 + 2e6 * ndtr(KNOTS))


def test_ages_are_positive():
    """An error as large as the value: nothing below zero, and the median of the normal law cut there."""
    found = quantiles(1.0, 1.0, 1.0, NONE, NONE)
    assert found.min() > 0
    # 0.16 of the normal law is below zero
    assert found[len(KNOTS) // 2] == pytest.approx(1 + 0.2006, abs=0.01)


def test_limits_cut_a_measured_value():
    """Half of the normal law."""
    found = quantiles(100.0, 10.0, 10.0, 100.0, NONE)
    assert found.min() == pytest.approx(100.0, abs=0.01)
    assert found[len(KNOTS) // 2] == pytest.approx(100 + 10 * 0.6745, abs=0.05)


@pytest.mark.parametrize("n", [6, 8])
def test_quadrature_of_moments(n):
    """Mean and variance of a normal age."""
    z, weight = nodes(n)
    ages = np.asarray(at(quantiles(500.0, 20.0, 20.0, NONE, NONE).astype("float32"), z))
    assert weight @ ages == pytest.approx(500.0, rel=1e-5)
    assert weight @ (ages - 500) ** 2 == pytest.approx(400.0, rel=5e-3)


@pytest.mark.parametrize("n", [6, 8])
def test_quadrature_of_a_likelihood(n):
    """A measurement that is 0.6 times as wide as what was known before: the evidence, wherever it lies, to 2 %."""
    z, weight = nodes(n)
    for place in np.linspace(-1.0, 1.0, 7):
        found = weight @ np.exp(-0.5 * ((z - place) / 0.6) ** 2)
        exact = 0.6 / np.sqrt(1.36) * np.exp(-0.5 * place**2 / 1.36)
        assert found == pytest.approx(exact, rel=0.02)
