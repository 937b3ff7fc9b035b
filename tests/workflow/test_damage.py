"""Damaged files are named and made again, and a killed Snakemake needs no unlocking."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from project import job_counts

from natal.files.sealed import SEAL_BYTES
from natal.provenance.digests import digest_parts

pytestmark = pytest.mark.slow

SUMMARIES = "results/tiny/summaries.csv"


@pytest.fixture
def shard(editable):
    """A finished shard's file."""
    return editable.results() / "simulations" / "train0_000.h5"


def flip(path, *, keep_mtime):
    """Change one byte in the middle."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_mtime:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "another shard"])
def test_a_damaged_shard_is_made_again(editable, shard, damage):
    """It is named, a dry run leaves it alone, and a run makes it and the table again, to the same bytes."""
    before = (editable.folder / SUMMARIES).read_bytes()
    if damage == "truncated":
        os.truncate(shard, 3000)
    elif damage == "flipped":
        flip(shard, keep_mtime=False)
    elif damage == "foreign":
        shard.write_text("somebody else's notes")
    else:
        shutil.copy(shard.with_name("test0_000.h5"), shard)
    content = shard.read_bytes()
    assert editable.stale(SUMMARIES) == {"simulate": 1, "summaries": 1}
    # also if it is what was asked for
    assert editable.stale("results/tiny/simulations/train0_000.h5") == {"simulate": 1}
    assert shard.read_bytes() == content
    done = editable.snakemake(SUMMARIES)
    assert done.returncode == 0, done.stderr
    assert "natal: results/tiny/simulations/train0_000.h5 " in done.stderr
    assert shard.with_name("train0_000.h5.set-aside").read_bytes() == content
    assert (editable.folder / SUMMARIES).read_bytes() == before
    assert editable.stale(SUMMARIES) == {}


def test_a_flipped_bit_that_left_no_trace_is_mended_in_one_call(editable, shard):
    """Size and date are as they were: the job that reads the file finds it, and the call begins anew, once."""
    before = (editable.folder / SUMMARIES).read_bytes()
    assert editable.stale(SUMMARIES) == {}
    flip(shard, keep_mtime=True)
    assert editable.stale(SUMMARIES) == {}
    (editable.folder / SUMMARIES).unlink()
    done = editable.snakemake(SUMMARIES)
    assert done.returncode == 0, done.stderr
    assert "train0_000.h5 is damaged" in done.stderr
    assert done.stderr.count("natal: starting again without these damaged files: train0_000.h5.set-aside") == 1
    assert (editable.folder / SUMMARIES).read_bytes() == before
    assert editable.stale(SUMMARIES) == {}


def test_a_date_in_the_future_is_set_to_now(editable, shard):
    """It is named and makes nothing again: what was made from the file is still made from it."""
    made = {path: path.stat().st_mtime_ns for path in shard.parent.glob("*.h5") if path != shard}
    tomorrow = time.time() + 86400
    os.utime(shard, (tomorrow, tomorrow))
    assert editable.stale(SUMMARIES) == {}
    (editable.folder / SUMMARIES).unlink()
    done = editable.snakemake(SUMMARIES)
    assert done.returncode == 0, done.stderr
    assert "natal: results/tiny/simulations/train0_000.h5 is dated " in done.stderr
    assert ", in the future: the clock of this machine or of the disk is wrong; set to now" in done.stderr
    assert shard.stat().st_mtime < tomorrow - 3600
    assert made == {path: path.stat().st_mtime_ns for path in made}


def forget(project, path):
    """Take Snakemake's record of a file away, as if its job had ended when no Snakemake was there."""
    record = base64.urlsafe_b64encode(str(path.relative_to(project.folder)).encode()).decode()
    (project.folder / ".snakemake" / "metadata" / record).unlink()


def test_a_shard_without_a_record_is_compared_with_the_settings(editable, shard):
    """Snakemake knows nothing of it, the shard itself does; where Snakemake knows, it gives its own reasons."""
    forget(editable, shard)
    assert editable.stale(SUMMARIES) == {}
    done = editable.snakemake(SUMMARIES, "-n", changes={"integration": {"dt_yr": 0.04}})
    assert job_counts(done.stdout) == {"simulate": 5, "summaries": 1}
    lines = [line for line in done.stderr.splitlines() if line.startswith("natal: ")]
    path = shard.relative_to(editable.folder)
    line = f"natal: {path} was simulated with other settings or code (integration); its points are simulated again"
    assert lines == [line]
    assert done.stdout.count("Reason: Forced execution") == 1
    assert done.stdout.count("Reason: Params have changed since last execution") == 4


def test_a_shard_of_other_settings_is_not_taken(editable, shard):
    """The same points, whole, but of another campaign: planned again, and refused if it comes in between."""
    before = (editable.folder / SUMMARIES).read_bytes()
    seal = shard.read_bytes()[:SEAL_BYTES]
    seed = digest_parts(json.loads(seal)["digest"])["seed"].encode()
    with open(shard, "r+b") as file:
        file.write(seal.replace(seed, seed[::-1]))
    assert editable.stale(SUMMARIES) == {"simulate": 1, "summaries": 1}
    done = editable.snakemake(SUMMARIES, "--allowed-rules", "summaries", "--forcerun", "summaries")
    assert done.returncode != 0
    line = (
        "train0_000.h5 was simulated with other settings or code (seed): run again, and its points are simulated anew"
    )
    assert line in done.stderr
    assert "Traceback" not in done.stderr
    done = editable.snakemake(SUMMARIES)
    assert done.returncode == 0, done.stderr
    assert (editable.folder / SUMMARIES).read_bytes() == before
    # nothing was wrong with it
    assert not list(shard.parent.glob("*.set-aside*"))


def test_partial_files_of_other_nodes_are_removed(editable, shard):
    """With the checkpoints, when the table is made."""
    left = shard.with_name("train0_000.h5.node17.4711.partial")
    left.write_text("half of it")
    assert editable.snakemake(SUMMARIES, "--forcerun", "summaries").returncode == 0
    assert not left.exists()


def test_a_copied_campaign_is_whole(editable, shard):
    """Another date alone is no damage."""
    os.utime(shard)
    done = editable.snakemake(SUMMARIES, "-n")
    assert "damaged" not in done.stderr


def test_a_killed_snakemake_leaves_no_lock(fresh):
    """After SIGKILL the same command goes on, and while one runs another is refused in one line."""
    slow = {"integration": {"t_end_yr": 1000, "dt_yr": 0.02, "snapshots": 21}, "design": {"realizations": 25}}
    command = fresh.command("profiles/local", SUMMARIES, changes=slow)
    output = subprocess.DEVNULL
    first = subprocess.Popen(command, cwd=fresh.folder, env=fresh.environment, stdout=output, stderr=output)
    lock = fresh.results() / ".lock"
    deadline = time.monotonic() + 60
    while not lock.exists() or not lock.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    second = fresh.snakemake(SUMMARIES, changes=slow)
    assert second.returncode != 0
    assert f"results/tiny is being worked on by process {first.pid} on " in second.stderr
    # not from files that the first one is still at work on
    assert "Building DAG" not in second.stderr
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    done = fresh.snakemake(SUMMARIES, changes=slow)
    assert done.returncode == 0, done.stderr
    assert len((fresh.folder / SUMMARIES).read_text().splitlines()) == 1 + 16 * 25 + 10
