"""A change reruns what depends on it, and nothing else."""

import json
import math
import os
import re

import pandas as pd
import pytest
from project import ROOT, job_counts

from natal.assessment.numerical import HALVED
from natal.files.sealed import read_seal, write_seal
from natal.provenance.digests import changed_parts
from natal.variables import SUMMARIES


def drawn(*chapters):
    """The jobs that draw these chapters, and the report."""
    return {f"draw_{chapter}": 1 for chapter in chapters} | {"report": 1}


AFTER_PREDICTIVE = {"metrics": 1} | drawn("checks")
AFTER_RECOVER = {"posterior_predictive": 1} | AFTER_PREDICTIVE | drawn("recovery")
AFTER_CALIBRATE = {"metrics": 1} | drawn("calibration")
AFTER_UNCERTAINTY = {"metrics": 1} | drawn("uncertainty")
AFTER_BRUTE_FORCE = {"metrics": 1} | drawn("checks")
AFTER_LIKELIHOOD = (
    {"recover": 1, "calibrate": 1, "speed": 1, "uncertainty": 1, "brute_force": 1}
    | (AFTER_RECOVER | AFTER_CALIBRATE | AFTER_UNCERTAINTY | AFTER_BRUTE_FORCE)
    | drawn("emulator")
)
AFTER_ENSEMBLE = {"likelihood": 1, "evaluate": 1} | AFTER_LIKELIHOOD
AFTER_DATASET = {"train": 1, "density": 1} | AFTER_ENSEMBLE
AFTER_SUMMARIES = {"dataset": 1} | AFTER_DATASET | drawn("simulations")
SIMULATED = {"simulate": 5, "summaries": 1, "brute_force_runs": 1}
EVERYTHING = {"design": 1} | SIMULATED | AFTER_SUMMARIES
EVERY_FIGURE = drawn("simulations", "emulator", "recovery", "calibration", "uncertainty", "checks")
ONE_SHARD = {"design": 1, "simulate": 1, "summaries": 1}


