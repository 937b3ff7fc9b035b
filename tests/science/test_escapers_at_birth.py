"""The share of stars with negative energy at birth is known exactly: I_{0.5/Q0}(3/2, 9/2).

(v / v_esc)^2 is Beta(3/2, 9/2) at every radius of a virialised Plummer sphere, and velocities are scaled by
sqrt(Q0 / 0.5); a single pass over all stars therefore keeps the regularised incomplete beta function's share.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc

from natal.nbody.gravity import specific_potential
from natal.nbody.plummer import initial_conditions

N_SPHERES, N_STARS = 16, 1000
EPS_AU = 0.01  # 1e-4 a: no potential changes by more than 1e-6


@pytest.fixture(scope="module")
def spheres():
    """For K/|W| = 1: specific potential and kinetic energy of every star, each (sphere, star); untruncated."""

    @jax.jit
    def energies(key):
        born = initial_conditions(
            key[None], jnp.ones(1), jnp.full(1, 100.0), n_stars=N_STARS, softening_au=EPS_AU, truncation_radius=1e6
        )
        potential = specific_potential(born.position_au, born.mass_msun, EPS_AU)
        return potential[0], 0.5 * (born.velocity_au_yr**2).sum(0)[0]

    with jax.enable_x64(True):
        found = [energies(key) for key in jax.random.split(jax.random.key(51), N_SPHERES)]
    return tuple(np.array(c) for c in zip(*found, strict=True))


@pytest.mark.parametrize("q0", [0.5, 0.75, 1.0, 1.25, 1.5])
def test_share_of_bound_stars_in_a_single_pass(spheres, q0):
    """0.9843, 0.9123, 0.8154, 0.7203 at Q0 = 0.75, 1, 1.25, 1.5, and everyone at 0.5."""
    potential, kinetic = spheres
    share = (q0 * kinetic + potential < 0).mean()
    expected = betainc(1.5, 4.5, 0.5 / q0)
    # binomial error of 16000 stars; the sphere's grain, v_esc and |W| scattering by O(N^-1/2), biases by O(1 / N)
    error = np.sqrt(expected * (1 - expected) / (N_SPHERES * N_STARS))
    assert abs(share - expected) < 4 * error + 1 / N_STARS
