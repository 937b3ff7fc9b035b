"""Forces and energies against a double loop over pairs with exactly rounded sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from natal.nbody.gravity import (
    accelerations,
    accelerations_by_differences,
    accelerations_by_product,
    kinetic_energy,
    potential_energy,
    specific_potential,
)
from natal.nbody.gravity_kernel import accelerations_by_kernel

pytestmark = pytest.mark.usefixtures("float64")

EPS_AU = 2.0


def stars_in_a_box(n, size_au, seed=1):
    """Unequal masses, scattered in a cube: positions (star, 3), velocities (star, 3), masses (star,)."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-size_au, size_au, (n, 3)), rng.normal(size=(n, 3)), rng.uniform(0.1, 5, n)


def with_escapers_and_close_pairs():
    """A 100 AU cluster with a 0.1 AU pair inside, a lone escaper and a 0.1 AU pair, both at 1e4 AU."""
    position, velocity, mass = stars_in_a_box(48, 100.0)
    position[0] = position[1] + [0.1, 0.0, 0.0]
    position[2] = [1e4, 0.0, 0.0]
    position[3] = [0.0, -6e3, 8e3]
    position[4] = position[3] + [0.0, 0.06, 0.08]
    return position, velocity, mass


STARS = pytest.mark.parametrize(
    "stars", [stars_in_a_box(48, 100.0), with_escapers_and_close_pairs()], ids=["box", "escapers"]
)


def by_kernel(position_au, mass_msun, softening_au):
    """What an NVIDIA GPU runs, with its operations done here."""
    return accelerations_by_kernel(position_au, mass_msun, softening_au, interpret=True)


FORMS = pytest.mark.parametrize(
    "form", [accelerations_by_product, accelerations_by_differences, by_kernel], ids=lambda form: form.__name__
)


def kernel(position, mass, softening_au=EPS_AU, form=accelerations):
    """natal's accelerations of one cluster, shape (star, 3), in the precision of `position`."""
    form = jax.jit(form, static_argnames="softening_au")
    return np.asarray(form(position.T[:, None], mass[None], softening_au=softening_au))[:, 0].T


def rounding_bound(position, mass, softening_au=EPS_AU, form=accelerations):
    """Largest error that rounding allows in the sum over j != i of G w_ij m_j (x_j - x_i), shape (star, 3).

    A sum of n terms errs by at most n u times the sum of the absolute terms, and a weight carries about ten roundings
    of its own. Summed by differences the terms are w m |x_j - x_i|, by products w m |x_j| and w m |x_i|.
    """
    u = np.finfo(position.dtype).eps / 2
    x = position.astype(float)
    difference = x[None] - x[:, None]
    distance = np.sqrt((difference**2).sum(-1) + softening_au**2)
    weight = np.where(np.eye(len(mass)), 0.0, reference.G * mass / distance**3)
    terms = np.abs(x)[None] + np.abs(x)[:, None]
    if form in (accelerations_by_differences, by_kernel):
        terms = np.abs(difference)
    return (len(mass) + 10) * u * (weight[:, :, None] * terms).sum(1)


@STARS
@FORMS
@pytest.mark.parametrize("softening_au", [2.0, 1e-2])
@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_accelerations_equal_the_double_loop_to_rounding(stars, softening_au, precision, form):
    """Every component of every star's acceleration lies within the rounding bound of the exact sum."""
    position, mass = stars[0].astype(precision), stars[2].astype(precision)
    exact = reference.accelerations(position.astype(float), mass.astype(float), softening_au)
    error = np.abs(kernel(position, mass, softening_au, form) - exact)
    assert np.all(error <= rounding_bound(position, mass, softening_au, form))


@FORMS
def test_softening_leaves_a_lone_star_at_rest(form):
    """A star exerts no force on itself, however small the softening."""
    assert np.all(kernel(np.array([[30.0, -40.0, 120.0]]), np.array([1.0]), 1e-3, form) == 0)


