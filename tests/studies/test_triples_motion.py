"""How the triples move: forces, the reversible variable step, and systems whose fate is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import rebound
import reference
from jax import lax

from natal.gravity import accelerations, kinetic_energy, potential_energy
from natal.studies.triples import systems
from natal.studies.triples.follow import elements, follow
from natal.studies.triples.variable_step import pair_rate, start, step
from natal.units import G_AU3_PER_MSUN_YR2

pytestmark = pytest.mark.usefixtures("float64")

COLUMNS = (
    "period_ratio",
    "e_inner",
    "e_outer",
    "mass_ratio_inner",
    "mass_ratio_outer",
    "inclination_rad",
    "node_rad",
    "pericentre_rad",
    "mean_anomaly_inner_rad",
    "mean_anomaly_outer_rad",
)


def triple(**given):
    """A table of one triple: circular, coplanar, of equal masses, at pericentre, but for what is given."""
    standard = dict.fromkeys(COLUMNS, 0.0) | {"period_ratio": 20.0, "mass_ratio_inner": 1.0, "mass_ratio_outer": 0.5}
    return pd.DataFrame([standard | given])


def born(table):
    """Positions, velocities and masses on the device."""
    return (*map(jnp.asarray, systems.place(table)), jnp.asarray(systems.masses_msun(table)))


@partial(jax.jit, static_argnames=("n_steps",))
def move(clock, mass, eta, n_steps):
    """`n_steps` variable steps."""
    return lax.fori_loop(0, n_steps, lambda _, c: step(c, mass, eta, jnp.ones(len(mass))), clock)


rate = jax.jit(pair_rate)


@jax.jit
def energy(clock, mass):
    """Total energy of every system."""
    return kinetic_energy(clock.stars.velocity_au_yr, mass) + potential_energy(clock.stars.position_au, mass, 0.0)


@pytest.mark.parametrize("n_stars", [2, 3, 4])
@pytest.mark.parametrize("softening_au", [0.0, 0.3])
def test_forces_of_few_stars_equal_the_double_loop(n_stars, softening_au):
    """The sum over pairs is right to rounding, without softening, too: no star pulls itself."""
    rng = np.random.default_rng(n_stars)
    position, mass = rng.normal(size=(n_stars, 3)), rng.uniform(0.1, 5, n_stars)
    found = np.asarray(accelerations(jnp.asarray(position.T[:, None]), jnp.asarray(mass[None]), softening_au))[:, 0].T
    difference = position[None] - position[:, None]
    r2 = (difference**2).sum(-1) + softening_au**2 + np.eye(n_stars)
    terms = G_AU3_PER_MSUN_YR2 * mass[None, :, None] * np.abs(difference) / r2[..., None] ** 1.5
    # about ten roundings a term and one a sum
    tolerance = (10 + n_stars) * 2.0**-53 * terms.sum(1)
    assert np.all(np.abs(found - reference.accelerations(position, mass, softening_au)) <= tolerance)


def test_births_have_the_elements_they_were_drawn_with():
    """Axes, period ratio, eccentricities and mutual inclination, recovered from positions and velocities by REBOUND."""
    rng = np.random.default_rng(3)
    prior = systems.Prior((3, 100), (0, 0.9), (0, 0.8), (0.1, 1), (0.1, 10), (-1, 1))
    table = systems.draw(20, prior, rng)
    position, velocity = systems.place(table)
    for k, (row, mass) in enumerate(zip(table.itertuples(), systems.masses_msun(table), strict=True)):
        sim = rebound.Simulation()
        sim.G = G_AU3_PER_MSUN_YR2
        for m, x, v in zip(mass, position[:, k].T, velocity[:, k].T, strict=True):
            sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
        inner, outer = sim.orbits()
        assert outer.a == pytest.approx(1, rel=1e-12)
        assert outer.P / inner.P == pytest.approx(row.period_ratio, rel=1e-10)
        assert (inner.e, outer.e) == pytest.approx((row.e_inner, row.e_outer), abs=1e-10)
        small, large = (np.array([h.x, h.y, h.z]) for h in (inner.hvec, outer.hvec))
        mutual = small @ large / np.linalg.norm(small) / np.linalg.norm(large)
        assert mutual == pytest.approx(np.cos(row.inclination_rad), abs=1e-10)
        assert sim.com().x == pytest.approx(0, abs=1e-14)


def test_keplers_equation_is_solved_to_rounding():
    """E - e sin E = M for the hardest cases, too; the solution errs by the roundings of M over its slope 1 - e cos E."""
    mean, e = (values.ravel() for values in np.meshgrid(np.linspace(-7, 7, 1001), [0, 0.5, 0.95, 0.999]))
    found = systems.kepler(mean, e)
    np.testing.assert_allclose(found - e * np.sin(found), mean, atol=8 * 7 * 2.0**-53)


@pytest.mark.parametrize("e_inner", [0.0, 0.5, 0.9, 0.99])
def test_the_step_follows_the_orbit_and_energy_comes_back(e_inner):
    """Of 200 eccentric inner orbits none costs energy for good: errors of an orbit cancel, as the step is reversible.

    A lone binary, as the third star is far away and weighs next to nothing. The step of a circular orbit is eta / 2 pi
    of its period. Within an orbit leapfrog errs by (eta / 2)^2 times a few in units of the kinetic energy at
    pericentre, (1 + e) / (1 - e) times the total.
    """
    eta, table = 0.05, triple(e_inner=e_inner, period_ratio=1e4, mass_ratio_outer=1e-9, mean_anomaly_inner_rad=np.pi)
    position, velocity, mass = born(table)
    clock = start(position, velocity, mass, eta)
    before = energy(clock, mass)[0]
    errors, ratios = [], []
    period_yr = 1e-4
    while clock.t_yr[0] < 200 * period_yr:
        clock = move(clock, mass, eta, 37)
        errors.append(float(abs(energy(clock, mass)[0] / before - 1)))
        ratios.append(float(clock.rate_per_yr[0] / rate(clock.stars, mass)[0][0]))
    at_pericentre = (eta / 2) ** 2 * (1 + e_inner) / (1 - e_inner) * 4
    assert max(errors) < max(at_pericentre, 1e-4)
    # the inverse step keeps to the rate it follows, half a step apart
    assert 1 - 2 * eta < min(ratios) <= max(ratios) < 1 + 2 * eta
    # in the outer halves of the orbits nothing has piled up
    axis = elements(clock.stars.position_au, clock.stars.velocity_au_yr, mass)
    late = np.sort(errors[-len(errors) // 4 :])[: len(errors) // 16]
    assert late.max() < 0.05 * max(at_pericentre, 1e-4) + 1e-5
    assert np.isfinite(axis.axis_au).all()


def test_steps_can_be_taken_back():
    """With velocities and the clock reversed a triple returns to its birth, to rounding."""
    table = triple(e_inner=0.6, e_outer=0.4, inclination_rad=1.0, period_ratio=15.0)
    position, velocity, mass = born(table)
    eta, n = 0.05, 3000
    first = start(position, velocity, mass, eta)
    there = move(first, mass, eta, n)
    # z half a step ahead is what comes half a step before on the way back
    growth = pair_rate(there.stars, mass)[1]
    turned = there._replace(
        stars=there.stars._replace(velocity_au_yr=-there.stars.velocity_au_yr),
        rate_per_yr=there.rate_per_yr + eta * growth,
    )
    back = move(turned, mass, eta, n)
    assert np.abs(there.stars.position_au - position).max() > 0.01
    # roundings grow with the phase, about linearly in time: n^2 of them at most
    np.testing.assert_allclose(back.stars.position_au, position, atol=n**2 * 2.0**-53)


def test_a_well_separated_triple_keeps_its_orbits():
    """Circular, coplanar, three times the critical distance: axes swing by the perturbation and no more.

    The tide of the third star is m3 / m12 (a_in / a_out)^3 = m3 / M (P_in / P_out)^2 of the inner force.
    """
    table = triple(period_ratio=40.0)
    found = follow(table, eta=0.05, n_orbits=100, unstable_change=0.1, slots=1).iloc[0]
    assert np.isnan(found.t_change_orbits)
    assert found.t_orbits == pytest.approx(100, abs=1e-3)
    assert found.max_change < 10 / 3 / 40**2
    assert found.energy_error < 1e-4


def test_a_tight_triple_falls_apart():
    """Half the critical distance of Mardling & Aarseth (2001): the orbits are gone within a few turns."""
    table = triple(period_ratio=4.0, e_outer=0.4, mean_anomaly_outer_rad=np.pi)
    found = follow(table, eta=0.05, n_orbits=100, unstable_change=0.1, slots=1).iloc[0]
    assert found.t_change_orbits < 20
    assert found.max_change > 0.1


def test_who_shares_a_batch_does_not_matter():
    """Each triple's fate is its own, however many slots there are and whoever comes after whom."""
    prior = systems.Prior((3, 10), (0, 0.9), (0, 0.8), (0.1, 1), (0.1, 10), (-1, 1))
    table = systems.draw(9, prior, np.random.default_rng(5))
    runs = [follow(table, eta=0.05, n_orbits=2, unstable_change=0.1, slots=slots) for slots in (4, 16)]
    assert (runs[0].n_steps == runs[1].n_steps).mean() > 0.5
    np.testing.assert_array_equal(runs[0].t_change_orbits.notna(), runs[1].t_change_orbits.notna())
    reversed_run = follow(table.iloc[::-1], eta=0.05, n_orbits=2, unstable_change=0.1, slots=4)
    np.testing.assert_allclose(reversed_run.max_change[::-1], runs[0].max_change, rtol=1e-6)


