"""The report: one file with every number of the campaign, honest about a network that loses."""

import base64
import copy
import json
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import yaml
from closed_form import LIMITS, make_runs, smooth_mean, uniform_points
from joint_law import REACH, random_law

from natal.assessment.accuracy import evaluate
from natal.assessment.coverage import calibration_report
from natal.assessment.metrics import speed_report
from natal.assessment.sbc import sbc_report
from natal.emulator.baselines import fit_baselines
from natal.likelihood.in_page import joint_law_of_page
from natal.posterior.catalogue import answer_catalogue, clusters_table
from natal.report.captions import CAPTIONS
from natal.report.page import as_json, format_number, write_report
from natal.variables import SUMMARIES

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
POPULATION = ("population_law", "population_corner", "population_clusters")
FIGURES = [name for name in CAPTIONS if name not in ("corner", "observed", "catalogue", "predictive", *POPULATION)]
# what the test runs say of the emulator, and what the validation runs say of the same
MEASURED_TWICE = {"error_of_the_mean": "sigma_budget", "members_spread": "members_spread"}
POSTERIOR = ("mean", "sd", "q02.5", "q16", "q50", "q84", "q97.5")


@pytest.fixture(scope="module")
def metrics():
    """Numbers of a small campaign on a curved simulator, in which the network, a plane through it, loses."""
    train, test = (make_runs(split, 20, 4, seed=k, mean=smooth_mean) for k, split in enumerate(("train", "test")))
    baselines = fit_baselines(train)
    rng = np.random.default_rng(0)
    n = 30
    cases = uniform_points(n, rng), np.arange(n) // 3, rng.random((n, 2)), rng.random(n), rng.normal(-3.4, 0.1, n)
    cases += (rng.random((n, 2)),)
    found = {
        "simulation": {
            "n_points": 1234,
            "n_runs": 5678,
            "max_energy_error": 7.14e-5,
            "median_energy_error": 3.64e-7,
            "dissolved": {split: {"n": k, "share": k / 100} for k, split in enumerate(("train", "validation", "test"))},
            "max_dissolved_share_of_a_point": 0.1875,
            "dissolved_share_by_point": {"17": 0.1875},
        },
        "timing": {
            "campaign": {"jobs": 20, "job_s": 240.0, "wall_s": 150.0, "shares": {"simulating": 0.6, "starting": 0.4}},
            "simulate": {
                "jobs": 11,
                "compile_s": 4.37,
                "integrate_s": 106.4,
                "jobs_s": 111.4,
                "stage_wall_s": 57.3,
                "core_s_per_run": 0.0416,
                "gint_per_core_s": 2.41,
            },
            "train": {"compile_s": 0.793, "train_s": 1.65},
            "recover": {"grid_s": 1.55, "nuts_compile_s": 3.52, "nuts_sample_s": 49.2},
        },
        "training": {
            "best_epoch": [9, 8],
            "epochs": [20, 20],
            "best_validation_loss": [0.1, 0.2],
            "layers": [2, 64, 64, 3],
            "n_parameters": 4547,
            "n_train_runs": 1519,
            "n_validation_runs": 383,
        },
        **evaluate(baselines["linear"], baselines, test),
        "sigma_total": {"f_bound": 0.0577, "sigma_v_kms": 0.522, "r_h_au": 92.1},
        "sigma_budget": {
            "f_bound": {"total": 0.0577, "simulator": 0.0569} | error_of_mean(0.0093, 0.0012, 0.0112),
            "sigma_v_kms": {"total": 0.522, "simulator": None} | error_of_mean(None, None, None),
            "r_h_au": {"total": 92.1, "simulator": 92.6} | error_of_mean(0.0, None, 23.4),
        },
        "members_spread": {
            name: {"spread": 0.00405, "factor": 1.634, "squared_factor": -2.16, "squared_factor_se": 6.76}
            for name in SUMMARIES
        },
        "likelihood": {
            "kind": "constant",
            "n_validation_runs": 383,
            "validation": {
                "constant": {"log_score": -3.4153} | validation_coverage(0.487),
                "mixture": {"log_score": -2.7993} | validation_coverage(0.4567),
            },
        },
        "brute_force": {
            "n_cases": 8,
            "n_runs": 1728,
            **{
                kernel: {"tv_median": 0.1895, "tv_max": 0.2342, "noise_median": 0.0566}
                for kernel in ("synthetic", "kernel")
            },
            "log_score": {"emulator": -3.335, "synthetic": -3.191, "kernel": -3.276},
        },
        "posterior_predictive": {"n_cases": 8, "n_draws": 61, "n_extreme": 3, "min_joint_p": 0.00127},
        "recovery": calibration_report(*cases),
        "nuts": {
            "max_rhat": 1.01567,
            "min_ess_bulk": 462.1,
            "divergences": 0,
            "share_of_cases_without_divergence": 1.0,
            "gradients_per_case": 58_259.5,
            "cases_per_second": 12.9,
            "mean_z_rms": 0.971,
            "sd_z_rms": 1.057,
        },
    }
    method = {
        "rmse": {"f_bound": 0.0611, "sigma_v_kms": 0.541, "r_h_au": 92.7},
        "outputs": {
            "coverage": {level: dict.fromkeys(SUMMARIES, 0.713) for level in ("68", "95")},
            "log_score": -4.4321,
        },
        "coverage": {level: {"q0": 0.612, "a_au": 0.634, "joint": 0.587} for level in ("68", "95")},
        "coverage_se": {level: {"joint": 0.0321} for level in ("68", "95")},
        "area": {"68": 0.0511, "95": 0.1234},
        "log_score": -3.2109,
        "training_s": 14.2,
        "evaluation_s": 3.57e-5,
        "weights": {"max_rhat": 1.0173},
        "nuts": {
            "n_cases": 4,
            "max_rhat": 1.0042,
            "min_ess_bulk": 811.0,
            "divergences": 0,
            "mean_z_rms": 0.93,
            "sd_z_rms": 1.1,
        },
    }
    region = {key: method[key] for key in ("rmse", "coverage_se", "area", "training_s", "evaluation_s")}
    region |= {"outputs": {"coverage": method["outputs"]["coverage"]}}
    region |= {"coverage": {level: {"joint": 0.953} for level in ("68", "95")}}
    found["uncertainty"] = {"bayesian": method, "conformal": region}
    found["emulator"] |= {key: found[name] for key, name in MEASURED_TWICE.items()}
    found["emulator"]["averaging"] = dict(zip(SUMMARIES, map(averaging, (0.271, None, 0.0432)), strict=True))
    speed = {
        "device": "1 x cpu (cpu)",
        "simulation_alone_s": 0.0561,
        "simulation_batched_s": 0.0417,
        "emulator_alone_s": 5.51e-5,
        "emulator_batched_s": 1.08e-6,
        "gradient_alone_s": 5.79e-5,
        "gradient_batched_s": 1.41e-6,
    }
    found["timing"]["speed"] = speed_report(speed, found)
    found["calibration"] = calibration()
    return found


