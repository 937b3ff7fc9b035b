"""A Slurm that gives whole nodes (SelectType=select/linear) and knows no --gpus, and one without accounting."""

import pytest
from private_slurm import PrivateSlurm
from slurm_project import CAMPAIGN, SHARDS, SlurmProject

pytestmark = pytest.mark.slurm

WHOLE_NODES = """
SelectType=select/linear
SelectTypeParameters=CR_Memory
"""


def test_the_shipped_profile_says_what_to_write_and_that_works(can_run, tmp_path, cache, undisturbed):
    """--gpus is refused, --gres taken but refused to the job's step (Slurm 22.05): one line each with the remedy."""
    with PrivateSlurm(settings=WHOLE_NODES) as linear:
        project = SlurmProject(tmp_path / "project", cache, linear, CAMPAIGN)
        profile = project.folder / "profiles" / "slurm" / "config.yaml"
        text = profile.read_text()
        shard = f"results/faults/simulations/{SHARDS[0]}.h5"
        assert project.start(shard, "--retries", "0").wait() != 0
        assert project.output.count("A cluster that wants --gres in place of --gpus: write `gres: gpu:1`") == 1
        assert project.jobs() == []

        profile.write_text(text.replace("    gpu: 1 ", "    gres: gpu:1 "))
        ended = project.start(shard, "--retries", "0").wait()
        # newer Slurms may well take it
        assert ended == 0 or "write `gpu: 0` in profiles/slurm/config.yaml" in project.output

        profile.write_text(text.replace("    gpu: 1 ", "    gpu: 0 "))
        project.finish(shard)
        project.assert_shards_as_undisturbed(undisturbed, SHARDS[0])


def test_a_cluster_without_accounting(can_run, tmp_path, cache, undisturbed):
    """sacct is installed but has nothing to say: states come from squeue. A cancelled job is noticed there, too."""
    with PrivateSlurm(accounting=False) as slurm:
        project = SlurmProject(tmp_path / "project", cache, slurm, CAMPAIGN)
        driver = project.start(f"results/faults/simulations/{SHARDS[0]}.h5")
        project.wait_for_snapshots(SHARDS[0], 3)
        (job,) = (job for job in slurm.queue() if SHARDS[0] in job["COMMENT"])
        slurm.run("scancel", job["JOBID"])
        assert driver.wait() == 0, project.output
        assert project.resumed_from(SHARDS[0]) >= 3
        project.assert_shards_as_undisturbed(undisturbed, SHARDS[0])
