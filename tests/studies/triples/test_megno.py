"""MEGNO: its two limits, and that of REBOUND."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import rebound

from natal.studies.triples import megno, systems
from natal.studies.triples.follow import follow
from natal.studies.triples.transformed_leapfrog import Clocked
from natal.units import G_AU3_PER_MSUN_YR2

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(("length", "expected"), [("power", 2.0), ("exponential", 15.0)])
def test_its_limits_are_those_of_the_paper(length, expected):
    """A length that grows like t has <Y> = 2, one that grows like exp(0.3 t) has 0.3 t / 2, here at t = 100."""
    rng = np.random.default_rng(0)
    place, motion, mass = jnp.asarray(rng.normal(size=(3, 1, 3))), jnp.zeros((3, 1, 3)), jnp.ones((1, 3))
    times, one = np.linspace(0, 100, 2001), jnp.ones(1)
    # the neighbour's clock is right, and it moves as fast
    unit = Clocked(place / jnp.sqrt((place**2).sum()), motion, 0 * one, 0 * one)
    beside = megno.Neighbour(unit, 0 * one, 0 * one, 0 * one)
    sizes = np.maximum(times, 1e-2) if length == "power" else np.exp(0.3 * times)
    look = jax.jit(megno.look)
    for k in range(1, len(times)):
        longer = unit._replace(position_au=unit.position_au * (sizes[k] / sizes[k - 1]))
        now = Clocked(place, motion, one, jnp.asarray(times[k : k + 1]))
        beside = look(beside, longer, now, mass, jnp.asarray(times[k - 1 : k]))
    assert float(beside.mean[0]) == pytest.approx(expected, rel=0.02)


@pytest.mark.slow
def test_it_is_that_of_rebound():
    """Two regular triples near 2, two chaotic ones far above, as with REBOUND's IAS15 and variational equations."""
    standard = dict.fromkeys(
        [f"{name}_rad" for name in ("node", "pericentre", "mean_anomaly_inner", "mean_anomaly_outer")], 0.0
    )
    columns = {
        "period_ratio": [20.0, 12.0, 4.2, 4.5],
        "e_inner": [0.1, 0.3, 0.2, 0.3],
        "e_outer": [0.1, 0.2, 0.1, 0.1],
        "mass_ratio_inner": [1.0, 0.5, 0.8, 1.0],
        "mass_ratio_outer": [0.5, 0.5, 0.3, 0.2],
        "inclination_rad": [0.3, 0.2, 0.5, 1.2],
    }
    table = pd.DataFrame(columns).assign(**standard)
    found = follow(table, eta=0.05, n_orbits=60, unstable_change=0.1, slots=4)
    position, velocity = systems.place(table)
    theirs = []
    for k, mass in enumerate(systems.masses_msun(table)):
        sim = rebound.Simulation()
        sim.G = G_AU3_PER_MSUN_YR2
        for m, x, v in zip(mass, position[:, k].T, velocity[:, k].T, strict=True):
            sim.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
        sim.init_megno(seed=1)
        sim.integrate(found.t_orbits[k])
        theirs.append(sim.megno())
    print(found[["megno", "t_orbits", "t_change_orbits"]].assign(rebound=theirs).to_string())
    np.testing.assert_allclose(found.megno[:2], theirs[:2], atol=0.15)
    # chaotic motion itself has parted from REBOUND's by now
    assert found.megno[2:].min() > 4
    assert min(theirs[2:]) > 4