def validation_coverage(share):
    """What `validation_scores` says of coverage."""
    levels = ("50", "68", "90", "95")
    parameters = {"q0": 0.613, "a_au": 0.734, "joint": share}
    return {
        "coverage": dict.fromkeys(levels, share),
        "coverage_by_parameter": dict.fromkeys(levels, parameters),
        "coverage_by_parameter_se": dict.fromkeys(levels, dict.fromkeys(parameters, 0.0314)),
    }


def averaging(removed):
    """What `gain_of_averaging` says of one output."""
    variances = {"member_variance": 0.0123, "member_variance_se": 0.00234, "mean_variance": -0.00345}
    rest = {"mean_variance_se": 0.00456, "spread_variance": 0.00567, "removed": removed}
    return {"rmse_members": [0.06781, 0.06792, 0.06834], "rmse": 0.06775} | variances | rest


def error_of_mean(root, root_se, limit):
    """What `error_of_the_mean` says of one output."""
    return {"emulator": root, "emulator_se": root_se, "emulator_limit": limit}


def calibration():
    """Of thirty calibration draws at random places of their posteriors, whose log score breaks its promise."""
    rng = np.random.default_rng(2)
    n = 30
    columns = {"point_id": np.arange(n), "hpd_level": rng.random(n), "tarp": rng.random(n)}
    for name, (low, high) in zip(("q0", "a_au"), LIMITS, strict=True):
        columns |= {f"{name}_{what}": rng.random(n) for what in ("pit", "sbc", "contraction")}
        columns |= {f"{name}_{what}": rng.uniform(low, high, n) for what in ("true", "mean")}
    columns |= {"log_density": rng.normal(-3.4, 0.1, n), "entropy": rng.normal(2.4, 0.1, n)}
    columns |= {"rhat": [1.0, 1.0312, 1.0457] + [1.001] * 27}
    found = sbc_report(pd.DataFrame(columns), 100)
    return found | {"n_drawn": 36, "n_dissolved": 4, "n_outside_prior": 2}


