"""What the planning process says before jobs run."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from natal.errors import NatalError
from natal.running import snakemake_internals
from natal.running.driver import MENDED, Driver

RESULTS = Path("results/tiny")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A driver of a campaign without files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(MENDED, raising=False)
    (RESULTS / "simulations").mkdir(parents=True)
    workflow = SimpleNamespace(is_main_process=False)
    return Driver(workflow, {}, RESULTS, {}, str, str, [RESULTS / "ensemble.eqx"], int)


@pytest.mark.parametrize("folder", ["results/tiny/simulations", "results/tiny", "logs", ".snakemake"])
def test_what_cannot_be_written_is_said_first(tiny, monkeypatch, folder):
    """With its owner, in one line; what is not there is made in the folder above."""
    tiny._check_writable()
    Path(folder).mkdir(parents=True, exist_ok=True)
    # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: path != Path(folder))
    with pytest.raises(NatalError, match=f"^{folder} cannot be written: it belongs to ") as caught:
        tiny._check_writable()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runs", [True, False])
def test_dates_in_the_future(tiny, capsys, runs):
    """Are named in one line, and set to now by a run only; a clock may be a little off."""
    files = [Path(name) for name in ("now", "soon", "tomorrow", "later", "missing")]
    for path, ahead_s in zip(files, (0, 30, 86400, 1e6), strict=False):
        path.touch()
        os.utime(path, (time.time() + ahead_s,) * 2)
    tiny._mend_dates(files, runs)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("natal: tomorrow is dated ")
    assert ", in the future, and so are 1 more files: " in line
    assert (files[2].stat().st_mtime > time.time() + 3600) is not runs
    assert files[1].stat().st_mtime > time.time() + 5
    tiny._mend_dates(files[:2], runs)
    assert capsys.readouterr().err == ""


def test_a_shard_found_damaged_begins_anew_once(tiny, monkeypatch, capsys):
    """Other errors do not, nor what was set aside before."""
    calls = []
    monkeypatch.setattr(snakemake_internals, "run_again", lambda: calls.append(os.environ.pop(MENDED)))
    (RESULTS / "simulations" / "train0_000.h5.set-aside").touch()
    tiny._aside = tiny._set_aside()
    tiny.fail()
    assert calls == []
    (RESULTS / "simulations" / "train0_001.h5.set-aside").touch()
    tiny.fail()
    assert calls == ["1"]
    assert capsys.readouterr().err == "natal: starting again without these damaged files: train0_001.h5.set-aside\n"
    monkeypatch.setenv(MENDED, "1")
    tiny.fail()
    assert calls == ["1"]


@pytest.mark.parametrize(
    ("asked", "planned", "refused"),
    [
        ({"observed"}, ["observe", "observed"], False),
        ({"observe"}, ["simulate", "simulate", "observe"], True),
        ({"observe", "report"}, ["simulate", "observe"], False),
    ],
)
def test_an_answer_does_not_simulate(tiny, monkeypatch, asked, planned, refused):
    """If there is an emulator, and nothing else was asked for."""
    monkeypatch.setattr(snakemake_internals, "planned", lambda workflow: (asked, planned))
    tiny._check_answers()
    tiny.emulator[0].touch()
    if not refused:
        tiny._check_answers()
        return
    with pytest.raises(SystemExit, match="takes 2 simulate jobs; run the whole campaign first"):
        tiny._check_answers()