# by row of the table in docs/explanation/staleness.md: settings that change, and the exact jobs that follow
SETTINGS = {
    "`seed`, `design.box`": [({"seed": 5}, EVERYTHING), ({"design": {"box": {"q0": [0.5, 1.4]}}}, EVERYTHING)],
    "`cluster.*`, `integration.*`": [
        ({"cluster": {"softening_au": 1.5}}, SIMULATED | AFTER_SUMMARIES),
        ({"integration": {"dt_yr": 0.04}}, SIMULATED | AFTER_SUMMARIES),
        ({"integration": {"clusters_per_batch": 3}}, SIMULATED | AFTER_SUMMARIES),
    ],
    "a later `integration.t_end_yr`, other `snapshots`": [
        ({"integration": {"t_end_yr": 30}}, SIMULATED | AFTER_SUMMARIES),
        ({"integration": {"snapshots": 5}}, SIMULATED | AFTER_SUMMARIES),
    ],
    # calibration draws are single
    "more `design.realizations`": [
        ({"design": {"realizations": 4}}, {"design": 1, "simulate": 4, "summaries": 1} | AFTER_SUMMARIES)
    ],
    "another entry in `design.train`, `validation`, `test`": [
        ({"design": {name: [n, 2]}}, ONE_SHARD | AFTER_SUMMARIES)
        for name, n in (("train", 8), ("validation", 4), ("test", 4))
    ],
    # twelve calibration draws make a job: the first is as it was, the last grows
    "`design.calibration`": [({"design": {"calibration": 12}}, ONE_SHARD | AFTER_SUMMARIES)],
    # no stage of the campaign waits for proposals: only the report states all settings
    "`adaptive.*`": [({"adaptive": {"points": 4}}, {"report": 1})],
    "`sweep.*`": [({"sweep": {"folds": 3}}, {"report": 1})],
    # training shards are cut; the four points of the others make one job as before
    "`design.points_per_job`": [({"design": {"points_per_job": 8}}, ONE_SHARD | AFTER_SUMMARIES)],
    # blocks that were cut stay so; only the report states all settings
    "`design.job_minutes`": [({"design": {"job_minutes": 30}}, {"report": 1})],
    "`emulator.*`": [({"emulator": {"learning_rate": 0.002}}, {"train": 1} | AFTER_ENSEMBLE)],
    "`density.*`": [({"density": {"learning_rate": 0.002}}, {"density": 1, "likelihood": 1} | AFTER_LIKELIHOOD)],
    "`likelihood`, `tempering`": [
        ({"likelihood": "constant"}, {"likelihood": 1} | AFTER_LIKELIHOOD),
        ({"tempering": 0.25}, {"likelihood": 1} | AFTER_LIKELIHOOD),
    ],
    "`inference.*`": [
        (
            {"inference": {"warmup": 60}},
            {"recover": 1, "calibrate": 1, "uncertainty": 1} | AFTER_RECOVER | AFTER_CALIBRATE | AFTER_UNCERTAINTY,
        ),
        ({"inference": {"draws": 60}}, {"recover": 1, "uncertainty": 1} | AFTER_RECOVER | AFTER_UNCERTAINTY),
        ({"inference": {"calibration_draws": 16}}, {"calibrate": 1} | AFTER_CALIBRATE),
        ({"inference": {"calibration_nuts": 20}}, {"calibrate": 1} | AFTER_CALIBRATE),
        (
            {"inference": {"prior": {"q0": [0.6, 1.4], "a_au": [50, 200]}}},
            {"recover": 1, "calibrate": 1, "uncertainty": 1, "brute_force_runs": 1, "brute_force": 1}
            | (AFTER_RECOVER | AFTER_CALIBRATE | AFTER_UNCERTAINTY | AFTER_BRUTE_FORCE),
        ),
    ],
    "`uncertainty.*`": [({"uncertainty": {"masks": 3}}, {"uncertainty": 1} | AFTER_UNCERTAINTY)],
    "`checks.brute_force.*`": [
        (
            {"checks": {"brute_force": {"realizations": 5}}},
            {"brute_force_runs": 1, "brute_force": 1} | AFTER_BRUTE_FORCE,
        ),
        ({"checks": {"brute_force": {"cases": 1}}}, {"brute_force": 1} | AFTER_BRUTE_FORCE),
    ],
    "`checks.posterior_predictive.*`": [
        ({"checks": {"posterior_predictive": {"draws": 21}}}, {"posterior_predictive": 1} | AFTER_PREDICTIVE)
    ],
    # only the report states all settings
    "`checks.trust.*`": [({"checks": {"trust": {"draws": 31}}}, {"report": 1})],
    "`checks.numerical.*`": [({"checks": {"numerical": {"draws": 31}}}, {"report": 1})],
    "`observables.*`": [
        ({"observables": {"in_report": True}}, {"observables": 1, "joint": 1} | drawn("emulator")),
        ({"observables": {"aperture": 5.0}}, {"report": 1}),
    ],
    "`population.*`": [({"population": {"bins": 5}}, {"report": 1})],
    "`report.*`": [({"report": {"corner_cases": 2}}, drawn("recovery"))],
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # every row is driven in `make test`, its other settings with the long tests
        pytest.param(*case, id=f"{row}: {case[0]}", marks=[pytest.mark.slow] if k else [])
        for row, cases in SETTINGS.items()
        for k, case in enumerate(cases)
    ],
)
def test_a_changed_setting_reruns_its_stages(planned, changes, expected):
    """Exact job lists for changed configuration keys."""
    assert planned.stale(changes=changes) == expected


