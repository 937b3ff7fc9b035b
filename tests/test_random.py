"""The random stars of a run follow from (seed, point, realization) and from nothing else."""

import jax
import numpy as np
import pytest

from natal.random import realization_key, stage_key
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.run import simulate_clusters


def births(seed, point_id, realization, a_au):
    """Positions at birth, shape (run, star, 3)."""
    runs = simulate_clusters(
        np.full(len(point_id), 0.5),
        np.array(a_au),
        point_id=np.array(point_id),
        realization=np.array(realization),
        seed=seed,
        cluster=ClusterModel(n_stars=8),
        integration=Integration(t_end_yr=0.1, dt_yr=0.1, snapshots=2),
    )
    return runs.position_au[:, 0]


@pytest.fixture(scope="module")
def born():
    """Of seed 1: runs (7, 0), (7, 1), (8, 0), (0, 7), (7, 0) again, and (7, 0) with half the scale radius."""
    return births(1, [7, 7, 8, 0, 7, 7], [0, 1, 0, 7, 0, 0], [100.0, 100.0, 100.0, 100.0, 100.0, 50.0])


@pytest.mark.parametrize("other", [1, 2, 3], ids=["realization", "point", "swapped"])
def test_another_point_or_realization_has_other_stars(born, other):
    """Not a single coordinate is shared."""
    assert not np.isin(born[other], born[0]).any()


def test_another_seed_has_other_stars(born):
    """Not a single coordinate is shared."""
    assert not np.isin(births(2, [7], [0], [100.0]), born).any()


def test_the_same_names_give_the_same_stars(born):
    """Whatever the place in the list of runs."""
    np.testing.assert_array_equal(born[4], born[0])


def test_birth_conditions_do_not_touch_the_random_numbers(born):
    """Another a only scales the same stars."""
    np.testing.assert_allclose(born[5], born[0] / 2, rtol=0, atol=1e-10)


def test_keys_of_a_whole_campaign_are_unique():
    """128 realizations of 100 points a split, with the splits' id offsets: 38 400 runs, as many different keys."""
    points = np.concatenate([offset + np.arange(100) for offset in (0, 100_000, 200_000)])
    point, realization = (c.ravel() for c in np.meshgrid(points, np.arange(128), indexing="ij"))
    keys = jax.vmap(realization_key, (None, 0, 0))(
        jax.random.key(20261123), point.astype(np.uint32), realization.astype(np.uint32)
    )
    data = np.asarray(jax.random.key_data(keys))
    # two 32-bit words: the chance that any two of 38400 agree is 38400^2 / 2^65 = 4e-11
    assert len(np.unique(data, axis=0)) == len(data)


def test_stages_have_keys_of_their_own():
    """Seed and stage name both count."""
    keys = [stage_key(1, "train"), stage_key(1, "recover"), stage_key(2, "train")]
    assert len({tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys}) == 3
    assert stage_key(1, "train") == keys[0]
