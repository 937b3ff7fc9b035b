"""Every output says what made it, back to the design, and whether it is still the same file."""

import json
import shutil
import subprocess
from dataclasses import asdict
from types import SimpleNamespace

import h5py
import pytest

from natal.errors import NatalError
from natal.files.sealed import SEAL_BYTES, write_seal
from natal.provenance import git
from natal.provenance.describe import describe
from natal.provenance.environment import environment
from natal.provenance.git import git_commit
from natal.provenance.lineage import history, read_origin, steps
from natal.provenance.records import file_state, record_path, write_records

CONFIG = {"campaign": "tiny", "seed": 7, "likelihood": "mixture", "inference": {"draws": 50, "warmup": 20}}


def make(
    rule, outputs, inputs=(), digest="code:0123456789abcdef seed:89abcdef", reads=(), wildcards=None, config=CONFIG
):
    """Run a job: write its outputs and their records."""
    task = SimpleNamespace(
        rule=rule,
        input=list(inputs),
        output=list(outputs),
        params=SimpleNamespace(digest=digest),
        config=config,
        wildcards=wildcards or {},
    )
    for output in outputs:
        if output.endswith(".h5"):
            write_sealed(output)
        else:
            with open(output, "w") as file:
                file.write(f"{rule} {output}")
    write_records(task, reads)


def write_sealed(path):
    """A file as a shard is."""
    with h5py.File(path, "w", userblock_size=SEAL_BYTES) as file:
        file["x"] = [1.0, 2.0, 3.0]
        file.attrs.update(environment() | {"digest": "code:0123456789abcdef"})
    write_seal(path, {"format": "natal-test-1", "digest": "code:0123456789abcdef"})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A campaign of four rules, the working directory above its results."""
    folder = tmp_path / "project"
    (folder / "results/tiny/simulations").mkdir(parents=True)
    monkeypatch.chdir(folder)
    (folder / "points.csv").write_text("q0,a_au\n0.6,60\n")
    make("design", ["results/tiny/design.csv"], reads=["points.csv"])
    shards = [f"results/tiny/simulations/train0_{k:03d}.h5" for k in range(6)]
    for k, shard in enumerate(shards):
        make("simulate", [shard], wildcards={"shard": f"train0_{k:03d}"})
    made = ["results/tiny/summaries.csv", "results/tiny/tracks.csv"]
    make("summaries", made, ["results/tiny/design.csv", *shards])
    digest = "code:fedcba9876543210 box:00000000 inference.draws:11111111 likelihood:22222222"
    make("recover", ["results/tiny/recovery.csv"], made[:1], digest)
    return folder


def text_of(path):
    return describe(read_origin(path))


def test_a_record_says_what_made_a_file(project):
    """Rule, digest, configuration, seed, environment, and inputs with their checksums."""
    found = read_origin("results/tiny/recovery.csv")
    assert found.is_recorded
    record = found.record
    assert (record.rule, record.seed, record.config) == ("recover", 7, CONFIG)
    assert {"commit", "created", "python", "machine", "version_natal", "version_jax"} <= set(record.environment)
    assert [asdict(one) for one in record.inputs] == [asdict(file_state("results/tiny/summaries.csv"))]
    assert read_origin("results/tiny/simulations/train0_001.h5").record.wildcards == {"shard": "train0_001"}


def test_the_record_lies_in_the_campaigns_folder(tmp_path):
    """At the output's own place; that of an output above it beside that output."""
    campaign = tmp_path / "tiny"
    assert record_path(campaign / "metrics" / "speed.json", campaign) == campaign / "provenance/metrics/speed.json.json"
    assert record_path(tmp_path / "compare.csv", campaign) == tmp_path / "provenance/compare.csv.json"


def test_a_study_keeps_records_of_its_own(project):
    """In the study's folder; its configuration has a name and no campaign."""
    folder = project / "results/studies/potential"
    folder.mkdir(parents=True)
    make("train", ["results/studies/potential/all.eqx"], config={"name": "potential", "seed": 3})
    assert (folder / "provenance/all.eqx.json").exists()
    assert "  study      potential, seed 3\n" in text_of("results/studies/potential/all.eqx")


def test_the_text_goes_back_to_the_design(project):
    """One line a step, first to last; settings with their values, those derived without."""
    text = text_of("results/tiny/recovery.csv")
    rules = [line.split()[0] for line in text.partition("first to last\n")[2].splitlines()]
    assert rules == ["design", "simulate", "summaries", "recover"]
    for part in (
        "made by    recover",
        "tiny, seed 7",
        "code       fedcba9876543210",
        "[11111111] 50\n",
        '[22222222] "mixture"',
        "box [00000000]\n",
        "results/tiny/simulations/*.h5, 6 files",
        f"results/tiny/summaries.csv {file_state('results/tiny/summaries.csv').sha256[:16]}",
    ):
        assert part in text
    assert "!" not in text


def test_files_behind_a_file_come_once(project):
    """Also those that several others were made from; what a person wrote is a file like any."""
    make("report", ["results/tiny/report.html"], ["results/tiny/recovery.csv", "results/tiny/design.csv"])
    names = [one.path.name for one in history(read_origin("results/tiny/report.html"))]
    shards = [f"train0_{k:03d}.h5" for k in range(6)]
    assert names == ["points.csv", "design.csv", *shards, "summaries.csv", "recovery.csv", "report.html"]


