"""The design: Latin hypercubes, one a block, each independent of all others."""

import numpy as np
import pytest
from scipy.stats import kstest, qmc, spearmanr

from natal.campaign.design import latin_hypercube, make_design
from natal.campaign.plan import box, prior_box


def assert_latin(points, ranges):
    """Each of n equal strata of either coordinate holds exactly one of the n points."""
    for values, (low, high) in zip(points.T, ranges.values(), strict=True):
        strata = np.floor((values - low) / (high - low) * len(values)).astype(int)
        assert sorted(strata) == list(range(len(values)))


def points_of(design, block):
    """(q0, a_au) of one block."""
    return design[design.block == block][["q0", "a_au"]].to_numpy()


@pytest.mark.parametrize("n", [1, 7, 96])
def test_every_stratum_is_hit_once(n):
    """A hypercube of n points has one in each n-th of the range of Q0, and of a."""
    ranges = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}
    assert_latin(latin_hypercube(n, ranges, np.random.default_rng(1)), ranges)


@pytest.mark.parametrize("n", [1, 7, 96])
def test_the_hypercube_is_scipys_to_the_bit(n):
    """Designs of campaigns that are there stay what they are."""
    unit = {"q0": (0.0, 1.0), "a_au": (0.0, 1.0)}
    expected = qmc.LatinHypercube(2, rng=np.random.default_rng(5)).random(n)
    np.testing.assert_array_equal(latin_hypercube(n, unit, np.random.default_rng(5)), expected)


def test_every_block_of_a_campaign_is_a_hypercube(config):
    """Blocks of any split fill the whole box by themselves."""
    config["design"] |= {"train": [96, 33, 5], "calibration": 0}
    design = make_design(config)
    assert design.block.unique().tolist() == ["train0", "train1", "train2", "validation0", "test0"]
    for block in design.block.unique():
        assert_latin(points_of(design, block), box(config))


def test_the_default_design(config):
    """512 + 96 + 40 points and 4000 independent draws, columns as promised."""
    design = make_design(config)
    assert design.columns.tolist() == ["point_id", "block", "split", "q0", "a_au"]
    assert design.split.value_counts().to_dict() == {"train": 512, "validation": 96, "test": 40, "calibration": 4000}
    assert design.point_id.is_unique


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_another_block_leaves_all_others_untouched(config, split):
    """Growing a campaign keeps every point it has, with its id and its place."""
    before = make_design(config)
    config["design"][split].append(8)
    after = make_design(config)
    assert len(after) == len(before) + 8
    kept = after.merge(before, how="inner")
    assert len(kept) == len(before)


def test_a_larger_training_block_leaves_validation_and_test_untouched(config):
    """Splits do not share random numbers."""
    before = make_design(config)
    config["design"]["train"] = [128]
    after = make_design(config)
    for block in ("validation0", "test0"):
        np.testing.assert_array_equal(points_of(after, block), points_of(before, block))


def test_blocks_of_one_size_differ(config):
    """No two blocks or splits repeat each other's points."""
    config["design"] |= {"train": [20, 20], "validation": [20], "test": [20], "calibration": 20}
    design = make_design(config)
    assert design.q0.is_unique
    assert design.a_au.is_unique


def test_calibration_draws_are_independent_and_uniform(config):
    """Kolmogorov's test of either coordinate; a hypercube's evenness, or a correlation, would show."""
    config["design"]["calibration"] = 2000
    points = points_of(make_design(config), "calibration0")
    unit = (points - [0.5, 50.0]) / [1.0, 150.0]
    # each fails one seed in a thousand
    for values in unit.T:
        assert kstest(values, "uniform").pvalue > 1e-3
    assert spearmanr(*unit.T).pvalue > 1e-3
    # the number of empty strata of n = 2000 is normal, mean n / e, variance n (1/e - 2/e^2); a hypercube has none
    for values in unit.T:
        empty = 2000 - len(np.unique(np.floor(values * 2000)))
        assert abs(empty - 2000 / np.e) < 3.3 * np.sqrt(2000 * (1 / np.e - 2 / np.e**2))


def test_more_calibration_draws_begin_with_the_same_ones(config):
    """No simulation is lost, and no other block is touched; without any, the design is what it was without them."""
    designs = []
    for n in (0, 100, 600):
        config["design"]["calibration"] = n
        designs.append(make_design(config))
    assert designs[1].equals(designs[2][: 648 + 100])
    assert designs[0].equals(designs[1][:648])
    assert designs[2].point_id.tolist()[648:] == list(range(300_000, 300_600))


def test_another_seed_gives_another_design(config):
    """No point of any split survives a change of the seed."""
    before = make_design(config)
    config["seed"] += 1
    assert not np.isin(make_design(config).q0, before.q0).any()


def test_the_same_seed_gives_the_same_design(config):
    """Two evaluations agree to the last bit: every simulate job draws the design anew."""
    assert make_design(config).equals(make_design(config))


def test_both_virial_conventions_name_the_same_clusters(config):
    """2K/|W| in [1, 3] is K/|W| in [0.5, 1.5]: box, prior and design agree."""
    config["inference"]["prior"] = {"q0": [0.6, 1.2], "a_au": [60, 150]}
    design, ranges, prior = make_design(config), box(config), prior_box(config)
    config["design"]["virial_convention"] = "2K/|W|"
    config["design"]["box"]["q0"] = [1.0, 3.0]
    config["inference"]["prior"]["q0"] = [1.2, 2.4]
    assert make_design(config).equals(design)
    assert box(config) == ranges == {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}
    assert prior_box(config) == prior == {"q0": (0.6, 1.2), "a_au": (60.0, 150.0)}


def test_without_a_prior_the_box_is_the_prior(config):
    """`inference.prior: null` means all of the design box."""
    assert prior_box(config) == box(config)
