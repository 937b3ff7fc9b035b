"""A finished campaign in a notebook: predictions and posteriors, and one line for what cannot be answered."""

import re
from inspect import unwrap

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from closed_form import BOX
from joint_law import REACH, random_law

from natal import NatalError, TrainedCampaign, load_campaign, load_emulator
from natal.api import N_REALIZATIONS
from natal.emulator.ensemble import save_ensemble
from natal.files.formats import write_json
from natal.likelihood.joint_network import save_joint
from natal.likelihood.widths import fit_widths, widths_to_json
from natal.posterior.flags import P_OUTSIDE
from natal.settings.inference import NutsSettings

SUMMARIES = ["f_bound", "sigma_v_kms", "r_h_au"]
FACTOR = [1.0, 2.0, 2.5]
SMALL = {"grid_shape": (96, 64)}


@pytest.fixture(scope="module")
def widths(ensemble, runs):
    """What the Gaussian likelihoods take from validation runs."""
    return fit_widths(ensemble, runs.validation)


@pytest.fixture(scope="module")
def folder(ensemble, widths, tmp_path_factory):
    """A results folder with what a campaign leaves behind."""
    folder = tmp_path_factory.mktemp("results") / "mine"
    save_ensemble(folder / "emulator" / "ensemble.eqx", ensemble, "digest", {})
    content = {"kind": "constant", "design_digest": "digest"} | widths_to_json(widths)
    content["members_spread"] = {name: {"factor": factor} for name, factor in zip(SUMMARIES, FACTOR, strict=True)}
    write_json(folder / "emulator" / "likelihood.json", content)
    return folder


@pytest.fixture(scope="module")
def campaign(folder):
    """The campaign as a notebook sees it."""
    return load_campaign(folder)


@pytest.fixture(scope="module")
def cluster(campaign):
    """The most probable summaries of a birth in the middle of the box."""
    return dict(zip(SUMMARIES, campaign.predict(1.0, 120.0)["mean"], strict=True))


def test_the_emulator_is_found_by_campaign_or_by_file(folder, ensemble):
    """Both ways give the networks that were saved."""
    x = np.array([[0.9, 100.0]])
    for path in (folder, str(folder / "emulator" / "ensemble.eqx")):
        np.testing.assert_array_equal(load_emulator(path)(x)[0], ensemble(x)[0])


def test_a_prediction_is_the_law_of_one_cluster(campaign, ensemble, widths):
    """Mean, width and quantiles are those of the likelihood; the networks' disagreement stands beside."""
    found = campaign.predict([0.7, 1.1], 100.0)
    mean, spread = (np.asarray(part, float) for part in ensemble(np.array([[0.7, 100.0], [1.1, 100.0]])))
    assert found.q0.tolist() == [0.7] * 3 + [1.1] * 3
    assert found.output.tolist() == SUMMARIES * 2
    assert found.unit.tolist() == ["1", "km/s", "AU"] * 2
    sigma = np.tile(widths.sigma_total, 2)
    # five standard errors of a mean, a standard deviation and a normal 97.5 % quantile
    assert np.all(np.abs(found["mean"] - mean.ravel()) < 5 * sigma / np.sqrt(N_REALIZATIONS))
    np.testing.assert_allclose(found.sd, sigma, rtol=5 / np.sqrt(2 * N_REALIZATIONS))
    assert np.all(np.abs(found["q97.5"] - mean.ravel() - 1.96 * sigma) < 5 * 2.67 * sigma / np.sqrt(N_REALIZATIONS))
    np.testing.assert_allclose(found.members_sd, spread.ravel(), rtol=1e-5)
    np.testing.assert_allclose(found.emulator_sd, np.tile(FACTOR, 2) * spread.ravel(), rtol=1e-5)


def test_a_point_outside_the_box_is_refused_unless_asked_for(campaign):
    """One line with the number and its range."""
    with pytest.raises(NatalError, match=r"q0 = 1.9 is not in \[0.5, 1.5\]"):
        campaign.predict([1.0, 1.9], 100.0)
    assert campaign.predict(1.9, 100.0, extrapolate=True)["mean"].notna().all()


