"""Laws of populations against brute force, and what the sampler says of them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from joint_law import REACH, births, random_law, seen_of, table_of
from numpyro.infer.util import log_density
from scipy.stats import halfnorm, norm, truncnorm

from natal.errors import NatalError
from natal.population import terms as terms_module
from natal.population.inference import (
    Scales,
    Walk,
    answer_population,
    in_its_light,
    moments_of_cells,
    remarks,
    sample_laws,
    summarise_walk,
)
from natal.population.laws import Shares, log_likelihood, model, normal_shares
from natal.population.terms import Selection, Terms, centres, terms_of
from natal.posterior import mixing
from natal.settings.population import Limits, Population

SAMPLER = {"chains": 2, "warmup": 200, "draws": 200}


@pytest.fixture(scope="module")
def law():
    return random_law()


def test_shares_are_those_of_a_normal_law_cut_to_the_box():
    """Against SciPy; in tails, too."""
    edges = np.linspace(0.5, 1.5, 41)
    for location, scale in ((0.9, 0.2), (0.5, 0.1), (1.5, 3.0), (1.45, 0.05)):
        found = np.asarray(normal_shares(jnp.asarray(edges), jnp.asarray(location), jnp.asarray(scale)))
        width = np.hypot(scale, 0.3 / 40)
        expected = np.diff(norm(location, width).cdf(edges))
        np.testing.assert_allclose(found, expected / expected.sum(), rtol=2e-3, atol=1e-7)


def test_the_chance_to_be_in_a_table_is_the_share_of_clusters_in_it(law):
    """Survivors with a dispersion above a limit: of 40,000 clusters of the law at some births, to 4 sigma."""
    birth = births(np.random.default_rng(1), 12)
    drawn = seen_of(law, birth, 1)
    limit = float(np.median(drawn.values["sigma_los_kms"]))
    selection = Selection(True, {"sigma_los_kms": (limit, np.inf)})
    clusters = table_of(drawn, np.ones(12, bool))
    terms, _ = terms_of(jax.random.key(0), law, clusters, selection, keep_unlike=True)
    # at the campaign's own age and mass one kind is all there is
    assert terms.in_table.shape[0] == 1
    at = centres(terms)
    for i, j in ((4, 4), (16, 12), (33, 1)):
        many = seen_of(law, np.tile([at["q0"][i], at["a_au"][j]], (40_000, 1)), i)
        share = (np.asarray(many.survived) & (np.asarray(many.values["sigma_los_kms"]) > limit)).mean()
        assert terms.in_table[0, i, j] == pytest.approx(share, abs=4 * 0.5 / np.sqrt(40_000) + 0.01)


def test_the_likelihood_of_a_population_is_that_of_brute_force(law):
    """ln p(table) of two populations: births drawn one by one in place of cells. n = 20,000 draws; 5 sigma."""
    rng = np.random.default_rng(2)
    drawn = seen_of(law, births(rng, 12), 2)
    clusters = table_of(drawn, np.ones(12, bool))
    selection = Selection(True, {"sigma_los_kms": (0.1, np.inf)})
    terms, _ = terms_of(jax.random.key(0), law, clusters, selection, keep_unlike=True)
    at = centres(terms)
    cells = np.asarray(terms.likelihood, float)
    found, expected, variance = [], [], 0.0
    for location, scale in ((0.9, 0.2), (1.2, 0.3)):
        shares = Shares(
            normal_shares(jnp.asarray(terms.q0), jnp.asarray(location), jnp.asarray(scale)),
            normal_shares(jnp.asarray(terms.ln_a), jnp.asarray(4.6), jnp.asarray(0.2)),
        )
        found.append(float(log_likelihood(terms, shares)))
        q0 = truncnorm((0.5 - location) / scale, (1.5 - location) / scale, location, scale).rvs(
            20_000, random_state=rng
        )
        ends = (np.log(REACH.a_au) - 4.6) / 0.2
        a_au = np.exp(truncnorm(*ends, 4.6, 0.2).rvs(20_000, random_state=rng))
        i, j = (
            np.clip(np.searchsorted(edges, x) - 1, 0, len(edges) - 2)
            for edges, x in ((terms.q0, q0), (terms.ln_a, np.log(a_au)))
        )
        each, chance = cells[:, i, j], np.asarray(terms.in_table)[0, i, j]
        expected.append(np.log(each.mean(1)).sum() - len(cells) * np.log(chance.mean()))
        variance += (each.var(1) / each.mean(1) ** 2).sum() / 20_000 + len(cells) ** 2 * chance.var() / 20_000
    # of the difference, what the sampler sees
    assert found[0] - found[1] == pytest.approx(expected[0] - expected[1], abs=5 * np.sqrt(variance))
    assert at["q0"].shape == (40,)


@pytest.mark.slow
def test_missing_clusters_are_accounted_for(law):
    """150 survivors of a population: its centre and width in Q0 are within 4 sd; without the selection they are not.

    The law is made such that hot clusters dissolve.
    """
    rng = np.random.default_rng(3)
    birth = births(rng, 1500)
    drawn = seen_of(law, birth, 3)
    # half of those on one side of the median are missing: by an observable that tells them
    value = np.asarray(drawn.values["sigma_los_kms"])
    limit = float(np.quantile(value, 0.6))
    chosen = np.flatnonzero(np.asarray(drawn.survived) & (value > limit))[:150]
    mask = np.isin(np.arange(len(birth)), chosen)
    clusters = table_of(drawn, mask)
    settings = Population(sampler=SAMPLER, observable={"sigma_los_kms": Limits(lower=limit)})
    walks = []
    for selection in (Selection.of(settings), Selection(False)):
        terms, _ = terms_of(jax.random.key(0), law, clusters, selection, keep_unlike=True)
        walks += sample_laws(jax.random.key(1), "normal", [terms], settings)
    truth = {"q0_location": 0.9, "q0_scale": 0.15, "ln_a_location": 4.6, "ln_a_scale": 0.2}
    pulls = [
        {name: (walk.parameters[name].mean() - value) / walk.parameters[name].std() for name, value in truth.items()}
        for walk in walks
    ]
    assert max(map(abs, pulls[0].values())) < 4, pulls
    assert max(map(abs, pulls[1].values())) > 5, pulls
    assert all(rhat < 1.1 for rhat in walks[0].rhat.values())


def test_a_cluster_is_drawn_to_the_population():
    """Its mean posterior is that of its likelihood times the law, draw by draw."""
    rng = np.random.default_rng(4)
    likelihood = rng.random((3, 40, 20)).astype("float32")
    edges = np.linspace(0.5, 1.5, 41).astype("float32"), np.linspace(3.9, 5.3, 21).astype("float32")
    terms = Terms(*edges, likelihood, np.ones((1, 40, 20), "float32"), np.zeros(3, "int32"))
    q0, ln_a = (rng.dirichlet(np.ones(n), (2, 5)) for n in (40, 20))
    _, found = in_its_light(terms, Walk({}, q0, ln_a, np.zeros((2, 5), bool), {}, {}))
    joint = likelihood[:, None] * q0.reshape(-1, 40)[:, :, None] * ln_a.reshape(-1, 20)[:, None]
    joint /= joint.sum((2, 3), keepdims=True)
    np.testing.assert_allclose(found, joint.mean(1), rtol=1e-4)


@pytest.mark.slow
def test_an_answer_names_what_is_left_out(law):
    """A cluster unlike all others is left out, unless it is to be kept; and too few clusters are no population."""
    drawn = seen_of(law, births(np.random.default_rng(5), 8), 5)
    clusters = table_of(drawn, np.ones(8, bool))
    clusters.loc[2, "sigma_los_kms"] = 500.0
    settings = Population(sampler=SAMPLER, bins=5)
    answer = answer_population(1, law, clusters, settings)
    left_out = answer.clusters.set_index("case").left_out
    assert [name for name, said in left_out.items() if said] == ["2"]
    assert "unlike anything" in left_out["2"]
    assert any("1 of 8 clusters are left out: 2 (unlike" in remark for remark in answer.remarks)
    assert answer.clusters.q0_mean.isna().tolist() == [k == 2 for k in range(8)]
    assert set(answer.law.law) == {"normal", "binned"}
    density = answer.tree["binned/density_q0"].to_numpy()
    np.testing.assert_allclose(density.sum(-1) / 40, 1.0, rtol=1e-4)
    # constant in each of five bins: 40 cells by two bins
    assert len(np.unique(density[0, 0].round(4))) == 5
    with pytest.raises(NatalError, match="2 clusters are no population, at least 3 are needed"):
        answer_population(1, law, clusters[:2], settings)
    wrong = Population(sampler=SAMPLER, observable={"lambda_msr": Limits(lower=1.0)})
    with pytest.raises(NatalError, match=r"population\.observable\.lambda_msr: this campaign does not know it"):
        answer_population(1, law, clusters, wrong)


def flat_terms(n=3):
    """Clusters that say nothing."""
    edges = np.linspace(0.5, 1.5, 41).astype("float32"), np.linspace(3.9, 5.3, 21).astype("float32")
    return Terms(*edges, np.ones((n, 40, 20), "float32"), np.ones((1, 40, 20), "float32"), np.zeros(n, "int32"))


def test_the_hyperprior_is_what_it_says():
    """ln density of the model at some parameters: SciPy's half-normal and uniform laws beside the likelihood."""
    settings = Population(bins=4, prior={"q0_scale": 0.4, "ln_a_scale": 0.7, "roughness": 1.3})
    terms = flat_terms()
    common = halfnorm(scale=0.7).logpdf(0.5) - np.log(1.4)
    at = {"ln_a_location": 4.5, "ln_a_scale": 0.5}
    expected = {
        "normal": ({"q0_location": 0.9, "q0_scale": 0.6}, halfnorm(scale=0.4).logpdf(0.6)),
        "binned": (
            {"roughness": 0.8, "steps": np.array([0.3, -1.0, 0.5])},
            halfnorm(scale=1.3).logpdf(0.8) + norm.logpdf([0.3, -1.0, 0.5]).sum(),
        ),
    }
    for law, (more, of_law) in expected.items():
        values = {name: jnp.asarray(value, jnp.float32) for name, value in (at | more).items()}
        given = {"terms": terms, "prior": Scales.of(settings), "bins": 4}
        found, trace = log_density(model, (law,), given, values)
        shares = Shares(trace["share_q0"]["value"], trace["share_ln_a"]["value"])
        # of flat terms it is nearly 0; Q0's centre is uniform in a box of width 1
        assert float(found) - float(log_likelihood(terms, shares)) == pytest.approx(common + of_law, abs=1e-4)


