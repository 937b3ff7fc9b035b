"""A job starts no more than it needs: the slowest packages only where they work."""

import ast
import json
import subprocess
import sys

import pytest
from project import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"

# what none of these jobs uses, whole campaigns of which are started
NOT_STARTED = {
    **dict.fromkeys(["design/design", "emulate/dataset", "infer/metrics", "simulate/summaries"], "jax scipy pydantic"),
    "report/report": "jax scipy matplotlib pydantic",
    "report/draw_checks": "jax scipy numpyro pydantic",
    "report/draw_calibration": "jax scipy.stats numpyro pydantic",
    "simulate/simulate": "scipy.stats numpyro equinox matplotlib",
    "emulate/train": "scipy.stats numpyro matplotlib",
    **dict.fromkeys(
        ["emulate/likelihood", "infer/calibrate", "infer/observe", "infer/recover", "checks/brute_force"],
        "arviz scipy.stats optax matplotlib",
    ),
    "uncertainty/uncertainty": "arviz scipy.stats matplotlib",
}


@pytest.mark.parametrize("script", NOT_STARTED)
def test_a_job_starts_no_more_than_it_needs(script):
    code = ast.parse((SCRIPTS / f"{script}.py").read_text(encoding="utf-8"))
    imports = [ast.unparse(line) for line in code.body if isinstance(line, ast.Import | ast.ImportFrom)]
    program = "\n".join([*imports, "import json, sys", "print(json.dumps(list(sys.modules)))"])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    started = set(json.loads(done.stdout))
    assert "natal.running.jobs" in started
    assert not started & set(NOT_STARTED[script].split())
