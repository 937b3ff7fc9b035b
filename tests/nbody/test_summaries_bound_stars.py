"""The bound set, found by repeated removal, on clusters whose answer is known beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from natal.nbody.plummer import initial_conditions
from natal.nbody.summaries import bound_stars, summarise

pytestmark = pytest.mark.usefixtures("float64")

EPS_AU = 2.0
G = reference.G


def bound(position, velocity, mass, softening_au=EPS_AU):
    """natal's bound stars of one cluster given as (star, 3) arrays, as a list of indices."""
    batch = (np.asarray(c, float).T[:, None] for c in (position, velocity))
    found = jax.jit(bound_stars, static_argnames="softening_au")(
        *batch, np.asarray(mass, float)[None], softening_au=softening_au
    )
    return np.flatnonzero(found[0]).tolist()


def clump(n, centre, velocity, size_au=5.0, seed=0):
    """`n` stars at rest relative to each other, within `size_au` of `centre`, all moving at `velocity`."""
    position = np.asarray(centre) + np.random.default_rng(seed).uniform(-size_au, size_au, (n, 3))
    return position, np.tile(np.asarray(velocity, float), (n, 1))


def joined(*parts):
    """Several (position, velocity) as one."""
    return tuple(np.concatenate(c) for c in zip(*parts, strict=True))


def test_stars_at_rest_are_all_bound():
    """Without motion every energy is negative, however far apart the stars."""
    position, velocity = clump(10, [0, 0, 0], [0, 0, 0], size_au=5000.0)
    assert bound(position, velocity, np.ones(10)) == list(range(10))


def test_a_common_velocity_unbinds_nobody():
    """Energies count in the frame of the set's own centre of mass."""
    position, velocity = clump(10, [1e4, 0, 0], [300.0, -50.0, 10.0])
    assert bound(position, velocity, np.ones(10)) == list(range(10))


def test_an_exploding_cluster_is_wholly_unbound():
    """Beyond escape speed everywhere, nothing remains."""
    position, _ = clump(10, [0, 0, 0], [0, 0, 0], size_au=50.0)
    # |Phi| <= 9 G / eps, so sqrt(18 G / eps) is beyond escape for anyone; relative to the centre of mass too,
    # as velocities come in opposite pairs
    direction = position[:5] / np.linalg.norm(position[:5], axis=1, keepdims=True)
    speed = 1.001 * np.sqrt(18 * G / EPS_AU)
    assert bound(position, speed * np.concatenate([direction, -direction]), np.ones(10)) == []


@pytest.mark.parametrize(("factor", "stays"), [(0.99, True), (1.01, False)])
def test_escape_speed_separates_bound_from_unbound(factor, stays):
    """A light star at 40 AU from a heavy one is bound just below sqrt(2 G M) / (r^2 + eps^2)^(1/4)."""
    speed = factor * np.sqrt(2 * G * 100) / (40.0**2 + EPS_AU**2) ** 0.25
    position, velocity = [[0, 0, 0], [40.0, 0, 0]], [[0, 0, 0], [0, speed, 0]]
    # the heavy star's recoil, m / M = 1e-6 of the speed, is well below the 1 % of margin
    assert (1 in bound(position, velocity, [100.0, 1e-4])) == stays


def test_one_escaper_leaves_the_rest():
    """A single fast star goes and its pull on the centre of mass does not take others along."""
    position, velocity = joined(clump(20, [0, 0, 0], [0, 0, 0], 50.0), clump(1, [500.0, 0, 0], [40.0, 0, 0], 0.0))
    # the set's mean velocity is 40 / 21 = 1.9 AU/yr at first; potentials in the clump exceed 19 G / 175 > 1.9^2 / 2
    assert bound(position, velocity, np.ones(21)) == list(range(20))


def test_of_two_clumps_flying_apart_the_heavier_one_remains():
    """Relative to the whole the lighter clump is the faster: it goes in the first pass, the heavier one stays."""
    v = 24.0
    position, velocity = joined(clump(12, [-300.0, 0, 0], [-v / 4, 0, 0]), clump(4, [300.0, 0, 0], [3 * v / 4, 0, 0]))
    # kinetic energies relative to the whole are 18 and 162; |Phi| exceeds 11 G / 17.4 = 25 in the heavier clump and
    # stays below 3 G / eps + 12 G / 580 = 60 in the lighter
    assert bound(position, velocity, np.ones(16)) == list(range(12))


