"""How the triples move: forces, the time-transformed leapfrog, and systems whose fate is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import rebound
import reference
from jax import lax

from natal.nbody import leapfrog
from natal.nbody.gravity import accelerations
from natal.studies.triples import systems
from natal.studies.triples.follow import follow
from natal.studies.triples.settings import Prior
from natal.studies.triples.transformed_leapfrog import start, step
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


def born(table, eta):
    """What a step needs: clocked stars, masses (Msun), b (AU) and h (AU yr), 2 pi / eta steps an inner orbit."""
    position, velocity = map(jnp.asarray, systems.place(table))
    a = jnp.asarray(systems.inner_axis_au(table))
    h = eta / (2 * np.pi * jnp.asarray(table.period_ratio.to_numpy()) * a)
    return start(position, velocity, a), jnp.asarray(systems.masses_msun(table)), a, h


@partial(jax.jit, static_argnames=("n_steps",))
def move(clock, mass, b, h, n_steps):
    """`n_steps` steps."""
    return lax.fori_loop(0, n_steps, lambda _, c: step(c, mass, b, h), clock)


def inner_orbit(position, velocity, mass):
    """Eccentricity vector v x h / (G m12) - r / |r| of the inner orbit, and its semi-major axis in AU."""
    r, v = (np.asarray(values[:, 0, 1] - values[:, 0, 0]) for values in (position, velocity))
    gm = G_AU3_PER_MSUN_YR2 * float(mass[0, 0] + mass[0, 1])
    return np.cross(v, np.cross(r, v)) / gm - r / np.linalg.norm(r), 1 / (2 / np.linalg.norm(r) - v @ v / gm)


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
    prior = Prior()
    table = systems.draw(20, prior, rng)
    position, velocity = systems.place(table)
    for k, (row, mass) in enumerate(zip(table.itertuples(), systems.masses_msun(table), strict=True)):
        sim = rebound.Simulation()
        sim.G = G_AU3_PER_MSUN_YR2
        for m, x, v in zip(mass, position[:, k].T, velocity[:, k].T, strict=True):
            sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
        inner, outer = sim.orbits()
        assert outer.a == pytest.approx(1, rel=1e-12)
        assert outer.P / inner.P / row.period_ratio == pytest.approx(1, rel=1e-10)
        assert (inner.e, outer.e) == pytest.approx((row.e_inner, row.e_outer), abs=1e-10)
        small, large = (np.array([h.x, h.y, h.z]) for h in (inner.hvec, outer.hvec))
        mutual = small @ large / np.linalg.norm(small) / np.linalg.norm(large)
        assert mutual == pytest.approx(np.cos(row.inclination_rad), abs=1e-10)
        assert sim.com().x == pytest.approx(0, abs=1e-14)


def test_keplers_equation_is_solved_to_rounding():
    """E - e sin E = M for the hardest cases, too."""
    mean, e = (values.ravel() for values in np.meshgrid(np.linspace(-7, 7, 1001), [0, 0.5, 0.95, 0.999]))
    found = systems.kepler(mean, e)
    np.testing.assert_allclose(found - e * np.sin(found), mean, atol=8 * 7 * 2.0**-53)


@pytest.mark.parametrize("e_inner", [0.01, 0.5, 0.9, 0.999])
def test_a_lone_binary_keeps_its_ellipse(e_inner):
    """After 100 orbits of 63 steps axis, eccentricity and the direction of the pericentre are as at first.

    What is left is the share that the third star, which weighs next to nothing, has in Omega, 2 (a_in / a_out)^2 =
    9e-6: of it the apsidal error (eta / 2)^2 rad an orbit that a leapfrog in plain time makes. Axes are seen through
    rounding of the energy, a difference of terms (1 + e) / (1 - e) times as large at pericentre.
    """
    eta, n = 0.1, 100
    table = triple(e_inner=e_inner, period_ratio=1e4, mass_ratio_outer=1e-9)
    clock, mass, b, h = born(table, eta)
    e_before, a_before = inner_orbit(*clock[:2], mass)
    clock = move(clock, mass, b, h, round(n * 2 * np.pi / eta))
    e_after, a_after = inner_orbit(*clock[:2], mass)
    assert float(clock.t_yr[0]) * 1e4 == pytest.approx(n, rel=2e-3)
    assert a_after / a_before == pytest.approx(1, abs=1e-8 / (1 - e_inner))
    assert np.linalg.norm(e_after) == pytest.approx(e_inner, abs=1e-7)
    turned = np.linalg.norm(np.cross(e_after, e_before)) / e_inner**2
    assert turned < 9e-6 * (eta / 2) ** 2 * n * 10


def test_steps_can_be_taken_back():
    """Negative steps bring a triple back to its birth, to rounding."""
    table = triple(e_inner=0.6, e_outer=0.4, inclination_rad=1.0, period_ratio=15.0)
    first, mass, b, h = born(table, 0.05)
    n = 3000
    there = move(first, mass, b, h, n)
    back = move(there, mass, b, -h, n)
    assert np.abs(there.position_au - first.position_au).max() > 0.1
    # a rounding changes the phase, which grows with time: n^2 of them at most
    np.testing.assert_allclose(back.position_au, first.position_au, atol=n**2 * 2.0**-53)
    assert float(back.t_yr[0]) == pytest.approx(0, abs=n**2 * 2.0**-53)


@pytest.mark.slow
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
    prior = Prior(period_ratio=(3, 10))
    table = systems.draw(9, prior, np.random.default_rng(5))
    few, all_at_once = (follow(table, eta=0.05, n_orbits=2, unstable_change=0.1, slots=slots) for slots in (4, 9))
    np.testing.assert_array_equal(few.t_change_orbits.notna(), all_at_once.t_change_orbits.notna())
    assert 0 < few.t_change_orbits.notna().sum() < 9
    # roundings may differ, and chaos has had two orbits to amplify them
    np.testing.assert_allclose(few.max_change, all_at_once.max_change, rtol=1e-3)
    assert few.t_orbits[few.max_change < 1].between(2, 2.1).all()


def kozai_lidov(degrees, ratio=60.0):
    """A nearly circular inner orbit of a massless star, inclined to a distant circular orbit of an equal mass."""
    return triple(
        period_ratio=ratio,
        e_inner=0.05,
        inclination_rad=np.radians(degrees),
        mass_ratio_inner=1e-9,
        mass_ratio_outer=1.0,
        pericentre_rad=np.pi / 4,
    )


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [50.0, 80.0])
def test_kozai_lidov_cycles_reach_the_expected_eccentricity(degrees):
    """The eccentricity rises from near 0 to e_max = sqrt(1 - 5/3 cos^2 i) and falls again (Kozai 1962, Lidov 1962).

    That is the limit of orbits averaged twice, to quadrupole order, for e = 0 at first. Within an outer orbit the
    squared angular momentum j^2 = 1 - e^2 swings by some 15/8 (P_in / P_out) (m3 / M) (Ivanov, Polnarev & Saha 2005;
    Luo, Katz & Dong 2016), and a first e_0 adds e_0^2; delta e = delta(j^2) / (2 e).
    """
    clock, mass, b, h = born(kozai_lidov(degrees), 0.1)
    seen = []
    while clock.t_yr[0] < 150:
        clock = move(clock, mass, b, h, 1000)
        seen.append(np.linalg.norm(inner_orbit(*clock[:2], mass)[0]))
    expected = np.sqrt(1 - 5 / 3 * np.cos(np.radians(degrees)) ** 2)
    print(f"{degrees} deg: {max(seen):.4f}, expected {expected:.4f}")
    assert max(seen) == pytest.approx(expected, abs=(15 / 8 / 60 * 0.5 + 0.05**2) / (2 * expected))
    assert min(seen) < 0.1


@pytest.mark.slow
def test_plain_leapfrog_stops_kozai_lidov_cycles():
    """Why time is transformed: with as many equal steps an orbit the eccentricity never rises.

    The step's apsidal error, some (2 pi / 126)^2 rad an orbit, exceeds what the distant star does in that time,
    2 pi 3/4 (m3 / M) (P_in / P_out)^2 = 7e-4 rad.
    """
    table = kozai_lidov(65.0)
    position, velocity = map(jnp.asarray, systems.place(table))
    mass = jnp.asarray(systems.masses_msun(table))
    go = jax.jit(lambda state: leapfrog.take_steps(state, mass, 1000, 1 / 60 / 126, 0.0))
    state, seen = leapfrog.start(position, velocity, mass, 0.0), []
    for _ in range(round(150 * 60 * 126 / 1000)):
        state = go(state)
        seen.append(np.linalg.norm(inner_orbit(*state[:2], mass)[0]))
    print(f"plain leapfrog: {max(seen):.4f}, expected 0.838")
    assert max(seen) < 0.3


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
def test_motion_converges_to_that_of_rebound(given):
    """The distance from IAS15 shrinks fourfold when eta is halved, over a few outer orbits, in chaos, too."""
    table = triple(**given)
    distances = []
    for eta, n in ((0.02, 4000), (0.01, 8000), (0.005, 16000)):
        clock, mass, b, h = born(table, eta)
        clock = move(clock, mass, b, h, n)
        ours = np.asarray(clock.position_au[:, 0, 1] - clock.position_au[:, 0, 0])
        distances.append(np.linalg.norm(ours - rebound_inner(table, [float(clock.t_yr[0])])[0]))
    print(distances, float(clock.t_yr[0]))
    assert distances[0] / distances[1] == pytest.approx(4, rel=0.3)
    assert distances[1] / distances[2] == pytest.approx(4, rel=0.1)
