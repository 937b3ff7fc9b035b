"""Orbits in a static field: an independent integrator, the order of the scheme, and what is conserved."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from natal.studies.potential.fields import plummer_sphere, sample_field
from natal.studies.potential.orbits import Tracks, distance, energy_change, follow, momentum_change, start_of

STARTS = {
    "circular": {"position": [1.0, 0.0, 0.0], "velocity": [0.0, 2**-0.75, 0.0]},
    "eccentric": {"position": [2.5, 0, 0], "velocity": [0, 0.2, 0.15]},
    "rest": {"position": [1.5, 1.0, 0.6], "velocity": [0, 0, 0]},
}


def tracks(dt, time=20.0, snapshots=21):
    return follow(plummer_sphere().acceleration, *start_of(STARTS), time=time, dt=dt, snapshots=snapshots)


def energies(found):
    with jax.enable_x64(True):
        sample = sample_field(plummer_sphere(), jnp.asarray(found.position.reshape(-1, 3)))
    return np.asarray(sample.potential).reshape(found.position.shape[:2])


def test_orbits_are_those_of_an_independent_integrator():
    """SciPy's DOP853 at 1e-11. The leapfrog's error falls by 4 when its step is halved, and is small."""

    def rates(_, state):
        x, v = state[:3], state[3:]
        return np.concatenate([v, -x * (1 + x @ x) ** -1.5])

    times = np.linspace(0, 20, 21)
    position, velocity = start_of(STARTS)
    exact = np.stack(
        [
            solve_ivp(rates, (0, 20), np.concatenate(one), "DOP853", times, rtol=1e-11, atol=1e-12).y[:3].T
            for one in zip(position, velocity, strict=True)
        ],
        axis=1,
    )
    reference = Tracks(times, exact, np.zeros_like(exact))
    coarse, fine = (distance(tracks(dt), reference).max(0) for dt in (0.02, 0.01))
    assert (coarse < 1e-3).all()
    np.testing.assert_allclose(coarse / fine, 4.0, rtol=0.05)


def test_a_circular_orbit_comes_back_after_its_period():
    """v^2 = r^2 (1 + r^2)^(-3/2) at r = 1, so the period is 2 pi 2^(3/4)."""
    period = 2 * np.pi * 2**0.75
    found = tracks(0.005, time=period, snapshots=5)
    assert np.linalg.norm(found.position[-1, 0] - found.position[0, 0]) < 1e-4
    np.testing.assert_allclose(np.linalg.norm(found.position[:, 0], axis=1), 1.0, atol=1e-5)
    # a quarter of it is a quarter of the way round
    np.testing.assert_allclose(found.position[1, 0], [0, 1, 0], atol=1e-4)


def test_the_sphere_conserves_what_it_should():
    """Energy to the scheme's dt^2, angular momentum to rounding, that of an orbit that has none included."""
    coarse, fine = tracks(0.02), tracks(0.01)
    changes = [energy_change(found, energies(found)).max(0) for found in (coarse, fine)]
    assert (changes[0] < 1e-3).all()
    # where it changes at all (hardly on a circle)
    np.testing.assert_allclose((changes[0] / changes[1])[1:], 4.0, rtol=0.3)
    assert momentum_change(coarse).max() < 1e-13


def test_a_field_that_is_not_round_changes_the_angular_momentum():
    """A linear force with two frequencies turns L by a known amount: x = cos t, y = 2 sin(2 t) / 2."""

    def stretched(x):
        return -x * jnp.array([1.0, 4.0, 4.0])

    start = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 2.0, 0.0]])
    found = follow(stretched, *start, time=2.0, dt=1e-3, snapshots=41)
    t = found.time
    momentum = 2 * np.cos(t) * np.cos(2 * t) + np.sin(2 * t) * np.sin(t)
    r = np.hypot(np.cos(t), np.sin(2 * t))
    v = np.hypot(np.sin(t), 2 * np.cos(2 * t))
    expected = np.abs(momentum - momentum[0]) / (r.max() * v.max())
    np.testing.assert_allclose(momentum_change(found)[:, 0], expected, atol=1e-5)


def test_snapshots_keep_their_times_when_the_step_does_not_fit():
    """0.3 does not fit into 1: four steps of 0.25 do."""
    ragged, even = tracks(0.3), tracks(0.25)
    np.testing.assert_array_equal(ragged.position, even.position)
    assert ragged.time.tolist() == list(range(21))
    assert ragged.position.dtype == np.float64
