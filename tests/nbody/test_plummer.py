"""Plummer spheres against their closed forms, in units G = M = a = 1.

Sampling errors: 400 spheres of 100 stars, so n = 400 for energies and n = 40000 for single stars. Means must lie
within 4 standard errors (false alarm 6e-5 each), Kolmogorov-Smirnov tests must not reject at 1e-3; keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from natal.nbody.gravity import kinetic_energy, potential_energy
from natal.nbody.plummer import sample_plummer
from natal.units import G_AU3_PER_MSUN_YR2 as G

N_SPHERES, N_STARS = 400, 100
UNTRUNCATED = 1e6


@pytest.fixture(scope="module")
def spheres():
    """Positions and velocities, each (3, sphere, star), and masses that make G M = 1."""
    with jax.enable_x64(True):
        mass = jnp.full((N_SPHERES, N_STARS), 1 / (G * N_STARS))
        draw = jax.vmap(lambda key, m: sample_plummer(key, m, 1.0, UNTRUNCATED), out_axes=1)
        yield *jax.jit(draw)(jax.random.split(jax.random.key(5), N_SPHERES), mass), mass


def assert_mean(values, expected):
    """The mean of independent values lies within 4 standard errors of what theory says."""
    values = np.asarray(values)
    assert abs(values.mean() - expected) < 4 * values.std(ddof=1) / np.sqrt(len(values))


def assert_distribution(values, cdf):
    """Independent values follow a distribution."""
    assert stats.kstest(np.asarray(values).ravel(), cdf).pvalue > 1e-3


def test_mean_potential_energy(spheres):
    """E[W_N] = -(1 - 1/N) 3 pi / 32: N (N - 1) / 2 pairs, each with <1/r> = 3 pi / 16."""
    position, _, mass = spheres
    with jax.enable_x64(True):
        # a softening of 1e-4 changes <1/r> by 2 pi eps^2 int rho^2, below 1e-8
        w = G * potential_energy(position, mass, 1e-4)
    assert_mean(w, -(1 - 1 / N_STARS) * 3 * np.pi / 32)


def test_mean_kinetic_energy(spheres):
    """E[K] = 3 pi / 64, half of |W|: the sphere is born in virial equilibrium."""
    _, velocity, mass = spheres
    with jax.enable_x64(True):
        k = G * kinetic_energy(velocity, mass)
    assert_mean(k, 3 * np.pi / 64)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_velocity_dispersion(spheres, axis):
    """The one-dimensional dispersion is sqrt(pi / 32) = 0.31333 along every axis, about a mean of zero."""
    along = np.asarray(spheres[1][axis]).ravel()
    assert_mean(along, 0.0)
    assert_mean(along**2, 0.31333**2)


@pytest.mark.parametrize(("share", "radius"), [(0.1, 0.52403), (0.5, 1.30477), (0.9, 3.70711)])
def test_lagrangian_radii(spheres, share, radius):
    """10, 50 and 90 % of the mass lie within 0.524, 1.305 and 3.707 scale radii."""
    assert_mean(np.linalg.norm(spheres[0], axis=0).ravel() < radius, share)


def test_radii_follow_the_plummer_profile(spheres):
    """M(r) = r^3 / (1 + r^2)^(3/2)."""
    assert_distribution(np.linalg.norm(spheres[0], axis=0), lambda r: r**3 / (1 + r**2) ** 1.5)


@pytest.mark.parametrize("part", ["inner", "outer"])
def test_speeds_follow_the_distribution_function_at_every_radius(spheres, part):
    """(v / v_esc)^2 is Beta(3/2, 9/2) inside and outside of the half-mass radius, v_esc^2 = 2 / sqrt(1 + r^2)."""
    radius, speed = (np.linalg.norm(c, axis=0).ravel() for c in spheres[:2])
    chosen = (radius < 1.30477) == (part == "inner")
    assert_distribution((speed**2 / 2 * np.sqrt(1 + radius**2))[chosen], stats.beta(1.5, 4.5).cdf)


@pytest.mark.parametrize("what", [0, 1], ids=["position", "velocity"])
def test_directions_are_isotropic(spheres, what):
    """Every Cartesian component of a unit vector is uniform on [-1, 1], the azimuth on [-pi, pi]."""
    unit = np.asarray(spheres[what]) / np.linalg.norm(spheres[what], axis=0)
    for component in unit:
        assert_distribution(component, stats.uniform(-1, 2).cdf)
    assert_distribution(np.arctan2(unit[1], unit[0]), stats.uniform(-np.pi, 2 * np.pi).cdf)


def test_velocities_are_independent_of_positions(spheres):
    """The cosine of the angle between position and velocity is uniform: no streaming, no anisotropy."""
    position, velocity = (np.asarray(c) / np.linalg.norm(c, axis=0) for c in spheres[:2])
    assert_distribution((position * velocity).sum(0), stats.uniform(-1, 2).cdf)


@pytest.mark.parametrize("truncation_radius", [10.0, 3.0])
def test_truncated_spheres_follow_the_profile_within(float64, truncation_radius):
    """No star is born beyond the truncation radius, and within the profile is that of the whole sphere."""
    a_au, mass = 80.0, jnp.ones(20_000)
    position, _ = sample_plummer(jax.random.key(6), mass, a_au, truncation_radius)
    r = np.linalg.norm(position, axis=0) / a_au
    assert r.max() <= truncation_radius
    assert_distribution(r, lambda r: r**3 / (1 + r**2) ** 1.5 * (1 + truncation_radius**-2) ** 1.5)


def test_size_and_speed_scale_with_a_and_mass(float64):
    """The same random numbers give r proportional to a and v to sqrt(M / a)."""
    key, mass = jax.random.key(7), jnp.ones(100)
    x1, v1 = sample_plummer(key, mass, 50.0)
    x2, v2 = sample_plummer(key, 16 * mass, 200.0)
    # a product of about ten rounded factors each; the fourth root of r^2 + a^2 is rounded too
    np.testing.assert_allclose(x2, 4 * x1, rtol=20 * 2.0**-53)
    np.testing.assert_allclose(v2, 2 * v1, rtol=20 * 2.0**-53)