@pytest.fixture
def winning(metrics):
    """The same with a network better than every baseline."""
    found = copy.deepcopy(metrics)
    found["emulator"]["beats_every_baseline"] = dict.fromkeys(found["sigma_total"], True)
    found["calibration"]["verdict"]["trusted"] = True
    return found


def posterior_table(n, **first):
    """A table of posteriors, as recovery.csv and observed.csv have them."""
    rng = np.random.default_rng(1)
    columns = {name: [value] * n for name, value in first.items()}
    for name, (low, high) in zip(("q0", "a_au"), LIMITS, strict=True):
        columns |= {f"{name}_{label}": rng.uniform(low, high, n) for label in POSTERIOR}
    columns |= {"rhat": np.full(n, 1.0034), "ess_bulk": np.full(n, 2309.0), "divergences": 0, "tv_grid": 0.03}
    columns |= {"hpd_level": 0.321, "chi2_best": 1.7, "edge_mass_q0": 0.013, "edge_mass_a_au": 0.027, "at_edge": False}
    return pd.DataFrame(columns)


@pytest.fixture
def recovery():
    """Recovered test cases, not in the order of their true Q0."""
    table = posterior_table(3, case="200007-03", point_id=200_007, realization=3)
    table["case"] = ["first", "second", "third"]
    return table.assign(q0_true=[1.25, 0.75, 1.0], a_au_true=[90.0, 60.0, 150.0])


@pytest.fixture
def render(tmp_path, config, recovery):
    """Write a report with a one-pixel image for every figure; return its text."""
    figures = []
    for name in (*FIGURES, *POPULATION, "corner_0", "corner_1", "observed_0"):
        (tmp_path / f"{name}.png").write_bytes(PIXEL)
        figures.append(str(tmp_path / f"{name}.png"))

    def render(metrics, observed=None, config=config, costs=(), population=None, law=None):
        path = tmp_path / "out" / "report.html"
        write_report(path, config, metrics, recovery, observed, figures, population, law, costs)
        return (tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    return render


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(html)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)


def test_the_page_is_whole(render, metrics):
    """Every tag that opens closes, in order; every link within the page has its target."""
    page = Page(render(metrics))
    assert page.open == []
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)
    targets = {value[1:] for name, value in page.attributes if name == "href" and value.startswith("#")}
    assert targets
    assert targets <= set(identifiers)


def test_the_page_needs_nothing_else(render, metrics):
    """No script, style sheet, image or font from elsewhere: it opens anywhere, for ever, and says so to browsers."""
    html = render(metrics)
    page = Page(html)
    assert page.tags.count("script") == 3
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'") in (
        page.attributes
    )
    for name, value in page.attributes:
        if name in ("src", "href", "srcset", "data", "action"):
            assert value.startswith(("data:", "#"))
    assert not re.search(r"@import|url\(|https?://", html)


def test_every_figure_is_inside(render, metrics):
    """As it was on disk, with a caption that says what to look for."""
    page = Page(render(metrics))
    images = [value for name, value in page.attributes if name == "src"]
    # the figures of the campaign and two corner plots; without observations nothing of the user's own clusters
    assert len(images) == len(FIGURES) + 2
    for image in images:
        assert base64.b64decode(image.removeprefix("data:image/png;base64,")) == PIXEL
    sizes = [value for name, value in page.attributes if name in ("width", "height")]
    assert sizes.count("1") == 2 * len(images)
    for name, caption in CAPTIONS.items():
        assert name in ("observed", "catalogue", "predictive", *POPULATION) or re.sub(r"\s+", " ", caption) in page.text


