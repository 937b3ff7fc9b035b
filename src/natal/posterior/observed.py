"""Recovers clusters that someone observed: the first ones with NUTS, many more in seconds on the grid."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.flags import DIAGNOSTICS
from natal.posterior.grid import QUANTILES, answer_cases, make_grid
from natal.posterior.prior_predictive import mahalanobis_p
from natal.posterior.recovery import posterior_dataset, recover
from natal.posterior.tables import fit_columns, observed_dataset, posterior_tree, recovery_table
from natal.random import stage_key
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, SUMMARIES, Box


def measurements(observed: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The summaries of observed clusters and their standard errors, both of shape (case, 3)."""
    y, error = (observed[list(columns)].to_numpy(float) for columns in (SUMMARIES, SUMMARIES.errors))
    return y, error


def recover_observed(
    seed: int,
    likelihood: Likelihood,
    prior_box: Box,
    observed: pd.DataFrame,
    settings: NutsSettings,
    grid_shape: tuple[int, int],
    n_nuts: int | None = None,
) -> tuple[pd.DataFrame, xr.DataTree]:
    """Posteriors of observed clusters, as a table and as draws.

    Args:
        seed: The campaign's seed.
        likelihood: Gives the law of a cluster's summaries.
        prior_box: The uniform prior's ranges.
        observed: A table with the columns of `campaign.tables.read_observations`.
        settings: Of the sampler.
        grid_shape: Number of cells in Q0 and in a.
        n_nuts: How many clusters NUTS samples: the first ones; None means all. The others get as many draws of the
            grid posterior, empty diagnostics (`flags.DIAGNOSTICS`), and no place in the group sample_stats.

    Returns:
        The rows of observed.csv and the groups of observed.nc. `mahalanobis_p` says of each cluster whether the
        campaign could have made it (`prior_predictive`).
    """
    first, rest = observed[:n_nuts], observed[len(observed[:n_nuts]) :]
    parts = []
    if len(first):
        y, error = measurements(first)
        recovered = recover(stage_key(seed, "observe"), likelihood, prior_box, y, error, settings, grid_shape)
        table = recovery_table(first.rename(columns={"name": "case"}), recovered, truths=None)
        p_values = mahalanobis_p(stage_key(seed, "prior predictive"), likelihood, prior_box, y, error)
        table.insert(table.columns.tolist().index("chi2_best") + 1, "mahalanobis_p", p_values)
        parts.append((table, posterior_tree(first["name"].tolist(), recovered, y, error, None, {})))
    if len(rest):
        n_draws = settings.chains * settings.draws
        rest = rest.reset_index(drop=True)
        table, tree = answer_on_grid(seed, likelihood, prior_box, rest, grid_shape, n_draws, n_chains=settings.chains)
        for name in DIAGNOSTICS:
            table.insert(table.columns.tolist().index("chi2_best"), name, np.nan)
        parts.append((table, tree))
    tables, trees = zip(*parts, strict=True)
    joined = trees[0]
    for group in ("posterior", "observed_data"):
        joined[group] = xr.DataTree(xr.concat([tree[group].to_dataset() for tree in trees], "case"))
    return pd.concat(tables, ignore_index=True).astype({"divergences": "Int64"}), joined


def answer_on_grid(
    seed: int,
    likelihood: Likelihood,
    prior_box: Box,
    observed: pd.DataFrame,
    grid_shape: tuple[int, int],
    n_draws: int,
    n_chains: int = 1,
) -> tuple[pd.DataFrame, xr.DataTree]:
    """The same answer in seconds, without NUTS: moments, quantiles and draws of the grid posterior.

    Args:
        seed: The campaign's seed.
        likelihood: Gives the law of a cluster's summaries.
        prior_box: The uniform prior's ranges.
        observed: A table with the columns of `campaign.tables.read_observations`.
        grid_shape: Number of cells in Q0 and in a.
        n_draws: Draws of each posterior.
        n_chains: Number of equal parts into which these are cut, so that files look like those of NUTS.

    Returns:
        A table without the diagnostics of NUTS, and a tree without the group sample_stats.
    """
    y, error = measurements(observed)
    data = jnp.asarray(y, DTYPE), jnp.asarray(error, DTYPE) if np.any(error) else None
    grid = make_grid(likelihood, prior_box, grid_shape)
    answers = answer_cases(
        stage_key(seed, "observe"), likelihood, grid, *data, wanted=("summary", "draws"), n_draws=n_draws
    )
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
        "posterior": posterior_dataset(answers.draws.reshape(len(y), n_chains, -1, len(BIRTH)), names),
        "observed_data": observed_dataset(names, y, error),
    }
    return table, xr.DataTree.from_dict(groups)