def test_chains_that_did_not_mix_are_named():
    """In the table, for each parameter, and in one remark for each law; those that mixed have none."""
    rng = np.random.default_rng(0)
    good, stuck = rng.normal(size=(4, 500)), rng.normal(size=(4, 500)) + np.arange(4)[:, None]
    slow = np.repeat(rng.normal(size=(4, 25)), 20, axis=1)
    draws = {"q0_location": good, "q0_scale": stuck, "ln_a_location": slow}
    rhat, ess = ({n: float(f(d[..., None])[0]) for n, d in draws.items()} for f in (mixing.rhat, mixing.ess_bulk))
    walk = Walk(
        draws, np.full((4, 500, 40), 1 / 40), np.full((4, 500, 20), 1 / 20), np.zeros((4, 500), bool), rhat, ess
    )
    table = summarise_walk("normal", walk, flat_terms(), Population()).set_index("parameter")
    assert table.remarks["q0_location"] == ""
    assert table.remarks["q0_scale"].startswith(f"R-hat = {rhat['q0_scale']:.3f}, above 1.01; ")
    assert table.remarks["ln_a_location"].endswith(f"{ess['ln_a_location']:.0f} effective draws, fewer than 400")
    (remark,) = remarks(table.reset_index(), {"normal": walk}, pd.DataFrame({"case": ["a"], "left_out": [""]}))
    assert remark.startswith("law normal: sample longer (population.sampler), the chains did not mix: q0_scale (R-hat")
    assert "ln_a_location (" in remark
    assert "q0_location" not in remark.replace("ln_a_location", "")