def inner_eccentricity(stars, mass):
    """|v x h / (G m12) - r / |r|| of the inner orbit."""
    r, v = (np.asarray(values[:, 0, 1] - values[:, 0, 0]) for values in stars[:2])
    gm = G_AU3_PER_MSUN_YR2 * float(mass[0, 0] + mass[0, 1])
    return float(np.linalg.norm(np.cross(v, np.cross(r, v)) / gm - r / np.linalg.norm(r)))


@pytest.mark.parametrize("degrees", [50.0, 65.0])
def test_kozai_lidov_cycles_reach_the_expected_eccentricity(degrees):
    """A nearly circular inner orbit of a massless star rises to e_max = sqrt(1 - 5/3 cos^2 i) (Kozai 1962, Lidov 1962).

    That is the limit of a distant perturber on a circular orbit, to quadrupole order. What the averages leave out is of
    order P_in / P_out times m3 / M in j = sqrt(1 - e^2) (Luo, Katz & Dong 2016, eq. 31, epsilon_SA), hence
    delta e = j / e delta j.
    """
    ratio, e0 = 60.0, 0.05
    table = triple(
        period_ratio=ratio,
        e_inner=e0,
        inclination_rad=np.radians(degrees),
        mass_ratio_inner=1e-9,
        mass_ratio_outer=1.0,
        pericentre_rad=np.pi / 4,
    )
    position, velocity, mass = born(table)
    eta = 0.05
    clock = start(position, velocity, mass, eta)
    seen = []
    while clock.t_yr[0] < 150:
        clock = move(clock, mass, eta, 3000)
        seen.append(inner_eccentricity(clock.stars, mass))
    cos2 = np.cos(np.radians(degrees)) ** 2
    expected = np.sqrt(1 - 5 / 3 * cos2)
    j = np.sqrt(5 / 3 * cos2)
    print(degrees, max(seen), expected)
    averaging = j / expected * 0.5 / ratio * 15 / 8
    # a first eccentricity e0 raises the maximum by about e0^2, too
    assert max(seen) == pytest.approx(expected, abs=3 * averaging + 2 * e0**2)
    assert min(seen) < 0.2


