"""A user's mistake costs one clear line and nothing that was computed."""

import pytest

MISTAKES = [
    (
        {"integration": {"dtyr": 0.05}},
        "config: unknown key integration.dtyr (did you mean dt_yr?); allowed: t_end_yr, dt_yr, snapshots, "
        "precision, max_energy_error, clusters_per_batch",
    ),
    (
        {"inference": {"prior": {"q0": [0.4, 1.5], "a_au": [50, 200]}}},
        "config: inference.prior.q0 = [0.4, 1.5] is not allowed: it must lie within design.box.q0 = [0.5, 1.5], "
        "outside of which the emulator is untested",
    ),
    (
        {"design": {"box": {"a_pc": [0.1, 1], "a_au": [50, 200]}}},
        "config: design.box.a_pc and a_au are the same in two units: give one of them",
    ),
    ({"design": {"table": "none.csv"}}, "design.table: there is no file none.csv"),
    ({"observations": "none.csv"}, "observations: there is no file none.csv"),
]
# found where the first two are: what is said of each is tests/campaign/test_config.py's
MORE_MISTAKES = [
    (
        {"design": {"box": {"a_au": [200, 50]}}},
        "config: design.box.a_au = [200, 50] is not allowed: the first value must be below the second",
    ),
    ({"integration": {"dt_yr": -0.05}}, "config: integration.dt_yr = -0.05 is not allowed: a positive number (yr)"),
    (
        {"likelihood": "gauss"},
        "config: likelihood = 'gauss' is not allowed: one of constant, constant_full, ensemble, heteroscedastic, "
        "mixture",
    ),
    (
        {"campaign": "../other"},
        "config: campaign = '../other' is not allowed: a folder name: letters, digits, point, dash, underscore; "
        "not starting with a point",
    ),
    (
        {"integration": {"dt": "0.3 pc"}},
        "config: integration.dt = '0.3 pc' is not allowed: dt is a time, in yr, kyr, Myr, Gyr, d, h or min",
    ),
    ({"cluster": {"n_stars": "many"}}, "config: cluster.n_stars = 'many' is not allowed: a whole number from 5 up"),
    ({"cluster": None}, "config: cluster = None is not allowed: a mapping of cluster settings"),
]


@pytest.mark.parametrize(
    ("changes", "line"), [*MISTAKES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE_MISTAKES)]
)
def test_a_bad_configuration_is_refused_in_one_line(planned, changes, line):
    """Exit code not 0, the key named with what is allowed, no traceback, results untouched."""
    before = {path: path.stat().st_mtime_ns for path in planned.results().rglob("*")}
    done = planned.snakemake("-n", changes=changes)
    assert done.returncode != 0
    assert line in done.stderr.splitlines()
    assert "Traceback" not in done.stdout + done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in planned.results().rglob("*")}


@pytest.mark.slow
def test_a_missing_column_is_named(fresh):
    """A table without the scale radius is refused before anything runs."""
    (fresh.folder / "points.csv").write_text("q0,radius\n0.6,60\n")
    done = fresh.snakemake("-n", changes={"design": {"table": "points.csv"}})
    assert done.returncode != 0
    assert "points.csv: column a_au is missing (columns: q0, a_au, optional split, point_id, block)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "name,fraction,sigma,radius\nA,0.9,4,300\n",
            "mine.csv: the table has no column of an observable (f_bound, sigma_v_kms, r_h_au, sigma_los_kms, "
            "sigma_pm_kms, r_hp_au, v_out_kms, lambda_msr, in any unit); the header is 'name,fraction,sigma,radius'",
        ),
        (
            "name;f_bound;sigma_v_kms;r_h_au\nA;0.9;4;300\n",
            "mine.csv: values must be separated by commas, but the header is 'name;f_bound;sigma_v_kms;r_h_au'",
        ),
        (
            "name,f_bound,sigma_v_kms,r_h_au\nA,0.9,fast,300\n",
            "mine.csv, row 1, column sigma_v_kms: 'fast' is not a finite number",
        ),
        (
            "name,f_bound,sigma_v_kms,r_h_au\nA,90,4,300\n",
            "mine.csv, row 1, column f_bound: 90 must be above 0 and at most 1",
        ),
    ],
)
def test_observations_that_cannot_be_read_are_refused_in_one_line(fresh, content, line):
    """Before anything runs, whatever the target."""
    (fresh.folder / "mine.csv").write_text(content)
    done = fresh.snakemake("-n", changes={"observations": "mine.csv"})
    assert done.returncode != 0
    assert line in done.stderr.splitlines()
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("target", ["observed", "results/tiny/observed.csv"])
def test_answers_for_nothing_are_refused(fresh, target):
    """By the target's name and by the file's."""
    done = fresh.snakemake("-n", target)
    assert done.returncode != 0
    assert "config key observations: null leaves nothing to answer; give a table" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("target", ["results/tiny/sumaries.csv", "results/default/summaries.csv"])
def test_a_target_that_nothing_makes_is_named(fresh, target):
    """A misspelt file, and one of another campaign than the configuration's."""
    done = fresh.snakemake("-n", target)
    assert done.returncode != 0
    assert (
        f"No rule to produce {target}: with this configuration natal only makes the files of results/tiny"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


def files(folder):
    """Results with their dates: not what the workflow keeps for itself."""
    kept = (path for path in folder.rglob("*") if path.is_file())
    return {p: p.stat().st_mtime_ns for p in kept if p.suffix != ".checkpoint" and not p.name.startswith(".")}


@pytest.mark.slow
def test_lost_energy_fails_the_job_and_says_what_to_change(editable):
    """A time step too long for the cluster stops its job with point, realization and setting; other shards stay."""
    failing = editable.results() / "simulations" / "test0_000.h5"
    before = files(editable.results())
    assert failing in before
    changes = {"integration": {"dt_yr": 5.0, "max_energy_error": 1.0e-6}}
    done = editable.snakemake("results/tiny/simulations/test0_000.h5", changes=changes)
    assert done.returncode != 0
    log = (editable.folder / "logs" / "tiny" / "simulate" / "test0_000.log").read_text()
    last = log.splitlines()[-1]
    # the worst run of the shard, by a factor of four
    assert "point 200001 " in last
    assert "realization 1," in last
    assert "integration.max_energy_error allows 1e-06" in last
    assert "Traceback" not in log
    # its runs wait for a setting that lets them pass
    assert failing.with_suffix(".checkpoint").exists()
    after = files(editable.results())
    assert after == {path: time for path, time in before.items() if path != failing}


def test_a_step_that_is_far_too_long_is_warned_of(planned):
    """Before anything runs, and what the design allows; the cost at the speed of what is there."""
    done = planned.snakemake("-n", changes={"integration": {"dt_yr": 0.1}})
    assert done.returncode == 0
    step, warning, cost = [s for s in done.stderr.splitlines() if s.startswith(("step: ", "natal: warning", "cost: "))]
    assert "integration.dt_yr = 0.1 is 3.14 times the longest step that the design allows, 0.0318 yr" in step
    assert "integration.dt_yr = 0.1 yr is far too long for the design" in warning
    assert "at most 0.0318 yr are allowed, such as 0.025, or" in warning
    assert cost.endswith("a second each (measured on this campaign's finished simulations)")