@pytest.mark.slow
def test_the_grid_and_nuts_give_the_same_posterior(campaign, cluster):
    """Means and widths to Monte Carlo error, with a measurement error; tests/posterior has exact observations."""
    error = 20.0
    grid = campaign.posterior(**cluster, r_h_au_err=error, **SMALL)
    settings = NutsSettings(draws=1000, chains=2)
    nuts = campaign.posterior(**cluster, r_h_au_err=error, nuts=settings, **SMALL)
    assert set(grid.summary.index) == set(nuts.summary.index) - {"rhat", "ess_bulk", "divergences", "tv_grid"}
    for name in ("q0", "a_au"):
        sd = grid.summary[f"{name}_sd"]
        # five standard errors, and a cell
        n = nuts.summary["ess_bulk"]
        assert abs(grid.summary[f"{name}_mean"] - nuts.summary[f"{name}_mean"]) < 5 * sd / np.sqrt(n)
        assert nuts.summary[f"{name}_sd"] == pytest.approx(sd, rel=5 / np.sqrt(n))
    for name in ("chi2_best", "mahalanobis_p", "edge_mass_q0", "edge_mass_a_au", "at_edge"):
        assert grid.summary[name] == nuts.summary[name]
    assert nuts.tree["posterior"].sizes == {"case": 1, "chain": 2, "draw": 1000}
    assert float(nuts.tree["observed_data/r_h_au_err"][0]) == error


def test_draws_are_those_of_the_summary(campaign, cluster):
    """Grid draws have the posterior's moments and quantiles, and lie in its box."""
    answer = campaign.posterior(**cluster, **SMALL)
    draws = answer.draws
    for k, name in enumerate(("q0", "a_au")):
        sd = answer.summary[f"{name}_sd"]
        assert abs(draws[:, k].mean() - answer.summary[f"{name}_mean"]) < 5 * sd / np.sqrt(len(draws))
        assert draws[:, k].std() == pytest.approx(sd, rel=0.05)
        assert (draws[:, k] < answer.summary[f"{name}_q16"]).mean() == pytest.approx(
            0.16, abs=5 * 0.37 / len(draws) ** 0.5
        )
        low, high = BOX[name]
        assert np.all((low <= draws[:, k]) & (draws[:, k] <= high))
    assert answer.tree["posterior"].sizes == {"case": 1, "chain": 1, "draw": len(draws)}
    assert answer.warnings == []
    assert answer.corner(truth=(1.0, 120.0)).axes


def test_an_impossible_cluster_is_doubted(campaign):
    """The p-value and the sentence of the rule `observe`."""
    answer = campaign.posterior(0.05, 30.0, 5.0, name="odd", **SMALL)
    assert answer.summary.mahalanobis_p < P_OUTSIDE
    assert len(answer.warnings) == 1
    assert answer.warnings[0].startswith("odd: nothing in the prior's box comes near this observation")


def test_errors_that_swamp_the_prior_return_it_and_say_so(campaign, cluster):
    """Up to the largest that is accepted; all numbers are finite, and the draws are the prior's."""
    for error in (1e6, 1e15):
        errors = {f"{name}_err": error for name in SUMMARIES}
        answer = campaign.posterior(**cluster, **errors, name="vague", **SMALL)
        (line,) = answer.warnings
        assert line.startswith("vague: the answer is the prior (standard deviations are 100 % in q0 and 100 % in a_au")
        for name, (low, high) in BOX.items():
            assert answer.summary[f"{name}_mean"] == pytest.approx((low + high) / 2, rel=1e-3)
            assert answer.summary[f"{name}_sd"] == pytest.approx((high - low) / np.sqrt(12), rel=1e-3)
        assert np.isfinite(answer.draws).all()


