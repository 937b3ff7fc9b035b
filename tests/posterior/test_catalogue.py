"""Answers from any subset of observables, against brute force and against their own law."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from joint_law import REACH, random_law
from scipy.stats import kstest

from natal.likelihood.joint import Scale, draw_clusters, log_tau, speed_kms
from natal.posterior import catalogue
from natal.posterior.catalogue import answer_catalogue, clusters_table, grouped, refusals
from natal.settings.inference import NutsSettings


@pytest.fixture(scope="module")
def law():
    return random_law()


def clusters_of(law, n, rng, age_error=0.2, mass_error=0.2):
    """Clusters of the prior that natal takes, of the law, seen with errors; their births."""
    rows, truth = [], []
    while len(rows) < n:
        age, mass = np.exp(rng.uniform(np.log([1e5, 100.0]), np.log([1e6, 500.0])))
        t, m = age * (1 + age_error * rng.standard_normal()), mass * (1 + mass_error * rng.standard_normal())
        size = (age / REACH.t_end_yr) ** (2 / 3) * (mass / REACH.mass_msun) ** (1 / 3)
        q0, a_au = rng.uniform(0.5, 1.5), size * rng.uniform(50, 200)
        if min(t, m) < 1 or not REACH.log_tau[0] <= (tau := float(log_tau(t, m, a_au))) <= REACH.log_tau[1]:
            continue
        one = law.ensemble(jnp.array([q0, tau]))
        scale = Scale(jnp.array(a_au), jnp.array(float(speed_kms(m, a_au))))
        drawn = draw_clusters(
            jax.random.key(int(rng.integers(2**31))), jax.tree.map(lambda v: v[..., None], one), scale
        )
        row = {"name": str(len(rows)), "age_yr": age, "mass_msun": mass}
        row |= {"age_yr_err": age_error * age, "mass_msun_err": mass_error * mass}
        for name in ("sigma_los_kms", "r_hp_au", "v_out_kms"):
            value = float(drawn.values[name][0])
            error = 0.1 * abs(value)
            row |= {name: value + error * rng.standard_normal(), f"{name}_err": error}
        if rng.random() < 0.3:
            del row["v_out_kms"]
        rows.append(row)
        truth.append((q0, a_au))
    return clusters_table(rows), np.array(truth)


@pytest.mark.slow
def test_the_law_that_made_them_is_calibrated(law):
    """60 clusters with unknown ages and masses and gaps: posterior quantiles of true births are uniform.

    Kolmogorov and Smirnov's p above 0.001 for both; halved errors of age and observables fail by far.
    """
    clusters, truth = clusters_of(law, 60, np.random.default_rng(3))
    table, tree = answer_catalogue(1, law, clusters)
    draws = tree["posterior"].to_dataset()
    for k, name in enumerate(("q0", "a_au")):
        pit = (draws[name].to_numpy().reshape(60, -1) < truth[:, k, None]).mean(1)
        assert kstest(pit, "uniform").pvalue > 1e-3
    # and so are prior predictive p-values, which do not know the truth
    assert kstest(table.prior_predictive_p, "uniform").pvalue > 1e-3
    assert (table.simulated > 0.5).all()


@pytest.mark.slow
def test_age_and_mass_are_summed_over(law):
    """A posterior's moments by drawing ages, masses and births from the prior, weighted with the likelihood."""
    clusters, _ = clusters_of(law, 1, np.random.default_rng(5))
    table, _ = answer_catalogue(1, law, clusters)
    (group,) = grouped(law, clusters)
    rng = np.random.default_rng(6)
    n, row = 40_000, clusters.iloc[0]
    low, high = group.cases.a_au[0]
    age, mass = (row[k] + row[f"{k}_err_low"] * rng.standard_normal(n) for k in ("age_yr", "mass_msun"))
    q0, a_au = rng.uniform(0.5, 1.5, n), rng.uniform(low, high, n)
    age, mass = np.maximum(age, 1.0), np.maximum(mass, 1.0)
    tau = log_tau(age, mass, a_au)
    inside = (tau >= REACH.log_tau[0]) & (tau <= REACH.log_tau[1])
    names = group.pattern.measured
    x = jnp.asarray(np.column_stack([q0, np.clip(tau, *REACH.log_tau)]), "float32")
    laws = jax.jit(jax.vmap(lambda x: law.ensemble(x).reduced(names), out_axes=-1))(x)
    seen = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), group.cases.seen)
    scale = Scale(jnp.asarray(a_au, "float32"), jnp.asarray(speed_kms(mass, a_au), "float32"))
    weight = np.where(inside, np.exp(np.asarray(laws.log_prob(seen, group.pattern, scale), float)), 0.0)
    weight /= weight.sum()
    effective = 1 / (weight**2).sum()
    for name, values in (("q0", q0), ("a_au", a_au), ("age_yr", age), ("mass_msun", mass)):
        mean = weight @ values
        sd = np.sqrt(weight @ (values - mean) ** 2)
        # five Monte Carlo errors and a hundredth of quadrature
        assert table[f"{name}_mean"][0] == pytest.approx(mean, abs=sd * (5 / np.sqrt(effective) + 0.01))
        assert table[f"{name}_sd"][0] == pytest.approx(sd, rel=5 / np.sqrt(2 * effective) + 0.03)


