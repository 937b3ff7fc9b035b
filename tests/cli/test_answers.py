"""`natal answer` and `natal predict`: a campaign's networks asked from the command line."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import xarray as xr
from joint_law import REACH, random_law
from project import ROOT

import natal.running.device
from natal import load_campaign
from natal.campaign.config import check_campaign, laid_over, read_config
from natal.cli.found import TRAINED, asked_of, replace_trained
from natal.likelihood.joint_network import save_joint
from natal.posterior.observed import recover_observed
from natal.provenance.lineage import recorded_config

CLUSTERS = "name,f_bound,sigma_v_kms,r_h_au,r_h_au_err\nA [b],0.8,4.5,450,10\nNA,0.82,4.6,460,\n"


@pytest.fixture(autouse=True)
def set_up(monkeypatch):
    """JAX runs in this process already."""
    monkeypatch.setattr(natal.running.device, "set_up", lambda **_: None)


def test_a_table_is_answered_as_the_workflow_does(natal, campaign, table, tmp_path):
    """The same tables and draws as the library's function for the rule observe, a line a cluster, and a record."""
    path = table(CLUSTERS)
    done = natal("answer", path, "--campaign", campaign, "--out", tmp_path / "answer")
    assert done.exit_code == 0, done.output
    found = pd.read_csv(tmp_path / "answer" / "observed.csv", keep_default_na=False)
    assert found.case.tolist() == ["A [b]", "NA"]

    asked = asked_of(campaign)
    observed = pd.DataFrame({"name": ["A [b]", "NA"], "f_bound": [0.8, 0.82], "sigma_v_kms": [4.5, 4.6]})
    observed = observed.assign(r_h_au=[450.0, 460.0], f_bound_err=0.0, sigma_v_kms_err=0.0, r_h_au_err=[10.0, 0.0])
    law = load_campaign(campaign).likelihood
    expected, _ = recover_observed(asked.seed, law, asked.prior, observed, asked.inference, asked.inference.grid, 0)
    for name in ("q0_mean", "a_au_sd", "a_au_q97.5", "mahalanobis_p"):
        assert found[name].tolist() == pytest.approx(expected[name].tolist())
    with xr.open_datatree(tmp_path / "answer" / "observed.nc", engine="h5netcdf") as tree:
        assert tree["posterior/q0"].dims == ("case", "chain", "draw")
        assert tree.attrs["virial_convention"] == "K/|W|"
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["cluster", "q0"]
    assert lines[1].split()[:4] == ["A", "[b]", f"{expected.q0_mean[0]:.3f}", f"{expected.q0_sd[0]:.3f}"]
    assert "clusters of 32 stars of 1 Msun, 100 yr after birth" in done.stderr
    # the sampler is not asked, so that its diagnostics are no reason for doubt
    assert "not all numbers" not in done.stdout
    assert "natal answer" in natal("provenance", tmp_path / "answer" / "observed.csv").stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.csv"], "natal: observations: there is no file none.csv"),
        (["{table}", "--campaign", "results/other"], "natal: results/other holds no records of what made it"),
        (["{table}", "--out", "."], "natal: the answer would replace {table}: name another folder with --out"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(natal, campaign, table, arguments, line):
    """Exit code 1."""
    path = table(CLUSTERS, "observed.csv")
    done = natal("answer", "--campaign", "results/mine", *(one.format(table=path) for one in arguments))
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(line.format(table=path))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("B,-0.6,,1.0,100", "row 2, column sigma_los_kms: -0.6 must be above 0"),
        ("A,0.6,,1.0,100", "row 2, column name: 'A' is empty or not unique"),
        ("B,,1.2,1.0,100", "row 2, there is no observable among"),
    ],
)
def test_a_strict_answer_refuses_a_table_with_a_bad_row(natal, campaign, table, bad, said):
    """Whether the row cannot be read or has no answer: one line, exit code 1, no files."""
    save_joint(campaign / "emulator" / "joint.eqx", random_law().ensemble, REACH, 4.0, {})
    path = table(f"name,sigma_los_kms,lambda_msr,age_myr,mass_msun\nA,0.6,,1.0,100\n{bad}\n")
    done = natal("answer", path, "--campaign", campaign, "--out", "answers", "--strict")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(f"natal: {path}, {said}")
    assert not list(campaign.parents[1].glob("answers/*"))


def test_predictions_are_those_of_the_library(natal, campaign):
    """A row a summary; the options are the birth conditions."""
    done = natal("predict", "--q0", "0.9", "--a", "100", "--campaign", campaign)
    assert done.exit_code == 0, done.output
    expected = load_campaign(campaign).predict(q0=0.9, a_au=100.0)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["f_bound", "sigma_v_kms", "r_h_au"]
    assert [row[2] for row in rows] == [f"{mean:.4g}" for mean in expected["mean"]]
    outside = natal("predict", "--q0", "1.9", "--a-au", "100", "--campaign", campaign)
    assert outside.exit_code == 1
    assert "q0 = 1.9 is not in [0.5, 1.5]" in outside.stderr


def test_the_campaign_that_comes_with_natal_is_one_of_the_present_code(config):
    """Its networks are read, and its settings are still settings: else `make trained`."""
    trained = TRAINED / "default"
    assert load_campaign(trained).box["a_au"] == (50.0, 200.0)
    asked = asked_of(trained)
    # keys that it did not know yet are the default campaign's
    check_campaign(laid_over(config, recorded_config(trained)))
    assert asked.config["campaign"] == "default"
    assert asked.config["cluster"] == config["cluster"]
    assert asked.config["design"]["box"] == config["design"]["box"]
    assert sum(path.stat().st_size for path in trained.rglob("*") if path.is_file()) < 1e6


def test_another_campaign_takes_the_place_of_the_one_that_comes_with_natal(campaign, tmp_path, monkeypatch):
    """What answering needs, and no more."""
    monkeypatch.setattr("natal.cli.found.TRAINED", tmp_path / "trained")
    replace_trained(campaign)
    copied = {path.relative_to(tmp_path / "trained").as_posix() for path in (tmp_path / "trained").rglob("*.*")}
    names = ("emulator/ensemble.eqx", "emulator/likelihood.json")
    assert copied == {*(f"default/{name}" for name in names), *(f"default/provenance/{name}.json" for name in names)}
    load_campaign(tmp_path / "trained" / "default")
    assert asked_of(tmp_path / "trained" / "default").seed == asked_of(campaign).seed


def test_settings_that_came_later_are_the_default_ones(campaign):
    """A campaign of an earlier natal answers: what it did not know is the default campaign's."""
    record = campaign / "provenance" / "report.html.json"
    content = json.loads(record.read_text())
    del content["config"]["inference"]["cases_per_batch"]
    content["config"]["inference"]["target_accept"] = 0.9
    content["environment"]["created"] = "2999-01-01T00:00:00+00:00"
    record.write_text(json.dumps(content))
    assert recorded_config(campaign)["inference"]["target_accept"] == 0.9
    default = read_config([ROOT / "config" / "config.yaml"])["inference"]["cases_per_batch"]
    assert asked_of(campaign).inference.cases_per_batch == default


def test_answering_starts_nothing_that_it_does_not_need():
    """Help starts no JAX, the answering part no matplotlib, Snakemake or ArviZ."""
    code = (
        "import sys, natal.cli.command; print([m for m in ('jax', 'rich', 'snakemake') if m in sys.modules]); "
        "import natal.api, natal.posterior.observed; "
        "print([m for m in ('matplotlib', 'snakemake', 'arviz', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
