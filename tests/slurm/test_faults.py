"""Whatever goes wrong, the same command ends the campaign with the bytes of an undisturbed run, and redoes nothing."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from slurm_project import SHARDS, SUMMARIES

pytestmark = pytest.mark.slurm

VICTIM = SHARDS[0]
HALFWAY = 8  # of 21 snapshots


def assert_as_undisturbed(project, undisturbed):
    """The table is the undisturbed one, byte for byte, and every checkpoint is gone."""
    assert (project.folder / SUMMARIES).read_bytes() == undisturbed
    left = sorted(path.name for path in (project.results() / "simulations").iterdir())
    left = [name for name in left if not name.endswith((".set-aside", ".json"))]
    assert left == sorted(f"{shard}.h5" for shard in SHARDS)


def assert_nothing_was_redone(project, snapshots):
    """A shard whose job ran more than once went on from what it had when the fault came."""
    for shard, n in snapshots.items():
        if len(project.jobs_of(shard, duplicates=True)) > 1 and n > 0:
            assert project.resumed_from(shard) >= n, shard


def test_a_killed_job(project, undisturbed):
    """SIGKILL half-way: the retry goes on from the last snapshot, within the same call."""
    driver = project.start(SUMMARIES)
    process = project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    os.kill(process, signal.SIGKILL)
    assert driver.wait() == 0, project.output
    assert_nothing_was_redone(project, snapshots)
    assert_as_undisturbed(project, undisturbed)
    assert [job["State"] for job in project.jobs_of(VICTIM)] == ["FAILED", "COMPLETED"]


def test_a_cancelled_job(project, undisturbed):
    """scancel sends SIGTERM: the job stops cleanly and says how to go on; the retry does."""
    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    (job,) = (job for job in project.slurm.queue() if VICTIM in job["COMMENT"])
    project.slurm.run("scancel", job["JOBID"])
    assert driver.wait() == 0, project.output
    assert "natal: stopped by SIGTERM" in project.slurm_log(VICTIM, job["JOBID"])
    assert_nothing_was_redone(project, snapshots)
    assert_as_undisturbed(project, undisturbed)


def test_a_time_limit(project, undisturbed):
    """A job that hangs is ended by its limit of a minute, and the retry has two; memory grows, too."""
    driver = project.start(SUMMARIES, "--set-resources", "simulate:gpu=1", "simulate:runtime=attempt")
    process = project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    os.kill(process, signal.SIGSTOP)
    assert driver.wait() == 0, project.output
    first, second = project.jobs_of(VICTIM)
    assert (first["State"], second["State"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimelimitRaw"], second["TimelimitRaw"]) == ("1", "2")
    memory = [int(job["ReqTRES"].partition("mem=")[2].partition("M")[0]) for job in (first, second)]
    assert memory[1] == 2 * memory[0]
    assert_nothing_was_redone(project, snapshots)
    assert_as_undisturbed(project, undisturbed)


def test_a_node_that_goes_down_and_comes_back(project, undisturbed):
    """Slurm starts the node's jobs again; they go on from their snapshots."""
    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, HALFWAY)
    snapshots = project.snapshots()
    project.slurm.set_node("down")
    time.sleep(1)
    project.slurm.set_node("resume")
    assert driver.wait() == 0, project.output
    assert len(project.jobs_of(VICTIM, duplicates=True)) == 2
    assert_nothing_was_redone(project, snapshots)
    assert_as_undisturbed(project, undisturbed)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_driver_that_ends_and_is_started_again(project, undisturbed, how):
    """The second call stops what the first left in the queue, and goes on from its snapshots.

    After SIGTERM Snakemake lets running jobs end; after the others they are cut. A killed driver cancels nothing: by
    Slurm's own accounts the second call does.
    """
    driver = project.start(SUMMARIES)
    process = project.wait_for_snapshots(VICTIM, HALFWAY)
    if how != signal.SIGTERM:
        # else it might end before anybody cuts it
        os.kill(process, signal.SIGSTOP)
    snapshots = project.snapshots()
    os.kill(driver.pid, how)
    driver.wait()
    output = project.finish(SUMMARIES)
    assert_nothing_was_redone(project, snapshots)
    assert (project.resumed_from(VICTIM) >= HALFWAY) == (how != signal.SIGTERM)
    if how == signal.SIGKILL:
        first, second = project.jobs_of(VICTIM)
        assert first["State"].startswith("CANCELLED")
        assert second["State"] == "COMPLETED"
        assert re.search(rf"natal: cancelling \d jobs of an earlier run: .*\b{first['JobID']}\b", output)
    assert_as_undisturbed(project, undisturbed)


