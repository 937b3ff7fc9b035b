"""Networks are asked for what they have not learned, on purpose: the error outside is seen, and so is the spread."""

import jax
import numpy as np
import pytest
from closed_form import BOX, make_runs, smooth_mean

from natal.data.runs import Runs
from natal.figures.diagnostics import extrapolation
from natal.settings.emulator import TrainingSettings
from natal.tuning.diagnostics.extrapolation import BINS, INNER, distance_from_inner, extrapolation_table
from natal.variables import SUMMARIES


def campaign(n_train=200, n_validation=80):
    """Training and validation runs of a bent simulator with little scatter, ids apart as a campaign's."""
    train = make_runs("train", n_train, 3, seed=1, mean=smooth_mean, sigma=np.array([0.01, 0.05, 8.0]))
    other = make_runs("validation", n_validation, 3, seed=2, mean=smooth_mean, sigma=np.array([0.01, 0.05, 8.0]))
    return train, Runs("validation", other.x, other.y, other.point_id + 1000, other.realization, 0)


def test_the_rim_lies_outside():
    """The corners of the box are the farthest, the middle the deepest inside; bins hold all between."""
    corner, middle = [BOX["q0"][1], BOX["a_au"][0]], [np.mean(BOX["q0"]), np.mean(BOX["a_au"])]
    found = distance_from_inner(np.array([corner, middle]), BOX)
    np.testing.assert_allclose(found, [(1 - INNER) / 2, -INNER / 2])
    assert (min(low for low, _ in BINS.values()), max(high for _, high in BINS.values())) == pytest.approx(found[::-1])


def test_errors_grow_outside():
    """More than tenfold from the centre to the rim in some output; the spread says a part of it."""
    settings = TrainingSettings(members=3, learning_rate=1e-2, max_epochs=250, hidden=(32, 32))
    train, validation = campaign()
    table = extrapolation_table(jax.random.key(1), train, validation, BOX, settings)
    assert list(dict.fromkeys(table["where"])) == list(BINS)
    points = {where: part.n.iloc[0] for where, part in table.groupby("where")}
    outside = sum(n for where, n in points.items() if "outside" in where)
    # of training points none inside is held out
    assert outside == (distance_from_inner(np.unique(np.vstack([train.x, validation.x]), axis=0), BOX) > 0).sum()
    assert outside + points["centre"] + points["edge"] < 280
    grown = table.set_index(["where", "summary"]).squared_error
    spread = table.set_index(["where", "summary"]).squared_spread
    for values in (grown, spread):
        ratios = [values["farthest outside", name] / max(values["centre", name], 1e-9) for name in SUMMARIES]
        assert max(ratios) > 10
    assert len(extrapolation(table).axes) == len(SUMMARIES)


def test_a_campaign_without_an_inner_part():
    """Nothing is trained; the figure is empty."""
    train, validation = campaign(30, 10)
    rim = [runs.at(distance_from_inner(runs.x, BOX) > 0) for runs in (train, validation)]
    table = extrapolation_table(jax.random.key(1), *rim, BOX, TrainingSettings())
    assert table.empty
    assert len(extrapolation(table).axes) == len(SUMMARIES)