@pytest.mark.slow
def test_nuts_agrees_with_the_grid(law):
    """Moments of births, ages and masses of three clusters with a limit each; chains agree."""
    clusters, _ = clusters_of(law, 3, np.random.default_rng(7))
    clusters["v_out_kms"] = np.nan
    clusters["v_out_kms_upper"] = 1.0
    on_grid, _ = answer_catalogue(1, law, clusters)
    sampled, _ = answer_catalogue(1, law, clusters, NutsSettings(warmup=200, draws=1000, step_size=0.4), 3)
    assert (sampled.rhat < 1.02).all()
    for name in ("q0", "a_au", "age_yr", "mass_msun"):
        apart = (sampled[f"{name}_mean"] - on_grid[f"{name}_mean"]) / on_grid[f"{name}_sd"]
        assert np.abs(apart).max() < 0.1 + 5 / np.sqrt(sampled.ess_bulk.min())
        np.testing.assert_allclose(sampled[f"{name}_sd"], on_grid[f"{name}_sd"], rtol=0.15)


def test_scaling_a_cluster_scales_its_answer(law):
    """Lengths times 4, masses times 2, times times root(32), speeds over root 2: the same Q0, 4 a."""
    row = {"name": "one", "age_yr": 1e5, "age_yr_err": 2e4, "mass_msun": 200.0, "mass_msun_err": 40.0}
    size = (1e5 / 500) ** (2 / 3) * 2 ** (1 / 3)
    speed = float(speed_kms(200.0, 100 * size))
    row |= {"sigma_los_kms": 0.6 * speed, "sigma_los_kms_err": 0.06 * speed}
    row |= {"r_hp_au": 140 * size, "r_hp_au_err": 14 * size}
    other = {"name": "other"}
    for key, value in row.items():
        if key != "name":
            power = {"age": 32**0.5, "mas": 2.0, "sig": 2**-0.5, "r_h": 4.0}[key[:3]]
            other[key] = value * power
    table, _ = answer_catalogue(1, law, clusters_table([row, other]))
    assert table.q0_mean[1] == pytest.approx(table.q0_mean[0], abs=2e-3)
    assert table.a_au_mean[1] == pytest.approx(4 * table.a_au_mean[0], rel=2e-3)
    assert table.q0_sd[1] == pytest.approx(table.q0_sd[0], rel=0.01)


def test_efficiencies_are_half_over_q0(law):
    """Quantiles of 0.5 / Q0 are those of Q0 from the other end, to the draws' error; its mean is above that of 0.5."""
    clusters, _ = clusters_of(law, 2, np.random.default_rng(13))
    table, tree = answer_catalogue(1, law, clusters)
    q0 = tree["posterior/q0"].to_numpy().reshape(2, -1)
    np.testing.assert_allclose(table.sfe_mean, np.minimum(0.5 / q0, 1).mean(1))
    np.testing.assert_allclose(table["sfe_q84"], 0.5 / np.quantile(q0, 0.16, axis=1), rtol=2e-3)


