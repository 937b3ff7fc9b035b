"""`natal init`, `natal run` and `natal status`: a campaign folder, and Snakemake called in it."""

import re
import sys

import pytest
import yaml
from project import ROOT

from natal.campaign.config import check_campaign, laid_over, read_config
from natal.cli import campaigns
from natal.settings.campaign import Campaign


@pytest.fixture
def own(natal, tmp_path, monkeypatch):
    """A folder that `natal init` wrote, the working directory."""
    done = natal("init", tmp_path / "mine")
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def calls(monkeypatch):
    """What this process would become."""
    made = []
    monkeypatch.setattr(campaigns.os, "execv", lambda path, command: made.append((path, command)))
    return made


def test_a_campaign_folder_has_all_that_snakemake_reads(own):
    """Every file of the workflow as it is, and a configuration of the folder's name."""
    for part in campaigns.PARTS:
        for path in [ROOT / part, *(ROOT / part).rglob("*")]:
            if path.is_file() and "__pycache__" not in path.parts:
                assert (own / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    assert yaml.safe_load((own / "campaign.yaml").read_text()) == {"campaign": "mine"}


def test_every_question_has_the_answer_of_the_default_campaign(own, config):
    """Without the # in front, nothing changes but the name."""
    text = (own / "campaign.yaml").read_text()
    answered = re.sub(r"(?m)^# ((?: *)[a-z_0-9]+:(?: .*)?)$", r"\1", text)
    changes = yaml.safe_load(answered)
    assert len(changes) >= 5
    assert laid_over(config, changes) == config | {"campaign": "mine"}
    check_campaign(laid_over(config, changes))


def test_what_is_there_is_not_replaced(natal, own):
    """One line, and nothing written."""
    (own / "Snakefile").write_text("mine")
    done = natal("init", own)
    assert (done.exit_code, done.stderr) == (1, f"natal: {own} holds a Snakefile already: name another folder\n")
    assert (own / "Snakefile").read_text() == "mine"
    assert "a folder name" in natal("init", own / "other", "--name", "a/b").stderr


@pytest.mark.parametrize(
    ("arguments", "slurm", "command"),
    [
        ([], False, "--configfile campaign.yaml --profile profiles/local"),
        (["-n"], True, "--configfile campaign.yaml --profile profiles/slurm -n"),
        (["--profile", "local", "-np", "a.csv"], True, "--configfile campaign.yaml --profile profiles/local -np a.csv"),
        (["--configfile", "x.yaml"], False, "--profile profiles/local --configfile x.yaml"),
    ],
)
def test_run_becomes_snakemake_and_shows_its_command(natal, own, calls, monkeypatch, arguments, slurm, command):
    """The cluster's profile where there is one; what is not natal's is Snakemake's."""
    monkeypatch.setattr(campaigns.shutil, "which", lambda name: f"/usr/bin/{name}" if slurm else None)
    done = natal("run", *arguments)
    assert done.exit_code == 0, done.output
    assert calls == [(sys.executable, [sys.executable, "-m", "snakemake", *command.split()])]
    assert done.stderr == f"natal: snakemake {command}\n"


def test_run_says_what_is_missing(natal, own, calls, tmp_path, monkeypatch):
    """A profile, Snakemake, a campaign folder."""
    assert "--profile moon: there is no such folder; profiles/ holds default, local, slurm" in (
        natal("run", "--profile", "moon").stderr
    )
    monkeypatch.setattr(campaigns, "find_spec", lambda name: None)
    assert natal("run").stderr == "natal: this needs Snakemake: pip install 'natal[workflow]'\n"
    monkeypatch.chdir(tmp_path)
    done = natal("run", "-n")
    assert done.exit_code == 1
    assert done.stderr.startswith("natal: there is no Snakefile here: `natal init DIR`")
    assert calls == []


def test_status_reads_the_campaign_of_the_folder(natal, own):
    """campaign.yaml, or files and settings given as for snakemake."""
    assert natal("status").stdout.splitlines()[-1].startswith("mine: ")
    done = natal("status", "--configfile", "config/smoke.yaml")
    assert re.search(r"^train0_000 +waiting\n", done.stdout)
    assert done.stdout.splitlines()[-1].startswith("smoke: ")
    (own / "two.yaml").write_text("campaign: two\n")
    assert natal("status", "--configfile", "config/smoke.yaml", "two.yaml").stdout.splitlines()[-1].startswith("two: ")
    done = natal("status", "--config", "campaign=other")
    assert done.stdout.splitlines()[-1].startswith("other: ")
    assert natal("status", "--configfile", "no.yaml").stderr == "natal: there is no file no.yaml\n"


def test_configurations_are_read_as_snakemake_reads_them(tmp_path):
    """Mappings merge, all else is replaced."""
    from snakemake.utils import update_config

    paths = [ROOT / "config" / "config.yaml", ROOT / "config" / "smoke.yaml", tmp_path / "own.yaml"]
    paths[2].write_text("design: {train: [4, 4], realizations: {train: 2}}\nobservations: a.csv\n")
    expected: dict = {}
    for path in paths:
        update_config(expected, yaml.safe_load(path.read_text()))
    assert read_config(paths) == expected
    assert set(expected) == set(Campaign.model_fields)
