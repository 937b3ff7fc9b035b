"""The law of one cluster in the form that the report carries, so that a script in the page can answer by itself."""

import base64
from typing import Any

import numpy as np
from jaxtyping import Float

from natal.likelihood.density import DensityEnsemble, DensityNetwork, scaling
from natal.likelihood.mixture_density import IS_LOG, LATENT
from natal.variables import BIRTH, SUMMARIES


def law_of_page(ensemble: DensityEnsemble, seen: Float[np.ndarray, "cluster summary"]) -> dict[str, Any] | None:
    """Weights and scaling of the density networks, and the range of each slider.

    Args:
        ensemble: The density networks.
        seen: Summaries of clusters, in physical units; sliders run from their 1 % to their 99 % quantile.

    Returns:
        What the page's script reads (`report/templates/report/ask.js`); None if the script does not know the campaign's
        summaries.
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
        "fields": [_field(name, values) for name, values in zip(SUMMARIES, seen.T, strict=True)],
    }


def _base64(array: Any) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


def _field(name: str, values: np.ndarray) -> dict[str, Any]:
    """One slider: from the 1 % to the 99 % quantile in round steps, set to the median."""
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