def test_the_numbers_are_those_of_the_metrics(render, metrics):
    """Counts, errors, widths, coverage, sampler and cost, in the units and digits a person reads."""
    text = Page(render(metrics)).text
    for words in (
        "Campaign default",
        "1 234 points, 5 678 runs",
        "trained on 1 519 runs and stopped by 383 validation runs",
        "7.14e-05",
        "f_bound [1]",
        "sigma_v_kms [km/s]",
        "r_h_au [AU]",
        "largest R-hat 1.0157",
        "R-hat at most 1.0157; divergent transitions: 0",
        "0 divergences",
        "in a batch: faster by 1018 and 38611 times",
        "58260 gradients a case",
    ):
        assert words in text
    for name, width in metrics["sigma_total"].items():
        assert re.search(rf"{name} \[\S+\] {format_number(width)} ", text)
    emulator = metrics["emulator"]["rmse_mean"]
    assert f"emulator {format_number(emulator['f_bound'])}" in text
    for kind, part in metrics["baselines"].items():
        numbers = [format_number(part[error][name]) for name in emulator for error in ("rmse_mean", "rmse")]
        assert f"{kind} {' '.join(numbers)}" in text
    recovery = metrics["recovery"]
    assert f"all 30 {format_number(recovery['log_score'])} Q0" in text
    joint = (recovery["coverage"]["95"]["joint"], recovery["coverage_se"]["95"]["joint"])
    assert "{:.1f} ± {:.1f}".format(*(100 * v for v in joint)) in text


def test_a_network_that_loses_is_called_so(render, metrics):
    """With the outputs on which it does, in a box that stands out."""
    html = render(metrics)
    losses = [name for name, beats in metrics["emulator"]["beats_every_baseline"].items() if not beats]
    assert losses
    warning, _verdict, _checks = re.findall(r'<p class="warn">(.*?)</p>', html, re.DOTALL)
    assert f"loses to a baseline on {', '.join(losses)}" in warning
    assert "beats every baseline" not in html


def test_one_lost_output_is_enough(render, winning):
    """And only that one is named."""
    winning["emulator"]["beats_every_baseline"]["sigma_v_kms"] = False
    html = render(winning)
    assert "loses to a baseline on sigma_v_kms:" in html
    assert "beats every baseline" not in html


def test_a_network_that_wins_is_called_so(render, winning):
    """Without a warning."""
    winning["calibration"]["failed"] = []
    html = render(winning)
    assert "The network beats every baseline on all three outputs." in html
    assert 'class="warn"' not in html


def test_what_is_not_known_is_called_so(render, winning):
    """A campaign of single realizations has no scatter: null in the metrics, n/a in the report."""
    names = list(winning["sigma_total"])
    winning["emulator"] |= {key: dict.fromkeys(names) for key in ("scatter", "noise_of_means")}
    assert "noise of means, scatter n/a n/a n/a n/a n/a n/a " in Page(render(winning)).text


def test_the_emulators_error_has_bars_or_a_limit(render, metrics):
    """And so has the factor of the members' spread; without replicates both are n/a, and the factor is 1."""
    text = Page(render(metrics)).text
    assert "f_bound [1] 0.0577 0.0569 0.0093 ± 0.0012 0.0093 ± 0.0012" in text
    assert "sigma_v_kms [km/s] 0.522 n/a n/a n/a" in text
    assert "r_h_au [AU] 92.1 92.6 below 23 (95 %) below 23 (95 %)" in text
    assert "f_bound [1] 0.00405 1.63 -2.2 ± 6.8 -2.2 ± 6.8" in text
    unknown = {"spread": None, "factor": 1.0, "squared_factor": None, "squared_factor_se": None}
    found = Page(render(metrics | {"members_spread": dict.fromkeys(SUMMARIES, unknown)})).text
    assert "f_bound [1] n/a 1 n/a -2.2 ± 6.8" in found
    assert "Without replicates the factor is not known" in found
    assert "Without replicates the factor" not in text


