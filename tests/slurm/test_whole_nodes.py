"""A Slurm that gives whole nodes (SelectType=select/linear) and knows no --gpus."""

import pytest
from private_slurm import PrivateSlurm
from slurm_project import CAMPAIGN, SHARDS, SUMMARIES, SlurmProject

pytestmark = pytest.mark.slurm

SETTINGS = """
SelectType=select/linear
SelectTypeParameters=CR_Memory
"""


def test_the_shipped_profile_says_what_to_write_and_that_works(slurm, tmp_path, cache, undisturbed):
    """--gpus is refused, --gres taken but refused to the job's step (Slurm 22.05): one line each with the remedy."""
    with PrivateSlurm(settings=SETTINGS) as linear:
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
        project.finish(SUMMARIES)
        project.assert_as_undisturbed(undisturbed)