def test_steps_part_by_code(project):
    """Shards that different code made are told apart."""
    shard = "results/tiny/simulations/train0_005.h5"
    make("simulate", [shard], digest="code:aaaaaaaaaaaaaaaa")
    made = steps(history(read_origin("results/tiny/summaries.csv")))
    found = [(step.rule, step.code[:4], len(step.files)) for step in made]
    assert found == [("design", "0123", 1), ("simulate", "0123", 5), ("simulate", "aaaa", 1), ("summaries", "0123", 1)]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("results/tiny/recovery.csv", "this file is no longer the one recorded: its checksum differs"),
        (
            "results/tiny/summaries.csv",
            "results/tiny/summaries.csv is no longer the file that recover read: its checksum differs",
        ),
        ("points.csv", "points.csv is no longer the file that design read: its checksum differs"),
    ],
)
def test_a_changed_file_is_told(project, path, line):
    """The file itself, and any behind it."""
    with open(path, "a") as file:
        file.write("1")
    assert f"  ! {line}" in text_of("results/tiny/recovery.csv").splitlines()


def test_a_file_that_is_gone_is_told(project):
    """One line; the rest is printed."""
    (project / "results/tiny/summaries.csv").unlink()
    text = text_of("results/tiny/recovery.csv")
    assert "  ! results/tiny/summaries.csv, which recover read, is gone" in text.splitlines()
    assert "simulate" in text


def test_a_damaged_shard_is_told(project):
    """Its seal says nothing of what is behind it: the data are read if the file is asked for."""
    shard = project / "results/tiny/simulations/train0_003.h5"
    assert "!" not in text_of(shard)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert "  ! this file is damaged: its checksum is not the one it was written with" in text_of(shard).splitlines()


def test_a_file_without_record(project):
    """It is said; a format that holds digest and commit tells them itself."""
    shutil.rmtree("results/tiny/provenance/simulations")
    shard = text_of("results/tiny/simulations/train0_000.h5")
    for part in ("no record of what made it: the file itself says", "code:0123456789abcdef", "jax "):
        assert part in shard
    assert "  ! results/tiny/simulations/train0_000.h5 has no record" in text_of("results/tiny/recovery.csv")
    (project / "notes.txt").write_text("mine")
    assert text_of("notes.txt") == "notes.txt\n  no record of what made it"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "natal-provenance-1"}'])
def test_a_damaged_record_is_none(project, content):
    """Cut short, or another file's."""
    (project / "results/tiny/provenance/recovery.csv.json").write_text(content)
    assert read_origin("results/tiny/recovery.csv").record is None


def test_a_campaign_that_was_moved_knows_its_files(project, monkeypatch):
    """Inputs are looked for where the campaign is now, from any folder."""
    (project / "results/tiny").rename(project / "results/kept")
    monkeypatch.chdir(project / "results")
    text = text_of("kept/recovery.csv")
    assert "kept/simulations/*.h5, 6 files" in text
    assert "!" not in text


def test_files_that_are_none_are_refused(project):
    """In one line."""
    for path, line in (("no.csv", "no file no.csv"), ("results", "results is a folder: name a file in it")):
        with pytest.raises(NatalError, match=line):
            read_origin(path)


def test_records_are_plain_json(project):
    """To a reader without natal."""
    content = json.loads((project / "results/tiny/provenance/summaries.csv.json").read_text())
    assert content["output"]["path"] == "results/tiny/summaries.csv"
    assert len(content["inputs"]) == 7


@pytest.fixture
def repository(tmp_path):
    """A repository with one file; git_commit forgets what it knows."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    file = tmp_path / "code.py"
    file.write_text("x = 1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "code.py"], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    git_commit.cache_clear()
    yield file
    git_commit.cache_clear()


def test_the_commit_and_whether_it_was_changed(repository):
    """The full name; edited code is marked, files that git does not know are not."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository.parent, capture_output=True, text=True)
    (repository.parent / "other.txt").write_text("new")
    assert git_commit(repository) == head.stdout.strip()
    git_commit.cache_clear()
    repository.write_text("x = 2\n")
    assert git_commit(repository) == f"{head.stdout.strip()}-dirty"


def test_no_commit_where_there_is_none(repository, tmp_path_factory, monkeypatch):
    """Outside a repository, for a file that one merely surrounds, without git: None, never an error."""
    assert git_commit(tmp_path_factory.mktemp("elsewhere") / "code.py") is None
    assert git_commit(repository.with_name("installed.py")) is None
    assert git_commit(repository.parent / "no" / "such.py") is None
    monkeypatch.setattr(git.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("git")))
    assert git_commit(repository) is None


def test_the_environment_says_what_jax_and_its_compiler_were_told(monkeypatch):
    """A user's own flags and settings may be why results are others."""
    given = {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true", "JAX_PLATFORMS": "cpu"}
    for name, value in (given | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}).items():
        monkeypatch.setenv(name, value)
    assert {name: value for name, value in environment().items() if name.startswith(("XLA", "JAX"))} == given
