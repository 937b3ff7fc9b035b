"""The posterior from simulations alone, without an emulator: a check of what the networks learned.

Simulations at the points of a regular grid of (Q0, a) serve all observations: the law of the summaries at each place
comes from the runs around it (`natal.assessment.local_laws`).
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
    """Posteriors of chosen cases by three methods, on `PLACES` equal cells.

    Attributes:
        q0: Centres of cells.
        a_au: Centres of cells.
        emulator: ln of each cell's share of the posterior by the emulator, shape (case, q0 cell, a_au cell).
        synthetic: The same with a normal law from the runs.
        kernel: The same with a kernel estimate from the runs.
        table: One row a case.
        report: Numbers over all cases.
    """

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
    """Posteriors of test runs by brute force beside the emulator's, with a uniform prior on the box.

    `tv_*` is the total variation distance between the two. It cannot be smaller than the number of runs allows, and
    `noise_*` is an estimate of that: half the distance between the posteriors from each half of the runs, whose
    difference has four times the variance of the whole's.

    Args:
        runs: Runs at the points of a regular grid.
        likelihood: The emulator's.
        box: The uniform prior's ranges.
        test: Runs whose births are recovered.
        n_stars: Stars of a cluster at birth.

    Raises:
        NatalError: If there are too few runs.
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
    """ln of each place's share of the posterior of each case, with a uniform prior over equal cells.

    Args:
        laws: The law of the summaries at each place.
        z: Observations, as `cases.near_normal` gives them.
        kernel: "synthetic" or "kernel" (`natal.assessment.local_laws`).
    """
    values = np.array([laws.log_likelihood(one, kernel) for one in z])
    log_shares: np.ndarray = values - logsumexp(values, axis=1, keepdims=True)
    return log_shares


def total_variation_of_posteriors(
    log_p: Float[np.ndarray, "case place"], log_q: Float[np.ndarray, "case place"]
) -> np.ndarray:
    """Total variation distance of two posteriors on the same cells, by case: half the sum of absolute differences.

    Args:
        log_p: ln of the probability of each cell, by case.
        log_q: The same of the other posterior.

    Returns:
        One number a case: 0 if both are the same, 1 if no cell holds something of both.

    Examples:
        >>> total_variation_of_posteriors(np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]])).tolist()
        [0.25]
    """
    distance: np.ndarray = 0.5 * np.abs(np.exp(log_p) - np.exp(log_q)).sum(1)
    return distance


def mean_and_sd(
    log_p: Float[np.ndarray, "case place"], places: Float[np.ndarray, "place birth"]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of (q0, a_au), each of shape (case, birth).

    Args:
        log_p: ln of each place's share of the posterior.
        places: The places (q0, a_au).
    """
    p = np.exp(log_p)
    mean = p @ places
    return mean, np.sqrt(np.maximum(p @ places**2 - mean**2, 0.0))