@pytest.mark.slow
def test_settings_of_densities_are_those_of_the_law_of_observables_too(editable):
    """If there is one: here its files are empty, and Snakemake holds them for made by today's jobs."""
    in_report = {"observables": {"in_report": True}}
    listed = editable.snakemake("--summary", changes=in_report).stdout.splitlines()[1:]
    for path in (editable.folder / line.partition("\t")[0] for line in listed):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert editable.snakemake("--touch", "--forceall", changes=in_report).returncode == 0
    assert editable.stale(changes=in_report) == {}
    both = {"density": 1, "joint": 1, "likelihood": 1} | AFTER_LIKELIHOOD
    assert editable.stale(changes=in_report | {"density": {"learning_rate": 0.002}}) == both


def test_other_units_rerun_nothing(planned):
    """The same lengths and times, whichever way they are written."""
    au = math.pi / 648_000
    box = {"q0": [0.5, 1.5], "a": [f"{50 * au!r} pc", f"{200 * au!r} pc"]}
    changes = {"integration": {"t_end_kyr": 0.02, "dt": "0.05 yr"}, "cluster": {"softening_au": "2e0"}}
    assert planned.stale(changes=changes | {"design": {"box": box}}) == {}


def test_new_observations_are_answered_and_shown(planned, tmp_path):
    """Nothing else reruns, and the answer alone is a target."""
    file = tmp_path / "mine.csv"
    file.write_text("name,f_bound,sigma_v_kms,r_h_au\nmine,0.8,5.0,300\n")
    changes = {"observations": str(file)}
    assert planned.stale(changes=changes) == {"observe": 1} | drawn("observed")
    assert planned.stale("observed", changes=changes) == {"observe": 1, "observed": 1}


def test_a_catalogue_is_answered_by_the_law_of_observables(planned, tmp_path):
    """Which is trained then, from stored snapshots: no simulation, nothing of the campaign."""
    file = tmp_path / "mine.csv"
    file.write_text("name,r_hp_pc,age_myr,mass_msun\nmine,0.3,2,300\n")
    changes = {"observations": str(file)}
    trained = {"observables": 1, "joint": 1, "catalogue": 1}
    assert planned.stale(changes=changes) == trained | {"draw_emulator": 1, "draw_catalogue": 1, "report": 1}
    assert planned.stale("observed", changes=changes) == trained | {"observed": 1}


# a file of natal, what is replaced in it, and the exact jobs that follow: tests/provenance/test_edits.py has the others
CODE = [
    ("nbody/leapfrog.py", "0.5 * dt_yr * acceleration", "dt_yr * 0.5 * acceleration", SIMULATED | AFTER_SUMMARIES),
    ("assessment/sbc.py", "THINNING = 10", "THINNING = 5", {"calibrate": 1} | AFTER_CALIBRATE),
    ("figures/style.py", "TICK_SIZE = ", "TICK_SIZE = 1 + ", EVERY_FIGURE),
    ("report/captions.py", "Look for flat histograms", "Look for level histograms", {"report": 1}),
    ("report/templates/report/cost.j2", "What it cost", "What it took", {"report": 1}),
]

# rows that tests below this one or in test_growth.py drive
ELSEWHERE = {
    "one row of `design.table`": "test_an_edited_table_row_reruns_its_shard_only",
    "another file in `design.proposed`": "test_proposed_points_become_a_block_of_their_own",
    "one row of a file in `design.proposed`": "test_proposed_points_become_a_block_of_their_own",
    "the splits in `design.table`": "test_points_that_change_sides_keep_their_simulations",
    "`src/natal/report/templates/`": "test_changed_code_reruns_its_stages",
    "`observations`": "test_new_observations_are_answered_and_shown",
}


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "expected"), [pytest.param(*edit, id=edit[0]) for edit in CODE])
def test_changed_code_reruns_its_stages(editable, file, old, new, expected):
    """A formula, a figure, the report's words: Snakemake reruns the stages that depend on them."""
    editable.edit(file, old, new)
    assert editable.stale() == expected