def test_cases_are_listed_by_their_true_q0(render, metrics, recovery):
    """With posterior mean, width and interval of both parameters."""
    text = Page(render(metrics)).text
    assert text.index("second 0.750 60.0") < text.index("third 1.000 150.0") < text.index("first 1.250 90.0")
    row = recovery.iloc[1]
    cells = f"{row.q0_mean:.3f} {row.q0_sd:.3f} {row['q0_q02.5']:.3f} – {row['q0_q97.5']:.3f} "
    cells += f"{row.a_au_mean:.1f} {row.a_au_sd:.1f} {row['a_au_q02.5']:.1f} – {row['a_au_q97.5']:.1f} 1.0034 2309"
    assert f"second 0.750 60.0 {cells}" in text


def test_every_caption_says_what_would_be_a_bad_sign():
    """And before that, what to look for."""
    for caption in CAPTIONS.values():
        good, bad, _ = caption.partition(" Bad sign: ")
        assert bad
        assert re.search(r"\b[Ll]ook for ", good)


def test_the_index_leads_to_the_corner_plots(render, metrics):
    """Those of cases at even steps through the true Q0, here one case twice; other cases have no link."""
    html = render(metrics)
    links = dict(re.findall(r'<td><a href="#(corner_\d)">(\w+)</a></td>', html))
    assert links == {"corner_0": "third"}
    assert html.count("<strong>Test cluster third</strong>") == 2


def test_figures_say_what_they_show_to_those_who_do_not_see_them(render, metrics):
    """The captions' own words, without what to look for."""
    page = Page(render(metrics))
    texts = [value for name, value in page.attributes if name == "alt"]
    for name in FIGURES:
        assert any(len(text) > 20 and CAPTIONS[name].startswith(text) for text in texts), name
    assert not [text for text in texts if "Look for" in text or "Bad sign" in text]


def test_sliders_are_of_the_laws_that_there_are(render, metrics, config):
    """Of the three summaries alone, of all observables, or none; a prior of observed clusters goes with the page."""
    field = {"unit": "1", "low": 0.1, "high": 1.0, "value": 0.5, "step": 0.01}
    summaries = {"fields": [field | {"name": name} for name in SUMMARIES]}
    assert 'id="law"' not in render(metrics)
    assert 'id="law"' not in render(metrics, law={"summaries": None, "observables": None})
    html = render(metrics, law={"summaries": summaries, "observables": None})
    assert html.count("<tr data-observable=") == len(SUMMARIES)
    assert "<input data-use" not in html
    observables = json.loads(json.dumps(joint_law_of_page(random_law().ensemble, REACH)))
    config = config | {"observables": config["observables"] | {"prior": {"q0": [0.6, 1.2], "a_au": [60, 90]}}}
    html = render(metrics, config=config, law={"summaries": summaries, "observables": observables})
    rows = re.findall(r'<tr data-observable="(\w+)".*?data-use type="checkbox"( checked)?>', html)
    assert {name for name, ticked in rows if ticked} == {*SUMMARIES}
    assert {name for name, _ in rows} == {*random_law().names}
    law = json.loads(re.search(r'id="law">(.*?)</script>', html).group(1))
    assert law["observables"]["prior"] == [[0.6, 1.2], [60, 90]]


def test_the_costs_of_stages_are_listed(render, metrics):
    """A row a stage, and n/a for what was not measured; no heading without any."""
    costs = [
        {"stage": "simulate", "jobs": 11, "wall_s": 111.4, "starting_s": 20.0, "longest_s": 12.3, "memory_gb": 0.512},
        {"stage": "train", "jobs": 1, "wall_s": 2.51, "starting_s": None, "longest_s": 2.51, "memory_gb": None},
    ]
    text = Page(render(metrics, costs=costs)).text
    assert "simulate 11 111 20 12.3 0.512" in text
    assert "train 1 2.51 n/a 2.51 n/a" in text
    assert "150 s of wall time, in which 20 jobs ran for 240 s together" in text
    assert "60 % simulating, 40 % starting" in text
    assert "Whole jobs" not in Page(render(metrics)).text


