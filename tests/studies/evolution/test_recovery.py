"""Births without an age: the grid against natal's own and against exact limits, NUTS against the grid, age priors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evolution_clusters import BOX, COUNTS, TIMES, campaign, true_law
from scipy.stats import chisquare, kstest

from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble, MixtureNetwork, make_perceptron
from natal.likelihood.mixture import Mixture
from natal.posterior import grid as natal_grid
from natal.settings.inference import NutsSettings
from natal.studies.evolution import grid, recovery, sampling
from natal.studies.evolution.age import AgePrior, draw_ages, read_age_prior
from natal.studies.evolution.tracks import snapshots

UNKNOWN = AgePrior((50.0, 400.0))
ROUGH = AgePrior((50.0, 400.0), 200.0, 60.0)
SHAPE = (24, 20, 16)


class TrueMember(MixtureNetwork):
    """The known law in the place of a trained network, whose weights it does not use."""

    def __call__(self, x) -> Mixture:
        return true_law(x)


@pytest.fixture(scope="module")
def truth():
    """An ensemble that is the true law."""

    def make(key):
        return TrueMember(make_perceptron(key, 3, 4, 1), jnp.zeros(3), jnp.ones(3), 1, COUNTS)

    return DensityEnsemble(eqx.filter_vmap(make)(jax.random.split(jax.random.key(0), 1)))


@pytest.fixture(scope="module")
def cases():
    """Clusters at ages from the uniform prior, alive."""
    table = snapshots(campaign(), "calibration")
    drawn = recovery.draw_cases(table, UNKNOWN, 150, np.random.default_rng(3))
    return drawn[~drawn.dissolved].reset_index(drop=True)


@pytest.fixture(scope="module")
def recovered(truth, cases):
    """Their posteriors, with and without the age."""
    return recovery.recover(truth, BOX[:2], UNKNOWN, cases, SHAPE)


def test_cases_are_whole_clusters_at_one_age(cases):
    assert not cases.duplicated(["point_id", "realization"]).any()
    assert set(cases.t_yr) == set(TIMES)


def unconstrained_covariance(q0_edges, a_edges, mass):
    """Of the logits of the cells' centres."""
    logits = []
    for edges in (np.asarray(q0_edges, float), np.asarray(a_edges, float)):
        centres = (edges[:-1] + edges[1:]) / 2
        logits.append(np.log((centres - edges[0]) / (edges[-1] - centres)))
    return np.cov(*(axis.ravel() for axis in np.meshgrid(*logits, indexing="ij")), aweights=np.ravel(mass), ddof=0)


@pytest.mark.slow
def test_a_known_age_gives_the_posterior_of_natals_grid(truth, cases, recovered):
    """The same cells, another implementation."""
    age = jnp.float32(cases.t_yr.iloc[0])
    q0, a_au = (grid.centres(e) for e in recovered.edges[:2])
    laws = jax.vmap(lambda q: jax.vmap(lambda a: truth(jnp.stack([q, a, age])))(a_au))(q0)
    found = natal_grid.summarise_cases(natal_grid.Grid(q0, a_au, laws), recovery.data(cases)[:1], None)
    assert recovered.known.mean[0, :2] == pytest.approx(np.asarray(found.mean[0]), rel=1e-3)
    assert recovered.known.sd[0, :2] == pytest.approx(np.asarray(found.sd[0]), rel=2e-3)
    assert recovered.known.quantiles[0, :2] == pytest.approx(np.asarray(found.quantiles[0]), rel=2e-3)
    mass = np.exp(natal_grid.log_posterior(natal_grid.Grid(q0, a_au, laws), recovery.data(cases)[0], None))
    # a cell, large ones here, has a variance of its own besides
    covariance = recovered.known.unconstrained_cov[0, :2, :2]
    assert covariance == pytest.approx(unconstrained_covariance(*recovered.edges[:2], mass), rel=0.3)


@pytest.mark.slow
def test_an_age_that_is_nearly_known_is_known(truth, cases):
    """A prior of one year about the true age gives the posterior of the known age."""
    age = float(cases.t_yr.iloc[0])
    one = cases.head(1)
    low = age if age < TIMES[-1] else age - 1
    near = recovery.recover(truth, BOX[:2], AgePrior((low, low + 1)), one, (24, 20, 4))
    for field in ("mean", "sd", "pit"):
        nearly, known = getattr(near.unknown, field)[0, :2], getattr(near.known, field)[0, :2]
        assert nearly == pytest.approx(known, rel=0.02), field
    assert near.unknown.log_density[0] == pytest.approx(near.known.log_density[0], abs=0.03)


