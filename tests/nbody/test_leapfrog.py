"""Leapfrog on the two-body problem, whose answers are known in closed form."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.nbody.gravity import kinetic_energy, potential_energy
from natal.nbody.leapfrog import integrate

pytestmark = pytest.mark.usefixtures("float64")

GM = 4 * np.pi**2  # two stars of half a solar mass
MASS = np.array([[0.5, 0.5]])
run = jax.jit(integrate, static_argnames=("dt_yr", "steps_per_snapshot", "n_snapshots", "softening_au"))


def pair(separation, relative_velocity):
    """Two equal stars about the origin with the given relative position and velocity, each (3, 1, 2)."""
    halves = np.array([-0.5, 0.5])
    return tuple(
        jnp.asarray(np.multiply.outer(np.asarray(c, float), halves))[:, None] for c in (separation, relative_velocity)
    )


def relative(trajectory):
    """Relative position and velocity, each (time, 3)."""
    return tuple(np.asarray(c[:, :, 0, 1] - c[:, :, 0, 0]) for c in trajectory)


@pytest.mark.parametrize("softening_au", [0.1, 1.0])
def test_a_circular_softened_orbit_is_followed_exactly(softening_au):
    """Leapfrog turns a circular orbit by 2 asin(omega dt / 2) a step, omega^2 = G M / (d^2 + eps^2)^(3/2).

    x_{n+1} - 2 x_n + x_{n-1} = -(omega dt)^2 x_n holds on the circle, if the first velocity is the circular
    one times sqrt(1 - (omega dt / 2)^2): orbital speed and period are both exact statements.
    """
    d, dt, n = 1.0, 0.02, 500
    omega = np.sqrt(GM / (d**2 + softening_au**2) ** 1.5)
    speed = omega * d * np.sqrt(1 - (omega * dt / 2) ** 2)
    orbit = run(
        *pair([d, 0, 0], [0, speed, 0]),
        MASS,
        dt_yr=dt,
        steps_per_snapshot=n // 5,
        n_snapshots=6,
        softening_au=softening_au,
    )
    angle = 2 * np.arcsin(omega * dt / 2) * np.arange(0, n + 1, n // 5)
    expected = d * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    # a few roundings a step in velocity or radius change the frequency, and the phase error that this builds
    # up grows with the square of the number of steps
    tolerance = 10 * n**2 * 2.0**-53
    np.testing.assert_allclose(relative(orbit)[0], expected, rtol=0, atol=tolerance)


def kepler_end(n_steps, softening_au):
    """Relative position after one year on the e = 0.5, 1 AU orbit that starts at apocentre."""
    slow = np.sqrt(GM * 0.5 / 1.5)
    orbit = run(
        *pair([1.5, 0, 0], [0, slow, 0]),
        MASS,
        dt_yr=1.0 / n_steps,
        steps_per_snapshot=n_steps,
        n_snapshots=2,
        softening_au=softening_au,
    )
    return relative(orbit)[0][-1]


def test_a_kepler_orbit_closes_after_one_year():
    """Two half-solar masses at 1 AU return after 1 yr, once the second-order error of the step is removed."""
    eps = 1e-3
    ends = [kepler_end(n, eps) for n in (500, 1000, 2000)]
    coarse, fine = ((4 * b - a) / 3 for a, b in itertools.pairwise(ends))
    # first order in eps^2: apsides turn by -3 pi eps^2 / p^2 (p = 3/4 AU), 8 pi eps^2 AU at apocentre, and the
    # phase shifts by at most 8.4 pi eps^2 rad, 4.8 pi eps^2 AU; fourth order in dt: 1/15 of the last change
    tolerance = 13 * np.pi * eps**2 + np.linalg.norm(fine - coarse) / 15
    assert np.linalg.norm(fine - [1.5, 0, 0]) < tolerance
    # the statement is sharp: a single run with 500 steps misses the mark by far more
    assert np.linalg.norm(ends[0] - [1.5, 0, 0]) > 5 * tolerance


def test_halving_the_step_quarters_the_closure_error():
    """The end points of one orbit approach their limit as dt^2."""
    ends = [kepler_end(n, 1e-3) for n in (500, 1000, 2000)]
    changes = [np.linalg.norm(b - a) for a, b in itertools.pairwise(ends)]
    # the next term is (dt / t)^2 smaller, t = sqrt(r_p^3 / GM) = 0.056 yr at pericentre
    assert changes[0] / changes[1] == pytest.approx(4, rel=3 * (1 / 500 / 0.056) ** 2)


@functools.cache
def eccentric_energies(n_steps):
    """(E - E_0, h_2 - h_2(0)) against time on a softened eccentric orbit, per unit reduced mass.

    h_2 is the leading term of kick-drift-kick's conserved energy E + dt^2 h_2 + O(dt^4),
    h_2 = v.Phi''.v / 12 - |grad Phi|^2 / 24 (Hairer, Lubich & Wanner 2003).
    """
    eps, snapshots = 0.2, 41
    with jax.enable_x64(True):
        orbit = run(
            *pair([1.5, 0, 0], [0, 3.0, 0]),
            MASS,
            dt_yr=2.0 / n_steps,
            steps_per_snapshot=n_steps // (snapshots - 1),
            n_snapshots=snapshots,
            softening_au=eps,
        )
        mass = jnp.asarray(MASS)
        energy = [kinetic_energy(v, mass)[0] + potential_energy(x, mass, eps)[0] for x, v in zip(*orbit, strict=True)]
    x, v = relative(orbit)
    r2 = (x**2).sum(1) + eps**2
    curvature = GM * ((v**2).sum(1) / r2**1.5 - 3 * (x * v).sum(1) ** 2 / r2**2.5)
    h2 = curvature / 12 - GM**2 * (x**2).sum(1) / r2**3 / 24
    return (np.array(energy) - energy[0]) / 0.25, h2 - h2[0]


@pytest.mark.slow
def test_the_energy_error_is_the_one_theory_predicts():
    """E - E_0 = -dt^2 (h_2 - h_2(0)) along the orbit; halving dt divides what is left by sixteen."""
    left = []
    for n in (4000, 8000):
        error, h2 = eccentric_energies(n)
        predicted = -((2.0 / n) ** 2) * h2
        left.append(np.abs(error - predicted).max() / np.abs(predicted).max())
    # what is left, relative to the prediction, is of order (dt / t)^2, and so is the departure of its ratio from 4:
    # t = ((r_p^2 + eps^2)^(3/2) / GM)^(1/2) = 0.045 yr at the pericentre of 0.38 AU, dt = 1/2000 yr
    order = (1 / 2000 / 0.045) ** 2
    assert left[0] < order
    assert left[0] / left[1] == pytest.approx(4, rel=3 * order)


@pytest.mark.slow
def test_halving_the_step_quarters_the_energy_error():
    """The largest energy error along the orbit is second order in dt."""
    (coarse, h2), (fine, _) = eccentric_energies(4000), eccentric_energies(8000)
    next_order = np.abs(coarse + (2.0 / 4000) ** 2 * h2).max() / np.abs(coarse).max()
    # with e = A dt^2 + B dt^4 the ratio is 4 (1 + 3/4 B dt^2 / A)
    assert next_order < 0.05
    assert np.abs(coarse).max() / np.abs(fine).max() == pytest.approx(4, rel=next_order)