@pytest.mark.slow
def test_words_rerun_nothing(editable):
    """An error, a log line, a progress bar, a docstring, and code that runs jobs."""
    editable.edit("simulation/conservation.py", "values that are not finite", "infinite values")
    editable.edit("campaign/tables.py", "is not a finite number", "is no finite number")
    editable.edit("progress.py", "s elapsed", "seconds elapsed")
    editable.edit("nbody/leapfrog.py", "Kick-drift-kick leapfrog", "Leapfrog, kick-drift-kick,")
    editable.edit("running/jobs.py", "stopped by SIGTERM", "ended by SIGTERM")
    assert editable.stale() == {}


@pytest.mark.slow
def test_simulations_of_older_code_are_made_again(editable):
    """Those of version 0.1.0, by their digests: one line says it for all, though Snakemake's records are of today's."""
    shards = list((editable.results() / "simulations").glob("*.h5"))
    for shard in shards:
        seal = read_seal(shard)
        write_seal(shard, seal | {"digest": seal["digest"].replace("code:2-", "code:")})
    done = editable.snakemake("-n")
    line = "results/tiny/simulations holds 5 shards made by an older version of natal's code; they are simulated again"
    assert [said for said in done.stderr.splitlines() if said.startswith("natal: ")] == [f"natal: {line}"]
    assert job_counts(done.stdout) == {"simulate": 5, "summaries": 1} | AFTER_SUMMARIES


def test_every_row_of_the_documented_table_is_driven():
    """docs/explanation/staleness.md promises nothing that no test here looks at, and the other way round."""
    text = (ROOT / "docs" / "explanation" / "staleness.md").read_text()
    table = text.split("| change | reruns from |\n|---|---|\n")[1].split("\n\n")[0]
    documented = {line.split("|")[1].strip() for line in table.splitlines()}
    assert documented == (SETTINGS | ELSEWHERE).keys()
    assert all(callable(globals()[name]) for name in ELSEWHERE.values())


@pytest.mark.slow
def test_the_reason_names_settings_and_code(editable):
    """What Snakemake says of the old and the new digest differs in the changed part only."""
    reason = r"^Job \d+: Train the ensemble\nReason: Params have .* before: '(code:.*)' now: '(code:.*)'"
    for change, name in (({"emulator": {"learning_rate": 0.002}}, "emulator"), (None, "code")):
        if change is None:
            editable.edit("emulator/training.py", "from natal.", "EDITED = 1\nfrom natal.")
        found = re.search(reason, editable.snakemake("-n", changes=change).stdout, re.M)
        assert changed_parts(*found.groups()) == [name]


@pytest.mark.slow
def test_a_touched_script_reruns_nothing(editable):
    """A fresh checkout changes modification times only."""
    for script in (editable.folder / "workflow" / "scripts").rglob("*.py"):
        os.utime(script)
    assert editable.stale() == {}


@pytest.mark.slow
def test_an_edited_table_row_reruns_its_shard_only(fresh):
    """Shards of a design table depend on their own rows."""
    table = fresh.folder / "points.csv"
    changes = {"design": {"table": "points.csv", "points_per_job": 2, "calibration": 0}}
    target = "results/tiny/summaries.csv"
    rows = ["0.6,60", "1.2,150", "0.9,100", "0.7,80"]
    table.write_text("\n".join(["q0,a_au", *rows]))
    done = fresh.snakemake(target, changes=changes)
    assert done.returncode == 0, done.stderr
    table.write_text("\n".join(["q0,a_au", *rows[:2], "0.95,100", rows[3]]))
    assert fresh.stale(target, changes=changes) == {"design": 1, "simulate": 1, "summaries": 1}
    table.write_text("\n".join(["q0,a_au", *rows, "1.0,90"]))
    assert fresh.stale(target, changes=changes) == {"design": 1, "simulate": 1, "summaries": 1}