def test_prior_is_the_campaigns_where_it_was_simulated(law):
    """At the campaign's age and mass, or earlier, its own range; else the same in scaled units; or the user's own."""
    rows = [{"name": "own", "r_hp_au": 100.0}]
    rows += [{"name": "young", "r_hp_au": 100.0, "age_yr": 200.0, "mass_msun": 100.0}]
    rows += [{"name": "real", "r_hp_au": 1e5, "age_yr": 2e6, "mass_msun": 300.0}]
    (group,) = grouped(law, clusters_table(rows))
    np.testing.assert_allclose(group.cases.a_au[:2], [[50.0, 200.0]] * 2)
    assert group.cases.a_au[2, 0] == pytest.approx(50 * 4000 ** (2 / 3) * 3 ** (1 / 3), rel=1e-5)
    own = random_law(prior={"q0": (0.6, 1.0), "a_au": (3e4, 4e4)})
    (group,) = grouped(own, clusters_table(rows[2:]))
    assert group.cases.a_au.tolist() == [[3e4, 4e4]]
    q0 = np.asarray(own.table(group.pattern).q0)
    assert (q0.min(), q0.max()) == pytest.approx((0.6 + 0.2 / 48, 1.0 - 0.2 / 48), rel=1e-5)


@pytest.mark.parametrize(
    ("row", "said"),
    [({}, "there is no observable among f_bound"), ({"sigma_pm_kms": 3.0}, "does not know sigma_pm_kms")],
)
def test_rows_without_an_answer_are_named(law, row, said):
    """One sentence that says why."""
    assert said in refusals(law, clusters_table([{"name": "x"} | row]))[0]


def test_a_prior_that_was_not_simulated_is_refused():
    """Radii far beyond what an age of 2 Myr was simulated for."""
    law = random_law(prior={"q0": (0.5, 1.5), "a_au": (10.0, 20.0)})
    row = {"name": "x", "r_hp_au": 1e5, "age_yr": 2e6, "mass_msun": 300.0}
    assert "outside 1.11 to 90, what was simulated" in refusals(law, clusters_table([row]))[0]


def test_answers_that_say_little_say_so(law):
    """One observable with an error of ten times its value; another number of stars; what was not used."""
    row = {"name": "x", "r_hp_au": 100.0, "r_hp_au_err": 1000.0, "n_stars": 2000.0, "sigma_pm_kms": 3.0}
    table, _ = answer_catalogue(1, law, clusters_table([row]))
    assert "nearly the prior in q0" in table.remarks[0]
    assert "2000 stars" in table.remarks[0]
    assert "sigma_pm_kms not used" in table.remarks[0]
    assert table.used[0] == "r_hp_au"


def test_nonsense_is_unlike_anything(law):
    """A dispersion a thousand times too large."""
    clusters, _ = clusters_of(law, 2, np.random.default_rng(9))
    clusters.loc[1, ["sigma_los_kms", "sigma_los_kms_err_low", "sigma_los_kms_err_high"]] *= 1000
    table, _ = answer_catalogue(1, law, clusters)
    assert table.prior_predictive_p[1] < catalogue.P_OUTSIDE
    assert "unlike anything" in table.remarks[1]


@pytest.mark.slow
def test_order_and_company_do_not_matter(law):
    """Clusters of two patterns, in another order: the same rows, but for the random numbers of p and efficiency."""
    clusters, _ = clusters_of(law, 6, np.random.default_rng(11))
    table, _ = answer_catalogue(1, law, clusters)
    turned, _ = answer_catalogue(1, law, clusters[::-1].reset_index(drop=True))
    columns = ["case", "q0_mean", "a_au_sd", "age_yr_q50"]
    pd.testing.assert_frame_equal(table[columns], turned[columns][::-1].reset_index(drop=True), rtol=1e-4)