@pytest.mark.slow
def test_clusters_that_say_nothing_leave_the_hyperprior():
    """Means and standard deviations of all parameters, within 5 standard errors of some 2,000 effective draws."""
    (walk,) = sample_laws(jax.random.key(0), "normal", [flat_terms()], Population())
    half_normal = 0.5 * np.sqrt(2 / np.pi), 0.5 * np.sqrt(1 - 2 / np.pi)
    expected = {"q0_location": (1.0, 1 / np.sqrt(12)), "q0_scale": half_normal}
    expected |= {"ln_a_location": (4.6, 1.4 / np.sqrt(12)), "ln_a_scale": half_normal}
    for name, (mean, sd) in expected.items():
        draws, n = walk.parameters[name], walk.ess[name]
        assert n > 1000
        assert draws.mean() == pytest.approx(mean, abs=5 * sd / np.sqrt(n))
        assert draws.std() == pytest.approx(sd, rel=5 / np.sqrt(n))


def test_moments_of_cells_are_those_of_their_density():
    """A posterior that is flat in part of the box: uniform in Q0 over [0.75, 1.25], in a by its masses."""
    terms = flat_terms(1)
    mass = np.zeros((1, 40, 20))
    widths = np.diff(np.exp(terms.ln_a.astype(float)))
    mass[:, 10:30] = widths / widths.sum() / 20
    found = moments_of_cells(terms, mass, "_alone")
    low, high = np.exp(np.array([3.9, 5.3]))
    assert found["q0_mean_alone"][0] == pytest.approx(1.0, rel=1e-6)
    assert found["q0_sd_alone"][0] == pytest.approx(0.5 / np.sqrt(12), rel=1e-4)
    assert found["q0_q16_alone"][0] == pytest.approx(0.75 + 0.16 * 0.5, rel=1e-5)
    assert found["a_au_mean_alone"][0] == pytest.approx((low + high) / 2, rel=1e-3)
    assert found["a_au_sd_alone"][0] == pytest.approx((high - low) / np.sqrt(12), rel=2e-3)
    assert found["a_au_q97.5_alone"][0] == pytest.approx(low + 0.975 * (high - low), rel=1e-4)


