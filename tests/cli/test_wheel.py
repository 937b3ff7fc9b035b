"""The wheel, installed where there is nothing else of natal's."""

import os
import re
import subprocess
import sys

import pytest
from project import ROOT

import natal


def test_the_version_is_written_once():
    """What is released says so in all places: the package, how to cite it, what has changed."""
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    assert f"\nversion: {natal.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"(?m)^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text())[1] == natal.__version__


@pytest.mark.slow
def test_an_installed_wheel_answers_from_nowhere(tmp_path):
    """A fresh environment outside the checkout, without Snakemake and matplotlib: answer, predict, init, check."""

    def run(*command, cwd=tmp_path):
        left_out = ("PYTHONPATH", "XLA_FLAGS", "PYTHONDONTWRITEBYTECODE")
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path / "dist")]
    run(sys.executable, "-m", "pip", *build, str(ROOT))
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "fresh"))
    # the locked versions, without their hashes: a wheel of natal's has none
    pins = re.findall(r"(?m)^[^\s#]+==.*?(?= \\$)", (ROOT / "requirements" / "cpu.txt").read_text())
    (tmp_path / "pins.txt").write_text("\n".join(pins))
    (wheel,) = (tmp_path / "dist").glob("natal-*.whl")
    assert wheel.stat().st_size < 2e6
    python = str(tmp_path / "fresh" / "bin" / "python")
    pip = sys.executable, "-m", "pip", "--python", python
    # Python compiles what is imported, a small part of what is installed
    run(*pip, "install", "--quiet", "--no-compile", "--constraint", str(tmp_path / "pins.txt"), str(wheel))
    command = str(tmp_path / "fresh" / "bin" / "natal")
    installed = run(*pip, "list", "--format", "freeze")
    assert not re.search(r"(?m)^(snakemake|matplotlib|arviz|jinja2)==", installed)
    assert natal.__version__ in run(command, "--version")
    run(command, "init", "mine")
    said = run(command, "answer", "examples/clusters.csv", "--out", "answers", cwd=tmp_path / "mine")
    assert re.search(r"(?m)^warm +0\.8", said)
    assert (tmp_path / "mine" / "answers" / "observed.nc").is_file()
    assert "f_bound" in run(command, "predict", "--q0", "0.9", "--a", "100")
    assert run(command, "check", "campaign.yaml", cwd=tmp_path / "mine").startswith("no mistakes")
    assert "mine: " in run(command, "status", cwd=tmp_path / "mine")
