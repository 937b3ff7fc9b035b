"""Field stars and errors."""

import numpy as np
import pytest

from natal.likelihood.joint import speed_kms
from natal.observables.declared import OBSERVABLES
from natal.observables.projected import observe
from natal.studies.departures.births import Stars
from natal.studies.departures.observing import field_stars, measured, observe_each

APERTURE = 4.0
NAMES = ["sigma_los_kms", "sigma_pm_kms", "r_hp_au", "v_out_kms"]


@pytest.fixture(scope="module")
def stars():
    """Five round clusters."""
    rng = np.random.default_rng(0)
    position, velocity = rng.standard_normal((2, 3, 5, 180))
    return Stars(50 * position, velocity, np.ones((5, 180)))


def test_field_stars_are_as_many_as_asked_for(stars):
    """A tenth of all in the aperture: 20 among 180, within its radius and uniform over it, three times as fast."""
    rng = np.random.default_rng(1)
    position, velocity = stars.position_au[:, 0].T, stars.velocity_au_yr[:, 0].T
    place, speed = field_stars(rng, position, velocity, APERTURE, "y", 0.1, 3.0)
    assert len(place) == 20
    place, speed = field_stars(rng, position, velocity, APERTURE, "y", 0.9, 3.0)
    assert len(place) == 1620
    radius = APERTURE * observe(position[None], velocity[None], np.ones((1, 180)), APERTURE, "y")["r_hp_au"][0]
    distance = np.hypot(*(place - position.mean(0))[:, [2, 0]].T)
    assert distance.max() <= radius
    assert np.mean(distance**2) == pytest.approx(radius**2 / 2, rel=0.05)
    np.testing.assert_allclose(speed.std(0) / velocity.std(0), 3.0, rtol=0.1)


def test_clusters_are_seen_along_lines_in_turn(stars):
    """As `observe` sees them; with field stars dispersions grow."""
    seen = observe_each(stars, APERTURE)
    assert seen.line.tolist() == ["x", "y", "z", "x", "y"]
    whole = (np.moveaxis(values, 0, -1) for values in stars[:2])
    along_y = observe(*whole, stars.mass_msun, APERTURE, "y")
    for name in OBSERVABLES:
        assert seen[name][1] == pytest.approx(along_y[name][1], nan_ok=True)
    mixed = observe_each(stars, APERTURE, (0.1, 3.0))
    assert (mixed.n_field == 20).all()
    assert (mixed.sigma_los_kms > 1.15 * seen.sigma_los_kms).all()


def test_errors_are_as_large_as_said(stars):
    """10 % of the true value, of outward motion 10 % of sqrt(G M / a)."""
    seen = observe_each(stars, APERTURE).assign(q0=1.0, a_au=np.linspace(50, 200, 5))
    table = measured(seen, NAMES, 100.0, 0.1, 3)
    np.testing.assert_allclose(table.r_hp_au_err_low, 0.1 * seen.r_hp_au)
    np.testing.assert_allclose(table.v_out_kms_err_high, 0.1 * speed_kms(100.0, seen.a_au.to_numpy()))
    off = [(table[name] - seen[name]) / table[f"{name}_err_low"] for name in NAMES]
    assert 0.6 < np.std(off) < 1.5
