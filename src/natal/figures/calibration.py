"""Figures of simulation-based calibration, with independent clusters: drawn from the prior, one realization each.

A simultaneous band holds the whole curve of honest posteriors with its probability (`natal.assessment.uniformity`). A
binomial band holds each point by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from natal.assessment.coverage import LEVELS
from natal.assessment.uniformity import binomial_range, ecdf, simultaneous_band
from natal.figures.colours import BAND, BLACK, BLUE, GREEN, ORANGE, PARAMETER_COLOURS, VERMILLION
from natal.figures.labels import SYMBOLS
from natal.figures.recovery import by_region
from natal.figures.style import binomial_band, panels, shared_legend, styled
from natal.variables import BIRTH

REGIONS = (*BIRTH, "joint")
LEVEL_COLOURS = (BLUE, GREEN, ORANGE, VERMILLION)


@styled
def pit_differences(values: Mapping[str, Float[np.ndarray, " case"]], sbc: Mapping[str, np.ndarray]) -> Figure:
    """ECDF minus uniform of the PITs of q0 and a and of the joint HPD level, with simultaneous 95 % bands.

    Look for: curves within their bands. For q0 and a_au a hill on the left with a valley on the right is overconfident
    (truths lie in the tails too often), the opposite too wide, a single hill or valley biased. For the joint level a
    valley is overconfident, a hill too wide.

    Args:
        values: For q0, a_au and joint one number a case, from the grid.
        sbc: For q0 and a_au the truth's rank among NUTS draws, as a share (dashed). If there are fewer of these, dotted
            lines are their band.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(REGIONS), 3.9, sharex=True, sharey=True)
    for ax, name in zip(axes[0], REGIONS, strict=True):
        n = len(values[name])
        _difference(ax, values[name], PARAMETER_COLOURS[name], "from the grid")
        if name in sbc:
            place = np.linspace(0, 1, 401)
            ax.plot(place, ecdf(sbc[name], place) - place, "--", color=BLACK, linewidth=1, label="from NUTS draws")
            if len(sbc[name]) < n:
                band = simultaneous_band(len(sbc[name]))
                for edge in (band.low, band.high):
                    ax.plot(band.place, edge - band.place, ":", color=BLACK, linewidth=0.8)
        what = "HPD level of the truth" if name == "joint" else f"PIT of true {SYMBOLS[name]}"
        ax.set(xlabel=what, title=f"{SYMBOLS[name]} (n = {n})", xlim=(0, 1))
    axes[0, 0].set_ylabel("ECDF − uniform")
    # the panels' curves are named by their axes; colours differ, styles do not
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def rank_histograms(sbc: Mapping[str, Float[np.ndarray, " case"]], n_draws: int, n_bins: int = 20) -> Figure:
    """Ranks of the truth among posterior draws (simulation-based calibration).

    Look for: bars within the grey binomial bands. The inner one holds each bar with 95 %, the outer one all bars
    (Bonferroni). A U is overconfident, a hump is too wide, a slope is biased. Single high bars at the ends are chains
    that got stuck.

    Args:
        sbc: For q0 and a_au the truth's rank as a share in (0, 1).
        n_draws: Draws that a rank is counted among.
        n_bins: Bars.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(BIRTH), 3.6, sharex=True, sharey=True)
    for ax, name in zip(axes[0], BIRTH, strict=True):
        n = len(sbc[name])
        for probability, label in ((1 - 0.05 / n_bins, "95 %: all bins (outer), each bin (inner)"), (0.95, None)):
            ax.axhspan(*binomial_range(probability, n, 1 / n_bins), label=label, **BAND)
        ax.axhline(n / n_bins, color=BLACK, linewidth=0.8)
        counts, edges = np.histogram(sbc[name], n_bins, (0, 1))
        ax.stairs(counts, edges, color=PARAMETER_COLOURS[name], linewidth=1.8)
        ax.set(xlabel=f"rank of true {SYMBOLS[name]} among {n_draws} draws", title=f"{SYMBOLS[name]} (n = {n})")
        ax.set(xlim=(0, 1), ylim=(0, None))
    axes[0, 0].set_ylabel("cases per bin")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def tarp_curve(tarp: Float[np.ndarray, " case"]) -> Figure:
    """Expected coverage of discs about random points against their credibility (TARP), and the difference.

    Look for: a curve within the simultaneous 95 % band. Unlike PITs it sees a wrong correlation of Q0 and a.

    Args:
        tarp: For each case the posterior mass of the disc that reaches to the truth.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 2, 4.2)
    curve, difference = axes[0]
    place = np.linspace(0, 1, 401)
    band = simultaneous_band(len(tarp))
    curve.fill_between(band.place, band.low, band.high, label="95 % simultaneous band", **BAND)
    curve.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
    curve.plot(place, ecdf(tarp, place), color=BLUE, label=f"n = {len(tarp)}")
    curve.set(xlabel="credibility", ylabel="expected coverage", aspect="equal", xlim=(0, 1), ylim=(0, 1))
    curve.legend(loc="upper left")
    _difference(difference, tarp, BLUE, "TARP")
    difference.set(xlabel="credibility", ylabel="expected coverage − credibility", xlim=(0, 1))
    return figure