def test_the_configuration_is_in_the_report(render, metrics, config):
    """All of it, as YAML."""
    html = render(metrics, config=config | {"seed": 424_242})
    text = re.search(r"<pre>(.*?)</pre>", html, re.DOTALL).group(1)
    assert yaml.safe_load(unescape(text)) == config | {"seed": 424_242}


def test_the_users_own_clusters_have_their_chapter(render, metrics):
    """Names as given, also those that HTML would take for its own."""
    observed = posterior_table(1, case="<b>Orion & sons</b>", f_bound=0.62, f_bound_err=0.05)
    observed = observed.assign(sigma_v_kms=4.1, sigma_v_kms_err=0.3, r_h_au=455.0, r_h_au_err=0.0, mahalanobis_p=0.31)
    html = render(metrics, observed)
    page = Page(html)
    assert "<b>" not in html
    assert "<b>Orion & sons</b> 0.620 ± 0.0500 4.10 ± 0.300 455 ± 0 " in page.text
    assert 'id="observed"' in html
    assert len([value for name, value in page.attributes if name == "src"]) == len(FIGURES) + 3


@pytest.mark.slow
def test_clusters_of_any_table_have_their_chapter(render, metrics):
    """Values with either kind of error, limits, gaps; remarks as they are in the table."""
    rows = [
        {"name": "<b>A</b>", "r_hp_au": 9e4, "r_hp_au_err": 8e3, "age_yr": 2e6, "mass_msun": 300.0},
        {"name": "B", "sigma_los_kms_upper": 0.9, "r_hp_au": 1e5, "r_hp_au_err_low": 1e4, "r_hp_au_err_high": 2e4},
    ]
    table, _ = answer_catalogue(1, random_law(), clusters_table(rows))
    table.loc[0, "remarks"] = "nearly the prior in q0"
    page = Page(render(metrics, table))
    assert "<b>A</b> 90 000 ± 8 000 " in page.text
    assert "B < 0.900 100 000 −10 000 +20 000 " in page.text
    assert "<b>A</b>: nearly the prior in q0" in page.text
    assert "age and mass integrated over" in page.text


def test_the_population_behind_them_has_its_chapter(render, metrics):
    """Parameters of both laws, remarks, three figures; a sampler that failed is marked."""
    law = {"law": "normal", "parameter": "q0_scale", "unit": "K/|W|", "mean": 0.1234, "sd": 0.0456, "q02.5": 0.05}
    law |= {"q97.5": 0.21, "rhat": 1.3, "ess_bulk": 12.4, "prior": "half-normal, scale 0.5"}
    law |= {"remarks": "R-hat = 1.300, above 1.01; 12 effective draws, fewer than 400"}
    good = law | {"rhat": 1.001, "ess_bulk": 812.4, "remarks": float("nan")}
    told = {
        "n": 30,
        "n_used": 28,
        "survivors": True,
        "remarks": ["2 of 30 clusters are left out: <A>"],
        "laws": [law, good],
    }
    html = render(metrics, population=told)
    page = Page(html)
    for said in ("28 of 30 clusters used", "2 of 30 clusters are left out: <A>", "Clusters that dissolved are missing"):
        assert said in page.text
    assert "normal q0_scale K/|W| 0.123 0.046 0.0500 – 0.210 1.3000 12 half-normal, scale 0.5" in page.text
    assert 'class="flag">1.3000</td><td class="flag">12</td>' in html
    assert "<td>1.0010</td><td>812</td>" in html
    assert all(f'<figure id="{name}"' in html for name in POPULATION)
    assert "dissolved are missing" not in Page(render(metrics, population=told | {"survivors": False})).text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        (
            {"chi2_best": 40.0, "mahalanobis_p": 0.001, "edge_mass_q0": 0.9, "at_edge": True},
            ["Orion: nothing in the prior's box comes near this observation"],
        ),
        ({"mahalanobis_p": 0.004}, ["Orion: outside the prior predictive (Mahalanobis p = 0.004)"]),
        ({"rhat": 1.5}, ["Orion: the chains did not find the posterior (R-hat = 1.5,"]),
        ({"edge_mass_q0": 0.3, "at_edge": True}, ["Orion: the posterior is cut by the prior's box"]),
    ],
)
def test_doubtful_clusters_are_pointed_out(render, winning, changes, said):
    """All that `flags` says, in its words; nothing otherwise."""
    winning["calibration"] |= {"failed": [], "n_high_rhat": 0}
    observed = posterior_table(1, case="Orion", f_bound=0.62, f_bound_err=0.05, sigma_v_kms=4.1, sigma_v_kms_err=0.3)
    observed = observed.assign(r_h_au=455.0, r_h_au_err=0.0, mahalanobis_p=0.31, q0_sd=0.05, a_au_sd=25.0)
    observed = observed.assign(**changes)
    html = render(winning, observed)
    warnings = [Page(text).text.strip() for text in re.findall(r'<p class="warn">(.*?)</p>', html, re.DOTALL)]
    assert len(warnings) == len(said)
    for found, expected in zip(warnings, said, strict=True):
        assert re.sub(r"\s+", " ", found).startswith(expected)
    assert (html.count('class="flag"') > 0) == bool(said)


