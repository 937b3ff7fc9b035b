"""The check with synthetic populations: its draws."""

import jax
import numpy as np
import pytest
from joint_law import REACH, random_law
from scipy.stats import halfnorm

from natal.assessment.observables import Pool
from natal.assessment.population import check_populations, drawn_parameters, observed_population
from natal.errors import NatalError
from natal.settings.population import Population
from natal.simulation.lines_of_sight import LinesOfSight


@pytest.fixture(scope="module")
def seen():
    """Thirty clusters at two times, all alive."""
    rng = np.random.default_rng(0)
    n = 30
    birth = np.column_stack([rng.uniform(0.5, 1.5, n), rng.uniform(*REACH.a_au, n)])
    values = rng.uniform(0.5, 1.0, (n, 2, 3)), np.zeros((n, 2), bool), np.ones((n, 2, 3, 4))
    return LinesOfSight(np.arange(n), np.zeros(n), birth, np.full(n, 100.0), np.array([250.0, 500.0]), *values)


def test_parameters_fill_the_hyperprior_evenly():
    """Each fortieth of each parameter's prior has one value. Independent draws would look biased by chance."""
    settings = Population(prior={"q0_scale": 0.3, "ln_a_scale": 0.7})
    found = drawn_parameters(np.random.default_rng(1), random_law(), settings, 40)
    low, high = np.log(REACH.a_au)
    levels = {
        "q0_location": found.q0_location - 0.5,
        "q0_scale": halfnorm(scale=0.3).cdf(found.q0_scale),
        "ln_a_location": (found.ln_a_location - low) / (high - low),
        "ln_a_scale": halfnorm(scale=0.7).cdf(found.ln_a_scale),
    }
    for name, level in levels.items():
        assert sorted(np.floor(40 * level).astype(int)) == list(range(40)), name
    assert np.abs(np.corrcoef(found.T)[0, 1:]).max() < 0.5


def test_no_cluster_is_in_a_population_twice(seen):
    """Births that are all the same get 25 different simulated clusters; more than there are is one clear line."""
    pool = Pool(random_law(), seen)
    _, truth = observed_population(np.random.default_rng(2), pool, lambda _: (0.9, 100.0), "summaries", 25, "c")
    assert len(np.unique(truth[:, 0])) == 25
    nearest = pool.nearest(0.9, 3.0)
    assert pool.cluster(pool.nearest(0.9, 3.0, [pool.cluster(nearest)])) != pool.cluster(nearest)
    asked = Population(check={"clusters": 31})
    with pytest.raises(NatalError, match=r"population\.check\.clusters = 31: at most 30, the number of calibration"):
        check_populations(jax.random.key(0), 0, pool.law, seen, asked)