@styled
def coverage_by_third(levels: Sequence[float], groups: Mapping[str, tuple[int, Mapping[str, Any]]]) -> Figure:
    """Share of truths inside credible regions, over all cases and by third, with the binomial 95 % range of each n.

    Look for: markers inside their bars. An honest posterior need not be honest within thirds of the truth: near an edge
    of the box markers may lie outside a little.

    Args:
        levels: Levels of the regions.
        groups: By label (n, shares); shares are by region (q0 and a_au: central intervals; joint: highest-density
            region), one for each level.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(REGIONS), 5.6, sharex=True, sharey=True)
    for ax, region in zip(axes[0], REGIONS, strict=True):
        for level, colour in zip(levels, LEVEL_COLOURS, strict=True):
            ax.axhline(level, color=colour, linewidth=0.6, alpha=0.6)
        for row, (n, shares) in enumerate(groups.values()):
            for level, colour, share in zip(levels, LEVEL_COLOURS, shares[region], strict=True):
                low, high = binomial_band(level, n)
                ax.fill_between([row - 0.35, row + 0.35], low, high, **BAND)
                ax.plot(row, share, "o", color=colour, markersize=5)
        ax.set(title=SYMBOLS[region], xlim=(-0.6, len(groups) - 0.4))
        ax.set_xticks(range(len(groups)), [f"{label} (n = {n})" for label, (n, _) in groups.items()], rotation=90)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes[0, 0].set_ylabel("truths inside")
    for level, colour in zip(levels, LEVEL_COLOURS, strict=True):
        axes[0, 0].plot([], [], "o", color=colour, label=f"{100 * level:.0f} %")
    axes[0, 0].fill_between([], [], label="95 % binomial", **BAND)
    shared_legend(figure, axes[0, 0])
    return figure


def campaign_figures(table: pd.DataFrame, report: Mapping[str, Any]) -> dict[str, Figure]:
    """All figures of this module by name.

    Args:
        table: calibration.csv.
        report: The part `calibration` of metrics.json.
    """
    sbc = {name: table[f"{name}_sbc"].dropna().to_numpy() for name in BIRTH}
    pit = {name: table[f"{name}_pit"].to_numpy() for name in BIRTH}
    groups = {"all": report}
    for name, digits in (("q0", 2), ("a_au", 0)):
        for part in report[f"by_{name}_tercile"]:
            groups[f"{SYMBOLS[name]} {part[f'{name}_min']:.{digits}f} to {part[f'{name}_max']:.{digits}f}"] = part
    shares = {label: (part["n_cases"], by_region(part["coverage"])) for label, part in groups.items()}
    return {
        "calibration_pit": pit_differences(pit | {"joint": table.hpd_level.to_numpy()}, sbc),
        "calibration_sbc": rank_histograms(sbc, report["n_posterior_draws"]),
        "calibration_tarp": tarp_curve(table.tarp.dropna().to_numpy()),
        "calibration_coverage": coverage_by_third(LEVELS, shares),
    }


def _difference(ax: Axes, values: Float[np.ndarray, " case"], colour: str, label: str) -> None:
    """ECDF of `values` minus uniform, within the simultaneous 95 % band."""
    band, place = simultaneous_band(len(values)), np.linspace(0, 1, 401)
    ax.fill_between(band.place, band.low - band.place, band.high - band.place, label="95 % simultaneous band", **BAND)
    ax.axhline(0, color=BLACK, linewidth=0.8)
    ax.plot(place, ecdf(values, place) - place, color=colour, label=label)