def test_the_calibrations_verdicts_are_told(render, metrics):
    """Every check with n, what was found, what is allowed and p; failures by name, in a box that stands out."""
    text = Page(render(metrics)).text
    report = metrics["calibration"]
    assert "log_score" in report["failed"]
    assert f"{len(report['failed'])} of 12 checks fail: {', '.join(report['failed'])}." in text
    for name, check in report["verdicts"].items():
        low, high = (format_number(edge) for edge in check["band"])
        verdict = "passes" if check["passed"] else "fails"
        cells = f"{name} {check['n']} {format_number(check['statistic'])} {low} to {high}"
        assert f"{cells} {format_number(check['p_value'], 2)} {verdict} {check['would_see']} " in text
    assert "NUTS: 2 of the 30 clusters that it sampled have an R-hat above 1.02; the largest is 1.0457." in text
    assert "36 further clusters" in text
    assert "4 dissolved" in text
    assert "2 were born outside the prior; n = 30 are left" in text
    assert "The posteriors know that these survived." in text


@pytest.mark.parametrize("trusted", [True, False])
def test_what_to_rely_on_comes_first(render, metrics, trusted):
    """The verdict's words begin the first table, shaded where they warn; failing checks by name come second."""
    verdict = {"trusted": trusted, "text": "Regions of hot clusters are as they are."}
    html = render(metrics | {"calibration": metrics["calibration"] | {"verdict": verdict}})
    first, second = re.findall(r"<tr><td>(.*?)</tr>", html, re.DOTALL)[:2]
    assert first.startswith("what to rely on")
    assert verdict["text"] in first
    assert ('class="flag"' in first) != trusted
    assert f"failing: {', '.join(metrics['calibration']['failed'])}" in second
    assert (f'<p class="warn">{verdict["text"]}' in html) != trusted


def test_a_survival_that_is_not_used_is_called_so(render, metrics, config):
    """With how much that could matter at most."""
    text = Page(render(metrics, config=config | {"likelihood": "constant"})).text
    assert "dissolved share of 11.1 %" in text


def test_a_calibration_that_passes_is_called_so(render, metrics):
    """Without a warning of its own."""
    report = metrics["calibration"]
    passing = report | {"failed": [], "verdicts": {"tarp": report["verdicts"]["tarp"] | {"passed": True}}}
    html = render(metrics | {"calibration": passing})
    assert "All 1 checks pass." in html
    assert "checks fail" not in html


def test_without_calibration_draws_there_is_no_such_chapter(render, metrics):
    """Neither heading, nor link, nor figures; the first line says that nothing was checked."""
    without = {name: part for name, part in metrics.items() if name != "calibration"}
    html = render(without)
    assert '<table class="facts">\n<tr><td>what to rely on</td><td class="flag">nothing was checked' in html
    page = Page(html)
    assert "#calibration" not in [value for name, value in page.attributes if name == "href"]
    assert not [value for name, value in page.attributes if name == "id" and value.startswith("calibration")]


