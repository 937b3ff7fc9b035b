"""Points, blocks and shards: ids are unique and stable, and every point is simulated by exactly one job."""

import json
import re

import pytest

from natal.campaign import plan
from natal.campaign.design import make_design


@pytest.mark.parametrize("points_per_job", [1, 7, 16, 1000])
def test_shards_partition_the_points(config, points_per_job):
    """All jobs together hold each point of the design once, none of them more runs than allowed."""
    config["design"] |= {"train": [96, 10], "realizations": 16, "points_per_job": points_per_job}
    shards = plan.shards(config)
    ids = [i for shard in shards.values() for i in shard.point_ids]
    assert sorted(ids) == sorted(make_design(config).point_id)
    assert len(set(ids)) == len(ids)
    assert max(shard.n_runs for shard in shards.values()) <= 16 * points_per_job
    hypercubes = [shard for name, shard in shards.items() if not name.startswith("calibration")]
    assert max(shard.n_points for shard in hypercubes) <= points_per_job
    assert {shard.n_realizations for shard in hypercubes} == {16}


@pytest.mark.parametrize(
    ("realizations", "expected"),
    [
        (16, {"train": (16, 16), "validation": (16, 16), "test": (16, 16), "calibration": (256, 1)}),
        (1, {"train": (16, 1), "validation": (16, 1), "test": (16, 1), "calibration": (16, 1)}),
        (
            {"train": 2, "validation": 3, "test": 8},
            {"train": (64, 2), "validation": (42, 3), "test": (16, 8), "calibration": (128, 1)},
        ),
    ],
)
def test_jobs_have_about_the_same_number_of_runs(config, realizations, expected):
    """(points, realizations) of each split's first job: 16 of those with the most realizations, of others more."""
    sizes = {"train": [500], "validation": [500], "test": [500], "calibration": 500}
    config["design"] |= sizes | {"realizations": realizations, "points_per_job": 16}
    shards = plan.shards(config)
    found = {split: shards[f"{split}0_000"] for split in expected}
    assert {split: (shard.n_points, shard.n_realizations) for split, shard in found.items()} == expected
    most = 16 * max(n for _, n in expected.values())
    assert all(most - shard.n_realizations < shard.n_runs <= most for shard in found.values())
    assert plan.runs_per_job(config) == most


def test_calibration_draws_change_no_other_shard(config):
    """Names, ids and recipes of all others are those of a campaign without them; further draws keep full shards."""
    plans = {}
    for n in (0, 600, 700):
        config["design"]["calibration"] = n
        shards = plan.shards(config)
        plans[n] = {name: (shard, plan.recipes(config)(shard)) for name, shard in shards.items()}
    assert set(plans[600]) - set(plans[0]) == {f"calibration0_{k:03d}" for k in range(3)}
    assert {name: plans[600][name] for name in plans[0]} == plans[0]
    kept = [name for name in plans[600] if plans[700][name] == plans[600][name]]
    assert kept == [*plans[0], "calibration0_000", "calibration0_001"]


def test_no_shard_spans_two_blocks(config):
    """A new block may not change an existing job."""
    config["design"] |= {"train": [10, 10], "points_per_job": 16}
    block_of = make_design(config).set_index("point_id").block
    for name, shard in plan.shards(config).items():
        assert {block_of[i] for i in shard.point_ids} == {name.split("_")[0]}


def test_shard_names_are_what_the_workflow_expects(config):
    """Letters, the number of the block, an underscore, the number of the job; the key is the name."""
    for name, shard in plan.shards(config).items():
        assert re.fullmatch(r"[a-z]+[0-9]*_[0-9]+", name)
        assert shard.name == name


def test_growing_a_campaign_keeps_its_shards(config):
    """Shards of existing blocks, and what determines their points, survive a further block of any split."""
    config["design"]["realizations"] = 16
    before = plan.shards(config)
    recipes = {name: plan.recipes(config)(shard) for name, shard in before.items()}
    for split in plan.SPLITS:
        config["design"][split].append(30)
    after = plan.shards(config)
    assert {name: after[name] for name in before} == before
    assert {name: plan.recipes(config)(after[name]) for name in before} == recipes
    assert set(after) - set(before) == {f"{split}1_{k:03d}" for split in plan.SPLITS for k in range(2)}


@pytest.mark.parametrize(
    "change", [{"box": {"q0": [0.5, 1.4], "a_au": [50, 200]}}, {"train": [97]}, {"virial_convention": "2K/|W|"}]
)
def test_a_recipe_changes_with_what_moves_its_points(config, change):
    """Another box, block size or convention moves the first training points, and their recipe tells."""
    shard = plan.shards(config)["train0_000"]
    before = plan.recipes(config)(shard)
    config["design"] |= change
    assert plan.recipes(config)(shard) != before


