"""Tables and files of recovered posteriors: recovery.csv, posteriors.nc and others of these forms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from natal.files.atomic import atomic_path
from natal.files.formats import write_csv
from natal.posterior.flags import EDGE_FLAG
from natal.posterior.grid import QUANTILES, GridSummary, TruthSummary
from natal.posterior.mixing import ess_sd
from natal.posterior.recovery import Recovered, posterior_dataset
from natal.variables import BIRTH, SUMMARIES


def recovery_table(cases: pd.DataFrame, recovered: Recovered, truths: TruthSummary | None) -> pd.DataFrame:
    """One row a case: what identifies it, then its posterior and diagnostics.

    Means, standard deviations and quantiles come from the draws of NUTS. The others come from the grid: pit and
    hpd_level; chi2_best, how far the observation is from anything that the campaign can make; and the larger mass at
    either edge of a parameter's range. If this is above `EDGE_FLAG`, a wider box would give another posterior.

    Args:
        cases: Identification of each case, and its true birth if known.
        recovered: Posteriors.
        truths: Where known truths lie in the posteriors; None if none are known.
    """
    draws = recovered.nuts.draws.reshape(len(cases), -1, len(BIRTH)).astype(float)
    columns: dict[str, Any] = {}
    for k, name in enumerate(BIRTH):
        columns[f"{name}_mean"] = draws[..., k].mean(1)
        columns[f"{name}_sd"] = draws[..., k].std(1, ddof=1)
        for label, level in QUANTILES.items():
            columns[f"{name}_{label}"] = np.quantile(draws[..., k], level, axis=1)
        if truths is not None:
            columns[f"{name}_pit"] = truths.pit[:, k]
    if truths is not None:
        columns["hpd_level"] = truths.hpd_level
    columns |= {
        "rhat": recovered.rhat.max(1),
        "ess_bulk": recovered.ess_bulk.min(1),
        "divergences": recovered.nuts.diverging.sum((1, 2)),
        "tv_grid": recovered.tv_grid,
        **fit_columns(recovered.grid_summary),
    }
    return pd.concat([cases.reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def fit_columns(summary: GridSummary) -> dict[str, np.ndarray]:
    """How well anything explains each case, and how much of its posterior is at the box's edges: columns by name."""
    edge_mass = np.asarray(summary.edge_mass, dtype=float).max(2)
    return {
        "chi2_best": np.asarray(summary.chi2_best, dtype=float),
        **{f"edge_mass_{name}": edge_mass[:, k] for k, name in enumerate(BIRTH)},
        "at_edge": (edge_mass > EDGE_FLAG).any(1),
    }


def nuts_report(recovered: Recovered) -> dict[str, float]:
    """The sampler's health over all cases, and how its moments compare with the grid's.

    Returns:
        Numbers by name. `mean_z_rms` and `sd_z_rms` are root mean squares over cases of (NUTS - grid) / Monte Carlo
        standard error. Both are about 1 if NUTS and grid describe the same posterior.
    """
    n_cases, n_chains, n_draws, _ = recovered.nuts.draws.shape
    draws = recovered.nuts.draws.reshape(n_cases, n_chains * n_draws, len(BIRTH)).astype(float)
    grid_mean, grid_sd = (np.asarray(v, dtype=float) for v in recovered.grid_summary[:2])
    sd = draws.std(1, ddof=1)
    centred = draws - draws.mean(1, keepdims=True)
    # Monte Carlo error of a standard deviation: the delta method on the mean square
    kurtosis = (centred**4).mean(1) / sd**4
    sd_error = 0.5 * sd * np.sqrt((kurtosis - 1) / ess_sd(np.moveaxis(recovered.nuts.draws, 0, 2)))
    mean_z = (draws.mean(1) - grid_mean) / (sd / np.sqrt(recovered.ess_bulk))
    sd_z = (sd - grid_sd) / sd_error
    divergent = recovered.nuts.diverging.any((1, 2))
    return {
        "max_rhat": recovered.rhat.max(),
        "min_ess_bulk": recovered.ess_bulk.min(),
        "median_ess_bulk": float(np.median(recovered.ess_bulk.min(1))),
        "divergences": int(recovered.nuts.diverging.sum()),
        "share_of_cases_without_divergence": 1.0 - divergent.mean(),
        "mean_accept_prob": recovered.nuts.accept_prob.mean(),
        "gradients_per_case": recovered.nuts.n_steps.sum((1, 2)).mean(),
        "leapfrog_steps_per_draw": recovered.nuts.n_steps.mean(),
        "seconds": recovered.timing_s["nuts_sample"],
        "cases_per_second": n_cases / recovered.timing_s["nuts_sample"],
        "tv_grid_max": recovered.tv_grid.max(),
        "tv_grid_median": float(np.median(recovered.tv_grid)),
        "share_of_cases_tv_below_0.05": float((recovered.tv_grid < 0.05).mean()),
        "mean_z_rms": float(np.sqrt((mean_z**2).mean())),
        "mean_z_max": float(np.abs(mean_z).max()),
        "sd_z_rms": float(np.sqrt((sd_z**2).mean())),
        "sd_z_max": float(np.abs(sd_z).max()),
    }


