"""What leapfrog keeps in a cluster: its time reversal, momentum, angular momentum; and its order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.nbody.gravity import accelerations, kinetic_energy, potential_energy
from natal.nbody.leapfrog import integrate
from natal.nbody.plummer import initial_conditions
from natal.units import G_AU3_PER_MSUN_YR2 as G

pytestmark = pytest.mark.usefixtures("float64")

EPS_AU, U = 2.0, 2.0**-53
birth = jax.jit(initial_conditions, static_argnames=("n_stars", "imf"))
run = jax.jit(integrate, static_argnames=("dt_yr", "steps_per_snapshot", "n_snapshots", "softening_au"))


def newborn(imf="equal"):
    """Four clusters of 64 stars at Q0 = 0.5, a = 100 AU."""
    keys = jax.random.split(jax.random.key(3), 4)
    return birth(keys, np.full(4, 0.5), np.full(4, 100.0), n_stars=64, imf=imf)


def acceleration_rounding(stars):
    """Bound on the rounding error of each star's acceleration (see test_accelerations), shape (batch, star)."""
    x = stars.position_au
    r2 = ((x[:, :, :, None] - x[:, :, None, :]) ** 2).sum(0) + EPS_AU**2
    weight = G * stars.mass_msun[:, None, :] / r2**1.5 * (1 - jnp.eye(r2.shape[-1]))
    distance = jnp.linalg.norm(stars.position_au, axis=0)
    return (stars.mass_msun.shape[-1] + 10) * U * (weight * (distance[:, :, None] + distance[:, None, :])).sum(-1)


def test_time_runs_backwards():
    """Integrating forth and back with the sign of dt flipped returns every star to where it was born."""
    stars, n = newborn(), 200
    there = run(*stars, dt_yr=0.05, steps_per_snapshot=n, n_snapshots=2, softening_au=EPS_AU)
    end = (there.position_au[-1], there.velocity_au_yr[-1], stars.mass_msun)
    back = run(*end, dt_yr=-0.05, steps_per_snapshot=n, n_snapshots=2, softening_au=EPS_AU)
    # 2 n steps round each position to u |x|; 10 yr, a third of a dynamical time, amplify that less than tenfold
    tolerance = 10 * 2 * n * U * float(jnp.abs(stars.position_au).max())
    np.testing.assert_allclose(back.position_au[-1], stars.position_au, rtol=0, atol=tolerance)
    # and it had gone somewhere
    assert jnp.abs(there.position_au[-1] - stars.position_au).max() > 10


def test_momentum_and_angular_momentum_are_conserved():
    """Central pair forces, applied to both stars at once, change neither, whatever the step."""
    stars, n, dt = newborn(imf="kroupa"), 500, 0.05
    x, v = run(*stars, dt_yr=dt, steps_per_snapshot=n, n_snapshots=2, softening_au=EPS_AU)
    m = stars.mass_msun
    force_error = m * acceleration_rounding(stars)
    # each step adds one force error to the momentum; stars move on, so allow twice the value at birth
    momentum = np.asarray((m * v).sum(-1))
    p_tolerance = 2 * n * dt * float(force_error.sum(-1).max())
    np.testing.assert_allclose(momentum[1], momentum[0], rtol=0, atol=p_tolerance)
    # and its moment to the angular momentum, besides the rounding of x and v, two updates each a step
    spin = np.asarray((m * jnp.cross(x, v, axis=1)).sum(-1))
    radius, speed = (jnp.linalg.norm(c[0], axis=0) for c in (x, v))
    l_tolerance = 2 * n * float((dt * force_error * radius + 4 * U * m * radius * speed).sum(-1).max())
    np.testing.assert_allclose(spin[1], spin[0], rtol=0, atol=l_tolerance)
    # the tolerances are tight: a millionth of the momenta and angular momenta of single stars added up
    assert p_tolerance < 1e-6 * float((m * speed).sum(-1).min())
    assert l_tolerance < 1e-6 * float((m * radius * speed).sum(-1).min())


def test_the_acceleration_is_the_gradient_of_the_potential():
    """m_i a_i = -dW/dx_i: forces and potential energy belong together, or energy could not be conserved."""
    stars = newborn(imf="kroupa")
    gradient = jax.grad(lambda x: potential_energy(x, stars.mass_msun, EPS_AU).sum())(stars.position_au)
    force = stars.mass_msun * accelerations(stars.position_au, stars.mass_msun, EPS_AU)
    tolerance = float((stars.mass_msun * acceleration_rounding(stars)).max())
    np.testing.assert_allclose(force, -gradient, rtol=0, atol=2 * tolerance)


def test_the_energy_error_of_a_cluster_is_second_order():
    """Each halving of dt divides the energy error of a whole cluster by four."""
    stars = newborn()
    errors = []
    for n in (500, 1000, 2000):
        track = run(*stars, dt_yr=10.0 / n, steps_per_snapshot=n, n_snapshots=2, softening_au=EPS_AU)
        before, after = (
            kinetic_energy(v, stars.mass_msun) + potential_energy(x, stars.mass_msun, EPS_AU)
            for x, v in zip(*track, strict=True)
        )
        errors.append(np.asarray(after - before))
    # the relative departure from 4 is of order (dt / t)^2, t = eps / v = 0.2 yr at the closest encounters
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=(0.02 / 0.2) ** 2)
    np.testing.assert_allclose(errors[1] / errors[2], 4, rtol=(0.01 / 0.2) ** 2)