@pytest.mark.slow
def test_posteriors_under_the_true_law_are_calibrated(cases, recovered):
    """Probabilities below the truth are uniform, with and without the age; the age's own only up to stored times."""
    for found in (recovered.unknown, recovered.known):
        for values in (found.pit[:, 0], found.pit[:, 1], found.hpd_level):
            assert kstest(values, "uniform").pvalue > 1e-3
    report = recovery.age_report(cases, recovered, BOX[:2], UNKNOWN)
    # knowing more cannot lose, on average over the prior
    whole = report["loss"][0]
    assert whole["nats"] > -3 * whole["se"]
    assert report["unknown"]["contraction"]["a_au"] < report["known"]["contraction"]["a_au"]
    assert all(check["passed"] for check in report["checks"].values())
    table = recovery.recovery_table(cases, recovered)
    assert len(table) == len(cases)
    assert (table["q0_q97.5"] > table["q0_q2.5"]).all()


@pytest.mark.slow
def test_nuts_agrees_with_the_grid(truth, cases, recovered):
    """R-hat and the distance on 27 blocks, of which the grid's cells have a share."""
    few = cases.head(4)
    settings = NutsSettings(chains=2, warmup=200, draws=600, step_size=0.3, max_tree_depth=5, cases_per_batch=2)
    result = sampling.sample(jax.random.key(4), truth, BOX[:2], UNKNOWN, few, recovered, settings)
    table = sampling.nuts_table(few, recovered, result)
    report = sampling.nuts_report(table, recovered, result)
    assert report["max_rhat"] < 1.05
    noise = grid.expected_total_variation(table.ess_bulk.min())
    assert report["tv_grid_max"] < 2.5 * noise
    assert report["mean_z_rms"] < 2.0
    inside = [(low < result.draws[..., k]) & (result.draws[..., k] < high) for k, (low, high) in enumerate(BOX)]
    assert np.all(inside)


def test_the_distance_of_exact_draws_is_the_expected_one():
    """Draws from a grid's own cells; a posterior that is elsewhere is far."""
    rng = np.random.default_rng(6)
    edges = grid.cell_edges(BOX, SHAPE)
    middles = np.meshgrid(*(np.linspace(-2, 2, n) for n in SHAPE), indexing="ij")
    values = -0.5 * (middles[0] ** 2 + (middles[1] - middles[0]) ** 2 + (middles[2] + middles[1]) ** 2) / 0.5
    mass = np.exp(values).ravel()
    found = []
    for _ in range(30):
        cell = np.unravel_index(rng.choice(mass.size, 1000, p=mass / mass.sum()), SHAPE)
        ends = [np.asarray(e, dtype=float) for e in edges]
        draws = np.column_stack([e[k] + (e[1] - e[0]) * rng.random(1000) for e, k in zip(ends, cell, strict=True)])
        found.append(grid.total_variation_of_cells(edges, values, draws))
    assert np.mean(found) == pytest.approx(grid.expected_total_variation(1000), rel=0.15)
    assert grid.total_variation_of_cells(edges, -values, draws) > 0.5


@pytest.mark.parametrize("prior", [UNKNOWN, ROUGH])
def test_age_priors_are_one_law(prior):
    """Masses, the deviation and NumPyro's density agree."""
    edges = np.linspace(50, 400, 701)
    mass = prior.mass(edges)
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.exp(np.asarray(prior.distribution().log_prob(jnp.asarray(middle))))
    assert mass.sum() == pytest.approx(1.0)
    assert mass / np.diff(edges) == pytest.approx(density, rel=1e-3)
    mean = mass @ middle
    assert prior.sd_yr() == pytest.approx(np.sqrt(mass @ (middle - mean) ** 2), rel=1e-3)


def test_ages_follow_their_prior():
    """Each stored time as often as the prior has mass nearest to it."""
    times = np.array(TIMES)
    drawn = draw_ages(ROUGH, times, 4000, np.random.default_rng(7))
    expected = 4000 * ROUGH.mass(np.array([50, 75, 150, 300, 400.0]))
    assert chisquare([(drawn == t).sum() for t in times], expected).pvalue > 1e-3
    inner = draw_ages(AgePrior((90.0, 250.0)), times, 100, np.random.default_rng(8))
    assert set(inner) == {100.0, 200.0}


def test_age_priors_that_cannot_be_are_refused():
    section = {"range_yr": [50, 400], "mean_yr": None, "sigma_yr": None}
    assert read_age_prior("one", section, (50.0, 400.0)) == UNKNOWN
    with pytest.raises(NatalError, match=r"age_priors\.one\.range_yr"):
        read_age_prior("one", section | {"range_yr": [10, 400]}, (50.0, 400.0))
    with pytest.raises(NatalError, match="both"):
        read_age_prior("one", section | {"mean_yr": 100}, (50.0, 400.0))


def test_laws_of_few_stars_have_weights_below_one(truth):
    """The true law is a sub-probability, so that posteriors of surviving clusters hold their chance to survive."""
    law = truth(jnp.array([1.5, 100.0, 100.0]))
    assert law.counts == COUNTS
    assert float(jnp.exp(law.log_weight).sum()) == pytest.approx(0.5)
