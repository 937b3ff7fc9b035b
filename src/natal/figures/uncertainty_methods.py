"""Figures that compare the uncertainty methods: coverage, size of regions, widths along Q0."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from natal.figures.colours import BLACK, GREEN, GREY, MEMBER_COLOURS, ORANGE, PARAMETER_COLOURS, PURPLE, SKY
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import panels, shared_legend, styled
from natal.variables import BIRTH, SUMMARIES

MARKERS = {
    **dict(zip(SUMMARIES, cycle(zip("os^v*", (SKY, ORANGE, GREEN, PURPLE, GREY), strict=True)), strict=False)),
    **{name: (marker, PARAMETER_COLOURS[name]) for name, marker in zip(BIRTH, cycle("PX<>"), strict=False)},
    "joint": ("D", BLACK),
}
LINES = ("-", "--", ":", "-.")


@styled
def comparison(table: pd.DataFrame) -> Figure:
    """Coverage at 68 and 95 % of summaries and of (Q0, a), and size of the joint regions, one row a method.

    Look first for summaries on their dashed line: then predictions are honest. Then look for (Q0, a) on it: independent
    widths may be right for each summary and still wrong together. Of two honest methods, the one with the smaller
    region says more. The bar of the joint region is two standard errors.

    Args:
        table: comparison.csv.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 3, 1.4 + 0.45 * len(table), sharey=True, width_ratios=(2, 2, 1))
    rows = np.arange(len(table))[::-1]
    for ax, level in zip(axes[0], ("68", "95"), strict=False):
        ax.axvline(float(level) / 100, color=BLACK, linestyle="--", linewidth=0.8)
        error = 2 * table[f"coverage_se_{level}_joint"]
        ends = ((table[f"coverage_{level}_joint"] + sign * error).clip(0, 1) for sign in (-1, 1))
        ax.hlines(rows, *ends, color=BLACK)
        for name, (marker, colour) in MARKERS.items():
            ax.scatter(table[f"coverage_{level}_{name}"], rows, marker=marker, color=colour, s=36, label=SYMBOLS[name])
        ax.set(title=f"{level} % regions", xlabel="truths inside")
    for level, colour in (("95", GREY), ("68", PURPLE)):
        axes[0, 2].barh(rows, table[f"area_{level}"], height=0.5, color=colour, label=f"{level} %")
    axes[0, 2].set(title=f"joint region of {SYMBOLS['q0']}, {SYMBOLS['a_au']}", xlabel="share of the box")
    axes[0, 2].legend(loc="upper right")
    for ax, ticks in zip(axes[0], (5, 5, 3), strict=True):
        ax.xaxis.set_major_locator(MaxNLocator(ticks))
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    # an empty row above for the legend of the areas
    axes[0, 0].set(ylim=(-0.6, len(table) + 0.8))
    axes[0, 0].set_yticks(rows, table.method)
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def widths(table: pd.DataFrame, x: np.ndarray, residual: np.ndarray, n_bins: int = 10) -> Figure:
    """Half widths of 68 % intervals of single runs along Q0 at one a, and the scatter of test runs (dots).

    A dot is the 68 % quantile of the absolute residuals of a tenth of the test runs. Look for: curves that follow the
    dots; a flat one is too wide for cold clusters and too narrow for hot ones.

    Args:
        table: What `natal.assessment.uncertainty.comparison.widths_along_q0` gives.
        x: Births of test runs, at all a, shape (run, 2).
        residual: Their residuals about the ensemble's mean, shape (run, 3).
        n_bins: Dots.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(SUMMARIES), 4.3)
    bins = pd.qcut(x[:, 0], n_bins, labels=False, duplicates="drop")
    observed = pd.DataFrame(np.abs(residual), columns=list(SUMMARIES)).groupby(bins).quantile(0.68)
    centre = pd.Series(x[:, 0]).groupby(bins).mean()
    for ax, name in zip(axes[0], SUMMARIES, strict=True):
        for k, (method, rows) in enumerate(table.groupby("method", sort=False)):
            style = {"color": MEMBER_COLOURS[k % len(MEMBER_COLOURS)], "linestyle": LINES[k % len(LINES)]}
            ax.plot(rows.q0, rows[name], label=method, **style)
        ax.plot(centre, observed[name], "o", color=BLACK, markersize=5, label="test runs")
        ax.set(xlabel=LABELS["q0"], ylabel=f"68 % half width of {LABELS[name]}", ylim=(0, None))
    figure.suptitle(f"along {SYMBOLS['a_au']} = {table.a_au.iloc[0]:g} AU; dots: {len(x)} test runs at all a")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
