"""`make env` in the surroundings that clusters have: other Pythons' modules, pip's settings, old environments."""

import os
import shutil
import subprocess

import pytest
from project import ROOT

# what it is called with, and in which environment; it can do nothing
STUB = """#!/bin/sh
case "$*" in
--version) echo Python {version} ;;
-c*) exit {is_old} ;;
esac
echo "$* PYTHONPATH=$PYTHONPATH PIP_USER=$PIP_USER XDG_CACHE_HOME=$XDG_CACHE_HOME" >> {log}
"""


@pytest.fixture
def make(tmp_path):
    """Runs `make env` where an environment is that the stub stands for; what it printed, and the stub's calls."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("requirements/cpu.txt", "pyproject.toml", ".venv/bin/activate"):
        (tmp_path / name).touch()

    def make(version="3.12.1", **environment):
        python, log = tmp_path / ".venv" / "bin" / "python", tmp_path / "calls"
        is_old = int(version.startswith(("3.9", "3.10")))
        python.write_text(STUB.format(version=version, is_old=is_old, log=log))
        python.chmod(0o755)
        clean = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
        done = subprocess.run(
            ["make", "env"], cwd=tmp_path, env=clean | environment, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr, log.read_text().splitlines() if log.exists() else []

    return make


def installs(calls):
    """Calls of pip that install."""
    return [call for call in calls if "pip install" in call]


@pytest.mark.parametrize("version", ["3.9.2", "3.10.12"])
def test_an_environment_of_an_older_python_is_named(make, version):
    """Instead of pip's search for versions that do not exist."""
    output, calls = make(version)
    assert f".venv was made by Python {version}, natal needs 3.11 or newer: rm -r .venv" in output
    assert not installs(calls)


def test_other_modules_and_pips_user_setting_are_left_outside(make):
    """pip refuses a user's install in an environment; modules of another Python come before its own."""
    _, calls = make(PYTHONPATH="/cluster/python3.9", PIP_USER="1")
    assert len(installs(calls)) == 2
    assert all(" PYTHONPATH= PIP_USER=0 " in call for call in calls)


def test_a_home_folder_that_cannot_be_written(make, tmp_path):
    """Snakemake's cache is beside natal's own then, and only then."""
    (tmp_path / "home").mkdir()
    assert "XDG_CACHE_HOME=" in make(HOME=str(tmp_path / "home"))[1][-1].split()
    (tmp_path / ".venv" / "cpu.stamp").unlink()
    # not even root can write here
    assert f"XDG_CACHE_HOME={tmp_path}/.cache" in make(HOME="/proc/nobody")[1][-1].split()


def test_activating_the_environment_does_the_same(make, tmp_path):
    """For who calls snakemake without make; written down once."""
    for _ in range(2):
        make()
        (tmp_path / ".venv" / "cpu.stamp").unlink()
    activate = tmp_path / ".venv" / "bin" / "activate"
    assert activate.read_text().count("unset PYTHONPATH") == 1
    command = f'. {activate}; echo "${{PYTHONPATH-}}:${{XDG_CACHE_HOME-}}"'
    for home, cache in ((str(tmp_path), ""), ("/proc/nobody", f"{tmp_path}/.cache")):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "/cluster/python3.9", "HOME": home}
        done = subprocess.run(["sh", "-eu", "-c", command], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == f":{cache}\n"
