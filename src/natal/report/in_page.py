"""The campaign's law of one cluster as the report carries it: what a script in the page needs to answer by itself."""

import base64
import json
from typing import Any

import numpy as np
import pandas as pd

from natal.likelihood.density import DensityEnsemble, DensityNetwork, scaling
from natal.likelihood.mixture_density import IS_LOG, LATENT
from natal.variables import BIRTH, SUMMARIES, Box

CELLS = (48, 48)
"""Of the page's grid in Q0 and a."""


def law_of_page(ensemble: DensityEnsemble, prior: Box, seen: pd.DataFrame) -> dict[str, Any] | None:
    """Networks, their scaling and the grid of the page; None if the summaries are not those that its script knows.

    Args:
        ensemble: The density networks.
        prior: Box of the grid.
        seen: Observed summaries, from which the sliders' ranges follow.
    """
    members = ensemble.members
    if not isinstance(members, DensityNetwork) or len(LATENT) != len(BIRTH) + 1 or not all(IS_LOG):
        return None
    births = BIRTH.values()
    limits = [birth.transformed(np.array(ends), log=np.log) for birth, ends in zip(births, members.box, strict=True)]
    # powers and lengths as `scaling` has them: at ln a = 1, and at 0 with the middle at 1
    powers, moved = scaling(np.array(1.0)), scaling(np.array(0.0), 1.0)
    layers: Any = members.network.layers
    return {
        "cells": CELLS,
        "prior": [list(prior[name]) for name in BIRTH],
        "inputs": [
            {"log": birth.transform == "log", "low": float(low), "high": float(high)}
            for birth, (low, high) in zip(births, limits, strict=True)
        ],
        "middle": float(np.mean(limits[1])),
        "powers": powers.tolist(),
        "lengths": [bool(power != 0 and off == 0) for power, off in zip(powers, moved, strict=True)],
        "components": members.components,
        "stars": members.counts.n_stars,
        "fewest": members.counts.fewest,
        "members": [
            {
                "layers": [[_base64(layer.weight[k]), _base64(layer.bias[k])] for layer in layers],
                "shift": np.asarray(members.shift[k], float).tolist(),
                "scale": np.asarray(members.scale[k], float).tolist(),
            }
            for k in range(ensemble.n_members)
        ],
        "fields": [_field(name, seen[name].to_numpy(float)) for name in SUMMARIES],
    }


def as_json(law: dict[str, Any]) -> str:
    """For a script element: nothing in it ends the element."""
    return json.dumps(law, separators=(",", ":")).replace("<", "\\u003c")


def _base64(array: Any) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


def _field(name: str, values: np.ndarray) -> dict[str, Any]:
    """A slider from the 1 % to the 99 % quantile, in round steps, at the median."""
    low, middle, high = np.nanquantile(values, [0.01, 0.5, 0.99])
    step = 10.0 ** np.floor(np.log10((high - low) / 50))
    low, middle, high = (float(f"{step * round(value / step):.6g}") for value in (low, middle, high))
    return {
        "name": name,
        "unit": SUMMARIES[name].unit,
        "low": low,
        "high": high,
        "value": middle,
        "step": float(f"{step:.6g}"),
    }
