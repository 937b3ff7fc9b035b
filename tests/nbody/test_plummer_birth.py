"""Newborn clusters: at rest as a whole, and with exactly the virial ratio asked for."""

import jax
import numpy as np
import pytest
import reference

from natal.nbody.plummer import initial_conditions

pytestmark = pytest.mark.usefixtures("float64")

U = 2.0**-53
Q0 = np.array([0.5, 0.75, 1.0, 1.5])
A_AU = np.array([50.0, 80.0, 120.0, 200.0])
N_STARS = 64

birth = jax.jit(initial_conditions, static_argnames=("n_stars", "star_mass_msun", "imf"))


@pytest.fixture(params=["equal", "kroupa"])
def newborn(request):
    """Four clusters across the design box."""
    keys = jax.random.split(jax.random.key(11), len(Q0))
    return birth(keys, Q0, A_AU, n_stars=N_STARS, imf=request.param)


def test_virial_ratio_is_exact(newborn):
    """K / |W| = Q0 in every realization, W being that realization's own softened energy."""
    x, v, m = (np.asarray(c) for c in newborn)
    for b, q0 in enumerate(Q0):
        k = reference.kinetic_energy(v[:, b].T, m[b])
        w = reference.potential_energy(x[:, b].T, m[b], 2.0)
        # sums of N and N^2 positive terms, then a square root and a few products
        assert k / abs(w) == pytest.approx(q0, rel=(4 * N_STARS + 30) * U)


def test_centre_of_mass_rests_at_the_origin(newborn):
    """The mass-weighted means of position and velocity vanish."""
    x, v, m = (np.asarray(c) for c in newborn)
    for c in (x, v):
        mean = (c * m).sum(-1) / m.sum(-1)
        scale = (np.abs(c) * m).sum(-1) / m.sum(-1)
        # the mean of N terms is rounded, subtracted, and multiplied by the factor to virial ratio
        assert np.all(np.abs(mean) < (2 * N_STARS + 10) * U * 2 * scale)


def test_a_hotter_birth_only_scales_the_velocities():
    """The same key gives the same places for any Q0, and velocities in the ratio sqrt(Q0)."""
    keys = jax.random.split(jax.random.key(12), 1)
    cool, hot = (birth(keys, np.array([q0]), np.array([100.0]), n_stars=N_STARS) for q0 in (0.5, 1.125))
    np.testing.assert_array_equal(hot.position_au, cool.position_au)
    np.testing.assert_allclose(hot.velocity_au_yr, 1.5 * cool.velocity_au_yr, rtol=10 * U)


def test_equal_stars_have_the_mass_asked_for():
    """With imf: equal every star weighs `star_mass_msun`."""
    keys = jax.random.split(jax.random.key(13), 2)
    born = birth(keys, np.full(2, 0.5), np.full(2, 90.0), n_stars=7, star_mass_msun=0.7)
    np.testing.assert_array_equal(born.mass_msun, np.full((2, 7), 0.7))


def test_an_unknown_mass_function_is_refused():
    """Only equal masses and Kroupa's function exist."""
    keys = jax.random.split(jax.random.key(14), 1)
    with pytest.raises(ValueError, match="salpeter"):
        birth(keys, np.array([0.5]), np.array([90.0]), n_stars=7, imf="salpeter")
