"""The scatter of realizations near a place of the box."""

from dataclasses import replace

import numpy as np
import pytest
from closed_form import SIGMA, make_runs

from natal.data.scatter import N_NEIGHBOURS, SMALLEST_SCATTER, local_scatter, scatter_weights
from natal.errors import NatalError


def test_the_local_scatter_is_that_of_the_neighbours():
    """Where the scatter doubles across the box, from replicates of 16 points; points without replicates say nothing."""
    train = make_runs("train", 400, 4, seed=3)
    means = train.y.reshape(400, 4, 3).mean(1)[train.point_id]
    hot = np.where(train.x[:, :1] > 1.0, 2.0, 1.0)
    train = replace(train, y=means + hot * SIGMA * np.random.default_rng(3).standard_normal(train.y.shape))
    found = local_scatter(train, np.array([[0.6, 120.0], [1.4, 120.0]])) / SIGMA
    # 48 degrees of freedom, 4 sigma
    np.testing.assert_allclose(found, [[1.0] * 3, [2.0] * 3], rtol=4 / np.sqrt(2 * 3 * N_NEIGHBOURS))
    assert np.isnan(local_scatter(make_runs("train", 30, 1, seed=3), train.x[:2])).all()


def test_weights_are_the_inverse_of_the_scatter():
    """Twice as large where the scatter is half, of mean 1 over the training runs; bounded where there is none."""
    train = make_runs("train", 400, 4, seed=4)
    means = train.y.reshape(400, 4, 3).mean(1)[train.point_id]
    share = np.where(train.x[:, :1] > 1.0, 1.0, np.array([0.5, 0.1, 0.0]))
    train = replace(train, y=means + share * SIGMA * np.random.default_rng(4).standard_normal(train.y.shape))
    cold, hot = scatter_weights(train, np.array([[0.6, 120.0], [1.4, 120.0]]))
    # two standard deviations of 48 degrees of freedom each, 4 sigma
    np.testing.assert_allclose((cold / hot)[:2], [2.0, 10.0], rtol=4 * np.sqrt(2 / 96))
    # half of the runs scatter: their root mean square is 1 / sqrt(2) of it
    assert cold[2] / hot[2] == pytest.approx(np.sqrt(2) / SMALLEST_SCATTER, rel=4 / np.sqrt(96))
    np.testing.assert_allclose(scatter_weights(train, train.x).mean(0), 1)


def test_without_replicates_there_are_no_weights():
    """One line names the key."""
    train = make_runs("train", 30, 1, seed=5)
    with pytest.raises(NatalError, match="weighting: scatter needs training points with two"):
        scatter_weights(train, train.x)
