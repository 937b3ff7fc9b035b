"""A campaign from nothing to its report."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner

from natal.cli.command import main
from natal.files.formats import read_json
from natal.provenance.digests import digest_parts

pytestmark = pytest.mark.slow

RECOVERY_COLUMNS = [
    "case",
    "point_id",
    "realization",
    *(f"{name}_true" for name in ("q0", "a_au")),
    *(
        f"{name}_{part}"
        for name in ("q0", "a_au")
        for part in ("mean", "sd", "q02.5", "q16", "q50", "q84", "q97.5", "pit")
    ),
    *("hpd_level", "rhat", "ess_bulk", "divergences", "tv_grid", "chi2_best"),
    *("edge_mass_q0", "edge_mass_a_au", "at_edge"),
]


def test_every_promised_file_is_made(finished):
    """The files of a campaign, by their contract names."""
    tables = ["design.csv", "summaries.csv", "recovery.csv", "calibration.csv", "metrics.json"]
    tables += [f"checks/{name}.csv" for name in ("brute_force", "posterior_predictive")]
    expected = [*tables, "emulator/ensemble.eqx", "emulator/training.h5", "posteriors.nc", "report.html"]
    missing = [name for name in expected if not (finished.results() / name).is_file()]
    assert not missing
    assert len(list((finished.results() / "simulations").glob("*.h5"))) == 5
    assert not list(finished.results().rglob("*.partial"))


def test_every_run_is_finite_or_dissolved(finished):
    """One row a realization, of calibration draws one each; only dissolved runs lack a dispersion and a radius."""
    table = pd.read_csv(finished.results() / "summaries.csv")
    assert len(table) == (8 + 4 + 4) * 3 + 10
    assert table[table.split != "calibration"].groupby("point_id").size().eq(3).all()
    assert table[table.split == "calibration"].point_id.tolist() == list(range(300_000, 300_010))
    assert (table[["sigma_v_kms", "r_h_au"]].isna().any(axis=1) == table.dissolved).all()
    assert table.drop(columns=["sigma_v_kms", "r_h_au"]).notna().all().all()


def test_shards_describe_themselves(finished):
    """A shard holds positions by (point, realization, time, star, 3), with units and the config that made it."""
    with h5py.File(finished.results() / "simulations" / "train0_001.h5") as file:
        assert file["position_au"].shape == (4, 3, 3, 16, 3)
        assert file["velocity_au_yr"].shape == (4, 3, 3, 16, 3)
        assert file["position_au"].compression == "gzip"
        assert file["velocity_au_yr"].attrs["unit"] == "AU/yr"
        assert file["point_id"][:].tolist() == [4, 5, 6, 7]
        np.testing.assert_allclose(file["time_yr"][:], [0, 10, 20])
        assert json.loads(file.attrs["config"])["cluster"]["n_stars"] == 16
        assert file.attrs["digest"]


def test_every_output_says_what_made_it(finished):
    """A record beside each, and the text on the last of them: digest, commit, seed, inputs, every step."""
    results = finished.results()
    outputs = {path.relative_to(results) for path in results.rglob("*") if path.is_file() and path.name[0] != "."}
    # a note of the workflow's, not an output
    outputs.remove(Path("simulations/layout.json"))
    records = {path for path in outputs if path.parts[0] == "provenance"}
    assert records == {Path("provenance") / path.with_name(f"{path.name}.json") for path in outputs - records}
    command = [sys.executable, "-m", "natal.cli", "provenance", "results/tiny/report.html"]
    done = subprocess.run(command, cwd=finished.folder, env=finished.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert {"design", "simulate", "summaries", "train", "recover", "draw_recovery", "report"} < {
        line[0] for line in lines
    }
    assert ["campaign", "tiny,", "seed", "20261123"] in lines
    record = read_json(results / "provenance" / "report.html.json")
    assert ["commit", record["environment"]["commit"]] in lines
    assert ["code", digest_parts(record["digest"])["code"]] in lines
    assert ["results/tiny/recovery.csv", record["inputs"][1]["sha256"][:16]] in lines
    assert "!" not in done.stdout
    # the report's own table
    assert all(f"<tr><td>{rule}</td>" in (results / "report.html").read_text() for rule in ("simulate", "train"))


def test_files_that_can_hold_it_name_digest_and_commit(finished):
    """HDF5, NetCDF and network files, without their records."""
    results = finished.results()
    network = json.loads((results / "emulator" / "mixture.eqx").read_bytes().partition(b"\n")[0])["versions"]
    held = [network]
    for name in ("posteriors.nc", "emulator/training.h5", "checks/brute_force.h5", "simulations/test0_000.h5"):
        with h5py.File(results / name) as file:
            held.append(dict(file.attrs))
    for attributes in held:
        assert attributes["digest"].startswith("code:")
        assert {"commit", "created", "version_jax"} <= set(attributes)


def test_snakemakes_own_report(complete):
    """It needs nothing that a finished campaign does not have."""
    done = complete.snakemake("--report", "report.zip")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(complete.folder / "report.zip") as report:
        shown = {Path(name).name for name in report.namelist()}
    assert {"report.html", "residuals.png", "corner_0.png", "recovery.csv"} <= shown


def test_every_surviving_test_run_is_recovered(finished):
    """recovery.csv has one row for each test run with a dispersion, with the contract's columns."""
    summaries = pd.read_csv(finished.results() / "summaries.csv")
    recovery = pd.read_csv(finished.results() / "recovery.csv")
    survivors = summaries[(summaries.split == "test") & ~summaries.dissolved]
    assert list(recovery.columns) == RECOVERY_COLUMNS
    assert len(recovery) == len(survivors)
    assert recovery.notna().all().all()
    with xr.open_datatree(finished.results() / "posteriors.nc", engine="h5netcdf") as tree:
        assert tree["posterior"].sizes == {"case": len(survivors), "chain": 4, "draw": 50}
        assert tree["posterior"]["case"].values.tolist() == recovery.case.tolist()