@FORMS
@pytest.mark.parametrize("n_stars", [1, 2, 15, 16, 17, 33, 400])
def test_any_number_of_stars_will_do(n_stars, form):
    """Whether or not the stars fill the kernels' vectors, tiles and blocks."""
    position, _, mass = stars_in_a_box(n_stars, 100.0)
    error = np.abs(kernel(position, mass, form=form) - reference.accelerations(position, mass, EPS_AU))
    assert np.all(error <= rounding_bound(position, mass, form=form))


def test_an_escaper_feels_the_cluster_as_a_point_mass():
    """At 1e4 AU the pull is G M / r^2 towards the centre of mass, to the quadrupole's (size / r)^2."""
    position, _, mass = stars_in_a_box(48, 50.0)
    centre = np.average(position[1:], axis=0, weights=mass[1:])
    position[0] = centre + np.array([0.0, 1e4, 0.0])
    pull = kernel(position, mass)[0]
    expected = np.array([0.0, -reference.G * mass[1:].sum() / 1e4**2, 0.0])
    # quadrupole: at most 3 <s^2> / r^2 with <s^2> <= 3 * 50^2; softening adds 1.5 (eps / r)^2
    tolerance = (9 * 50.0**2 + 1.5 * EPS_AU**2) / 1e4**2
    assert np.linalg.norm(pull - expected) < tolerance * abs(expected[1])


@pytest.mark.parametrize("separation_au", [0.1, 2.0, 50.0])
def test_a_pair_attracts_itself_by_the_softened_law(separation_au):
    """Each of two stars accelerates by G m d / (d^2 + eps^2)^(3/2) towards the other."""
    position = np.array([[0.0, 0.0, 0.0], [separation_au, 0.0, 0.0]])
    mass = np.array([1.0, 3.0])
    law = reference.G * separation_au / (separation_au**2 + EPS_AU**2) ** 1.5
    tolerance = rounding_bound(position, mass).max()
    np.testing.assert_allclose(kernel(position, mass), [[3 * law, 0, 0], [-law, 0, 0]], rtol=0, atol=tolerance)


@STARS
def test_energies_equal_the_double_loop_to_rounding(stars):
    """K and softened W agree with the sums over stars and over pairs."""
    position, velocity, mass = stars
    x, v, m = jnp.asarray(position.T)[:, None], jnp.asarray(velocity.T)[:, None], jnp.asarray(mass)[None]
    # all terms have one sign: the relative error is at most u times the number of terms added up, and a few more
    w, k = reference.potential_energy(position, mass, EPS_AU), reference.kinetic_energy(velocity, mass)
    assert float(potential_energy(x, m, EPS_AU)[0]) == pytest.approx(w, rel=(2 * len(mass) + 10) * 2.0**-53)
    assert float(kinetic_energy(v, m)[0]) == pytest.approx(k, rel=(len(mass) + 10) * 2.0**-53)


@STARS
@pytest.mark.parametrize("n_stars", [1, 16, 48])
def test_specific_potentials_equal_the_double_loop_to_rounding(stars, n_stars):
    """Every star feels all others but itself, and none that counts as a source of no mass."""
    position, mass = stars[0][:n_stars], stars[2][:n_stars].copy()
    mass[::5] = 0.0
    exact = reference.specific_potential(position, mass, EPS_AU)
    found = np.asarray(specific_potential(jnp.asarray(position.T)[:, None], jnp.asarray(mass)[None], EPS_AU))[0]
    # terms of one sign, about ten roundings each
    np.testing.assert_allclose(found, exact, rtol=(n_stars + 10) * 2.0**-53, atol=0)


def test_clusters_of_a_batch_do_not_feel_each_other():
    """A cluster's accelerations are the same alone and beside a second cluster at the same place."""
    first, _, mass_1 = stars_in_a_box(32, 100.0, seed=1)
    second, _, mass_2 = stars_in_a_box(32, 100.0, seed=2)
    both = accelerations(jnp.stack([first.T, second.T], 1), jnp.stack([mass_1, mass_2]), EPS_AU)
    for b, (position, mass) in enumerate([(first, mass_1), (second, mass_2)]):
        alone = reference.accelerations(position, mass, EPS_AU)
        assert np.all(np.abs(np.asarray(both)[:, b].T - alone) <= rounding_bound(position, mass))