def observed_dataset(names: list[str], y: np.ndarray, error: np.ndarray) -> xr.Dataset:
    """What was observed, with units.

    Args:
        names: Names of cases.
        y: Measured summaries, shape (case, 3).
        error: Their standard deviations, shape (case, 3).
    """
    columns: dict[str, tuple[str, np.ndarray, dict[str, str]]] = {}
    for k, name in enumerate(SUMMARIES):
        unit = {"unit": SUMMARIES[name].unit}
        columns |= {name: ("case", y[:, k], unit), f"{name}_err": ("case", error[:, k], unit)}
    return xr.Dataset(columns, coords={"case": names})


def posterior_tree(
    names: list[str],
    recovered: Recovered,
    y: np.ndarray,
    error: np.ndarray,
    truth: np.ndarray | None,
    attributes: dict[str, Any],
) -> xr.DataTree:
    """Draws and diagnostics as groups of one file, with ArviZ's names; `case` comes before chain and draw.

    Args:
        names: Names of cases.
        recovered: Posteriors.
        y: Measured summaries, shape (case, 3).
        error: Their standard deviations, shape (case, 3).
        truth: True births, shape (case, 2); None if they are not known.
        attributes: Of the file.

    Returns:
        The groups posterior, sample_stats, observed_data, and true_parameters if they are known.
    """
    dims = ("case", "chain", "draw")
    coordinates = {"case": names}
    stats = {
        "diverging": (dims, recovered.nuts.diverging),
        "n_steps": (dims, recovered.nuts.n_steps.astype(np.int16)),
        "acceptance_rate": (dims, recovered.nuts.accept_prob),
        "tv_grid": ("case", recovered.tv_grid),
        "divergences": ("case", recovered.nuts.diverging.sum((1, 2))),
    }
    for k, name in enumerate(BIRTH):
        stats |= {
            f"rhat_{name}": ("case", recovered.rhat[:, k]),
            f"ess_bulk_{name}": ("case", recovered.ess_bulk[:, k]),
        }
    groups = {
        "posterior": posterior_dataset(recovered.nuts.draws, names),
        "sample_stats": xr.Dataset(stats, coords=coordinates),
        "observed_data": observed_dataset(names, y, error),
    }
    if truth is not None:
        true = {name: ("case", truth[:, k], {"unit": BIRTH[name].unit}) for k, name in enumerate(BIRTH)}
        groups["true_parameters"] = xr.Dataset(true, coords=coordinates)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(attributes)
    return tree


def write_answers(
    table_path: str | Path, tree_path: str | Path, table: pd.DataFrame, tree: xr.DataTree, made_by: Mapping[str, str]
) -> None:
    """Write the answers to the user's own clusters, observed.csv and observed.nc.

    Args:
        table_path: Of the table.
        tree_path: Of the tree.
        table: A row a cluster.
        tree: Draws, and what was observed.
        made_by: What the tree shall say of its making, and of the law that answered.
    """
    write_csv(table_path, table)
    tree.attrs |= {**made_by, "virial_convention": "K/|W|"}
    write_posteriors(tree_path, tree)


def write_posteriors(path: str | Path, tree: xr.DataTree) -> None:
    """Write what `posterior_tree` gives, as groups of a netCDF file.

    Args:
        path: Where to write.
        tree: Groups of draws and data, with the dimension `case`.
    """
    packed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    encoding = {f"/{name}": dict.fromkeys(group.data_vars, packed) for name, group in tree.children.items()}
    with atomic_path(path, n_bytes=tree.nbytes) as partial:
        tree.to_netcdf(partial, engine="h5netcdf", encoding=encoding)