@pytest.mark.slow
def test_proposed_points_become_a_block_of_their_own(complete):
    """Proposed, looked at, named: only their shard is simulated, and what was there keeps its bytes."""
    assert complete.stale("propose") == {"propose": 1}
    done = complete.snakemake("propose")
    assert done.returncode == 0, done.stderr
    assert complete.stale("propose") == complete.stale() == {}
    for change in ({"points": 4}, {"criterion": "information"}):
        assert complete.stale("propose", changes={"adaptive": change}) == {"propose": 1}
    file = complete.results() / "proposed0.csv"
    points = pd.read_csv(file)
    assert list(points) == ["q0", "a_au", "score"]
    assert len(points) == 3

    changes = {"design": {"proposed": ["results/tiny/proposed0.csv"]}}
    new_block = {"design": 1, "simulate": 1, "summaries": 1} | AFTER_SUMMARIES
    assert complete.stale(changes=changes) == new_block
    # another round writes another file
    learned = {"design": 1, "simulate": 1, "summaries": 1, "dataset": 1, "train": 1}
    assert complete.stale("propose", changes=changes) == learned | {"propose": 1}
    shards = {path: path.read_bytes() for path in (complete.results() / "simulations").glob("*.h5")}
    done = complete.snakemake("results/tiny/dataset/train.csv", changes=changes)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in shards} == shards
    new = set((complete.results() / "simulations").glob("*.h5")) - set(shards)
    assert [path.name for path in new] == ["proposed0_000.h5"]
    runs = pd.read_csv(complete.results() / "dataset" / "train.csv")
    runs = runs[runs.point_id >= 600_000]
    assert len(runs) == 9
    assert sorted(runs.q0.unique()) == sorted(points.q0)

    row = points.copy()
    row.loc[0, "a_au"] = 101.0
    row.to_csv(file, index=False)
    assert complete.stale("results/tiny/summaries.csv", changes=changes) == {"design": 1, "simulate": 1, "summaries": 1}


@pytest.mark.slow
def test_what_adaptive_points_save_is_a_target_of_its_own(complete):
    """Tables and figure; the settings it depends on, which are those of the networks that its criterion asks."""
    done = complete.snakemake("adaptive_gain")
    assert done.returncode == 0, done.stderr
    gain = pd.read_csv(complete.results() / "adaptive" / "adaptive_gain.csv")
    assert gain.n_points.tolist() == [6, 8]
    assert gain[["target_error", "n_adaptive", "saved_low", "saved_high"]].notna().all(axis=None)
    assert (complete.results() / "adaptive" / "adaptive_gain.png").stat().st_size > 10_000
    assert complete.stale("adaptive_gain") == {}
    again = {"adaptive_gain": 1}
    # eight points are too few for density networks to learn from: no more than the plan
    for changes in ({"emulator": {"learning_rate": 0.002}}, {"adaptive": {"criterion": "information"}}):
        assert complete.stale("adaptive_gain", changes=changes) == again
    assert complete.stale("adaptive_gain", changes={"density": {"learning_rate": 0.002}}) == {}
    assert complete.stale() == {}


@pytest.mark.slow
def test_trust_is_checked_by_a_target_of_its_own(complete):
    """Fresh clusters are simulated once, scored again with another likelihood; `all` knows nothing of it."""
    assert complete.stale("check_trust") == {"trust_runs": 1, "check_trust": 1}
    done = complete.snakemake("check_trust")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goal " in done.stderr
    runs = pd.read_csv(complete.results() / "checks" / "trust_runs.csv")
    seen = pd.read_csv(complete.results() / "summaries.csv")
    assert len(runs) == 30
    assert not set(runs.point_id) & set(seen.point_id)
    assert not set(runs.q0) & set(seen.q0)
    regions = pd.read_csv(complete.results() / "checks" / "trust.csv")
    assert regions.by.tolist() == ["all"] + ["q0"] * 3 + ["a_au"] * 3
    report = json.loads((complete.results() / "metrics" / "trust.json").read_text())["trust"]
    assert regions.n[0] == report["n"] == 30 - report["n_dissolved"]
    assert set(report["missed"]) == {name for name, goal in report["goals"].items() if not goal["met"]}
    assert complete.stale("check_trust") == complete.stale() == {}
    more = {"checks": {"trust": {"draws": 31}}}
    assert complete.stale("check_trust", changes=more) == {"trust_runs": 1, "check_trust": 1}
    assert complete.stale("check_trust", changes={"likelihood": "constant"}) == {"likelihood": 1, "check_trust": 1}


