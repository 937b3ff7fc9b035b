"""Observed clusters beside clusters drawn from their posteriors; what observables are worth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from natal.figures.colours import BLACK, BLUE, GREY, ORANGE
from natal.figures.posteriors import corner_case
from natal.figures.style import panels, styled
from natal.observables.declared import MEASURABLE
from natal.posterior.catalogue import PARAMETERS, Law, predicted


def own_clusters(seed: int, law: Law, observed: pd.DataFrame, posteriors: str | Path, n: int) -> dict[str, Figure]:
    """Draw posteriors of the user's own clusters, and what these predict.

    Args:
        seed: The campaign's.
        law: What the campaign knows.
        observed: The table observed.csv.
        posteriors: The file observed.nc.
        n: Draw the first so many clusters.

    Returns:
        Figures by name: `observed_0`, `predictive_0` and so on.
    """
    figures = {}
    with xr.open_datatree(posteriors, engine="h5netcdf") as tree:
        posterior = tree["posterior"].to_dataset()
        for k in range(min(len(observed), n)):
            row: Any = observed.iloc[k]
            draws = np.column_stack([posterior[name][k].values.ravel() for name in PARAMETERS])
            prior = {"q0": law.q0, "a_au": (row.prior_a_au_low, row.prior_a_au_high)}
            figures[f"observed_{k}"] = corner_case(draws[:, :2], None, prior, row["case"])
            figures[f"predictive_{k}"] = predictive(row.to_dict(), predicted(seed, law, draws), row["case"])
    return figures


@styled
def predictive(observed: Mapping[str, float], predicted: pd.DataFrame, title: str) -> Figure:
    """Each observable of a cluster, with errors and limits, over the distribution that its posterior predicts.

    Look for: the measured value (orange) within the distribution (blue: 68 and 95 %). Observables that were not
    measured are shown, too: this is what further observations would find.

    Args:
        observed: A row of `natal.posterior.catalogue.clusters_table`.
        predicted: Clusters drawn with births, ages and masses from the posterior.
        title: Of the figure.

    Returns:
        The figure.
    """
    names = [name for name in MEASURABLE if name in predicted]
    figure, axes = panels(len(names), 1, 0.75 * len(names) + 0.6, 6.5, stack=False)
    for ax, name in zip(np.ravel(axes), names, strict=True):
        q = np.nanquantile(predicted[name], [0.025, 0.16, 0.5, 0.84, 0.975])
        ax.axvspan(q[0], q[4], color=BLUE, alpha=0.2)
        ax.axvspan(q[1], q[3], color=BLUE, alpha=0.35)
        ax.axvline(q[2], color=BLUE)
        value, low, high, lower, upper = (
            observed.get(f"{name}{end}", np.nan) for end in ("", "_err_low", "_err_high", "_lower", "_upper")
        )
        if np.isfinite(value):
            ax.errorbar(value, 0, xerr=[[np.nan_to_num(low)], [np.nan_to_num(high)]], fmt="o", color=ORANGE, capsize=3)
        for limit, marker in ((lower, ">"), (upper, "<")):
            if np.isfinite(limit):
                ax.plot(limit, 0, marker, color=ORANGE, markeredgecolor=BLACK)
        ax.set_yticks([])
        ax.set_ylim(-1, 1)
        ax.set_xlabel(MEASURABLE[name].label)
        ax.xaxis.set_major_locator(MaxNLocator(5))
    figure.suptitle(title, parse_math=False)
    return figure


@styled
def worth(table: pd.DataFrame) -> Figure:
    """For each subset of observables, how much it narrows the prior, and its log score.

    Look for: long bars (1: the birth is known exactly, 0: the answer is the prior).

    Args:
        table: What `natal.assessment.observables.worth` gives.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 3, 0.28 * len(table) + 1, stack=False, sharey="row")
    place = np.arange(len(table))[::-1]
    columns = ("contraction_q0", "contraction_a_au", "log_score")
    labels = ("1 - variance of $Q_0$ / prior's", "1 - variance of $a$ / prior's", "log score")
    for ax, column, label in zip(np.ravel(axes), columns, labels, strict=True):
        if column == "log_score":
            ax.errorbar(table[column], place, xerr=table.log_score_se, fmt="o", color=BLACK, capsize=2)
        else:
            ax.barh(place, table[column], color=BLUE, height=0.7)
            ax.axvline(1.0, color=GREY, linewidth=0.8)
        ax.set_xlabel(label)
    axes.flat[0].set_yticks(place, table.subset)
    return figure
