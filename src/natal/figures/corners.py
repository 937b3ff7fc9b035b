"""Corner plots of a campaign's posteriors, from its files."""

from collections.abc import Iterable
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from natal.emulator.network_files import DTYPE
from natal.figures.posteriors import corner_case
from natal.posterior.grid import Grid, log_posterior
from natal.variables import BIRTH, SUMMARIES, Box


def corner_plots(
    posteriors: str | Path, table: pd.DataFrame, rows: Iterable[int], grid: Grid, prior: Box
) -> list[Figure]:
    """Corner plots of some cases: NUTS draws, the grid posterior, and the truth where it is known.

    Args:
        posteriors: posteriors.nc or observed.nc.
        table: The table of the same cases, recovery.csv or observed.csv.
        rows: Places of the cases in both.
        grid: The likelihood's laws over the prior.
        prior: The limits of the plots.
    """
    posterior_of = eqx.filter_jit(log_posterior)
    figures = []
    with xr.open_datatree(posteriors, engine="h5netcdf") as tree:
        posterior, data = (tree[group].to_dataset() for group in ("posterior", "observed_data"))
        for row in rows:
            draws = np.column_stack([posterior[name][row].values.ravel() for name in BIRTH])
            y, error = (jnp.asarray([data[f"{name}{end}"][row] for name in SUMMARIES], DTYPE) for end in ("", "_err"))
            density = np.exp(posterior_of(grid, y, error if error.any() else None))
            on_grid = (np.asarray(grid.q0), np.asarray(grid.a_au), np.asarray(density, float))
            case = table.iloc[row]
            truth = case[["q0_true", "a_au_true"]].to_numpy(float) if "q0_true" in table else None
            figures.append(corner_case(draws, truth, prior, f"case {case.case}", on_grid))
    return figures
