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


def python_of(page: str) -> list[str]:
    """A page's pieces of Python."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)


@pytest.mark.slow
def test_python_in_the_pages_runs_as_it_stands(finished, tmp_path):
    """README and the page on Python, in order, on the tiny campaign in the place of the default one."""
    pieces = [*python_of("README.md"), *python_of("docs/howto/python.md"), python_of("docs/howto/own_clusters.md")[0]]
    assert len(pieces) == 7
    code = [piece.replace("results/default", f"results/{finished.campaign}") for piece in pieces]
    check = (
        "assert positions.shape == (3, 16, 3) and draws.q0.sizes['chain'] == 4 and answer.draws.shape[1] == 2\n"
        "assert len(catalogue.clusters) == 5 and not catalogue.refused"
    )
    run([*code, check], finished, tmp_path)


# columns that are explained once: of the other parameter, summary, quantile, level and method
ALIKE = ((r"a_au", "q0"), (r"sigma_v_kms|r_h_au", "f_bound"), (r"q(16|50|84|97\.5)", "q02.5"), (r"_95_", "_68_"))


def alike(column: str) -> str:
    """The column that stands for it in the documentation."""
    for pattern, replacement in ALIKE:
        column = re.sub(pattern, replacement, column)
    column = re.sub(r"_(emulator|synthetic|kernel)$", "_…", column)
    return re.sub(r"^(coverage_68)_.*", r"\1_…", re.sub(r"_95$", "_68", column))


@pytest.mark.slow
def test_files_and_columns_are_documented(finished):
    """Of a finished campaign: every table's columns, and every part of metrics.json."""
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    files, *sections = re.split(r"^### ", page.split("## Shard files")[0], flags=re.M)
    tables = sorted(finished.results().rglob("*.csv"))
    assert len(tables) > 10
    missing = []
    for table in tables:
        name = table.relative_to(finished.results()).as_posix()
        folder = name.partition("/")[0] + "/"
        if name not in files and f"{folder}*.csv" not in files:
            missing.append(name)
        headed = [part for part in sections if {name, folder} & set(re.findall(r"[\w./]+", part.split("\n")[0]))]
        known = {alike(column) for column in re.findall(r"`([^`]+)`", "".join(headed))}
        columns = table.read_text(encoding="utf-8").partition("\n")[0].split(",")
        missing += [f"{name}: {column}" for column in columns if alike(column) not in known]
    parts = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    metrics = json.loads((finished.results() / "metrics.json").read_text(encoding="utf-8"))
    missing += [f"metrics.json: {key}" for key in metrics if f"| `{key}` |" not in parts]
    assert missing == []


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
