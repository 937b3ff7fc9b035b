"""Recovers clusters that someone observed: with NUTS, as observed.csv has them, or in seconds on the grid alone."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import QUANTILES, answer_cases, make_grid
from natal.posterior.prior_predictive import mahalanobis_p
from natal.posterior.recovery import Recovered, posterior_dataset, recover
from natal.posterior.tables import fit_columns, observed_dataset, recovery_table
from natal.random import stage_key
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, SUMMARIES, Box


def measurements(observed: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The summaries of observed clusters and their standard errors, shape (case, 3) each."""
    y, error = (observed[list(columns)].to_numpy(float) for columns in (SUMMARIES, SUMMARIES.errors))
    return y, error


def recover_observed(
    seed: int,
    likelihood: Likelihood,
    prior_box: Box,
    observed: pd.DataFrame,
    settings: NutsSettings,
    grid_shape: tuple[int, int],
) -> tuple[pd.DataFrame, Recovered]:
    """The rows of observed.csv and the posteriors for a table with the columns of `campaign.tables.read_observations`.

    `mahalanobis_p` says for each whether the campaign could have made such a cluster (`prior_predictive`).
    """
    y, error = measurements(observed)
    recovered = recover(stage_key(seed, "observe"), likelihood, prior_box, y, error, settings, grid_shape)
    table = recovery_table(observed.rename(columns={"name": "case"}), recovered, truths=None)
    p_values = mahalanobis_p(stage_key(seed, "prior predictive"), likelihood, prior_box, y, error)
    table.insert(table.columns.tolist().index("chi2_best") + 1, "mahalanobis_p", p_values)
    return table, recovered


def answer_on_grid(
    seed: int, likelihood: Likelihood, prior_box: Box, observed: pd.DataFrame, grid_shape: tuple[int, int], n_draws: int
) -> tuple[pd.DataFrame, xr.DataTree]:
    """The same answer in seconds, without NUTS: moments, quantiles and `n_draws` draws of the grid posterior.

    The table lacks NUTS's diagnostics, the tree has one chain and no sample_stats.
    """
    y, error = measurements(observed)
    data = jnp.asarray(y, DTYPE), jnp.asarray(error, DTYPE) if np.any(error) else None
    grid = make_grid(likelihood, prior_box, grid_shape)
    answers = answer_cases(stage_key(seed, "observe"), likelihood, grid, *data, n_draws=n_draws)
    summary = answers.summary
    columns: dict[str, np.ndarray] = {}
    for k, name in enumerate(BIRTH):
        columns |= {f"{name}_{part}": np.asarray(getattr(summary, part), float)[:, k] for part in ("mean", "sd")}
        quantiles = np.asarray(summary.quantiles, float)[:, k].T
        columns |= {f"{name}_{label}": values for label, values in zip(QUANTILES, quantiles, strict=True)}
    columns |= fit_columns(summary)
    columns["mahalanobis_p"] = mahalanobis_p(stage_key(seed, "prior predictive"), likelihood, prior_box, y, error)
    table = pd.concat([observed.rename(columns={"name": "case"}), pd.DataFrame(columns)], axis=1)
    names = table["case"].tolist()
    groups = {
        "posterior": posterior_dataset(answers.draws[:, None], names),
        "observed_data": observed_dataset(names, y, error),
    }
    return table, xr.DataTree.from_dict(groups)