@pytest.mark.parametrize("birth", [{"q0": None}, {"q0": "1"}, {"q0": [1.0, None]}, {"a_au": {}}, {"q0": True}])
def test_a_birth_is_made_of_numbers(campaign, birth):
    """One line with the argument's name."""
    (name,) = birth
    with pytest.raises(NatalError, match=rf"^{name} = .* must be a number$"):
        # as users call it: without the types that tests check at run time
        unwrap(TrainedCampaign.predict)(campaign, **({"q0": 1.0, "a_au": 100.0} | birth))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"f_bound": 1.2}, "f_bound = 1.2 must be above 0 and at most 1"),
        ({"sigma_v_kms": 0.0}, "sigma_v_kms = 0 must be above 0"),
        ({"r_h_au": float("nan")}, "r_h_au = nan must be a finite number"),
        ({"r_h_au_err": -1.0}, "r_h_au_err = -1 must not be negative"),
        ({"r_h_au": 1e300}, "r_h_au = 1e+300 must be at most 1e+15"),
        ({"sigma_v_kms": 1e-300}, "sigma_v_kms = 1e-300 must be at least 1e-15"),
        ({"r_h_au_err": 1e30}, "r_h_au_err = 1e+30 must be at most 1e+15"),
        ({"sigma_v_kms": None}, "sigma_v_kms = None must be a number"),
        ({"r_h_au": "450"}, "r_h_au = '450' must be a number"),
        ({"f_bound": True}, "f_bound = True must be a number"),
        ({"r_h_au": [450.0]}, "r_h_au = [450.0] must be one number"),
        ({"r_h_au_err": (20.0, 30.0)}, "r_h_au_err = (20.0, 30.0) must be one number"),
        ({"r_h_au_err": ((20.0, 30.0), 1.0)}, "r_h_au_err = ((20.0, 30.0), 1.0) must be a number"),
        ({"name": None}, "name = None must be text"),
        ({"r_h_au_err": {}}, "r_h_au_err = {} must be a number"),
        (
            {"prior_box": {"q0": (0.1, 1.0), "a_au": (50.0, 200.0)}},
            "the prior's range of q0, [0.1, 1], must lie within",
        ),
    ],
)
def test_impossible_questions_cost_one_line(campaign, cluster, changes, line):
    """The number, and what is allowed."""
    with pytest.raises(NatalError) as refused:
        unwrap(TrainedCampaign.posterior)(campaign, **(cluster | changes))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_campaign_that_is_not_there_is_named(folder, tmp_path):
    """With those that are; an unfinished one with what it lacks, a damaged one with its file."""
    with pytest.raises(NatalError, match=r"there is no folder .*/theirs; .* holds mine"):
        load_campaign(folder.parent / "theirs")
    with pytest.raises(NatalError, match="there is no folder nowhere/at/all: give results/<campaign>"):
        load_emulator("nowhere/at/all")
    with pytest.raises(NatalError, match=r"holds no emulator/ensemble.eqx: run the campaign to its end"):
        load_emulator(tmp_path)
    (tmp_path / "emulator").mkdir()
    (tmp_path / "emulator" / "ensemble.eqx").write_bytes((folder / "emulator" / "ensemble.eqx").read_bytes())
    with pytest.raises(NatalError, match=r"holds no emulator/likelihood.json"):
        load_campaign(tmp_path)
    for content in ("{", "[]", "{}", '{"kind": "constant", "design_digest": "digest"}'):
        (tmp_path / "emulator" / "likelihood.json").write_text(content)
        with pytest.raises(NatalError, match=r"likelihood.json is not a natal likelihood"):
            load_campaign(tmp_path)


@pytest.fixture
def observing(folder):
    """The same with a law of observables, one with random weights."""
    law = random_law()
    save_joint(folder / "emulator" / "joint.eqx", law.ensemble, REACH, 4.0, {})
    return load_campaign(folder)


def test_any_subset_in_any_unit(observing):
    """By columns' names, as quantities, in natal's own units: the same answer, with its age and mass."""
    size = (2e6 / 500) ** (2 / 3)
    by_name = {"sigma_los_kms": 0.5, "r_hp_au": 120 * size, "age_myr": 2.0, "age_myr_err": 0.3, "mass_msun": 100.0}
    found = observing.posterior(**by_name)
    quantities = {"sigma_los": 500 * u.m / u.s, "r_hp": (120 * size * u.au).to(u.pc), "age": 2 * u.Myr}
    same = observing.posterior(**quantities, age_err=0.3 * u.Myr, mass=100 * u.Msun)
    for name in ("q0_mean", "a_au_sd", "age_yr_mean"):
        assert same.summary[name] == pytest.approx(found.summary[name], rel=1e-5)
    assert found.draws.shape == (2000, 2)
    low, high = found.prior_box["a_au"]
    assert (low, high) == pytest.approx((50 * size, 200 * size), rel=1e-5)
    assert np.all((found.draws >= [0.5, low]) & (found.draws <= [1.5, high]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"r_hp_pc": 1.0, "age_myr": 2.0}, "age_myr: give age and mass, or neither"),
        ({"r_hp_pc": 1.0, "age_myr_lower": 1.0, "mass_msun": 100.0}, "age_myr_lower: is a limit alone: give the other"),
        ({"r_hp": 1.0 * u.arcsec}, "r_hp is in arcsec, an angle"),
        ({"sigma_los": 1.0}, "sigma_los has no unit"),
        ({"sigma_los_kms": -1.0}, "sigma_los_kms = -1.0 must be above 0"),
        ({"r_hp_au": [1.0, 2.0]}, "must be one number"),
        ({"r_hp_au": 100.0, "r_hp_au_err": -1.0}, "must not be negative"),
        ({"radius": 100.0}, "radius is not known"),
        ({"f_bound": None}, "f_bound = None must be a number"),
        ({"r_hp_pc": 1.0, "r_hp_pc_upper": 2.0}, "r_hp_pc_upper = 2.0 is a limit beside a value: leave one of the two"),
        ({"r_hp_pc": 1.0, "r_hp_au_err_low": 0.1}, "r_hp_au_err_low = 0.1 is an error to one side: give both _err_low"),
        ({"r_hp_pc": 1.0, "r_hp_pc_err": 0.1, "r_hp_pc_err_low": 0.1}, "r_hp_pc_err = 0.1 is an error to both sides"),
        ({"r_hp_pc_err": 0.1, "r_hp_pc_upper": 2.0}, "r_hp_pc_err = 0.1 is the error of a value that is missing"),
        ({"r_hp_pc_lower": 3.0, "r_hp_pc_upper": 2.0}, "r_hp_pc_lower = 3.0 must be below the upper limit"),
        ({"r_hp_pc": 1.0, "r_hp_au": 2.0}, "r_hp_pc and r_hp_au give the same: leave one of the two out"),
        ({"r_hp_au": 100.0, "n_stars": 12.5}, "n_stars = 12.5 must be a whole number above 0"),
    ],
)
def test_mistakes_in_any_subset_are_one_line(observing, given, said):
    """Each names the argument."""
    with pytest.raises(NatalError, match=re.escape(said)) as error:
        observing.posterior(**given)
    assert "\n" not in str(error.value)


