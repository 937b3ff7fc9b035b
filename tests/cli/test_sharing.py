"""`natal export` and `natal load`: one archive with a campaign's data, all of it verified, and nothing else."""

import io
import json
import pickle
import stat
import zipfile
from hashlib import sha256

import h5py
import numpy as np
import pytest

from natal import load_campaign
from natal.files.archives import MANIFEST
from natal.provenance.crate import RUN_PROFILES


@pytest.fixture
def archive(natal, campaign, tmp_path):
    """The small campaign's."""
    done = natal("export", "results/mine")
    assert done.exit_code == 0, done.output
    return tmp_path / "mine.zip"


def contents(archive):
    with zipfile.ZipFile(archive) as file:
        return {name: file.read(name) for name in file.namelist()}


def write(archive, files, *, manifest=True, attributes=None):
    """An archive that somebody else made, its list of checksums as it should be."""
    files = {name: text for name, text in files.items() if name != MANIFEST} | (
        {MANIFEST: files[MANIFEST]} if not manifest else {}
    )
    if manifest:
        lines = [f"{sha256(text).hexdigest()}  {name}\n" for name, text in files.items()]
        files[MANIFEST] = "".join(lines).encode()
    with zipfile.ZipFile(archive, "w") as file:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((attributes or {}).get(name, stat.S_IFREG | 0o644)) << 16
            file.writestr(entry, text)


def test_an_archive_is_loaded_as_it_was_exported(natal, campaign, archive, tmp_path):
    """Byte by byte; the networks answer; exported again it is the same archive."""
    first = archive.read_bytes()
    done = natal("load", archive, "--to", tmp_path / "elsewhere" / "theirs")
    assert done.exit_code == 0, done.output
    loaded = tmp_path / "elsewhere" / "theirs"
    for name in ("emulator/ensemble.eqx", "summaries.csv", "report.html", "provenance/summaries.csv.json"):
        assert (loaded / name).read_bytes() == (campaign / name).read_bytes()
    assert not (loaded / "simulations").exists()
    assert load_campaign(loaded).box == load_campaign(campaign).box
    assert natal("export", loaded, "--out", tmp_path / "again.zip").exit_code == 0
    assert (tmp_path / "again.zip").read_bytes() == first
    assert natal("load", archive).stderr == "natal: results/mine is there already: name another folder with --to\n"
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["mine"]


def test_every_file_has_its_checksum(archive):
    """In the list that sha256sum reads, and in the metadata."""
    files = contents(archive)
    listed = dict(reversed(line.split("  ")) for line in files.pop(MANIFEST).decode().splitlines())
    assert listed == {name: sha256(text).hexdigest() for name, text in files.items()}
    graph = {one["@id"]: one for one in json.loads(files.pop("ro-crate-metadata.json"))["@graph"]}
    for name in files:
        assert graph[name]["sha256"] == listed[name]
    assert {one["@id"] for one in graph["./"]["hasPart"]} == set(files)


def test_the_metadata_tell_the_run(archive):
    """Profiles, the workflow with a tool and a step for each rule, an action for each job; what is absent is told."""
    graph = {one["@id"]: one for one in json.loads(contents(archive)["ro-crate-metadata.json"])["@graph"]}
    assert set(RUN_PROFILES) < {one["@id"] for one in graph["./"]["conformsTo"]}
    assert graph["ro-crate-metadata.json"]["conformsTo"][0] == {"@id": "https://w3id.org/ro/crate/1.1"}
    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    rules = ["simulate", "summaries", "train", "likelihood", "report"]
    assert {one["@id"] for one in workflow["hasPart"]} == {f"#rule/{rule}" for rule in rules}
    train = graph["#job/train"]
    assert (train["object"], train["result"]) == ({"@id": "summaries.csv"}, {"@id": "emulator/ensemble.eqx"})
    absent = graph[graph["#job/simulate/shard%3Dtrain0_000"]["result"]["@id"]]
    assert absent["name"] == "results/mine/simulations/train0_000.h5"
    # every reference leads somewhere
    for one in graph.values():
        for value in one.values():
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, dict) and not reference["@id"].startswith("http"):
                    assert reference["@id"] in graph
    steps = json.loads(contents(archive)["workflow.json"])["rules"]
    assert {one["rule"]: one["reads_from"] for one in steps}["likelihood"] == ["summaries", "train"]


def test_simulations_come_when_asked_for(natal, campaign, tmp_path):
    """With them the whole campaign is there."""
    natal("export", "results/mine", "--simulations", "--out", "all.zip")
    shard = "simulations/train0_000.h5"
    assert contents(tmp_path / "all.zip")[shard] == (campaign / shard).read_bytes()
    assert natal("load", "all.zip", "--to", "all").exit_code == 0


def test_a_campaign_that_was_changed_is_not_exported(natal, campaign):
    """Its records would lie."""
    (campaign / "summaries.csv").write_text("q0,a_au\n0.6,100\n")
    done = natal("export", "results/mine")
    said = "natal: results/mine/summaries.csv is no longer the file recorded: its checksum differs\n"
    assert (done.exit_code, done.stderr) == (1, said)
    done = natal("export", "results")
    assert done.stderr.startswith("natal: results holds no records of what made it")