def test_a_recipe_ignores_what_does_not_move_its_points(config):
    """Other splits, numbers of realizations and sizes of jobs are no part of it; it is plain JSON."""
    shard = plan.shards(config)["train0_000"]
    before = json.dumps(plan.recipes(config)(shard))
    config["design"] |= {"test": [3], "realizations": 2, "points_per_job": 32}
    assert json.dumps(plan.recipes(config)(shard)) == before


def test_ids_of_the_splits_stay_apart(config):
    """Each split counts from its own offset, on through its blocks."""
    config["design"] |= {"train": [3, 2], "validation": [2], "test": [1, 1], "calibration": 10}
    expected = [0, 1, 2, 3, 4, 100_000, 100_001, 200_000, 200_001, *range(300_000, 300_010)]
    assert make_design(config).point_id.tolist() == expected


def grown(config, recorded, realizations):
    """The layout after a change of the number of realizations, and (points, first realization, number) by shard."""
    config["design"]["realizations"] = realizations
    layout = plan.layout(config, recorded)
    shards = plan.shards(config, recorded)
    assert shards == plan.shards(config, layout)
    return layout, {s.name: (s.n_points, s.first_realization, s.n_realizations) for s in shards.values()}


def test_more_realizations_are_shards_of_their_own(config):
    """Whatever was planned stays, of the same points; what is added counts on from there."""
    config["design"] |= {"train": [20], "validation": [4], "test": [4], "calibration": 0, "points_per_job": 8}
    layout, first = grown(config, None, 4)
    assert first["train0_002"] == (4, 0, 4)
    layout, second = grown(config, layout, 6)
    assert first.items() <= second.items()
    assert {name: second[name] for name in second.keys() - first.keys()} == {
        "train0_000_r004": (8, 4, 2),
        "train0_001_r004": (8, 4, 2),
        "train0_002_r004": (4, 4, 2),
        "validation0_000_r004": (4, 4, 2),
        "test0_000_r004": (4, 4, 2),
    }
    layout, third = grown(config, layout, {"train": 6, "validation": 6, "test": 16})
    assert third.keys() - second.keys() == {"test0_000_r006"}
    assert second.items() <= third.items()
    # fewer: where an earlier job ended nothing is to be done
    assert grown(config, layout, 4)[1] == first
    # between: the jobs of the realizations on top are cut
    assert grown(config, layout, 5)[1]["train0_000_r004"] == (8, 4, 1)


def test_another_job_size_cuts_anew(config):
    """As if nothing had been simulated before."""
    config["design"] |= {"train": [20], "calibration": 0, "points_per_job": 8}
    layout, _ = grown(config, None, 4)
    layout, _ = grown(config, layout, 6)
    config["design"]["points_per_job"] = 16
    assert grown(config, layout, 6) == grown(config, None, 6)


def test_a_table_grows_as_well(config, tmp_path):
    """Its rows, and its realizations."""
    (tmp_path / "points.csv").write_text("q0,a_au\n0.6,60\n0.9,90\n")
    config["design"] |= {"table": str(tmp_path / "points.csv"), "calibration": 0}
    layout, first = grown(config, None, 2)
    assert first == {"table_000": (2, 0, 2)}
    assert grown(config, layout, 3)[1] == first | {"table_000_r002": (2, 2, 1)}


def test_jobs_by_time_leave_what_was_cut_alone(config):
    """Another speed, or job_minutes set later, cuts only blocks that are added; jobs read the layout and ask nobody."""
    config["design"] |= {"train": [96], "calibration": 0, "realizations": 4, "job_minutes": 10}
    layout = plan.layout(config, None, lambda: 80)
    assert layout["train0"]["points"] == 20
    assert plan.shards(config, layout, None) == plan.shards(config, None, lambda: 80)
    config["design"]["train"] = [96, 96]
    grown = plan.layout(config, layout, lambda: 160)
    assert (grown["train0"], grown["train1"]["points"]) == (layout["train0"], 40)
    # a point of more clusters than a job has time for
    assert plan.layout(config, None, lambda: 3)["train0"]["points"] == 1
    config["design"] |= {"job_minutes": None}
    by_points = plan.layout(config)
    config["design"] |= {"job_minutes": 10}
    assert plan.layout(config, by_points, lambda: 80) == by_points


def test_a_table_of_thousands_is_read_once(config, tmp_path, monkeypatch):
    """Not once a shard; and again when it was changed."""
    path = tmp_path / "points.csv"
    path.write_text("q0,a_au\n" + "0.6,100\n" * 50)
    config["design"] |= {"table": str(path), "points_per_job": 1}
    reads, csv_rows = [], plan.csv_rows
    monkeypatch.setattr(plan, "csv_rows", lambda *given, **more: reads.append(given) or csv_rows(*given, **more))
    shards, recipe = plan.shards(config), plan.recipes(config)
    assert [recipe(shard) for shard in shards.values() if shard.name.startswith("table")] == [[(0.6, 100.0)]] * 50
    assert len(reads) == 1
    path.write_text("q0,a_au\n0.75,1.5e2\n")
    assert plan.recipes(config)(plan.shards(config)["table_000"]) == [(0.75, 150.0)]
