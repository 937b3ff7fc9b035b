"""The scatter of realizations near a place of the box."""

from dataclasses import replace

import numpy as np
from closed_form import SIGMA, make_runs

from natal.data.scatter import N_NEIGHBOURS, local_scatter


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