def test_without_observations_there_is_no_such_chapter(render, metrics):
    """Neither heading nor link."""
    html = render(metrics)
    assert 'id="observed"' not in html
    assert "#observed" not in html


def test_a_virial_convention_changes_nothing_in_the_report(render, metrics, config):
    """Boxes are shown as K/|W|, in whichever convention they were given."""
    plain = Page(render(metrics)).text
    config["design"]["virial_convention"] = "2K/|W|"
    config["design"]["box"]["q0"] = [1.0, 3.0]
    assert "box in Q0 0.500 to 1.50" in plain
    assert "box in Q0 0.500 to 1.50" in Page(render(metrics, config=config)).text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "n/a"),
        ("text", "text"),
        (True, "True"),
        (0, "0"),
        (0.0, "0"),
        (42, "42"),
        (2560, "2 560"),
        (1_234_567, "1 234 567"),
        (500.0, "500"),
        (-3.0, "-3"),
        (3.14159, "3.14"),
        (31.4159, "31.4"),
        (314.159, "314"),
        (3141.59, "3142"),
        (-31.4159, "-31.4"),
        (0.314159, "0.314"),
        (0.0314159, "0.0314"),
        (0.00314159, "0.00314"),
        (0.000314159, "3.14e-04"),
        (3.64e-7, "3.64e-07"),
        (31_415_926.5, "3.14e+07"),
        (np.float64(0.25), "0.250"),
        (np.float32(0.25), "0.250"),
        (np.int64(2560), "2 560"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_for_people(value, expected):
    """Three significant digits, whole numbers whole, thousands apart, exponents only where zeros would be many."""
    assert format_number(value) == expected


@pytest.mark.parametrize(("digits", "expected"), [(2, "1.0"), (5, "1.0157")])
def test_as_many_digits_as_asked_for(digits, expected):
    """R-hat needs five."""
    assert format_number(1.01567, digits) == expected


def test_methods_are_compared(render, metrics):
    """A row a method in each table; what conformal regions do not define is n/a, and NUTS leaves them out."""
    page = Page(render(metrics))
    assert "methods" in dict((value, name) for name, value in page.attributes if name == "id")
    assert "bayesian 0.0611 71.3 71.3 0.541 71.3 71.3 92.7 71.3 71.3 -4.43" in page.text
    assert "conformal 0.0611 71.3 71.3 0.541 71.3 71.3 92.7 71.3 71.3 n/a" in page.text
    assert "bayesian 61.2 63.4 58.7 ± 3.2 5.1 % 61.2 63.4 58.7 ± 3.2 12.3 % -3.21 14.2 35.7" in page.text
    assert "conformal n/a n/a 95.3 ± 3.2 5.1 % n/a n/a 95.3 ± 3.2 12.3 % n/a 14.2 35.7" in page.text
    assert "bayesian 4 1.0042 811 0 0.930 1.10 1.02" in page.text


def test_the_choice_of_the_likelihood_is_explained(render, winning, config):
    """Both likelihoods with their validation scores; a choice that another one beats is pointed out."""
    page = render(winning, config=config | {"likelihood": "constant"})
    for text in ("-3.415", "-2.799", "45.7"):
        assert text in page
    warning = "mixture has the better score"
    assert warning in page
    page = render(winning, config=config | {"likelihood": "mixture"})
    assert warning not in page
    assert "which has the best score" in page


def test_the_simulators_answers_have_their_chapter(render, metrics):
    """With the numbers of both checks; without checks no heading, link or figure."""
    page = render(metrics)
    for text in ("0.190", "0.234", "0.0566", "-3.19", "61 posterior draws each of 8 test clusters", "0.00127"):
        assert text in page
    without = {key: part for key, part in metrics.items() if key not in ("brute_force", "posterior_predictive")}
    page = render(without)
    assert "#checks" not in page
    assert "Against the simulator" not in page
    assert 'id="brute_force"' not in page


def test_nothing_in_the_data_ends_its_element():
    """A name with a tag stays data."""
    assert "</script>" not in as_json({"name": "</script><b>"})
    assert json.loads(as_json({"name": "</script><b>"})) == {"name": "</script><b>"}
