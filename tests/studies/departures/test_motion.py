"""A tidal field added to natal's leapfrog."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.nbody.leapfrog import start, take_steps
from natal.studies.departures.births import Stars
from natal.studies.departures.motion import follow, orbital_frequency, tidal_acceleration
from natal.units import G_AU3_PER_MSUN_YR2


def test_the_tide_is_that_of_a_distant_mass():
    """The difference of a point mass's pull at a star and at the centre, on a circular orbit, to first order."""
    distance, mass, t = 1e5, 1e10, 37.0
    omega = np.sqrt(G_AU3_PER_MSUN_YR2 * mass / distance**3)
    place = np.array([30.0, -20.0, 10.0])
    centre = distance * np.array([np.cos(omega * t), np.sin(omega * t), 0.0])

    def pull(at):
        apart = centre - at
        return G_AU3_PER_MSUN_YR2 * mass * apart / np.linalg.norm(apart) ** 3

    with jax.enable_x64(True):
        found = tidal_acceleration(jnp.asarray(place[:, None, None]), jnp.array([omega]), t)[:, 0, 0]
    np.testing.assert_allclose(found, pull(place) - pull(np.zeros(3)), rtol=2e-3)


def test_the_jacobi_radius_is_where_pulls_balance():
    """On the line to the centre, turning along: G M / r^2 = 3 Omega^2 r."""
    omega = orbital_frequency(100.0, np.array([400.0, np.inf]))
    assert 3 * omega[0] ** 2 * 400.0 == pytest.approx(G_AU3_PER_MSUN_YR2 * 100.0 / 400.0**2)
    assert omega[1] == 0


def cluster(n_clusters=3, n_stars=6):
    rng = np.random.default_rng(0)
    position, velocity = rng.standard_normal((2, 3, n_clusters, n_stars))
    return Stars(50 * position, velocity, np.full((n_clusters, n_stars), 1.0))


def test_without_a_tide_it_is_natals_leapfrog():
    """The same positions and velocities, in batches."""
    stars = cluster()
    found, error = follow(stars, np.zeros(3), t_end_yr=20.0, dt_yr=0.05, softening_au=2.0)
    with jax.enable_x64(True):
        mass = jnp.asarray(stars.mass_msun)
        state = start(jnp.asarray(stars.position_au), jnp.asarray(stars.velocity_au_yr), mass, 2.0)
        wanted = jax.jit(lambda state: take_steps(state, mass, 400, 0.05, 2.0))(state)
    np.testing.assert_allclose(found.position_au, wanted.position_au, rtol=1e-9)
    np.testing.assert_allclose(found.velocity_au_yr, wanted.velocity_au_yr, rtol=1e-9)
    assert error.max() < 1e-3


def test_the_jacobi_energy_is_conserved():
    """To second order in the step, in a strong tide: the leapfrog sees both forces at the right times."""
    stars, omega = cluster(), np.full(3, 0.05)
    errors = [follow(stars, omega, t_end_yr=40.0, dt_yr=dt, softening_au=20.0)[1] for dt in (0.1, 0.05)]
    assert errors[0].max() < 1e-3
    assert np.median(errors[0] / errors[1]) == pytest.approx(4.0, rel=0.3)