def test_the_likelihood_of_a_population_by_hand():
    """The formula of docs/explanation/population.md in NumPy: clusters of two kinds."""
    rng = np.random.default_rng(6)
    likelihood, in_table = rng.random((4, 40, 20)), rng.random((2, 40, 20))
    kind = np.array([0, 1, 1, 0])
    q0, ln_a = rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(20))
    births = q0[:, None] * ln_a
    expected = sum(
        np.log((cells * births).sum() / (in_table[k] * births).sum()) for cells, k in zip(likelihood, kind, strict=True)
    )
    terms = flat_terms()._replace(likelihood=likelihood, in_table=in_table, kind=kind)
    assert float(log_likelihood(terms, Shares(jnp.asarray(q0), jnp.asarray(ln_a)))) == pytest.approx(expected, rel=1e-4)


def test_a_cluster_of_another_age_does_not_widen_the_box(law):
    """It is left out, named, and the others' cells are as without it."""
    drawn = seen_of(law, births(np.random.default_rng(7), 8), 7)
    clusters = table_of(drawn, np.ones(8, bool))
    clusters[["age_yr", "mass_msun"]] = 500.0, 100.0
    alone, _ = terms_of(jax.random.key(0), law, clusters[:7], Selection(), keep_unlike=True)
    clusters.loc[7, "age_yr"] = 1e7
    terms, table = terms_of(jax.random.key(0), law, clusters, Selection(), keep_unlike=True)
    np.testing.assert_allclose(terms.ln_a, alone.ln_a)
    np.testing.assert_allclose(terms.likelihood, alone.likelihood, rtol=1e-4)
    assert [bool(said) for said in table.left_out] == 7 * [False] + [True]
    assert "far from the others" in table.left_out[7]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"r_hp_au": Limits(upper=-5.0)}, "population.observable.r_hp_au = -5 must be above 0"),
        ({"f_bound": Limits(lower=1.5)}, "population.observable.f_bound = 1.5 must be"),
        ({"r_h_au": Limits(lower=1e8)}, "hardly any cluster of this campaign is within these limits"),
        ({"sigma_los_kms": Limits(upper=1e-3)}, "its sigma_los_kms is not within population.observable"),
    ],
)
def test_limits_that_cannot_be_are_refused(law, limits, said):
    """One line, before anything is sampled."""
    drawn = seen_of(law, births(np.random.default_rng(7), 8), 7)
    clusters = table_of(drawn, np.ones(8, bool))
    selection = Selection.of(Population(observable=limits))
    with pytest.raises(NatalError, match=re.escape(said)) as error:
        terms_of(jax.random.key(0), law, clusters, selection, keep_unlike=True)
    assert "\n" not in str(error.value)