def test_a_driver_that_was_killed_while_its_jobs_ended(project, undisturbed):
    """Shards that nobody was there to see complete are not simulated again."""
    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, HALFWAY)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    project.slurm.wait_until_idle(120)
    assert all(project.shard(shard).exists() for shard in SHARDS)
    project.finish(SUMMARIES)
    for shard in SHARDS:
        assert len(project.jobs_of(shard)) == 1 or project.resumed_from(shard) == 21
    assert_as_undisturbed(project, undisturbed)


def test_snakemakes_folder_is_removed(project, undisturbed):
    """Nothing more can be recorded: the call says so, cancels its jobs and ends, and the next one goes on."""
    driver = project.start(SUMMARIES)
    project.wait_for_snapshots(VICTIM, 3)
    shutil.rmtree(project.folder / ".snakemake")
    assert driver.wait() != 0
    assert ".snakemake/ was removed while jobs ran: they are cancelled; run again to go on" in project.output
    project.slurm.wait_until_idle()
    project.finish(SUMMARIES)
    assert project.resumed_from(VICTIM) >= 3
    assert_as_undisturbed(project, undisturbed)


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


def test_a_full_disk(project, undisturbed, small_disk):
    """The job says in one line what is full; with more room the same command goes on."""
    assert project.start(SUMMARIES, "--retries", "0").wait() != 0
    assert "No space left on device" in "".join(map(project.log, SHARDS))
    assert "Traceback" not in "".join(map(project.log, SHARDS))
    small_disk("size=100m")
    project.finish(SUMMARIES)
    assert max(map(project.resumed_from, SHARDS)) > 1
    assert_as_undisturbed(project, undisturbed)


def test_a_read_only_folder(project, undisturbed, small_disk):
    """One line before anything is submitted; writable again, the same command makes what is missing."""
    small_disk("size=100m")
    project.finish(f"results/faults/simulations/{VICTIM}.h5")
    small_disk("ro")
    before = len(project.output)
    assert project.start(SUMMARIES).wait() != 0
    assert "results/faults/.lock cannot be written (Read-only file system)" in project.output[before:]
    assert "Traceback" not in project.output[before:]
    small_disk("rw")
    project.finish(SUMMARIES)
    assert [len(project.jobs_of(shard)) for shard in SHARDS] == [1, 1, 1]
    assert_as_undisturbed(project, undisturbed)


def test_two_drivers_at_once(project, undisturbed):
    """The second one says who is at work and leaves everything alone; `make status` says what runs, and how far."""
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
    assert_as_undisturbed(project, undisturbed)


def test_damaged_shards(project, undisturbed):
    """A truncated file, a foreign one and a flipped bit: each is named, and only those shards are simulated again."""
    project.finish(SUMMARIES)
    truncated, foreign, flipped = (project.shard(shard) for shard in SHARDS)
    os.truncate(truncated, truncated.stat().st_size // 2)
    output = project.finish(SUMMARIES)
    assert f"simulations/{truncated.name} is damaged" in output
    assert [len(project.jobs_of(shard)) for shard in SHARDS] == [2, 1, 1]
    assert_as_undisturbed(project, undisturbed)

    foreign.write_bytes(truncated.read_bytes())
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    output = project.finish(SUMMARIES)
    assert f"simulations/{foreign.name} holds 4 points from 0 on, not those of {SHARDS[1]}" in output
    assert f"simulations/{flipped.name} is damaged" in output
    assert [len(project.jobs_of(shard)) for shard in SHARDS] == [2, 2, 2]
    assert_as_undisturbed(project, undisturbed)
