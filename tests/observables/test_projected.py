"""Observables of stars whose place and motion are known."""

import numpy as np
import pytest

from natal.observables.projected import N_MASSIVE, observe, spanning_length
from natal.units import KMS_PER_AU_YR

WIDE = 1e6
"""An aperture that holds everything."""


def stars(n, rng, size=1.0, speed=1.0):
    return size * rng.standard_normal((1, n, 3)), speed * rng.standard_normal((1, n, 3))


def test_dispersions_are_those_of_each_direction():
    """Speeds of 1, 2 and 3 AU/yr along x, y and z: along z one sees 3, in the sky the root mean square of 1 and 2."""
    rng = np.random.default_rng(1)
    position, velocity = stars(4000, rng)
    velocity *= np.array([1.0, 2.0, 3.0])
    mass = np.ones((1, 4000))
    seen = observe(position, velocity, mass, WIDE, "z")
    assert seen["sigma_los_kms"][0] == pytest.approx(KMS_PER_AU_YR * velocity[0, :, 2].std(ddof=1), rel=1e-12)
    both = (velocity[0, :, 0].var(ddof=1) + velocity[0, :, 1].var(ddof=1)) / 2
    assert seen["sigma_pm_kms"][0] == pytest.approx(KMS_PER_AU_YR * np.sqrt(both), rel=1e-12)
    along_x = observe(position, velocity, mass, WIDE, "x")
    assert along_x["sigma_los_kms"][0] == pytest.approx(KMS_PER_AU_YR * velocity[0, :, 0].std(ddof=1), rel=1e-12)


def test_expansion_is_found_whatever_moves_and_turns():
    """Hubble's flow of 0.1 per yr, with a motion of the whole and a rotation in the sky, which are no expansion."""
    rng = np.random.default_rng(2)
    position, _ = stars(500, rng, 50.0)
    apart = position - position.mean(1, keepdims=True)
    turning = 0.3 * np.stack([-apart[..., 1], apart[..., 0], 0 * apart[..., 2]], -1)
    velocity = 0.1 * apart + turning + np.array([5.0, -3.0, 2.0])
    seen = observe(position + 1000.0, velocity, np.ones((1, 500)), WIDE, "z")
    expected = 0.1 * KMS_PER_AU_YR * np.hypot(apart[0, :, 0], apart[0, :, 1]).mean()
    assert seen["v_out_kms"][0] == pytest.approx(expected, rel=1e-9)
    assert observe(position, -velocity, np.ones((1, 500)), WIDE, "z")["v_out_kms"][0] == pytest.approx(-expected)


def test_half_radius_holds_half_of_the_stars():
    """Of five stars on a line at 0, 1, 2, 3, 14, whose mean is 4: distances 1, 2, 3, 4, 10, and the third is half."""
    position = np.zeros((1, 5, 3))
    position[0, :, 0] = 0, 1, 2, 3, 14
    seen = observe(position, np.zeros((1, 5, 3)), np.ones((1, 5)), WIDE, "z")
    assert seen["r_hp_au"][0] == 3


def test_plummer_in_its_aperture():
    """R^2 / (1 + R^2) is the share within R of a Plummer sphere of a = 1: with k = 4 half of its aperture is at 0.935.

    From x / (1 + x) = 8 x / (1 + 16 x) with x = R^2: x = 7 / 8. 100 clusters of 1000 stars: the median's error is
    0.5 / (density 0.56 root(900)) a cluster, 0.003 of their mean.
    """
    rng = np.random.default_rng(3)
    radius = 1 / np.sqrt(rng.random((100, 1000)) ** (-2 / 3) - 1)
    direction = rng.standard_normal((100, 1000, 3))
    position = radius[..., None] * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    seen = observe(position, np.zeros_like(position), np.ones((100, 1000)), 4.0, "y")
    assert seen["r_hp_au"].mean() == pytest.approx(np.sqrt(7 / 8), abs=0.012)


@pytest.mark.parametrize(("distance", "inside"), [(3.95, True), (4.05, False)])
def test_the_aperture_ends_where_it_should(distance, inside):
    """20 stars on a unit circle, two more on either side just within or beyond four times its radius."""
    angle = 2 * np.pi * np.arange(20) / 20
    circle = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    position = np.vstack([circle, [[distance, 0, 0], [-distance, 0, 0]]])[None]
    velocity = np.zeros_like(position)
    velocity[0, 20:, 2] = 1.0, -1.0
    seen = observe(position, velocity, np.ones((1, 22)), 4.0, "z")
    assert (seen["sigma_los_kms"][0] > 0) == inside


def test_stars_outside_of_the_aperture_are_nobodys():
    """A star far off with any velocity changes nothing; nor does the order of stars."""
    rng = np.random.default_rng(4)
    position, velocity = stars(60, rng)
    mass = np.ones((1, 60))
    before = observe(position, velocity, mass, 6.0, "z")
    far = np.concatenate([position, [[[500.0, 0, 0]]]], 1), np.concatenate([velocity, [[[0, 0, 1e3]]]], 1)
    after = observe(*far, np.ones((1, 61)), 6.0, "z")
    for name in ("sigma_los_kms", "sigma_pm_kms", "r_hp_au", "v_out_kms"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-12)


def test_too_few_stars_have_no_observables():
    """Four stars."""
    rng = np.random.default_rng(5)
    seen = observe(*stars(4, rng), np.ones((1, 4)), WIDE, "z")
    assert all(np.isnan(values).all() for values in seen.values())


def test_spanning_length_by_hand():
    """A unit square with a star in its middle: four halves of its diagonals."""
    x, y = np.array([[0.0, 1, 0, 1, 0.5]]), np.array([[0.0, 0, 1, 1, 0.5]])
    assert spanning_length(x, y)[0] == pytest.approx(4 * np.sqrt(0.5))


def test_spanning_length_is_scipys():
    """20 stars."""
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import pdist, squareform

    rng = np.random.default_rng(6)
    x, y = rng.random((2, 3, 20))
    trees = [minimum_spanning_tree(squareform(pdist(np.column_stack(p)))).sum() for p in zip(x, y, strict=True)]
    np.testing.assert_allclose(spanning_length(x, y), trees)


def test_mass_segregation():
    """Massive stars in the middle, a tenth as far out: about ten; stars of one mass have none."""
    rng = np.random.default_rng(7)
    position, velocity = stars(200, rng)
    position[0, :N_MASSIVE] *= 0.1
    mass = np.ones((1, 200))
    assert np.isnan(observe(position, velocity, mass, WIDE, "z")["lambda_msr"][0])
    mass[0, :N_MASSIVE] = 5.0
    assert 7 < observe(position, velocity, mass, WIDE, "z")["lambda_msr"][0] < 13
    # massive stars drawn at random: 1, to the scatter of one tree of ten stars, 0.15
    mass[0] = 1.0
    mass[0, 50:60] = 5.0
    assert observe(position, velocity, mass, WIDE, "z")["lambda_msr"][0] == pytest.approx(1.0, abs=0.45)


def test_clusters_do_not_see_each_other():
    """Observed together or alone: the same numbers, mass segregation's random sets included."""
    rng = np.random.default_rng(8)
    position, velocity, mass = rng.standard_normal((3, 80, 3)), rng.standard_normal((3, 80, 3)), rng.random((3, 80))
    together = observe(position, velocity, mass, 4.0, "x")
    alone = observe(position[1:2], velocity[1:2], mass[1:2], 4.0, "x")
    for name, values in together.items():
        np.testing.assert_allclose(values[1], alone[name][0], rtol=1e-12)
