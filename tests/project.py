"""A copy of the project in which Snakemake really runs."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).parents[1]
# of a whole tiny campaign on a busy machine, many times over
TIMEOUT_S = 800
PARTS = ("Snakefile", "config", "workflow", "profiles", "src")

# smaller than the smoke campaign: what is tested is the logic, not the numbers
TINY = {
    "campaign": "tiny",
    "cluster": {"n_stars": 16},
    "integration": {"t_end_yr": 20, "snapshots": 3},
    "design": {"realizations": 3, "points_per_job": 4, "train": [8], "validation": [4], "test": [4], "calibration": 10},
    "adaptive": {"points": 3, "gain": {"start": 4, "step": 2, "stop": 8, "repeats": 2}},
    "emulator": {"max_epochs": 50},
    "density": {"members": 2, "width": 32, "steps": 250},
    "uncertainty": {"methods": ["constant", "conformal_scaled"], "nuts_cases": 0},
    "checks": {
        "brute_force": {"cases": 2, "grid": [8, 6], "realizations": 4},
        "posterior_predictive": {"cases": 2, "draws": 20},
        "trust": {"draws": 30},
        "numerical": {"draws": 30},
    },
    "inference": {"grid": [32, 32], "warmup": 50, "draws": 50, "cases_per_batch": 16, "calibration_draws": 12},
    "observables": {"in_report": False},
    "report": {"corner_cases": 1},
}


@cache
def server(folder: Path | None) -> subprocess.Popen:
    """A process in whose forks snakemake runs, with the code of the project in `folder` imported if there is one."""
    command = [sys.executable, "-P", ROOT / "tests" / "snakemake_server.py", *([folder] if folder else [])]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def merged(base, changes):
    """`base` with `changes` laid over it; mappings merge, everything else is replaced."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return copy.deepcopy(changes)
    return {key: merged(base.get(key), changes[key]) if key in changes else base[key] for key in base | changes}


class Project:
    """A copy of the project's files with its own results."""

    def __init__(self, folder: Path, cache: Path, config: dict = TINY) -> None:
        self.folder = folder
        self.campaign = config["campaign"]
        self.is_finished = False
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / part)
        # compiled programs are shared, as everything else is not
        (folder / ".cache").symlink_to(cache)
        self.write_config(config)

    @classmethod
    def opened(cls, folder: Path, *, is_finished: bool = False) -> "Project":
        """A project that is there already; nobody edits its code if it `is_finished`."""
        project = cls.__new__(cls)
        project.folder, project.campaign, project.is_finished = folder, TINY["campaign"], is_finished
        return project

    def write_config(self, content: dict) -> None:
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(content))

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text, once, in one of natal's own files, which must hold it."""
        path = self.folder / "src" / "natal" / file
        source = path.read_text()
        assert old in source, file
        path.write_text(source.replace(old, new, 1))

    def snakemake(self, *arguments: str, changes: dict | None = None) -> subprocess.CompletedProcess:
        """Run snakemake on the tiny campaign, with `changes` merged over its configuration."""
        _, _, _, *command = self.command("profiles/local", *arguments, changes=changes)
        with TemporaryDirectory() as folder:
            outputs = {name: Path(folder, name) for name in ("stdout", "stderr")}
            request = {"arguments": command, "cwd": str(self.folder), "environment": self.environment}
            request |= {"timeout_s": TIMEOUT_S} | {name: str(path) for name, path in outputs.items()}
            process = server(self.folder if self.is_finished else None)
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            returncode = int(process.stdout.readline())
            texts = {name: path.read_text() for name, path in outputs.items()}
        return subprocess.CompletedProcess(command, returncode, **texts)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run snakemake on the tiny campaign; it must end well."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def command(self, profile: str, *arguments: str, changes: dict | None = None) -> list[str]:
        """The call of snakemake on the tiny campaign, with `changes` merged over its configuration."""
        configs = ["tiny.yaml"]
        if changes is not None:
            # a name of its own: other processes may ask the same project for other changes
            text = yaml.safe_dump(changes)
            name = f"changes-{sha256(text.encode()).hexdigest()[:12]}.yaml"
            (self.folder / name).write_text(text)
            configs.append(name)
        return [sys.executable, "-m", "snakemake", "--profile", profile, *arguments, "--configfile", *configs]

    @property
    def environment(self) -> dict[str, str]:
        """With the copy's sources, not the installed ones."""
        return os.environ | {"PYTHONPATH": str(self.folder / "src")}

    def stale(self, *targets: str, changes: dict | None = None) -> dict[str, int]:
        """The jobs that would run: rule -> count, without `all`."""
        done = self.snakemake(*targets, "-n", changes=changes)
        assert done.returncode == 0, done.stdout + done.stderr
        return job_counts(done.stdout)

    def results(self, campaign: str | None = None) -> Path:
        return self.folder / "results" / (campaign or self.campaign)


def job_counts(output: str) -> dict[str, int]:
    """Read Snakemake's job table; empty if there is nothing to do."""
    table = re.search(r"^Job stats:\n.*?\n-+ +-+\n(.*?)^total ", output, re.S | re.M)
    if table is None:
        assert "Nothing to be done" in output
        return {}
    counts = dict(line.split() for line in table.group(1).splitlines())
    return {rule: int(count) for rule, count in counts.items() if rule != "all"}
