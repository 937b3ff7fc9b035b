"""True fields: calculus, analytic values, and natal's own gravity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from natal.errors import NatalError
from natal.nbody.gravity import accelerations, specific_potential
from natal.nbody.plummer import sample_plummer
from natal.studies.potential.cluster import AXES, as_field, fit_plummer, simulate, true_fields
from natal.studies.potential.fields import (
    SoftenedParticles,
    near_particles,
    plummer_sphere,
    sample_field,
    uniform_in_radius,
)
from natal.units import G_AU3_PER_MSUN_YR2

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float64")]

CLUSTER = {
    "n_stars": 64,
    "star_mass_msun": 1.0,
    "q0": 0.5,
    "a_au": 100.0,
    "softening_au": 2.0,
    "t_end_yr": 2.0,
    "dt_yr": 0.05,
    "max_energy_error": 1.0e-3,
}


@pytest.fixture(scope="module")
def simulated():
    with jax.enable_x64(True):
        return simulate(1, CLUSTER)


def unequal_particles(n=50, softening=0.3):
    rng = np.random.default_rng(3)
    return SoftenedParticles(jnp.asarray(rng.normal(size=(n, 3))), jnp.asarray(rng.uniform(0.5, 2, n) / n), softening)


def test_force_and_density_are_derivatives_of_the_potential():
    """F = -grad Phi and 4 pi G rho = lap Phi: the closed forms against automatic differentiation."""
    field, points = unequal_particles(), uniform_in_radius(jax.random.key(1), 40, 0.0, 4.0)
    sample = sample_field(field, points)
    gradient = jax.vmap(jax.grad(field.potential))(points)
    laplacian = jax.vmap(lambda x: jnp.trace(jax.hessian(field.potential)(x)))(points)
    np.testing.assert_allclose(sample.acceleration, -gradient, rtol=1e-11, atol=1e-13)
    # second derivatives of single particles cancel far out, where the density is small
    np.testing.assert_allclose(sample.laplacian, laplacian, rtol=1e-9, atol=1e-12)


def test_the_sphere_is_plummers():
    """Potential, enclosed mass (r^2 F = M(r)) and density of G = M = a = 1."""
    sample = sample_field(plummer_sphere(), uniform_in_radius(jax.random.key(2), 100, 0.1, 10.0))
    r = np.linalg.norm(sample.position, axis=1)
    force = -(np.asarray(sample.acceleration) * sample.position).sum(1) / r
    np.testing.assert_allclose(sample.potential, -1 / np.sqrt(1 + r**2), rtol=1e-12)
    np.testing.assert_allclose(force * r**2, r**3 / (1 + r**2) ** 1.5, rtol=1e-12)
    np.testing.assert_allclose(sample.laplacian / (4 * np.pi), 3 / (4 * np.pi) * (1 + r**2) ** -2.5, rtol=1e-12)


def test_softened_sums_are_natals_gravity():
    """Test points as stars without mass in natal's N-body sums, which know AU, Msun and yr."""
    field, points = unequal_particles(), uniform_in_radius(jax.random.key(3), 20, 0.0, 3.0)
    a_au, mass_msun = 70.0, 40.0
    stars = jnp.concatenate([field.position, points]).T[:, None] * a_au
    masses = jnp.concatenate([field.mass, jnp.zeros(20)])[None] * mass_msun
    eps_au, unit = field.softening * a_au, G_AU3_PER_MSUN_YR2 * mass_msun / a_au
    potential = specific_potential(stars, masses, eps_au)[0, -20:] / unit
    force = accelerations(stars, masses, eps_au)[:, 0, -20:].T / (unit / a_au)
    sample = sample_field(field, points)
    np.testing.assert_allclose(sample.potential, potential, rtol=1e-12)
    np.testing.assert_allclose(sample.acceleration, force, rtol=1e-10, atol=1e-12)


def test_radii_are_uniform_and_directions_isotropic():
    """A Kolmogorov-Smirnov test of radii; the mean direction within 5 standard errors, 1/sqrt(3 n) a coordinate."""
    n = 4000
    points = np.asarray(uniform_in_radius(jax.random.key(4), n, 1.0, 5.0))
    r = np.linalg.norm(points, axis=1)
    assert kstest(r, "uniform", args=(1.0, 4.0)).pvalue > 1e-4
    assert np.abs((points / r[:, None]).mean(0)).max() < 5 / np.sqrt(3 * n)


def test_training_points_lie_near_particles_within_the_radius():
    """Steps from the nearest of few, far particles have the asked size; particles beyond the radius are not used."""
    particles = jnp.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 40.0, 0.0]])
    points = np.asarray(near_particles(jax.random.key(5), 3000, particles, 0.1, 4.0))
    assert points.shape == (3000, 3)
    assert np.linalg.norm(points, axis=1).max() < 4.0
    steps = points - np.where(points[:, :1] > 1.5, particles[1], particles[0])
    # the standard error of a standard deviation of 9000 numbers is 0.75 %
    assert steps.std() == pytest.approx(0.1, rel=0.04)


def test_the_fit_recovers_centre_and_scale():
    """Within 4 standard errors of maximum likelihood: 0.764 / sqrt(N) for ln a and 0.837 a / sqrt(N) for the centre.

    With u = r^2 / (r^2 + a^2), Beta(3/2, 1) for Plummer's sphere, the information is 25 var(u) = 1.714 a particle for
    ln a, and 25/3 E[u (1 - u)] = 1.429 / a^2 for each coordinate.
    """
    n, a_au, centre = 4000, 80.0, np.array([10.0, -20.0, 5.0])
    position, _ = sample_plummer(jax.random.key(6), jnp.ones(n), a_au, truncation_radius=1e4)
    fit = fit_plummer(np.asarray(position.T) + centre)
    assert abs(np.log(fit.a_au / a_au)) < 4 * 0.764 / np.sqrt(n)
    assert np.abs(fit.centre_au - centre).max() < 4 * 0.837 * a_au / np.sqrt(n)


def test_the_cluster_becomes_fields_of_unit_mass(simulated):
    """From far away all of them look like one unit mass at the fitted centre."""
    stars, described = simulated
    assert list(stars) == [*AXES, "mass_msun"]
    assert described["energy_error"] < 1e-4
    fields = true_fields(stars, [20.0, 2.0])
    assert list(fields) == ["plummer", "particles_20au", "particles_2au"]
    assert fields["particles_20au"].softening == pytest.approx(10 * fields["particles_2au"].softening)
    far = jnp.array([0.0, 0.0, 1.0e4])
    for field in fields.values():
        # the dipole about the fitted centre is at most a few tenths
        assert float(field.potential(far)) == pytest.approx(-1.0e-4, rel=1e-3)


def test_an_inaccurate_cluster_is_refused():
    with pytest.raises(NatalError, match=r"above cluster.max_energy_error = 1e-14: choose a smaller cluster.dt_yr"):
        simulate(1, CLUSTER | {"max_energy_error": 1e-14})


def test_fields_use_the_fitted_units(simulated):
    stars, _ = simulated
    fit = fit_plummer(stars[list(AXES)].to_numpy())
    field = as_field(stars, fit, 10.0)
    assert field.softening == pytest.approx(10.0 / fit.a_au)
    refit = fit_plummer(np.asarray(field.position))
    assert refit.a_au == pytest.approx(1.0, abs=1e-3)
    assert np.abs(refit.centre_au).max() < 1e-3
