"""The smoke campaign through Slurm by the shipped profile."""

import math
import os

import pytest
import yaml
from project import ROOT
from slurm_project import SlurmProject

from natal.simulation.cost import interactions

pytestmark = pytest.mark.slurm

SMOKE_SHARDS = ("train0_000", "validation0_000", "test0_000", "calibration0_000")


@pytest.fixture(scope="module")
def smoke(slurm, tmp_path_factory, cache):
    """The finished smoke campaign, with one uncertainty method: every stage is a job all the same."""
    config = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    config["uncertainty"]["methods"] = ["constant"]
    config["resources"] = {"allow_cpu": True}
    config["density"]["width"] = 32
    project = SlurmProject(tmp_path_factory.mktemp("smoke"), cache, slurm, config)
    # every program runs for a moment: to optimise it takes longer
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", f"{os.environ['XLA_FLAGS']} {quick}")
        project.finish()
    return project


def tres(job):
    """A job's resources as a dictionary."""
    return dict(item.split("=") for item in job["AllocTRES"].split(","))


def test_each_simulate_job_had_its_gpu(smoke):
    """One GPU and one core, by Slurm's own accounts."""
    for shard in SMOKE_SHARDS:
        (job,) = smoke.jobs_of(shard)
        assert job["State"] == "COMPLETED"
        assert (tres(job)["gres/gpu"], tres(job)["cpu"]) == ("1", "1")


def test_other_stages_have_none_and_small_ones_are_no_jobs(smoke):
    """A few jobs on CPUs beside the simulations; the rest ran inside snakemake."""
    others = [job for job in smoke.jobs() if "simulate" not in job["Comment"]]
    stages = ["train", "density", "joint", "likelihood", "evaluate", "recover", "calibrate", "uncertainty", "speed"]
    stages += [
        "draw_simulations",
        "draw_emulator",
        "draw_recovery",
        "draw_uncertainty",
        "brute_force_runs",
        "brute_force",
        "posterior_predictive",
    ]
    assert sorted(job["Comment"] for job in others) == sorted(f"rule_{stage}" for stage in stages)
    assert not any("gres/gpu" in job["AllocTRES"] for job in others)


def test_the_time_limit_follows_from_the_runs(smoke):
    """Ten minutes and twice the interactions at the lowest speed known: nothing was known, so 0.5e9 a second."""
    (job,) = smoke.jobs_of("train0_000")
    seconds = interactions(16 * 4, 32, 2000) / 0.5e9
    assert int(job["TimelimitRaw"]) == math.ceil(10 + 2 * seconds / 60)


def test_everything_is_there(smoke):
    """The campaign's files, and nothing to do for a second call."""
    assert (smoke.results() / "report.html").stat().st_size > 100_000
    assert "Nothing to be done" in smoke.finish()


def test_status_says_done(smoke):
    """From the same configuration files as snakemake."""
    assert smoke.status() == "smoke: 4 shards: 4 done\n"
