"""A copy of the project in which Snakemake really runs, and a finished tiny campaign."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "config", "workflow", "profiles", "src")

# smaller than the smoke campaign: what is tested is the logic, not the numbers
TINY = {
    "campaign": "tiny",
    "cluster": {"n_stars": 16},
    "integration": {"t_end_yr": 20, "snapshots": 3},
    "design": {"realizations": 3, "points_per_job": 4, "train": [8], "validation": [4], "test": [4]},
    "emulator": {"max_epochs": 50},
    "inference": {"grid": [32, 32], "warmup": 50, "draws": 50, "cases_per_batch": 16},
    "report": {"corner_cases": 1},
}


class Project:
    """A copy of the project's files with its own results."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        # compiled programs are shared, as everything else is not
        (folder / ".cache").symlink_to(cache)
        self.write_config(TINY)

    def write_config(self, content: dict) -> None:
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(content))

    def snakemake(self, *arguments: str, changes: dict | None = None) -> subprocess.CompletedProcess:
        """Run snakemake on the tiny campaign, with `changes` merged over its configuration."""
        configs = ["tiny.yaml"]
        if changes is not None:
            (self.folder / "changes.yaml").write_text(yaml.safe_dump(changes))
            configs.append("changes.yaml")
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", *arguments]
        # the copy's sources, not the installed ones
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        return subprocess.run(
            [*command, "--configfile", *configs], cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def stale(self, *targets: str, changes: dict | None = None) -> dict[str, int]:
        """The jobs that would run: rule -> count, without `all`."""
        done = self.snakemake(*targets, "-n", changes=changes)
        assert done.returncode == 0, done.stdout + done.stderr
        return job_counts(done.stdout)

    def results(self, campaign: str = "tiny") -> Path:
        return self.folder / "results" / campaign


def job_counts(output: str) -> dict[str, int]:
    """Read Snakemake's job table; empty if there is nothing to do."""
    table = re.search(r"^Job stats:\n.*?\n-+ +-+\n(.*?)^total ", output, re.S | re.M)
    if table is None:
        assert "Nothing to be done" in output
        return {}
    counts = dict(line.split() for line in table.group(1).splitlines())
    return {rule: int(count) for rule, count in counts.items() if rule != "all"}


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A compile cache for all workflow tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cache):
    """A project whose tiny campaign has run to its end. Tests must not change what is in it."""
    project = Project(tmp_path_factory.mktemp("finished"), cache)
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def fresh(tmp_path, cache):
    """A project in which nothing has run."""
    return Project(tmp_path / "project", cache)


@pytest.fixture
def editable(finished, tmp_path, cache):
    """A copy of the finished project, results and Snakemake's records included, to be edited."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    project = Project.__new__(Project)
    project.folder = folder
    return project
