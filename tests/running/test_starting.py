"""A job starts no more than it needs: the slowest packages only where they work."""

import ast
import json
import subprocess
import sys

import pytest
from project import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"

# What none of these jobs uses, whole campaigns of which are started. One process starts those of a line one after the
# other: each line's first ones load nothing that its later ones may not.
NOT_STARTED = [
    {
        "report/report": "jax scipy matplotlib pydantic",
        **dict.fromkeys(
            ["design/design", "emulate/dataset", "infer/metrics", "simulate/summaries"], "jax scipy pydantic"
        ),
        "report/draw_checks": "jax scipy numpyro pydantic",
        "report/draw_calibration": "jax scipy.stats numpyro pydantic",
    },
    {
        "simulate/simulate": "scipy.stats numpyro equinox matplotlib",
        **dict.fromkeys(
            ["emulate/likelihood", "infer/calibrate", "infer/observe", "infer/recover", "checks/brute_force"],
            "arviz scipy.stats optax matplotlib",
        ),
        "uncertainty/uncertainty": "arviz scipy.stats matplotlib",
    },
    {"emulate/train": "scipy.stats numpyro matplotlib"},
]


def imports(script):
    """The lines of a script that import."""
    code = ast.parse((SCRIPTS / f"{script}.py").read_text(encoding="utf-8"))
    return [ast.unparse(line) for line in code.body if isinstance(line, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("jobs", NOT_STARTED, ids=lambda jobs: next(iter(jobs)))
def test_a_job_starts_no_more_than_it_needs(jobs):
    """Of each script's imports; natal's own way to run a job is among them."""
    program = ["import json, sys"]
    for script in jobs:
        program += [*imports(script), "print(json.dumps(list(sys.modules)))"]
    done = subprocess.run([sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, check=True)
    for (script, kept_out), line in zip(jobs.items(), done.stdout.splitlines(), strict=True):
        assert any("natal.running.jobs" in imported for imported in imports(script)), script
        assert not set(json.loads(line)) & set(kept_out.split()), script