def rebound_inner(table, times_yr):
    """Inner separation vectors by REBOUND's IAS15."""
    position, velocity = systems.place(table)
    sim = rebound.Simulation()
    sim.G = G_AU3_PER_MSUN_YR2
    for m, x, v in zip(systems.masses_msun(table)[0], position[:, 0].T, velocity[:, 0].T, strict=True):
        sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    found = []
    for t in times_yr:
        sim.integrate(t)
        p = sim.particles
        found.append([p[1].x - p[0].x, p[1].y - p[0].y, p[1].z - p[0].z])
    return np.array(found)


@pytest.mark.parametrize(
    "given",
    [{"e_inner": 0.5, "e_outer": 0.3, "inclination_rad": 0.8}, {"e_inner": 0.2, "e_outer": 0.2, "period_ratio": 3.5}],
    ids=["regular", "chaotic"],
)
def test_motion_converges_to_reboundss(given):
    """The distance from IAS15 shrinks fourfold when eta is halved, over a few outer orbits, in chaos, too."""
    table = triple(**given)
    position, velocity, mass = born(table)
    distances = []
    for eta, n in ((0.02, 4000), (0.01, 8000), (0.005, 16000)):
        clock = move(start(position, velocity, mass, eta), mass, eta, n)
        ours = np.asarray(clock.stars.position_au[:, 0, 1] - clock.stars.position_au[:, 0, 0])
        distances.append(np.linalg.norm(ours - rebound_inner(table, [float(clock.t_yr[0])])[0]))
    print(distances, float(clock.t_yr[0]))
    assert distances[0] / distances[1] == pytest.approx(4, rel=0.3)
    assert distances[1] / distances[2] == pytest.approx(4, rel=0.1)
