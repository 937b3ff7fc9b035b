"""Figures of the simulations: the design, the summaries of all runs, and how well energy was kept."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.figures.colours import GREY, MANY_POINTS, PURPLE, SKY, SPLIT_COLOURS, VERMILLION
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import area, panels, scatter_by_radius, styled
from natal.variables import BIRTH, CALIBRATION, SPLITS, SUMMARIES, Box


@styled
def design_coverage(design: pd.DataFrame, box: Box) -> Figure:
    """Where the design's points lie in the box, with a tick for each point in the margins.

    Look for: no empty regions and, in a Latin hypercube, evenly spread ticks. The legend counts how many of a block's n
    equal strata have a point (all n in a hypercube). The calibration's independent draws, small and without ticks, form
    clumps by chance.

    Args:
        design: Columns split, block, q0, a_au.
        box: The ranges of birth conditions.

    Returns:
        The figure.
    """
    figure, axes = panels(2, 2, 7.0, sharex="col", sharey="row", height_ratios=(1, 6), width_ratios=(6, 1))
    (top, corner_panel), (main, right) = axes
    drawn = design[design.split == CALIBRATION]
    if len(drawn):
        label = f"calibration: n = {len(drawn)} independent draws"
        main.scatter(drawn.q0, drawn.a_au, s=area(6), color=PURPLE, label=label, zorder=0, **MANY_POINTS)
    hypercubes = design[design.split != CALIBRATION]
    for row, (group, points) in enumerate(hypercubes.groupby("split", sort=False, dropna=False)):
        split = str(group) if group in SPLITS else "no split"
        colour = SPLIT_COLOURS.get(split, GREY)
        in_q0, in_a = (sum(_filled_strata(b[name], box[name]) for _, b in points.groupby("block")) for name in BIRTH)
        label = f"{split}: n = {len(points)}; strata filled: {in_q0} in {SYMBOLS['q0']}, {in_a} in {SYMBOLS['a_au']}"
        main.scatter(points.q0, points.a_au, s=area(28), color=colour, edgecolor="white", linewidth=0.5, label=label)
        top.vlines(points.q0, -row - 0.8, -row, color=colour, linewidth=1)
        right.hlines(points.a_au, row, row + 0.8, color=colour, linewidth=1)
    main.set(xlabel=LABELS["q0"], ylabel=LABELS["a_au"], xlim=box["q0"], ylim=box["a_au"])
    for ax in (top, corner_panel, right):
        ax.axis("off")
    figure.legend(loc="outside lower center")
    return figure


@styled
def energy_errors(summaries: pd.DataFrame, max_energy_error: float) -> Figure:
    """Energy errors |E_T - E_0| / |W_0| of all runs against Q0, coloured by a, and their distribution.

    Look for: everything well below the limit. Very small values are runs whose error happens to cross zero at the end.

    Args:
        summaries: Columns q0, a_au, energy_error are used.
        max_energy_error: The limit.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 2, 4.5, stack=False, sharey=True, width_ratios=(4, 1))
    scatter, histogram = axes[0]
    # smaller than the rounding of a double; a logarithmic axis has no place for 0
    error = summaries.energy_error.clip(lower=1e-16)
    colours = scatter_by_radius(scatter, summaries.q0, error, summaries.a_au)
    figure.colorbar(colours, ax=axes, label=LABELS["a_au"])
    edges = np.geomspace(error.min(), max(error.max(), max_energy_error), 41)
    histogram.hist(error, bins=edges, orientation="horizontal", color=SKY)
    for ax in (scatter, histogram):
        ax.axhline(max_energy_error, color=VERMILLION, linestyle="--", label="limit")
    scatter.legend(loc="lower right")
    scatter.set(yscale="log", xlabel=LABELS["q0"], ylabel=r"energy error $|E_T - E_0|\,/\,|W_0|$")
    histogram.set_xlabel("runs")
    figure.suptitle(f"n = {len(error)} runs; largest error {error.max():.1e}, limit {max_energy_error:.1e}")
    return figure


@styled
def summary_scatter(summaries: pd.DataFrame) -> Figure:
    """What the simulator does: the summaries of single runs against Q0, coloured by a.

    Look for: trends, scatter that grows with Q0, f_bound that piles up at 1. Red ticks at the bottom are dissolved
    runs, which have no dispersion and no radius.

    Args:
        summaries: Columns q0, a_au, f_bound, sigma_v_kms, r_h_au, dissolved are used.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(SUMMARIES), 4.0)
    dissolved = summaries.dissolved.astype(bool)
    alive = summaries[~dissolved]
    for ax, name in zip(axes[0], SUMMARIES, strict=True):
        colours = scatter_by_radius(ax, alive.q0, alive[name], alive.a_au)
        ax.vlines(summaries.q0[dissolved], 0, 0.045, color=VERMILLION, linewidth=1, transform=ax.get_xaxis_transform())
        ax.set(xlabel=LABELS["q0"], ylabel=LABELS[name], ylim=(0, None))
    figure.colorbar(colours, ax=axes, label=LABELS["a_au"])
    figure.suptitle(f"n = {len(alive)} surviving runs; {dissolved.sum()} dissolved runs (red ticks)")
    return figure


def _filled_strata(values: pd.Series, limits: tuple[float, float]) -> int:
    """How many of n equal intervals between `limits` have at least one of n values."""
    low, high = limits
    return int(np.floor((values - low) / (high - low) * len(values)).clip(0, len(values) - 1).nunique())
