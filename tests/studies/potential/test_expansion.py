"""Multipole expansions against closed forms and other codes, and the clumps that they are fitted to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import eval_gegenbauer, sph_harm_y

from natal.studies.potential.accuracy import as_numpy, relative_errors, torque
from natal.studies.potential.clumps import draw_clumps
from natal.studies.potential.expansion import (
    Expansion,
    basis,
    coordinates,
    fit_expansions,
    fitted_radius,
    solid_harmonics,
)
from natal.studies.potential.fields import SoftenedParticles, sample_field, uniform_in_radius
from natal.studies.potential.settings import Weights
from natal.studies.potential.training import measure_scales

pytestmark = pytest.mark.usefixtures("float64")

SECTION = {"number": 5, "radius": 0.6, "extent": [1.5, 1.0, 0.5], "mass_ratio": 10}


def points(n, radius=5.0, seed=0):
    return uniform_in_radius(jax.random.key(seed), n, 0.0, radius)


def test_harmonics_are_scipys():
    """r^l sqrt(4 pi / (2 l + 1)) Y_lm, real, without the sign of Condon and Shortley."""
    at = np.asarray(points(7))
    r = np.linalg.norm(at, axis=1)
    theta, phi = np.arccos(at[:, 2] / r), np.arctan2(at[:, 1], at[:, 0])
    found = solid_harmonics(coordinates(at), 5)[:, 0].T
    column = 0
    for degree in range(6):
        scale = r**degree * np.sqrt(4 * np.pi / (2 * degree + 1))
        for m in range(degree + 1):
            expected = (-1) ** m * np.sqrt(2.0 if m else 1.0) * scale * sph_harm_y(degree, m, theta, phi)
            for part in (expected.real, expected.imag)[: 2 if m else 1]:
                np.testing.assert_allclose(found[:, column], part, rtol=1e-10, atol=1e-12 * r.max() ** degree)
                column += 1
    assert column == found.shape[1]


def test_functions_are_clutton_brocks():
    """On the z axis only m = 0 is left, and comes first in each degree."""
    z, degree, radial = 1.7, 3, 4
    found = basis(np.array([[0.0, 0.0, z]]), degree, radial)[:, 0, 0]
    for ell in range(degree + 1):
        first = ell**2 * (radial + 1)
        for n in range(radial + 1):
            shape = eval_gegenbauer(n, ell + 1, (z**2 - 1) / (z**2 + 1)) / eval_gegenbauer(n, ell + 1, 1.0)
            expected = -((2 * z) ** ell) / (1 + z**2) ** (ell + 0.5) * shape
            assert found[first + n] == pytest.approx(expected, rel=1e-12)


def test_an_expansions_field_is_that_of_its_potential():
    """Finite differences of Phi, for a scale other than 1: every function has its gradient and its Laplacian."""
    n, at, step = 16 * 4, np.asarray(points(4)), 1e-3
    for k in range(n):
        one = Expansion(np.eye(n)[k], 1.6, 3, 3)
        field = one.sample(at)
        high, low = (np.stack([one.sample(at + way * step * axis).potential for axis in np.eye(3)]) for way in (1, -1))
        np.testing.assert_allclose(field.acceleration.T, (low - high) / (2 * step), atol=2e-5)
        np.testing.assert_allclose(field.laplacian, ((high + low - 2 * field.potential) / step**2).sum(0), atol=2e-4)


def test_the_fit_is_the_least_squares_of_the_networks_loss():
    """Against all rows at once and an orthogonal decomposition; of each degree the lowest loss."""
    train = as_numpy(sample_field(draw_clumps(jax.random.key(3), SECTION), points(600)))
    weights = Weights(alpha=2.0, beta=0.5, gamma=3.0)
    for fitted in fit_expansions(train, [1, 3], 2, weights):
        own = []
        for k in range(len(fitted.coefficients)):
            one = fitted._replace(coefficients=np.eye(len(fitted.coefficients))[k])
            own.append(_rows(one.sample(train.position), train, weights))
        expected, *_ = np.linalg.lstsq(np.stack(own, 1), _rows(train, train, weights))
        np.testing.assert_allclose(fitted.coefficients, expected, rtol=1e-5, atol=1e-7)


def _rows(sample, train, weights):
    """Residuals whose squares sum to the loss."""
    scales = measure_scales(train)
    return np.concatenate(
        [
            np.sqrt(weights.alpha) / scales.potential * sample.potential,
            np.sqrt(weights.beta) / scales.force * -sample.acceleration.ravel(),
            np.sqrt(weights.gamma) / scales.poisson * sample.laplacian,
        ]
    )


def test_a_sphere_is_the_first_function_and_its_radius_is_found():
    sphere = SoftenedParticles(jnp.zeros((1, 3)), jnp.full(1, 0.7), 1.3)
    train, far = (as_numpy(sample_field(sphere, points(400, radius))) for radius in (5.0, 20.0))
    assert fitted_radius(train) == pytest.approx(1.3, rel=1e-4)
    (fitted,) = fit_expansions(train, [0], 0, Weights())
    assert max(relative_errors(fitted.sample(far.position), far).values()) < 1e-3


def test_higher_degrees_come_nearer_to_clumps():
    clumps = draw_clumps(jax.random.key(3), SECTION)
    train, test = (as_numpy(sample_field(clumps, points(1000, seed=seed))) for seed in (1, 2))
    errors = [
        relative_errors(one.sample(test.position), test)["force"]
        for one in fit_expansions(train, [0, 2, 4], 4, Weights())
    ]
    assert errors[0] > 1.5 * errors[1] > 2 * errors[2]


def test_clumps_are_neither_round_nor_off_the_middle():
    clumps = draw_clumps(jax.random.key(3), SECTION)
    assert float(clumps.mass.sum()) == pytest.approx(1.0)
    assert float(clumps.mass.max() / clumps.mass.min()) <= SECTION["mass_ratio"]
    np.testing.assert_allclose(clumps.mass @ clumps.position, 0.0, atol=1e-12)
    assert torque(as_numpy(sample_field(clumps, points(500)))) > 0.1