def test_metrics_hold_the_promised_numbers(finished):
    """Names in metrics.json that others rely on."""
    metrics = json.loads((finished.results() / "metrics.json").read_text())
    outputs = {"f_bound", "sigma_v_kms", "r_h_au"}
    assert outputs == set(metrics["emulator"]["rmse"]) == set(metrics["emulator"]["rmse_mean"])
    assert set(metrics["baselines"]) == {"mean", "linear", "quadratic", "nearest"}
    assert set(metrics["sigma_total"]) == outputs
    assert set(metrics["recovery"]["coverage"]) == {"50", "68", "90", "95"}
    assert set(metrics["recovery"]["coverage"]["95"]) == {"q0", "a_au", "joint"}
    assert len(metrics["recovery"]["by_q0_tercile"]) == 3
    assert {"max_rhat", "min_ess_bulk", "divergences", "seconds", "cases_per_second", "tv_grid_max"} <= set(
        metrics["nuts"]
    )
    assert metrics["recovery"]["n_cases"] > 0
    assert metrics["timing"]["speed"]["speedup_alone"] > 0
    assert list(metrics["uncertainty"]) == ["mixture", "constant", "conformal_scaled"]
    # the grid is small enough to be the recovery's
    assert metrics["uncertainty"]["mixture"]["coverage"]["95"] == metrics["recovery"]["coverage"]["95"]
    table = pd.read_csv(finished.results() / "uncertainty" / "comparison.csv")
    assert table.method.tolist() == list(metrics["uncertainty"])


def test_calibration_draws_are_checked_and_nothing_else(finished):
    """Those that survive have a row and are counted; no file that anything is trained on or fitted to holds one."""
    results = finished.results()
    summaries, table = (pd.read_csv(results / f"{name}.csv") for name in ("summaries", "calibration"))
    drawn = summaries[summaries.split == "calibration"]
    assert table.point_id.tolist() == drawn.point_id[~drawn.dissolved].tolist()
    assert table.notna().all().all()
    for split in ("train", "validation", "test"):
        assert not pd.read_csv(results / "dataset" / f"{split}.csv").point_id.isin(drawn.point_id).any()
    found = json.loads((results / "metrics.json").read_text())["calibration"]
    assert (found["n_cases"], found["n_drawn"]) == (len(table), 10)
    assert found["n_posterior_draws"] == 12
    assert {"coverage", "coverage_band", "by_q0_tercile", "by_a_au_tercile", "contraction", "tarp"} <= set(found)
    assert set(found["failed"]) <= set(found["verdicts"])
    assert found["verdicts"]["sbc_q0"]["n"] == len(table)
    for name in ("calibration_coverage", "calibration_pit", "calibration_sbc", "calibration_tarp"):
        assert (results / "figures" / f"{name}.pdf").is_file()


def test_a_campaign_without_checks(complete):
    """Without calibration draws and checks against the simulator nothing of them is planned or asked for."""
    none = {"cases": 0}
    changes = {"checks": {"brute_force": none, "posterior_predictive": none}}
    planned = complete.stale(changes=changes | {"design": {"calibration": 0}})
    checks = {"brute_force_runs", "brute_force", "posterior_predictive", "draw_checks"}
    assert {"design", "train", "recover", "metrics", "report"} <= set(planned)
    assert not (checks | {"calibrate", "draw_calibration"}) & set(planned)
    done = complete.snakemake("results/tiny/metrics.json", changes=changes)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((complete.results() / "metrics.json").read_text())
    assert not {"brute_force", "posterior_predictive"} & set(metrics)
    assert complete.stale(changes=changes) == {"report": 1}