def test_of_two_equal_clumps_flying_apart_nothing_remains():
    """By this definition: both move fast relative to their common centre of mass, and both are dropped at once."""
    position, velocity = joined(clump(8, [-300.0, 0, 0], [-30.0, 0, 0]), clump(8, [300.0, 0, 0], [30.0, 0, 0]))
    # 30^2 / 2 = 450 against |Phi| < 7 G / eps + 8 G / 580 = 139
    assert bound(position, velocity, np.ones(16)) == []


def test_two_clumps_at_rest_are_one_cluster():
    """Separate clumps without relative motion belong together."""
    position, velocity = joined(clump(8, [-300.0, 0, 0], [0, 0, 0]), clump(8, [300.0, 0, 0], [0, 0, 0]))
    assert bound(position, velocity, np.ones(16)) == list(range(16))


def lent_binding():
    """A core of 10 stars, two heavy stars rushing apart far away, and light stars that only these two bind."""
    core = clump(10, [0, 0, 0], [0, 0, 0])
    heavy = np.array([[2000.0, 0, 0], [-2000.0, 0, 0]]), np.array([[200.0, 0, 0], [-200.0, 0, 0]])
    light = heavy[0] + np.array([0, 10.0, 0]), np.array([[0, 5.0, 0], [0, -5.0, 0]])
    mass = np.concatenate([np.ones(10), np.full(2, 10.0), np.full(2, 0.01)])
    return *joined(core, heavy, light), mass


def test_removal_is_repeated():
    """Stars bound only thanks to stars which are unbound themselves go in a second pass."""
    position, velocity, mass = lent_binding()
    # near a 10 Msun star at 10 AU |Phi| = 10 G / 10.2 = 38.7 > 5^2 / 2; of the core alone 10 G / 2000 = 0.2
    first = reference.bound_set(position, velocity, mass, EPS_AU, max_passes=1)
    assert first == [*range(10), 12, 13]
    assert bound(position, velocity, mass) == list(range(10))


def test_nobody_is_taken_back():
    """A star which the first pass drops stays out, though the core that remains would bind it."""
    core, rest = clump(10, [0, 0, 0], [0, 0, 0], 2.0), [0, 0, 0]
    # a heavy star drags the mean velocity along in the first pass: relative to it the slow star is too fast
    fast = clump(1, [3000.0, 0, 0], [0, 48.0, 0], 0.0)
    slow = clump(1, [0, 60.0, 0], rest, 0.0)
    position, velocity = joined(core, fast, slow)
    mass = np.array([1.0] * 10 + [2.0, 1e-3])
    # mean velocity 2 * 48 / 12 = 8: kinetic energy 32 against |Phi| = 10 G / 60 = 6.6; core stars have > 9 G / 7.3
    assert bound(position, velocity, mass) == list(range(10))
    without_fast = np.arange(12) != 10
    assert bound(position[without_fast], velocity[without_fast], mass[without_fast]) == list(range(11))


def test_f_bound_is_weighted_by_mass():
    """Of 10 + 20 + 0.02 Msun only the core of 10 is bound."""
    position, velocity, mass = lent_binding()
    found = summarise(*(jnp.asarray(c.T)[:, None] for c in (position, velocity)), jnp.asarray(mass)[None], EPS_AU)
    assert float(found["f_bound"][0]) == pytest.approx(10 / 30.02, rel=20 * 2.0**-53)
    assert int(found["n_bound"][0]) == 10


@pytest.mark.parametrize("imf", ["equal", "kroupa"])
def test_bound_sets_of_whole_clusters_equal_the_loops(imf):
    """From calm to exploding births, natal keeps the very stars that plain loops keep."""
    q0 = np.repeat([0.5, 0.9, 1.05, 1.3], 3)
    keys = jax.random.split(jax.random.key(41), len(q0))
    birth = jax.jit(initial_conditions, static_argnames=("n_stars", "imf"))
    x, v, m = birth(keys, q0, np.full(len(q0), 90.0), n_stars=40, imf=imf)
    found = np.asarray(jax.jit(bound_stars, static_argnames="softening_au")(x, v, m, softening_au=EPS_AU))
    sizes = set()
    for b in range(len(q0)):
        expected = reference.bound_set(*(np.asarray(c) for c in (x[:, b].T, v[:, b].T, m[b])), EPS_AU)
        assert np.flatnonzero(found[b]).tolist() == expected
        sizes.add(len(expected))
    assert len(sizes) > 4  # from wholly bound to dissolved
