"""Velocity dispersion and half-mass radius on clusters measured by hand, and against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from natal.nbody.plummer import initial_conditions
from natal.nbody.summaries import half_mass_radius, summarise, velocity_dispersion
from natal.units import KMS_PER_AU_YR

pytestmark = pytest.mark.usefixtures("float64")

EPS_AU = 2.0
U = 2.0**-53

summarised = jax.jit(summarise, static_argnames="softening_au")


def batch(*arrays):
    """One cluster's (star, 3) or (star,) arrays as natal's (3, 1, star) and (1, star)."""
    return [jnp.asarray(np.asarray(a).T[:, None] if np.ndim(a) == 2 else np.asarray(a)[None]) for a in arrays]


def radius_of(position, mass, members):
    """Half-mass radius of one cluster."""
    return float(half_mass_radius(*batch(np.asarray(position, float), np.asarray(mass, float), np.asarray(members)))[0])


def on_axes(radii):
    """Stars in pairs at +-r on the axes in turn, so that any equal-mass choice of pairs is centred."""
    return np.concatenate([[r * e, -r * e] for r, e in zip(radii, np.eye(3)[[0, 1, 2, 0, 1]], strict=False)])


def test_half_mass_radius_of_pairs_on_the_axes():
    """Equal masses at 1, 1, 2, 2, 3, 3 AU: half of the mass needs the third star, at 2 AU."""
    assert radius_of(on_axes([1.0, 2.0, 3.0]), np.ones(6), np.ones(6, bool)) == 2.0


def test_exactly_half_of_the_mass_is_enough():
    """At least half: of 1, 1, 2, 2 AU the first two stars hold half."""
    assert radius_of(on_axes([1.0, 2.0]), np.ones(4), np.ones(4, bool)) == 1.0


def test_half_of_equal_masses_is_half_of_the_stars_whatever_their_mass():
    """Sums of masses round, so that half of the whole need not equal the sum of half of the stars to the last bit."""
    mass = np.repeat(np.random.default_rng(2).uniform(0.1, 2.0, (200, 1)), 8, axis=1)
    position = np.repeat(on_axes([1.0, 2.0, 3.0, 4.0]).T[:, None], 200, axis=1)
    found = half_mass_radius(jnp.asarray(position), jnp.asarray(mass), jnp.ones((200, 8), bool))
    np.testing.assert_allclose(found, 2.0, rtol=10 * U)


def test_half_of_the_mass_not_of_the_stars():
    """Pairs of 1, 1, 1 and 5 Msun at 1, 2, 3, 4 AU: only with one of the heavy stars is half of 16 Msun enclosed."""
    position = on_axes([1.0, 2.0, 3.0, 4.0])
    assert radius_of(position, [1, 1, 1, 1, 1, 1, 5, 5], np.ones(8, bool)) == 4.0
    assert radius_of(position, [5, 5, 1, 1, 1, 1, 1, 1], np.ones(8, bool)) == 1.0


def test_half_mass_radius_is_about_the_members_centre():
    """Strangers count neither for the mass nor for the centre, and the cluster may be anywhere."""
    position = np.concatenate([on_axes([1.0, 2.0, 3.0]) + np.array([100.0, 0, -7.0]), [[1e4, 0, 0], [100.0, 0, -7.0]]])
    members = np.array([True] * 6 + [False, False])
    # coordinates near 100 AU are rounded to 100 u
    assert radius_of(position, np.ones(8), members) == pytest.approx(2.0, rel=4 * 100 * U)


def test_dispersion_of_equal_speeds():
    """Speeds v in all directions give sigma = v / sqrt(3), wherever the mean velocity."""
    v = 3.0 * on_axes([1.0, 1.0, 1.0]) + [10.0, 20.0, -30.0]
    sigma = velocity_dispersion(*batch(v, np.ones(6), np.ones(6, bool)))
    assert float(sigma[0]) == pytest.approx(3.0 / np.sqrt(3), rel=30 * U * 10)


def test_dispersion_is_weighted_by_mass_and_ignores_strangers():
    """A pair of 3 Msun at +-1 AU/yr and one of 1 Msun at +-5: sigma^2 = (6 * 1 + 2 * 25) / (3 * 8)."""
    v = np.concatenate([on_axes([1.0, 5.0]), [[500.0, 0, 0]]])
    members = np.array([True] * 4 + [False])
    sigma = velocity_dispersion(*batch(v, np.array([3.0, 3, 1, 1, 7]), members))
    assert float(sigma[0]) == pytest.approx(np.sqrt(56 / 24), rel=20 * U)


def at_rest(n_bound, n_escapers):
    """A clump of stars at rest and, far away, pairs flying apart at 400 AU/yr; one cluster's arrays."""
    inner = np.random.default_rng(1).uniform(-20, 20, (n_bound, 3))
    side = np.where(np.arange(n_escapers) % 2, -1.0, 1.0)[:, None] * np.array([1.0, 0, 0])
    outer = side * 1e5 * (1 + np.arange(n_escapers)[:, None] // 2)
    velocity = np.concatenate([np.zeros((n_bound, 3)), 400.0 * side])
    return batch(np.concatenate([inner, outer]), velocity, np.ones(n_bound + n_escapers))


@pytest.mark.parametrize("n_bound", [0, 2, 4])
def test_fewer_than_five_bound_stars_are_a_dissolved_cluster(n_bound):
    """f_bound is kept; sigma_v and r_h are missing."""
    found = summarised(*at_rest(n_bound, 10 - n_bound), softening_au=EPS_AU)
    assert bool(found["dissolved"][0])
    assert int(found["n_bound"][0]) == n_bound
    assert float(found["f_bound"][0]) == n_bound / 10
    assert np.isnan(found["sigma_v_kms"][0])
    assert np.isnan(found["r_h_au"][0])


def test_five_bound_stars_are_a_cluster():
    """At the limit all summaries exist."""
    found = summarised(*at_rest(5, 6), softening_au=EPS_AU)
    assert not bool(found["dissolved"][0])
    assert float(found["f_bound"][0]) == 5 / 11
    assert float(found["sigma_v_kms"][0]) == 0.0
    assert 0 < float(found["r_h_au"][0]) < 40 * np.sqrt(3)


def test_dissolved_and_surviving_clusters_share_a_batch():
    """A dissolved neighbour leaves no nan in a survivor's summaries."""
    both = [jnp.concatenate(c, axis=-2) for c in zip(at_rest(4, 6), at_rest(8, 2), strict=True)]
    found = summarised(*both, softening_au=EPS_AU)
    assert np.asarray(found["dissolved"]).tolist() == [True, False]
    assert np.asarray(found["n_bound"]).tolist() == [4, 8]
    assert np.isfinite(np.asarray(found["r_h_au"])).tolist() == [False, True]


def test_a_kilometre_per_second():
    """1 AU/yr is 149597870.7 km in 365.25 days, 4.7405 km/s."""
    assert pytest.approx(4.740470463533349, rel=4 * U) == KMS_PER_AU_YR
    assert pytest.approx(reference.KMS_PER_AU_YR, rel=4 * U) == KMS_PER_AU_YR


@pytest.mark.parametrize("imf", ["equal", "kroupa"])
def test_summaries_of_whole_clusters_equal_the_loops(imf):
    """f_bound, sigma_v and r_h of newborn clusters, calm and hot, to rounding."""
    q0 = np.array([0.5, 0.8, 1.0, 1.1, 3.0])
    keys = jax.random.split(jax.random.key(61), len(q0))
    birth = jax.jit(initial_conditions, static_argnames=("n_stars", "imf"))
    x, v, m = birth(keys, q0, np.full(len(q0), 90.0), n_stars=40, imf=imf)
    found = summarised(x, v, m, softening_au=EPS_AU)
    for b in range(len(q0)):
        expected = reference.summaries(*(np.asarray(c) for c in (x[:, b].T, v[:, b].T, m[b])), EPS_AU)
        got = [found["f_bound"][b], found["sigma_v_kms"][b], found["r_h_au"][b]]
        # sums of 40 terms; centring cancels at most a digit
        np.testing.assert_allclose(got, expected, rtol=10 * 2 * 40 * U)
    assert np.asarray(found["dissolved"]).any()
    assert not np.asarray(found["dissolved"]).all()
