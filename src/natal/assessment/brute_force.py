"""The posterior from simulations alone, without an emulator: a check on what the networks learned.

Runs on a regular grid of (Q0, a) points serve every observation: the law of the summaries at each place comes from the
runs around it (`natal.assessment.local_laws`).
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import logsumexp

from natal.assessment.cases import near_normal
from natal.assessment.local_laws import KERNELS, LocalLaws, SimulatedRuns, choose_reach, local_laws
from natal.data.runs import Runs
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import log_likelihood, make_grid
from natal.variables import BIRTH, Box

PLACES = (48, 48)
"""Cells in q0 and a_au of the compared posteriors."""


@dataclass(frozen=True)
class BruteForce:
    """Posteriors of chosen cases on `PLACES` equal cells: natural log of cell shares, (case, q0 cell, a_au cell)."""

    q0: np.ndarray  # cell centres
    a_au: np.ndarray
    emulator: np.ndarray
    synthetic: np.ndarray
    kernel: np.ndarray
    table: pd.DataFrame  # one row a case
    report: dict[str, Any]


def compare_with_emulator(
    runs: SimulatedRuns, likelihood: Likelihood, box: Box, test: Runs, n_stars: int
) -> BruteForce:
    """Posteriors of the test runs by brute force beside the emulator's, uniform prior on `box`.

    `tv_*` is the total variation between the two. The runs' own number limits how small it can be: `noise_*` is half
    the total variation between the posteriors from either half of the runs, whose difference has four times the
    variance of the whole's. Raises `NatalError` for too few runs.
    """
    cells = make_grid(likelihood, box, PLACES)
    q0, a_au = (np.asarray(centres, float) for centres in (cells.q0, cells.a_au))
    places = np.array(list(product(q0, a_au)))
    values = np.array([log_likelihood(cells, jnp.asarray(y, cells.q0.dtype), None) for y in test.y], float)
    values = values.reshape(len(test.y), -1)
    posteriors = {"emulator": values - logsumexp(values, axis=1, keepdims=True)}
    z, reach = near_normal(test.y, n_stars), choose_reach(runs, box)
    whole, *halves = (local_laws(part, places, box, reach) for part in (runs, runs.half(0), runs.half(1)))

    columns: dict[str, Any] = {"point_id": test.point_id, "realization": test.realization}
    columns |= {f"{name}_true": values for name, values in zip(BIRTH, test.x.T, strict=True)}
    for kernel in KERNELS:
        posteriors[kernel] = log_posteriors(whole, z, kernel)
        columns[f"tv_{kernel}"] = total_variation_of_posteriors(posteriors["emulator"], posteriors[kernel])
        first, second = (log_posteriors(half, z, kernel) for half in halves)
        columns[f"noise_{kernel}"] = total_variation_of_posteriors(first, second) / 2
    at_truth = _cell_of(test.x, box)
    for source, log_p in posteriors.items():
        mean, sd = mean_and_sd(log_p, places)
        for k, name in enumerate(BIRTH):
            columns |= {f"{name}_mean_{source}": mean[:, k], f"{name}_sd_{source}": sd[:, k]}
        columns[f"log_density_{source}"] = log_p[np.arange(len(z)), at_truth] - np.log(cells.cell_area)
    table = pd.DataFrame(columns)
    report = {
        "n_cases": len(table),
        "n_runs": len(runs.x),
        "reach": dict(zip(BIRTH, reach, strict=True)),
        **{
            kernel: {
                "tv_median": table[f"tv_{kernel}"].median(),
                "tv_max": table[f"tv_{kernel}"].max(),
                "noise_median": table[f"noise_{kernel}"].median(),
            }
            for kernel in KERNELS
        },
        "log_score": {source: table[f"log_density_{source}"].mean() for source in posteriors},
    }
    shaped = {source: log_p.reshape(-1, *PLACES) for source, log_p in posteriors.items()}
    return BruteForce(q0, a_au, **shaped, table=table, report=report)


def _cell_of(x: Float[np.ndarray, "case birth"], box: Box) -> np.ndarray:
    """Index of the cell that holds each (q0, a_au), as in `log_posteriors`."""
    cell = []
    for k, name in enumerate(BIRTH):
        low, high = box[name]
        cell.append(np.clip(((x[:, k] - low) / (high - low) * PLACES[k]).astype(int), 0, PLACES[k] - 1))
    index: np.ndarray = np.ravel_multi_index(cell, PLACES)
    return index


def log_posteriors(
    laws: LocalLaws, z: Float[np.ndarray, "case summary"], kernel: str
) -> Float[np.ndarray, "case place"]:
    """Natural log of each place's share of the posterior of each case, for a uniform prior over equal cells."""
    values = np.array([laws.log_likelihood(one, kernel) for one in z])
    log_shares: np.ndarray = values - logsumexp(values, axis=1, keepdims=True)
    return log_shares


def total_variation_of_posteriors(
    log_p: Float[np.ndarray, "case place"], log_q: Float[np.ndarray, "case place"]
) -> np.ndarray:
    """Half the absolute difference of two posteriors on the same cells, by case."""
    distance: np.ndarray = 0.5 * np.abs(np.exp(log_p) - np.exp(log_q)).sum(1)
    return distance


def mean_and_sd(
    log_p: Float[np.ndarray, "case place"], places: Float[np.ndarray, "place birth"]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of (q0, a_au), each of shape (case, birth)."""
    p = np.exp(log_p)
    mean = p @ places
    return mean, np.sqrt(np.maximum(p @ places**2 - mean**2, 0.0))
