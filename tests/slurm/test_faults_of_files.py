"""Files and disks that fail, and two drivers at once: as in test_faults.py, which runs beside this."""

import os
import subprocess

import pytest
from slurm_project import SHARDS, SUMMARIES, VICTIM

pytestmark = pytest.mark.slurm


def test_a_gpu_that_jax_does_not_find(project):
    """A job that Slurm gave one fails at once, in one line, instead of computing for days on a processor.

    Asked for by --gres, the other of Slurm's two ways.
    """
    profile = project.folder / "profiles" / "slurm" / "config.yaml"
    profile.write_text(profile.read_text().replace("    gpu: 1 ", "    gres: gpu:1 "))
    shard = f"results/faults/simulations/{VICTIM}.h5"
    assert project.start(shard, "--retries", "0", changes={"resources": {"allow_cpu": False}}).wait() != 0
    assert "Slurm gave this job a GPU, but JAX found 1 x cpu (cpu) only" in project.log(VICTIM)
    assert len(project.log(VICTIM).splitlines()) == 1
    (job,) = project.jobs_of(VICTIM)
    assert "gres/gpu=1" in job["AllocTRES"]


@pytest.fixture
def small_disk(project):
    """A file system of its own for results/, with room for less than the campaign."""
    folder = project.folder / "results"
    folder.mkdir()

    def mount(options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)

    try:
        mount("size=1500k")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot mount a file system: {error.stderr}")
    yield lambda options: mount(f"remount,{options}")
    project.stop()
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_that_becomes_read_only(project, undisturbed, small_disk):
    """The job says in one line what is full; with more room the same command goes on.

    If nothing can be written, one line says so before anything is submitted; writable again, the same command makes
    what is missing.
    """
    assert project.start(SUMMARIES, "--retries", "0").wait() != 0
    assert "No space left on device" in "".join(map(project.log, SHARDS))
    assert "Traceback" not in "".join(map(project.log, SHARDS))
    small_disk("size=100m")
    project.finish(f"results/faults/simulations/{VICTIM}.h5")

    small_disk("ro")
    n_jobs, n_printed = project.n_jobs(), len(project.output)
    assert project.start(SUMMARIES).wait() != 0
    assert "results/faults/.lock cannot be written (Read-only file system)" in project.output[n_printed:]
    assert "Traceback" not in project.output[n_printed:]
    assert project.n_jobs() == n_jobs
    small_disk("rw")
    made = [shard for shard in SHARDS if project.shard(shard).exists()]
    assert VICTIM in made
    project.finish(SUMMARIES)
    for shard, n in project.n_jobs().items():
        assert n == n_jobs[shard] + (shard not in made)
    assert max(map(project.resumed_from, SHARDS)) > 1
    project.assert_as_undisturbed(undisturbed)


def test_two_drivers_at_once_and_damaged_shards(project, undisturbed):
    """The second one says who is at work and leaves everything alone; `make status` says what runs, and how far.

    Later a truncated file, a foreign one and a flipped bit: each is named, and only those shards are simulated again.
    """
    first = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, 2)
    lines = project.status().splitlines()
    # how far it is follows once it has logged so
    assert any(line.split()[:2] == [VICTIM, "running"] for line in lines), lines
    assert lines[-1].startswith("faults: 3 shards: ")
    before = len(project.output)
    assert project.start(SUMMARIES).wait() != 0
    assert f"results/faults is being worked on by process {first.pid} on " in project.output[before:]
    assert first.wait() == 0, project.output
    assert project.status() == "faults: 3 shards: 3 done\n"
    assert [len(project.jobs_of(shard)) for shard in SHARDS] == [1, 1, 1]
    project.assert_as_undisturbed(undisturbed)

    truncated, foreign, flipped = (project.shard(shard) for shard in SHARDS)
    os.truncate(truncated, truncated.stat().st_size // 2)
    output = project.finish(SUMMARIES)
    assert f"simulations/{truncated.name} is damaged" in output
    assert [len(project.jobs_of(shard)) for shard in SHARDS] == [2, 1, 1]
    project.assert_as_undisturbed(undisturbed)

    foreign.write_bytes(truncated.read_bytes())
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    output = project.finish(SUMMARIES)
    assert f"simulations/{foreign.name} holds 4 points from 0 on, not those of {SHARDS[1]}" in output
    assert f"simulations/{flipped.name} is damaged" in output
    assert [len(project.jobs_of(shard)) for shard in SHARDS] == [2, 2, 2]
    project.assert_as_undisturbed(undisturbed)
