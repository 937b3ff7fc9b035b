"""What the README and the tutorial tell readers to type works, as it stands, on a finished campaign."""

import json
import os
import re
import subprocess
import sys

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


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")
# cells from here on read files of a campaign, which is another one in the tests
OF_FILES = "# What a campaign leaves behind"


def kept() -> list[dict]:
    """The cells of the notebook."""
    return json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"]


def texts(outputs: list[dict]) -> list[str]:
    """What a cell gave, one text an output; of a picture that it is one."""
    given = [output.get("text") or output["data"].get("text/plain", "a picture") for output in outputs]
    return ["".join(one) for one in given]


def differences(before: str, now: str) -> list[str]:
    """Words and numbers that are not the same; processors may differ by 2 % of a number, or by 0.002."""
    if NUMBER.split(before) != NUMBER.split(now):
        return [now]
    pairs = zip(NUMBER.findall(before), NUMBER.findall(now), strict=True)
    return [two for one, two in pairs if float(two) != pytest.approx(float(one), rel=0.02, abs=2e-3)]


@pytest.mark.slow
def test_the_tutorial_gives_what_is_kept_in_it(finished, tmp_path):
    """Every cell in order, on natal's own campaign; of the last part, which reads another campaign, only the form."""
    path = str(ROOT / "docs" / "notebook.py")
    code = f"import json, runpy\nnotebook = runpy.run_path({path!r})"
    made = json.loads(run([code, "print(json.dumps(notebook['outputs'](notebook['read']())))"], finished, tmp_path))
    is_of_files = False
    for cell in kept():
        is_of_files |= OF_FILES in "".join(cell["source"])
        if cell["cell_type"] == "code":
            before, now = texts(cell["outputs"]), texts(made.pop(0))
            assert len(before) == len(now), cell["source"]
            for one, two in zip(before, now, strict=True):
                same = NUMBER.sub("", one) == NUMBER.sub("", two) if is_of_files else not differences(one, two)
                assert same, (one, two)
    assert made == []


def test_a_changed_output_is_seen():
    """A number, a word, one more line."""
    assert differences("q0 1.000\nsd 0.100", "q0 1.001\nsd 0.101") == []
    assert differences("q0 1.000\nsd 0.100", "q0 1.100\nsd 0.100") == ["1.100"]
    assert differences("5 networks", "5 members")
    assert differences("5 networks", "5 networks\n")


def test_the_tutorial_is_a_small_notebook():
    """Pictures are few and have a text for who cannot see them; nothing tells of the machine that made them."""
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.read(TUTORIAL, as_version=4))
    assert TUTORIAL.stat().st_size < 200_000
    cells = [cell for cell in kept() if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] is None for cell in cells)
    given = [(cell, text) for cell in cells for text in texts(cell["outputs"])]
    assert {text for _, text in given} > {"a picture"}
    assert [cell["source"] for cell, text in given if text == "a picture" and "alt" not in cell["metadata"]] == []
    assert not re.search(r"/(home|root|tmp|work|usr)\b", "".join(text for _, text in given))


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
