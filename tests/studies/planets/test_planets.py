"""Three planets: births, the map that moves them, and which of them last, against REBOUND."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import rebound
import yaml
from jax import lax
from project import ROOT
from snakemake.utils import update_config

from natal.errors import NatalError
from natal.settings.reading import check
from natal.studies.planets import evaluation, figures, systems
from natal.studies.planets.follow import follow
from natal.studies.planets.settings import PlanetPrior, Planets
from natal.studies.planets.wisdom_holman import axes_au, drift, kick, start
from natal.units import G_AU3_PER_MSUN_YR2

pytestmark = pytest.mark.usefixtures("float64")
PRIOR = PlanetPrior()


def drawn(n, seed=0, **ranges):
    """`n` systems of the default prior, or of narrower ranges."""
    return systems.draw(n, PlanetPrior(**ranges), np.random.default_rng(seed))


def as_rebound(table, k):
    """System `k` in REBOUND."""
    position, velocity = systems.place(table)
    sim = rebound.Simulation()
    sim.G = G_AU3_PER_MSUN_YR2
    sim.add(m=1.0)
    for m, x, v in zip(systems.masses_msun(table)[k], position[:, k].T, velocity[:, k].T, strict=True):
        sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    return sim


def test_configurations_are_valid_and_mistakes_named():
    """The default one, the smoke one laid over it; a range that is reversed; a prior of crossing orbits."""
    files = [ROOT / "config" / "studies" / f"planets{end}.yaml" for end in ("", "_smoke")]
    config, smoke = (yaml.safe_load(file.read_text()) for file in files)
    for changes in ({}, smoke):
        update_config(config, changes)
        check(Planets, config)
    config["prior"]["mass"] = [1e-3, 1e-5]
    with pytest.raises(NatalError, match=r"prior\.mass = \[0\.001, 1e-05\] is not allowed"):
        check(Planets, config)
    with pytest.raises(NatalError, match="that do not cross"):
        drawn(5, period_ratio=(1.01, 1.02), eccentricity=(0.4, 0.5))


def test_births_have_the_elements_they_were_drawn_with():
    """Period ratios, eccentricities, mutual inclinations and spacing, by REBOUND from positions and velocities."""
    table = drawn(10, inclination_deg=(5, 40))
    hill = systems.hill_radii_au(table)
    for k in range(len(table)):
        row, sim = table.iloc[k], as_rebound(table, k)
        orbits = sim.orbits(primary=sim.particles[0])
        period = [orbit.P for orbit in orbits]
        np.testing.assert_allclose(np.diff(np.log(period)), row[["ln_period_ratio_12", "ln_period_ratio_23"]])
        np.testing.assert_allclose([orbit.e for orbit in orbits], row[["e1", "e2", "e3"]].astype(float))
        poles = np.array([[h.x, h.y, h.z] / np.linalg.norm([h.x, h.y, h.z]) for h in (o.hvec for o in orbits)])
        between = np.arccos((poles[1:] * poles[:-1]).sum(1))
        np.testing.assert_allclose(between, row[["inclination_12_rad", "inclination_23_rad"]].astype(float))
        gaps = [(b.a * (1 - b.e) - a.a * (1 + a.e)) / h for a, b, h in zip(orbits, orbits[1:], hill[k], strict=False)]
        assert systems.tightest_spacing(table)[k] == pytest.approx(min(gaps))


@partial(jax.jit, static_argnames=("n_steps",))
def move(now, mass, dt_yr, n_steps):
    """Kick-drift-kick steps."""
    now = kick(now, mass, 0.5 * dt_yr)
    now = lax.fori_loop(0, n_steps, lambda _, s: kick(drift(s, mass, dt_yr), mass, dt_yr), now)
    return kick(now, mass, -0.5 * dt_yr)


def test_a_lone_planet_keeps_its_ellipse_and_others_follow_rebound():
    """Without masses all return after a period; with them the distance from IAS15 falls as the step squared."""
    table = drawn(2, 3, eccentricity=(0.05, 0.15), period_ratio=(1.5, 2.0))
    position, velocity = map(jnp.asarray, systems.place(table.assign(ln_m1=-60.0, ln_m2=-60.0, ln_m3=-60.0)))
    nothing = jnp.zeros((2, 3))
    after = move(start(position, velocity, nothing), nothing, 1 / 20, 20)
    np.testing.assert_allclose(after.position_au[:, :, 0], position[:, :, 0], atol=1e-12)
    np.testing.assert_allclose(
        axes_au(after, nothing), systems.axes_au(table.assign(ln_m1=-60.0, ln_m2=-60.0, ln_m3=-60.0))
    )
    position, velocity = map(jnp.asarray, systems.place(table))
    mass, sim = jnp.asarray(systems.masses_msun(table)), as_rebound(table, 0)
    sim.integrate(20.0)
    star = np.array(sim.particles[0].xyz)
    true = np.array([np.array(planet.xyz) - star for planet in sim.particles[1:]]).T
    gaps = []
    for n in (20, 40, 80):
        found = move(start(position, velocity, mass), mass, 1 / n, 20 * n)
        gaps.append(np.abs(np.asarray(found.position_au[:, 0]) - true).max())
    print(gaps)
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.4)
    assert gaps[1] / gaps[2] == pytest.approx(4, rel=0.2)


def lasts_in_rebound(table, k, n_orbits):
    """Whether IAS15 sees no neighbours within a mutual Hill radius and no axis changed by a tenth, at 20 looks a yr."""
    sim, hill = as_rebound(table, k), systems.hill_radii_au(table)[k]
    first = np.array([orbit.a for orbit in sim.orbits(primary=sim.particles[0])])
    for t in np.arange(1, 20 * n_orbits) / 20:
        sim.integrate(t)
        at = np.array([planet.xyz for planet in sim.particles])[1:]
        axes = np.array([orbit.a for orbit in sim.orbits(primary=sim.particles[0])])
        if np.any(np.linalg.norm(np.diff(at, axis=0), axis=1) < hill) or np.abs(axes / first - 1).max() > 0.1:
            return False
    return True


def test_early_ends_are_those_of_rebound():
    """Of eight systems, four of which come apart within ten orbits, all last or do not last in both."""
    table = pd.concat(
        [
            drawn(4, 1, mass=(3e-4, 1e-3), period_ratio=(1.15, 1.25), eccentricity=(0, 0.02)),
            drawn(4, 1, mass=(1e-5, 1e-4), period_ratio=(1.8, 2.2), eccentricity=(0, 0.02)),
        ],
        ignore_index=True,
    )
    found = follow(table, n_orbits=30, steps_per_orbit=20)
    ends = found.t_end_orbits.to_numpy()
    assert np.all(ends[:4] < 30)
    assert np.all(np.isnan(ends[4:]))
    assert [lasts_in_rebound(table, k, 30) for k in range(8)] == np.isnan(ends).tolist()
    # what has ended is set aside, what is left goes on
    alone = follow(table.iloc[4:].reset_index(drop=True), n_orbits=30, steps_per_orbit=20)
    np.testing.assert_allclose(alone.closest, found.closest[4:], rtol=0.05)


@pytest.mark.slow
def test_labels_are_those_of_rebound():
    """Of 40 systems of the prior, followed for 300 orbits, 36 at least have REBOUND's label; chaos moves a few."""
    table = drawn(40, 5)
    ours = follow(table, n_orbits=300, steps_per_orbit=20).t_end_orbits.isna().to_numpy()
    theirs = np.array([lasts_in_rebound(table, k, 300) for k in range(40)])
    print(f"{(ours == theirs).sum()} of 40 alike; {ours.sum()} and {theirs.sum()} last")
    assert (ours == theirs).sum() >= 36
    assert 4 < theirs.sum() < 36


def test_the_figures_show_the_systems():
    """Every end in its place, the spacing's cross where its shares are."""
    table = drawn(200)
    close = systems.tightest_spacing(table) < 5
    table = table.assign(unstable=close, t_end_orbits=np.where(close, 10.0, np.nan))
    _, ends = figures.spacing(table).axes
    assert len(ends.collections[0].get_offsets()) == close.sum()
    spacing = systems.tightest_spacing(table)
    predictions = pd.DataFrame(
        {
            "outcome": close,
            "criterion_ratio": spacing / evaluation.NO_ENCOUNTER,
            "network": 1 / (1 + spacing),
            "criterion": 0.5,
        }
    )
    depths = pd.DataFrame({"hidden_layers": [0, 1], "brier_test": 0.1, "brier_test_se": 0.01, "brier_validation": 0.1})
    curve, _ = figures.scores(predictions, depths).axes
    # all that are below 2 sqrt 3 come apart here
    assert curve.lines[-1].get_xdata()[0] == 0
