"""Points, blocks and shards: ids are unique and stable, and every point is simulated by exactly one job."""

import json
import re

import pytest

from natal import campaign
from natal.design import make_design


@pytest.mark.parametrize("points_per_job", [1, 7, 16, 1000])
def test_shards_partition_the_points(config, points_per_job):
    """All jobs together hold each point of the design once, none of them more points than allowed."""
    config["design"] |= {"train": [96, 10], "points_per_job": points_per_job}
    shards = campaign.shards(config)
    ids = [i for shard in shards.values() for i in shard.point_ids]
    assert sorted(ids) == sorted(make_design(config).point_id)
    assert len(set(ids)) == len(ids)
    assert max(shard.n_points for shard in shards.values()) <= points_per_job


def test_no_shard_spans_two_blocks(config):
    """A new block may not change an existing job."""
    config["design"] |= {"train": [10, 10], "points_per_job": 16}
    block_of = make_design(config).set_index("point_id").block
    for name, shard in campaign.shards(config).items():
        assert {block_of[i] for i in shard.point_ids} == {name.split("_")[0]}


def test_shard_names_are_what_the_workflow_expects(config):
    """Letters, the number of the block, an underscore, the number of the job; the key is the name."""
    for name, shard in campaign.shards(config).items():
        assert re.fullmatch(r"[a-z]+[0-9]*_[0-9]+", name)
        assert shard.name == name


def test_growing_a_campaign_keeps_its_shards(config):
    """Shards of existing blocks, and what determines their points, survive a further block of any split."""
    before = campaign.shards(config)
    recipes = {name: campaign.shard_recipe(config, shard) for name, shard in before.items()}
    for split in campaign.SPLITS:
        config["design"][split].append(30)
    after = campaign.shards(config)
    assert {name: after[name] for name in before} == before
    assert {name: campaign.shard_recipe(config, after[name]) for name in before} == recipes
    assert set(after) - set(before) == {f"{split}1_{k:03d}" for split in campaign.SPLITS for k in range(2)}


@pytest.mark.parametrize(
    "change", [{"box": {"q0": [0.5, 1.4], "a_au": [50, 200]}}, {"train": [97]}, {"virial_convention": "2K/|W|"}]
)
def test_a_recipe_changes_with_what_moves_its_points(config, change):
    """Another box, block size or convention moves the first training points, and their recipe tells."""
    shard = campaign.shards(config)["train0_000"]
    before = campaign.shard_recipe(config, shard)
    config["design"] |= change
    assert campaign.shard_recipe(config, shard) != before


def test_a_recipe_ignores_what_does_not_move_its_points(config):
    """Other splits, numbers of realizations and sizes of jobs are no part of it; it is plain JSON."""
    shard = campaign.shards(config)["train0_000"]
    before = json.dumps(campaign.shard_recipe(config, shard))
    config["design"] |= {"test": [3], "realizations": 2, "points_per_job": 32}
    assert json.dumps(campaign.shard_recipe(config, shard)) == before


def test_ids_of_the_splits_stay_apart(config):
    """Each split counts from its own offset, on through its blocks."""
    config["design"] |= {"train": [3, 2], "validation": [2], "test": [1, 1]}
    assert make_design(config).point_id.tolist() == [0, 1, 2, 3, 4, 100_000, 100_001, 200_000, 200_001]
