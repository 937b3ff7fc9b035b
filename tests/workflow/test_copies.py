"""A campaign in another place: complete by digests and checksums, whatever the dates, without Snakemake's records."""

import os
import shutil

import pytest

pytestmark = pytest.mark.slow

OBSERVED = {"observations": "mine.csv"}


@pytest.fixture
def copy(complete):
    """A finished campaign as `cp -r` or a download leaves it: the results alone, dated in the order of their names."""
    shutil.rmtree(complete.folder / ".snakemake")
    shutil.rmtree(complete.folder / "logs")
    for number, path in enumerate(sorted(complete.results().rglob("*.*"), reverse=True)):
        os.utime(path, (1.5e9 + number, 1.5e9 + number))
    (complete.folder / "mine.csv").write_text("name,f_bound,sigma_v_kms,r_h_au\nA,0.9,4.0,150\n")
    return complete


def test_a_copied_campaign_is_complete(copy):
    """And what it is asked for own clusters starts the answer alone."""
    assert copy.stale() == {}
    assert copy.stale("observed", changes=OBSERVED) == {"observe": 1, "observed": 1}


def test_other_settings_of_a_copied_campaign_are_seen(copy):
    """By the records of its files, as Snakemake has none."""
    assert copy.stale("results/tiny/emulator/ensemble.eqx", changes={"emulator": {"members": 4}}) == {"train": 1}
    done = copy.snakemake("-n", changes={"emulator": {"members": 4}})
    line = "natal: results/tiny/emulator/ensemble.eqx was made with other settings or code (emulator): it is made again"
    assert line in done.stderr.splitlines()


def test_a_damaged_file_of_a_copied_campaign_is_made_again(copy):
    """It is named; so is one that somebody changed."""
    path = copy.results() / "emulator" / "ensemble.eqx"
    os.truncate(path, 3000)
    done = copy.snakemake("results/tiny/emulator/ensemble.eqx", "-n")
    assert "natal: results/tiny/emulator/ensemble.eqx is not as it was written: it is made again" in done.stderr
    assert copy.stale("results/tiny/emulator/ensemble.eqx") == {"train": 1}


@pytest.mark.parametrize("records", [True, False])
def test_an_emulator_answers_without_its_simulations(copy, records):
    """Also if parts of it are younger than others, and if nothing says where it comes from."""
    results = copy.results()
    for path in results.iterdir():
        if path.name not in ("emulator", *(["provenance"] if records else [])):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.utime(results / "emulator" / "ensemble.eqx")
    assert copy.stale("observed", changes=OBSERVED) == {"observe": 1, "observed": 1}


def test_an_answer_never_simulates(copy):
    """An emulator of other settings is no reason to: one line says what is the matter."""
    for folder in ("simulations", "dataset"):
        shutil.rmtree(copy.results() / folder)
    for table in ("summaries.csv", "tracks.csv"):
        (copy.results() / table).unlink()
    done = copy.snakemake("observed", "-n", changes=OBSERVED | {"emulator": {"members": 4}})
    assert done.returncode != 0
    line = (
        "the emulator in results/tiny/emulator was made with another configuration or code: to answer with a new one "
    )
    assert line in done.stderr
    assert "run the whole campaign first" in done.stderr