def test_limits_hold_for_what_was_not_measured(law):
    """Clusters without the dispersion that put them in the table: their likelihood has its limits, too.

    One that says nothing else is as likely as to be in the table, at every birth.
    """
    drawn = seen_of(law, births(np.random.default_rng(7), 3), 7)
    clusters = table_of(drawn, np.ones(3, bool))
    clusters[["sigma_los_kms", "v_out_kms"]] = np.nan
    clusters["r_hp_au"], clusters["r_hp_au_lower"] = np.nan, 1e-3
    selection = Selection(True, {"sigma_los_kms": (4.0, np.inf)})
    terms, _ = terms_of(jax.random.key(0), law, clusters, selection, keep_unlike=True)
    shares = terms.likelihood / terms.likelihood.sum((1, 2), keepdims=True)
    np.testing.assert_allclose(shares, np.broadcast_to(terms.in_table / terms.in_table.sum(), shares.shape), rtol=2e-2)


@pytest.mark.slow
def test_splines_between_rows_and_tabulated_chances_change_nothing(law, monkeypatch):
    """Clusters of uncertain age and mass: as with all rows, and with limits that no cluster is beyond.

    Shares of a cluster's likelihood that lie elsewhere: 2 % at most. Chances to be in the table: 0.002.
    """
    drawn = seen_of(law, births(np.random.default_rng(8), 12), 8)
    clusters = table_of(drawn, np.ones(12, bool))
    for name, value, error in (("age_yr", 500.0, 100.0), ("mass_msun", 100.0, 15.0)):
        clusters[[name, f"{name}_err_low", f"{name}_err_high"]] = value, error, error
    sizes = ("sigma_los_kms", "r_hp_au")
    for name in sizes:
        clusters[f"{name}_err_low"] = clusters[f"{name}_err_high"] = 0.1 * clusters[name]
    found, _ = terms_of(jax.random.key(0), law, clusters, Selection(), keep_unlike=True)
    monkeypatch.setattr(terms_module, "ROWS_SUMMED", terms_module.CELLS[0])
    everywhere = Selection(limits={name: (1e-9, np.inf) for name in sizes})
    exact, _ = terms_of(jax.random.key(0), law, clusters, everywhere, keep_unlike=True)
    shares = [cells.likelihood / cells.likelihood.sum((1, 2), keepdims=True) for cells in (found, exact)]
    assert 0.5 * np.abs(shares[0] - shares[1]).sum((1, 2)).max() < 0.02
    np.testing.assert_allclose(found.in_table, exact.in_table, atol=2e-3)


def test_rows_between_are_those_of_a_smooth_likelihood():
    """A normal likelihood is found exactly, columns without simulations stay impossible, and depths do not ring."""
    q0 = (np.arange(40) + 0.5) / 40
    rows = (np.arange(terms_module.ROWS_SUMMED) + 0.5) / terms_module.ROWS_SUMMED

    def values(at):
        return np.stack([-0.5 * ((at - 0.4) / 0.2) ** 2, np.full(len(at), -np.inf), -(((at - 0.8) / 0.02) ** 2)], 1)

    found = np.asarray(terms_module._all_rows(jnp.asarray(values(rows))))
    np.testing.assert_allclose(found[:, 0], values(q0)[:, 0], atol=1e-5)
    assert np.isneginf(found[:, 1]).all()
    assert found[:, 2].max() < 0.5