def refused(natal, archive, tmp_path):
    """The line that it is refused with; nothing is left of it."""
    done = natal("load", archive, "--to", tmp_path / "new" / "theirs")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert ".natal-load" not in done.stderr
    assert list((tmp_path / "new").iterdir()) == []
    return done.stderr


def test_a_damaged_archive_is_refused(natal, archive, tmp_path):
    """A bit, a half, a file that is not listed, one that is missing, another list."""
    good, files = archive.read_bytes(), contents(archive)
    for k in range(200, len(good) - 200, len(good) // 12):
        bad = bytearray(good)
        bad[k] ^= 1
        archive.write_bytes(bad)
        assert "damaged" in (line := refused(natal, archive, tmp_path)) or MANIFEST in line or "no data" in line
    archive.write_bytes(good[: len(good) // 2])
    assert "is damaged, or no archive of natal's" in refused(natal, archive, tmp_path)
    write(archive, files | {"summaries.csv": b"q0,a_au\n"}, manifest=False)
    assert "the checksum of summaries.csv is not the one" in refused(natal, archive, tmp_path)
    write(archive, files | {"more.csv": b"a\n"}, manifest=False)
    assert f"more.csv is not in {MANIFEST}" in refused(natal, archive, tmp_path)
    write(archive, {name: text for name, text in files.items() if name != "summaries.csv"}, manifest=False)
    assert f"summaries.csv is missing, but in {MANIFEST}" in refused(natal, archive, tmp_path)


def hdf5(fill):
    """The bytes of an HDF5 file."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        fill(file)
    return memory.getvalue()


def array(value):
    """Bytes of a network file that holds it."""
    memory = io.BytesIO()
    np.save(memory, value, allow_pickle=True)
    return b"{}\n" + memory.getvalue()


PAGE = "<!DOCTYPE html><html><body>{}</body></html>"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("../evil.csv", b"a\n", "leads out of the folder"),
        ("/evil.csv", b"a\n", "leads out of the folder"),
        ("a\\..\\evil.csv", b"a\n", "leads out of the folder"),
        ("SUMMARIES.csv", b"a\n", "is there twice"),
        ("setup.py", b"print(1)\n", "setup.py is not a kind of file that a campaign has"),
        ("Snakefile", b"rule all:\n", "Snakefile is not a kind of file that a campaign has"),
        ("emulator/mixture.pkl", pickle.dumps(1), "is not a kind of file that a campaign has"),
        ("emulator/mixture.eqx", array(np.array([print], dtype=object)), "mixture.eqx is no network file of natal's"),
        ("emulator/mixture.eqx", b"{}\n" + pickle.dumps(print), "mixture.eqx is no network file of natal's"),
        ("metrics.json", b"import os", "metrics.json is not JSON"),
        ("more.csv", b"#!/bin/sh\n", "more.csv is no table"),
        ("config.yaml", b"!!python/object/apply:os.system [ls]\n", "config.yaml is not plain YAML"),
        ("config.yaml", b"campaign: ../../evil\n", "campaign = '../../evil' is not allowed"),
        ("a.h5", hdf5(lambda file: file.update(x=h5py.ExternalLink("/etc/x.h5", "y"))), "a.h5: /x is a link"),
        (
            "a.nc",
            hdf5(lambda file: file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])),
            "/x has its data in other files",
        ),
        ("report.html", PAGE.format("<script>alert(1)</script>").encode(), "a script that is not natal's"),
        ("report.html", PAGE.format("<script src='http://x/y.js'></script>").encode(), "a script from elsewhere"),
        ("report.html", PAGE.format("<p onclick='x()'>").encode(), "an attribute onclick"),
        ("report.html", PAGE.format("<a href=' java\tscript:x()'>").encode(), "a reference to"),
        ("report.html", PAGE.format("<iframe></iframe>").encode(), "an element iframe"),
        ("report.html", PAGE.format("<!--><script>x()</script>-->").encode(), "what a browser may take for a script"),
    ],
)
def test_anything_but_data_is_refused(natal, archive, tmp_path, name, content, line):
    """Also when its checksum is right."""
    files = contents(archive)
    write(archive, files | {name: content})
    assert line in refused(natal, archive, tmp_path)


def test_links_are_refused(natal, archive, tmp_path):
    """However they are called."""
    write(archive, contents(archive) | {"a.csv": b"/etc/passwd"}, attributes={"a.csv": stat.S_IFLNK | 0o777})
    assert "a.csv is a link or a device" in refused(natal, archive, tmp_path)


def test_networks_of_another_kind_are_refused(natal, archive, tmp_path):
    """Plain arrays, but not those of an ensemble."""
    write(archive, contents(archive) | {"emulator/ensemble.eqx": array(np.zeros(3))})
    assert "ensemble.eqx" in refused(natal, archive, tmp_path)


def test_a_page_of_natals_own_is_accepted(natal, archive, tmp_path):
    """With its script, data and pictures."""
    from natal.report.only_known_scripts import TEMPLATES

    script = (TEMPLATES / "report" / "sort.js").read_text()
    page = PAGE.format(
        f"<a href='#x'>x</a><img src='data:image/png;base64,AA'><script type='application/json'>1</script>"
        f"<script>\n{script}\n</script>"
    )
    write(archive, contents(archive) | {"report.html": page.encode()})
    assert natal("load", archive, "--to", tmp_path / "new" / "theirs").exit_code == 0
