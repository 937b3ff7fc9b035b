"""The random stars of a run follow from (seed, point, realization) and from nothing else."""

import jax
import numpy as np
import pytest

from natal.keys import realization_key, stage_key
from natal.simulator import ClusterModel, Integration, simulate_clusters


def births(point_id, realization, seed, q0=0.5, a_au=100.0):
    """Positions at birth, shape (run, star, 3)."""
    n = len(point_id)
    runs = simulate_clusters(
        np.full(n, q0),
        np.full(n, a_au),
        point_id=np.array(point_id),
        realization=np.array(realization),
        seed=seed,
        cluster=ClusterModel(n_stars=8),
        integration=Integration(t_end_yr=0.1, dt_yr=0.1, snapshots=2),
    )
    return runs.position_au[:, 0]


@pytest.fixture(scope="module")
def born():
    """Runs (7, 0), (7, 1), (8, 0), (7, 0) again, and (0, 7) of seed 1."""
    return births([7, 7, 8, 7, 0], [0, 1, 0, 0, 7], seed=1)


@pytest.mark.parametrize("other", [1, 2, 4], ids=["realization", "point", "swapped"])
def test_another_point_or_realization_has_other_stars(born, other):
    """Not a single coordinate is shared."""
    assert not np.isin(born[other], born[0]).any()


def test_another_seed_has_other_stars(born):
    """Not a single coordinate is shared."""
    assert not np.isin(births([7], [0], seed=2), born).any()


def test_the_same_names_give_the_same_stars(born):
    """Within a job, and in another one."""
    np.testing.assert_array_equal(born[3], born[0])
    np.testing.assert_array_equal(births([7], [0], seed=1)[0], born[0])


def test_birth_conditions_do_not_touch_the_random_numbers(born):
    """Another a only scales the same stars."""
    np.testing.assert_allclose(births([7], [0], seed=1, a_au=50.0)[0], born[0] / 2, rtol=0, atol=1e-10)


def test_keys_of_a_whole_campaign_are_unique():
    """40 000 realizations of 100 points a split, with the splits' id offsets, have as many different keys."""
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