@pytest.mark.slow
def test_step_and_softening_are_halved_by_a_target_of_its_own(complete):
    """The same fresh clusters three times, scored again with another likelihood; `all` knows nothing of it."""
    assert complete.stale("numerical") == {"numerical_runs": 1, "numerical": 1}
    done = complete.snakemake("numerical")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = pd.read_csv(complete.results() / "checks" / "numerical_runs.csv")
    assert runs.groupby("variant").size().to_dict() == dict.fromkeys(("campaign", *HALVED), 30)
    assert (runs.groupby("point_id")[["q0", "a_au"]].nunique() == 1).all(axis=None)
    # stars are the same, what becomes of them is not
    energy = runs.groupby("variant").energy_error.median()
    assert energy.half_step < energy.campaign
    report = json.loads((complete.results() / "metrics" / "numerical.json").read_text())["numerical"]
    assert report["posteriors"]["half_step"]["log_score_change"] != 0
    assert len(report["biases"]) == len(HALVED) * 4 * len(SUMMARIES)
    assert complete.stale("numerical") == complete.stale() == {}
    assert complete.stale("numerical", changes={"likelihood": "constant"}) == {"likelihood": 1, "numerical": 1}


@pytest.mark.slow
def test_training_is_watched_and_swept_by_targets_of_their_own(complete):
    """They run without the rest, write their tables and figures, and go stale with the settings of the networks."""
    settings = {"sweep": {"grid": [{"activation": ["tanh"]}]}}
    done = complete.snakemake("diagnostics", "sweep", changes=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = pd.read_csv(complete.results() / "diagnostics" / "checks.csv")
    assert set(checks.verdict) <= {"fine", "look", "still falling", "plateau", "overfitting", "oscillation"}
    table = pd.read_csv(complete.results() / "sweep" / "sweep.csv")
    assert sorted(table.activation) == ["relu", "tanh"]
    assert table.campaign.sum() == 1
    names = ("layers", "loss_curves", "normalisation", "extrapolation")
    figures = [*(f"diagnostics/{name}" for name in names), "sweep/sweep"]
    for name in figures:
        assert (complete.results() / f"{name}.png").stat().st_size > 10_000
    assert complete.stale("diagnostics", "sweep", changes=settings) == {}
    assert complete.stale("sweep", changes={"sweep": {"grid": [{"activation": ["gelu"]}]}}) == {"sweep": 1}
    assert complete.stale("diagnostics", changes={"emulator": {"optimiser": "adamw"}}) == {"diagnostics": 1}


@pytest.mark.slow
def test_points_that_change_sides_keep_their_simulations(fresh):
    """Splits may come later or be swapped: the tables follow the design, and nothing is simulated again."""
    table = fresh.folder / "points.csv"
    changes = {"design": {"table": "points.csv", "calibration": 0}}
    summaries = fresh.results() / "summaries.csv"
    rows = ["0.6,60", "1.2,150", "0.9,100", "0.7,80"]
    for splits in (
        ["", "", "", ""],
        ["train", "train", "validation", "test"],
        ["test", "train", "validation", "train"],
    ):
        table.write_text("\n".join(["q0,a_au,split", *(f"{r},{s}" for r, s in zip(rows, splits, strict=True))]))
        if summaries.exists():
            # a row's split is its point's
            assert fresh.stale("results/tiny/summaries.csv", changes=changes) == {"design": 1, "summaries": 1}
        done = fresh.snakemake("results/tiny/summaries.csv", changes=changes)
        assert done.returncode == 0, done.stderr
        found = pd.read_csv(summaries, keep_default_na=False).groupby("q0").split.first()
        assert [found[float(row.split(",")[0])] for row in rows] == splits
