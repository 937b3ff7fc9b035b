"""Recovers (Q0, a) of many clusters: the posterior on a grid, NUTS beside it, and where known truths lie in it."""

import logging
import time
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior import mixing
from natal.posterior.grid import Grid, GridSummary, TruthSummary, answer_cases, make_grid, total_variation_of_draws
from natal.posterior.nuts import NutsResult, sample_cases
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, Box

log = logging.getLogger("natal")


@dataclass(frozen=True)
class Recovered:
    """Posteriors of all cases; NUTS may have sampled only the first ones. Parameters are in the order (q0, a_au).

    Attributes:
        nuts: Draws and the sampler's statistics.
        rhat: Rank-normalised split R-hat, shape (sampled case, 2).
        ess_bulk: Bulk effective sample sizes, shape (sampled case, 2).
        grid: The grid.
        grid_summary: Grid posteriors in numbers, leaves (case, ...).
        truths: Where known truths lie in the grid posteriors; None if none are known.
        tv_grid: Total variation distance between draws and grid posterior (`total_variation_of_draws`), (sampled
            case,).
        timing_s: Seconds of each part.
    """

    nuts: NutsResult
    rhat: np.ndarray  # (sampled case, 2), rank-normalised split R-hat
    ess_bulk: np.ndarray  # (sampled case, 2)
    grid: Grid
    grid_summary: GridSummary  # leaves (case, ...)
    truths: TruthSummary | None  # where known truths lie in the grid posteriors
    tv_grid: np.ndarray  # (sampled case,), total variation between draws and grid on 16 blocks of about equal mass
    timing_s: dict[str, float]


def recover(
    key: PRNGKeyArray,
    likelihood: Likelihood,
    prior_box: Box,
    y: np.ndarray,
    error: np.ndarray,
    settings: NutsSettings,
    grid_shape: tuple[int, int],
    truth: np.ndarray | None = None,
    n_nuts: int | None = None,
) -> Recovered:
    """Posteriors of (Q0, a) of many observations.

    Args:
        key: For draws and chains.
        likelihood: Gives the law of a cluster's summaries.
        prior_box: The uniform prior's ranges.
        y: Measured summaries, in physical units, shape (case, summary).
        error: Standard deviations of the measurements, of the same shape; 0 means exact.
        settings: Of the sampler.
        grid_shape: Number of cells in Q0 and in a.
        truth: True (q0, a_au), if they are known, shape (case, 2).
        n_nuts: How many cases NUTS samples: the first ones; None means all. Every case gets a grid posterior.

    Raises:
        NatalError: If the prior's box is not within the box that the emulator learned.
    """
    key_grid, key_nuts = jax.random.split(key)
    # without errors the laws are much cheaper
    data = jnp.asarray(y, DTYPE), jnp.asarray(error, DTYPE) if np.any(error) else None
    started = time.perf_counter()
    log.info("posteriors of %d clusters on a grid of %d x %d cells", len(y), *grid_shape)
    grid = make_grid(likelihood, prior_box, grid_shape)
    known = None if truth is None else jnp.asarray(truth, DTYPE)
    answers = answer_cases(key_grid, likelihood, grid, *data, truth=known)
    grid_seconds = time.perf_counter() - started

    first = jax.tree.map(lambda leaf: leaf[:n_nuts], (*data, answers.coordinates, answers.quarters))
    y_first, error_first, coordinates, quarters = first
    nuts = sample_cases(key_nuts, likelihood, prior_box, y_first, error_first, coordinates, settings)
    chains = np.moveaxis(nuts.draws, 0, 2)
    rhat, ess = mixing.rhat(chains), mixing.ess_bulk(chains)
    tv = total_variation_of_draws(quarters, nuts.draws.reshape(len(nuts.draws), -1, len(BIRTH)))
    timing = {"grid": grid_seconds, **{f"nuts_{name}": seconds for name, seconds in nuts.timing_s.items()}}
    truths = jax.tree.map(lambda leaf: np.asarray(leaf, float), answers.truths)
    return Recovered(nuts, rhat, ess, grid, answers.summary, truths, tv, timing)


def posterior_dataset(draws: np.ndarray, case_names: list[str] | None) -> xr.Dataset:
    """Draws as a dataset over (case, chain, draw).

    Args:
        draws: (q0, a_au), shape (case, chain, draw, 2).
        case_names: Names of cases; None: they are numbered.
    """
    dims = ("case", "chain", "draw")
    n_case, n_chain, n_draw, _ = draws.shape
    coordinates = {
        "case": case_names if case_names is not None else np.arange(n_case),
        "chain": np.arange(n_chain),
        "draw": np.arange(n_draw),
    }
    variables = {name: (dims, draws[..., k], {"unit": BIRTH[name].unit}) for k, name in enumerate(BIRTH)}
    return xr.Dataset(variables, coords=coordinates)
