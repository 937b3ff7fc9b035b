"""Extrapolation on purpose: networks that learn the inner part of the box, asked for its rim."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray

from natal.data.runs import Runs
from natal.emulator.held_out import held_out_errors
from natal.emulator.training import train_ensemble
from natal.settings.emulator import TrainingSettings
from natal.tuning.sweep import joined
from natal.variables import SUMMARIES, Box, limits_of

INNER = 0.7
"""Share of the box's width, in each birth condition, that is learned."""

BINS = {
    "centre": (-0.35, -0.1),
    "edge": (-0.1, 0.0),
    "outside": (0.0, 0.05),
    "further outside": (0.05, 0.1),
    "farthest outside": (0.1, 0.15),
}
"""Distances from the edge of what is learned, in widths of the box; negative inside."""


def distance_from_inner(x: Float[np.ndarray, "run birth"], box: Box) -> Float[np.ndarray, " run"]:
    """How far points are from the inner part of the box, along the birth condition that is furthest out.

    Args:
        x: Births.
        box: The whole box.

    Returns:
        In widths of the box; negative inside.

    Examples:
        >>> distance_from_inner(np.array([[1.0, 1.0], [1.9, 1.0]]), {"q0": (0.0, 2.0), "a_au": (0.0, 2.0)}).round(2)
        array([-0.35,  0.1 ])
    """
    low, high = np.array(limits_of(box)).T
    found: np.ndarray = (np.abs((x - low) / (high - low) - 0.5) - INNER / 2).max(1)
    return found


def extrapolation_table(
    key: PRNGKeyArray, train: Runs, validation: Runs, box: Box, settings: TrainingSettings
) -> pd.DataFrame:
    """Train on the inner part of the box alone; compare error and spread there, at its edges, and outside.

    Outside, training and validation points are held out alike. Inside, only validation points are, which have stopped
    the training.

    Args:
        key: Of the training.
        train: The campaign's training runs.
        validation: Its validation runs.
        box: The whole box.
        settings: How to train.

    Returns:
        One row a bin of distance and summary: `where`, `from` and `to` (widths of the box), `n` points, `distance`,
        their mean, `summary`; `squared_error` of the members' mean, without the noise of replicate means, with its
        standard error, and `squared_spread`, the members' variance, all in squared physical units. No rows if the inner
        part holds no training or no validation runs.
    """
    inside = [distance_from_inner(runs.x, box) <= 0 for runs in (train, validation)]
    if not all(part.any() for part in inside):
        return pd.DataFrame(columns=["where", "summary", "distance", "squared_error", "squared_spread"])
    learned, stopping = train.at(inside[0]), validation.at(inside[1])
    ensemble, _ = train_ensemble(key, learned, stopping, box, settings, must_train=False)
    pool = joined(train, validation)
    outside = distance_from_inner(pool.x, box) > 0
    held = [held_out_errors(ensemble, train, runs) for runs in (stopping, pool.at(outside)) if len(runs)]
    rows: list[dict[str, Any]] = []
    for where, (low, high) in BINS.items():
        parts = [part.at((low < (d := distance_from_inner(part.x, box))) & (d <= high)) for part in held]
        # a bin lies inside or outside, never in both
        part = max(parts, key=lambda one: len(one.x))
        if not len(part.x):
            continue
        error, error_se = part.mean_squared_error()
        distance = float(distance_from_inner(part.x, box).mean())
        place = {"where": where, "from": low, "to": high, "n": len(part.x), "distance": distance}
        for k, name in enumerate(SUMMARIES):
            numbers = {"squared_error": error[k], "squared_error_se": error_se[k]}
            rows.append(place | {"summary": name} | numbers | {"squared_spread": part.squared_spread[:, k].mean()})
    return pd.DataFrame(rows)