def test_realizations_may_differ_by_split(fresh):
    """Runs and shards follow."""
    changes = {"design": {"realizations": {"train": 1, "validation": 2, "test": 3}}}
    done = fresh.snakemake("results/tiny/summaries.csv", changes=changes)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(fresh.results() / "summaries.csv")
    sizes = table.groupby(["split", "point_id"]).size().groupby("split").agg(["min", "max", "size"])
    assert sizes.loc["train"].tolist() == [1, 1, 8]
    assert sizes.loc["validation"].tolist() == [2, 2, 4]
    assert sizes.loc["test"].tolist() == [3, 3, 4]
    # 12 runs a job
    assert len(list((fresh.results() / "simulations").glob("*.h5"))) == 4


def test_a_second_run_has_nothing_to_do(finished):
    """Nothing is stale after a run."""
    assert finished.stale() == {}


def test_results_do_not_depend_on_sharding(finished, fresh):
    """The same points in jobs of another size give the same table, bit for bit."""
    target = "results/tiny/summaries.csv"
    done = fresh.snakemake(target, changes={"design": {"points_per_job": 3}})
    assert done.returncode == 0, done.stderr
    ours, theirs = (p.results() / "summaries.csv" for p in (fresh, finished))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_table_without_splits_is_enough_for_summaries(fresh):
    """design.table replaces the hypercube; summaries.csv can be made by name, training cannot."""
    (fresh.folder / "points.csv").write_text("q0,a_au\n0.6,60\n1.2,150\n0.9,100\n")
    changes = {"campaign": "table", "design": {"table": "points.csv", "points_per_job": 2, "calibration": 0}}
    done = fresh.snakemake("results/table/summaries.csv", changes=changes)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(fresh.results("table") / "summaries.csv")
    assert table.groupby("point_id").q0.first().tolist() == [0.6, 1.2, 0.9]
    for output in ("design.csv", "simulations/table_000.h5"):
        record = read_json(fresh.results("table") / "provenance" / f"{output}.json")
        assert [one["path"] for one in record["inputs"]] == ["points.csv"]
    refused = fresh.snakemake("-n", changes=changes)
    assert refused.returncode != 0
    assert "points.csv: column split must name train, validation and test points" in refused.stderr


def test_a_paper_is_drawn_from_its_files(finished, tmp_path, monkeypatch):
    """All usual figures that it has files of, over one column and as broad as they are."""
    monkeypatch.setattr("natal.running.device.set_up", lambda **_: None)
    for columns in ([], ["--columns", "1"]):
        command = [
            "export",
            str(finished.results()),
            "--paper",
            "--out",
            str(tmp_path / f"paper{len(columns)}"),
            *columns,
        ]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        written = {Path(line).name for line in done.stdout.splitlines() if not line.startswith("!")}
        assert {"design.pdf", "map.pdf", "recovered_vs_true.pdf", "coverage.pdf", "calibration_tarp.pdf"} <= written
        assert {"table_simulations.tex", "table_coverage.tex", "figures.tex", "example.tex"} <= written
        missing = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("!")]
        assert missing == ["observed", "population"]


def test_own_observations_are_recovered(complete):
    """`observations` adds observed.csv and observed.nc and repeats no simulation or training."""
    (complete.folder / "mine.csv").write_text(
        "name,f_bound,sigma_v_kms,r_h_au,sigma_v_kms_err\nA,0.9,4.0,150,0.5\nB,0.99,6.0,90,\n"
    )
    changes = {"observations": "mine.csv"}
    assert complete.stale(changes=changes) == {"observe": 1, "draw_observed": 1, "report": 1}
    done = complete.snakemake("results/tiny/observed.csv", changes=changes)
    assert done.returncode == 0, done.stderr
    observed = pd.read_csv(complete.results() / "observed.csv")
    assert observed.case.tolist() == ["A", "B"]
    assert observed.q0_mean.between(0.5, 1.5).all()
    assert observed.a_au_mean.between(50, 200).all()
    assert observed.sigma_v_kms_err.tolist() == [0.5, 0.0]
    assert observed.mahalanobis_p.between(0.001, 1).all()
    assert observed.columns.tolist()[-5:] == ["chi2_best", "mahalanobis_p", *RECOVERY_COLUMNS[-3:]]