def test_mistakes_in_a_population_are_one_line(observing):
    """Each names the row."""
    rows = pd.DataFrame({"name": ["a", "b"], "r_hp_au": [100.0, -1.0]})
    with pytest.raises(NatalError, match=r"^clusters, row 2: r_hp_au = -1\.0 must be above 0$"):
        observing.population(rows)
    with pytest.raises(NatalError, match="clusters must have a column name"):
        observing.population(rows.drop(columns="name"))
    # one word makes pandas read the whole column as words
    with pytest.raises(NatalError, match=r"^clusters, row 2: r_hp_au = 'far' must be a number"):
        observing.population(rows.assign(r_hp_au=["100.0", "far"]))
    for name in ("a", np.nan):
        with pytest.raises(NatalError, match=f"^clusters, row 2: name = '?{name}'? must be there, and in no row"):
            observing.population(rows.assign(name=["a", name]))
    limited = rows.assign(r_hp_au=[100.0, 120.0], r_hp_au_upper=[np.nan, 130.0])
    with pytest.raises(NatalError, match=r"^clusters, row 2: r_hp_au_upper = 130\.0 is a limit beside a value"):
        observing.population(limited)
    rows = pd.DataFrame({"name": ["a", "b"], "r_hp_au": [100.0, 120.0], "age_myr": [np.nan, 1.0]})
    with pytest.raises(NatalError, match="clusters, row 2: age_myr: give age and mass"):
        observing.population(rows)


def test_predictions_at_any_age(observing):
    """Everything observable, scaled: four times as large and twice as massive, at the same tau."""
    found = observing.predict(q0=0.9, a_au=100.0, age_yr=500.0, mass_msun=100.0).set_index("output")
    assert list(found.index) == ["f_bound", "sigma_los_kms", "r_hp_au", "v_out_kms", "sigma_v_kms", "r_h_au"]
    larger = observing.predict(0.9, a=400 * u.au, age=500 * 32**0.5 * u.yr, mass_msun=200.0).set_index("output")
    assert larger.loc["r_hp_au", "mean"] == pytest.approx(4 * found.loc["r_hp_au", "mean"], rel=1e-3)
    assert larger.loc["sigma_los_kms", "q84"] == pytest.approx(found.loc["sigma_los_kms", "q84"] / 2**0.5, rel=1e-3)
    with pytest.raises(NatalError, match=r"is outside 0\.1 to 4\.5, what was simulated"):
        observing.predict(0.9, 100.0, age_myr=5.0, mass_msun=100.0)
    with pytest.raises(NatalError, match="mass_msun is missing"):
        observing.predict(0.9, 100.0, age_myr=5.0)


def test_without_a_law_of_observables_it_says_what_makes_one(folder):
    """One line with the file."""
    (folder / "emulator" / "joint.eqx").unlink(missing_ok=True)
    with pytest.raises(NatalError, match=r"joint\.eqx, the law of observables: snakemake"):
        load_campaign(folder).posterior(r_hp_pc=1.0)
