"""What the README and the tutorial tell readers to type works, as it stands, on a finished campaign."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

TUTORIAL = ROOT / "docs" / "tutorials" / "notebook.ipynb"


def run(code: list[str], project, tmp_path) -> str:
    """Run pieces of code one after the other in one process, in a project's folder, without a screen."""
    script = tmp_path / "code.py"
    script.write_text("\n\n".join(code))
    # threads as a job of the workflow has them (natal.running.device)
    environment = project.environment | {"MPLBACKEND": "Agg", "NPROC": "2"}
    done = subprocess.run([sys.executable, script], cwd=project.folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_readme_runs_as_it_stands(finished, tmp_path):
    """Every Python snippet in order, on the tiny campaign in the place of the default one."""
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(snippets) == 5
    assert all("results/default" in snippet or "simulate_clusters" in snippet for snippet in snippets)
    code = [snippet.replace("results/default", f"results/{finished.campaign}") for snippet in snippets]
    check = "assert positions.shape == (3, 16, 3) and draws.q0.sizes['chain'] == 4 and answer.draws.shape[1] == 2"
    run([*code, check], finished, tmp_path)


@pytest.mark.slow
def test_the_tutorial_runs(finished, tmp_path):
    """Every cell in order; what it finds is the campaign's."""
    import nbformat  # a second, for this test only

    notebook = nbformat.read(TUTORIAL, as_version=4)
    nbformat.validate(notebook)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    output = run(cells, finished, tmp_path)
    assert f"{finished.campaign}: " in output
    assert "q0 = 3 is not in [0.5, 1.5]" in output


def test_the_tutorial_is_kept_without_outputs():
    """Nothing of one machine in it."""
    for cell in json.loads(TUTORIAL.read_text())["cells"]:
        assert cell["cell_type"] == "markdown" or (cell["outputs"] == [] and cell["execution_count"] is None)
    assert Path(TUTORIAL).stat().st_size < 50_000


@pytest.mark.slow
def test_snakemakes_report_has_every_figure_with_a_caption(finished, tmp_path):
    """One page with all that is worth showing, none of its captions broken."""
    page = tmp_path / "report.html"
    done = finished.snakemake("--report", str(page))
    assert done.returncode == 0, done.stderr
    html = page.read_text()
    for name in ("report.html", "metrics.json", "recovery.csv", "calibration.csv", "corner_0.png", "coverage.png"):
        assert f"Adding {name}" in done.stdout + done.stderr
    assert "A posterior that fills the box holds no information" in html.replace("\\n", " ")
    assert "system-message" not in html
    for figure in (finished.results() / "figures").glob("*.png"):
        assert figure.with_suffix(".rst").is_file() or figure.stem.startswith("corner_")


@pytest.mark.slow
def test_snakemake_lint_has_no_complaint(fresh):
    """As `make lint` asks."""
    command = [sys.executable, "-m", "snakemake", "--lint"]
    done = subprocess.run(command, cwd=fresh.folder, env=os.environ | fresh.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
