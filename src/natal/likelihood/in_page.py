"""The laws of one cluster in the form that the report carries, so that scripts in the page can answer by themselves."""

import base64
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from natal.emulator.network_files import DTYPE
from natal.likelihood.density import DensityEnsemble, DensityNetwork, scaling
from natal.likelihood.joint import COUNT, Scale, draw_clusters, log_tau
from natal.likelihood.joint_network import JointEnsemble, Reach
from natal.likelihood.mixture_density import IS_LOG, LATENT, TEMPERED_BELOW
from natal.observables.declared import MEASURABLE
from natal.units import G_AU3_PER_MSUN_YR2, KMS_PER_AU_YR
from natal.variables import BIRTH, SUMMARIES

N_DRAWN = 4000
"""Clusters of the prior from which the ranges of observables' sliders follow."""


def law_of_page(
    ensemble: DensityEnsemble, seen: Float[np.ndarray, "cluster summary"], tempering: float
) -> dict[str, Any] | None:
    """Weights and scaling of the density networks, and the range of each slider.

    Args:
        ensemble: The density networks.
        seen: Summaries of clusters, in physical units; sliders run from their 1 % to their 99 % quantile.
        tempering: Of the likelihood.

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
        "tempering": tempering,
        "tempered_below": TEMPERED_BELOW,
        "members": _members(members, ensemble.n_members),
        "fields": [_field(name, values) for name, values in zip(SUMMARIES, seen.T, strict=True)],
    }


def joint_law_of_page(ensemble: JointEnsemble, reach: Reach) -> dict[str, Any]:
    """Networks of the law of observables, their scaling, and what the prior's range follows from.

    Args:
        ensemble: The networks.
        reach: What was simulated.
    """
    latents, members = ensemble.latents, ensemble.members
    kinds = {BIRTH["a_au"].unit: "a", "km/s": "speed"}
    seen = _drawn(ensemble, reach)
    return {
        "sizes": [
            {"name": name, "log": MEASURABLE[name].transform != "none", "unit": kinds.get(MEASURABLE[name].unit, "")}
            for name in latents.sizes
        ],
        "of_all": len(latents.of_all),
        "count": COUNT,
        "stars": latents.counts.n_stars,
        "fewest": latents.counts.fewest,
        "components": members.components,
        "q0": members.q0,
        "log_tau": members.log_tau,
        "a_au": reach.a_au,
        "t_end_yr": reach.t_end_yr,
        "mass_msun": reach.mass_msun,
        "gravity": G_AU3_PER_MSUN_YR2,
        "kms": KMS_PER_AU_YR,
        "members": _members(members, ensemble.n_members),
        "fields": [_field(name, seen[name]) for name in MEASURABLE if name in seen],
    }


def _drawn(ensemble: JointEnsemble, reach: Reach) -> dict[str, np.ndarray]:
    """What is seen of clusters of the campaign's box at its end, those that survived."""
    rng = np.random.default_rng(0)
    q0, a_au = (rng.uniform(*ends, N_DRAWN) for ends in (reach.q0, reach.a_au))
    tau = np.clip(log_tau(reach.t_end_yr, reach.mass_msun, a_au), *reach.log_tau)
    laws = jax.vmap(ensemble, out_axes=-1)(jnp.asarray(np.column_stack([q0, tau]), DTYPE))
    drawn = draw_clusters(jax.random.key(0), laws, Scale.of(jnp.asarray(a_au, DTYPE), jnp.asarray(reach.mass_msun)))
    survived = np.asarray(drawn.survived)
    return {name: np.asarray(value)[survived] for name, value in {COUNT: drawn.share, **drawn.values}.items()}


def _members(members: Any, n: int) -> list[dict[str, Any]]:
    return [
        {
            "layers": [[_base64(layer.weight[k]), _base64(layer.bias[k])] for layer in members.network.layers],
            "shift": np.asarray(members.shift[k], float).tolist(),
            "scale": np.asarray(members.scale[k], float).tolist(),
        }
        for k in range(n)
    ]


def _base64(array: Any) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


def _field(name: str, values: np.ndarray) -> dict[str, Any]:
    """One slider: from the 1 % to the 99 % quantile in round steps, set to the median."""
    low, middle, high = np.nanquantile(values, [0.01, 0.5, 0.99])
    step = 10.0 ** np.floor(np.log10((high - low) / 50))
    low, middle, high = (float(f"{step * round(value / step):.6g}") for value in (low, middle, high))
    return {
        "name": name,
        "unit": MEASURABLE[name].unit,
        "low": low,
        "high": high,
        "value": middle,
        "step": float(f"{step:.6g}"),
    }
