"""Outputs beside their records: the same file, made from the same files, of the same settings and code, or not."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from natal.files.formats import write_json
from natal.provenance import comparing
from natal.provenance.comparing import CHECKSUMS, Recorded
from natal.provenance.records import FORMAT, Record, file_state, record_path

FOLDER = Path("results/tiny")
TABLE, NETWORK = FOLDER / "train.csv", FOLDER / "emulator" / "network.eqx"
DIGEST = "code:2-0123456789abcdef seed:89abcdef"


def write_record(output, *inputs):
    """What a job writes that has made `output`."""
    content = Record(FORMAT, file_state(output), "train", {}, DIGEST, 1, {}, {}, [file_state(path) for path in inputs])
    write_json(record_path(output, FOLDER), asdict(content))


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Looks anew at a network and the table that it was trained on."""
    monkeypatch.chdir(tmp_path)
    NETWORK.parent.mkdir(parents=True)
    TABLE.write_text("q0\n0.5\n")
    NETWORK.write_text("weights")
    write_record(NETWORK, TABLE)
    return lambda: Recorded(FOLDER, {})


def test_dates_do_not_count(recorded):
    """A copy is what it is a copy of, whatever is newer."""
    os.utime(NETWORK, (1, 1))
    assert recorded().describes(NETWORK) is True
    assert recorded().is_made_from([NETWORK], TABLE) is True


def test_another_input_counts(recorded):
    """If it is older, too; so does one that the record does not know."""
    TABLE.write_text("q0\n0.6\n")
    os.utime(TABLE, (1, 1))
    assert recorded().is_made_from([NETWORK], TABLE) is False
    assert recorded().is_made_from([NETWORK], FOLDER / "other.csv") is True
    (FOLDER / "other.csv").write_text("q0\n")
    assert recorded().is_made_from([NETWORK], FOLDER / "other.csv") is False


def test_another_output_is_not_the_one_recorded(recorded):
    """Nothing is known of what it was made from; nor of one without a record, nor of none."""
    other = NETWORK.with_name("other.eqx")
    other.write_text("weights")
    assert recorded().describes(other) is None
    assert recorded().is_made_from([NETWORK, other], TABLE) is None
    other.unlink()
    assert recorded().is_made_from([NETWORK, other], TABLE) is True
    NETWORK.write_text("weights of somebody else")
    assert recorded().describes(NETWORK) is False
    assert recorded().is_made_from([NETWORK], TABLE) is None
    NETWORK.unlink()
    assert recorded().describes(NETWORK) is None
    assert recorded().is_made_from([NETWORK], TABLE) is None


def test_other_settings_are_named(recorded):
    """By the parts of the digest that differ."""
    assert recorded().difference(NETWORK, DIGEST) is None
    assert recorded().difference(NETWORK, DIGEST.replace("seed:89", "seed:98")) == ["seed"]
    assert recorded().difference(TABLE, DIGEST) is None


def test_files_are_read_once(recorded, monkeypatch):
    """Until their size or date changes; a memory that makes no sense is none."""
    first = recorded()
    assert first.is_made_from([NETWORK], TABLE)
    first.keep_checksums()
    read, state = [], comparing.file_state
    monkeypatch.setattr(comparing, "file_state", lambda path: read.append(path) or state(path))
    assert recorded().is_made_from([NETWORK], TABLE)
    assert read == []
    os.utime(TABLE, (1, 1))
    assert recorded().is_made_from([NETWORK], TABLE)
    assert read == [TABLE]
    for content in ("", "[]", '{"results/tiny/train.csv": 5}', '{"results/tiny/train.csv": [1, 2]}'):
        (FOLDER / CHECKSUMS).write_text(content)
        assert recorded().is_made_from([NETWORK], TABLE)


def test_a_checksum_that_is_known_is_taken(recorded):
    """Of a shard, whose seal was read already."""
    assert Recorded(FOLDER, {TABLE: file_state(TABLE).sha256}).is_made_from([NETWORK], TABLE) is True
    assert Recorded(FOLDER, {TABLE: "0" * 64}).is_made_from([NETWORK], TABLE) is False


def test_a_campaign_that_was_moved(recorded, tmp_path, monkeypatch):
    """Into another checkout: its paths begin at the results."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "results", elsewhere / "results", copy_function=shutil.copyfile)
    monkeypatch.chdir(elsewhere)
    assert recorded().is_made_from([NETWORK], TABLE) is True
