"""The coordinates that NUTS walks in: bijections with exact Jacobians, normal for the posterior they are of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from natal.posterior.coordinates import REACH, InverseCdf

N_CELLS = (96, 64)


@pytest.fixture(scope="module")
def posterior():
    """A bent posterior that one edge cuts, cell by cell."""
    q0, a = (np.arange(n) + 0.5 for n in N_CELLS)
    x, y = np.meshgrid(q0 / 96, a / 64, indexing="ij")
    mass = np.exp(-0.5 * ((x - 0.1) / 0.2) ** 2 - 0.5 * ((y - 0.3 - 0.8 * x**2) / (0.05 + 0.1 * x)) ** 2)
    return mass / mass.sum()


@pytest.fixture(scope="module")
def coordinates(posterior):
    """Its coordinates."""
    edges = tuple(jnp.linspace(0.0, 1.0, n + 1) for n in N_CELLS)
    return InverseCdf.of_grid(jnp.asarray(posterior, "float32"), edges)


def test_the_jacobian_is_that_of_the_map(coordinates):
    """By differentiation, within the knots and beyond them on all sides."""
    v = jnp.asarray(np.random.default_rng(0).uniform(-1.5 * REACH, 1.5 * REACH, (200, 2)), "float32")
    _, found = jax.vmap(coordinates)(v)
    matrices = jax.vmap(jax.jacfwd(lambda one: coordinates(one)[0]))(v)
    np.testing.assert_allclose(found, np.log(np.linalg.det(np.asarray(matrices, float))), atol=1e-4)


def test_every_point_is_reached_once(coordinates):
    """Both parameters rise with their coordinate, without end."""
    v = jnp.linspace(-3 * REACH, 3 * REACH, 400)
    q0 = jax.vmap(lambda one: coordinates(jnp.array([one, 0.3]))[0][0])(v)
    a_au = jax.vmap(lambda one: coordinates(jnp.array([-1.2, one]))[0][1])(v)
    for values in (q0, a_au):
        assert np.all(np.diff(values) > 0)
        assert values[0] < values[200] - 1
        assert values[-1] > values[200] + 1


def test_normal_numbers_become_draws(coordinates, posterior):
    """Kolmogorov-Smirnov tests of 20,000 against both marginals: the splines' smoothing is below what they can see."""
    v = jax.random.normal(jax.random.key(1), (20_000, 2))
    drawn = jax.nn.sigmoid(np.asarray(jax.vmap(coordinates)(v)[0], float))
    for axis, n in enumerate(N_CELLS):
        cumulative = np.concatenate([[0.0], np.cumsum(posterior.sum(1 - axis))])
        edges = np.linspace(0, 1, n + 1)
        distance = kstest(drawn[:, axis], lambda x, c=cumulative, e=edges: np.interp(x, e, c)).statistic
        # 5 % of samples of that size exceed 0.0096; smoothing may take as much again
        assert distance < 0.02
