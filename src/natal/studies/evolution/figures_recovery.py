"""Figures of births that were recovered with and without the age."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from natal.assessment.uniformity import ecdf, simultaneous_band
from natal.figures.colours import BAND, BLUE, GREY, MANY_POINTS, MEMBER_COLOURS, ORANGE, VERMILLION
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import panels, shared_legend, styled
from natal.simulation.snapshots import nearest_points
from natal.studies.evolution.tracks import BIRTH_AND_AGE

N_SHOWN = 2000
RATIOS = (0.5, 0.7, 1.0, 1.4, 2.0)
AGE = r"$t$"


@styled
def posteriors(table: pd.DataFrame, draws: xr.Dataset, shown_q0: Sequence[float]) -> Figure:
    """NUTS draws of Q0 and a against the age, for the clusters nearest to each Q0, beside what a known age leaves.

    Look for: the truth (cross) among the draws; at its age, draws as wide as the known age's 68 % range (bar).

    Args:
        table: One row a cluster.
        draws: Draws of the first clusters.
        shown_q0: Values of Q0.
    """
    sampled = table.head(draws.sizes["case"])
    by_point = sampled.rename(columns={"q0_true": "q0"})
    cases = [int(np.flatnonzero(sampled.point_id == point)[0]) for point in nearest_points(by_point, shown_q0)]
    figure, axes = panels(2, len(cases), 6.4, sharex=True)
    for column, case in enumerate(cases):
        row = sampled.iloc[case]
        flat = {name: draws[name].values[case].ravel() for name in BIRTH_AND_AGE}
        step = max(1, len(flat["q0"]) // N_SHOWN)
        for ax, name in zip(axes[:, column], BIRTH_AND_AGE[:2], strict=True):
            ax.scatter(
                flat["t_yr"][::step], flat[name][::step], s=3, color=BLUE, alpha=0.4, label="age unknown", **MANY_POINTS
            )
            middle, low, high = (row[f"known_{name}_q{level}"] for level in ("50", "16", "84"))
            known = {"color": ORANGE, "linewidth": 3, "label": "age known, 68 %"}
            ax.errorbar(row.t_yr_true, middle, [[middle - low], [high - middle]], **known)
            ax.plot(row.t_yr_true, row[f"{name}_true"], "x", color=VERMILLION, ms=10, mew=2.5, label="truth")
            ax.set_ylabel(LABELS[name] if column == 0 else "")
        axes[0, column].set_title(f"{SYMBOLS['f_bound']} = {row.f_bound:.2f}, age {row.t_yr_true:.0f} yr")
        axes[1, column].set_xlabel("t [yr]")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def widths(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Posterior standard deviation with the age unknown over that with the age known, against the true Q0.

    Look for: how far above 1. It is below 1 where other ages would make the data say more than the true one does.

    Args:
        tables: One row a cluster, by the age's prior.
    """
    figure, axes = panels(1, 2, 3.9, sharex=True)
    for ax, name in zip(axes[0], BIRTH_AND_AGE[:2], strict=True):
        for (prior, table), colour, marker in zip(tables.items(), MEMBER_COLOURS, "osD^v<>", strict=False):
            ratio = table[f"{name}_sd"] / table[f"known_{name}_sd"]
            ax.scatter(table.q0_true, ratio, s=12, color=colour, marker=marker, alpha=0.6, label=f"age {prior}", lw=0)
        ax.axhline(1, color=GREY, linestyle="--", linewidth=1)
        ax.set(xlabel=f"true {LABELS['q0']}", title=SYMBOLS[name], yscale="log")
        ax.set_yticks(RATIOS, [f"{ratio:g}" for ratio in RATIOS])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("posterior sd, age unknown / known")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def calibration(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """ECDF minus uniform of the posterior probability below the truth, by parameter, with the age unknown.

    Cases are independent draws from the prior. The shade holds the whole curve of honest posteriors with 95 %. Look
    for: curves inside it. Ages are stored times, so few probabilities of t can be near 0 and 1: for t the shade is no
    test.

    Args:
        tables: One row a cluster, by the age's prior.
    """
    figure, axes = panels(1, len(BIRTH_AND_AGE), 3.9, sharey=True)
    for ax, name in zip(axes[0], BIRTH_AND_AGE, strict=True):
        for (prior, table), colour in zip(tables.items(), MEMBER_COLOURS, strict=False):
            band = simultaneous_band(len(table))
            place = np.linspace(0, 1, 201)
            ax.plot(place, ecdf(table[f"{name}_pit"].to_numpy(), place) - place, color=colour, label=f"age {prior}")
        ax.fill_between(band.place, band.low - band.place, band.high - band.place, **BAND)
        ax.axhline(0, color=GREY, linestyle="--", linewidth=1)
        ax.set(title=SYMBOLS.get(name, AGE), xlim=(0, 1))
    figure.supxlabel("posterior probability below the truth")
    axes[0, 0].set_ylabel("ECDF − uniform")
    shared_legend(figure, axes[0, 0])
    return figure
