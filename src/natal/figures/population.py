"""Figures of the population behind a table of clusters, and of its check with synthetic populations."""

import warnings

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from natal.assessment.uniformity import ecdf, simultaneous_band
from natal.figures.colours import BAND, BLACK, BLUE, GREY, ORANGE
from natal.figures.labels import LABELS
from natal.figures.style import TICK_SIZE, is_narrow, is_on_paper, panels, pt, shared_legend, styled, width_in
from natal.variables import BIRTH

with warnings.catch_warnings():
    # corner imports ArviZ, which announces its next major version at import
    warnings.simplefilter("ignore", FutureWarning)
    import corner

PARAMETERS = {
    "q0_location": r"centre of $Q_0$",
    "q0_scale": r"sd of $Q_0$",
    "ln_a_location": r"centre of ln $a$",
    "ln_a_scale": r"sd of ln $a$",
}
LAW_COLOURS = {"normal": BLUE, "binned": ORANGE}


@styled
def population_law(tree: xr.DataTree) -> Figure:
    """The population's density of Q0 and of a under both laws (medians, 68 and 95 % bands), over single posteriors.

    Look for: places where the law in bins (orange), which assumes no shape, leaves the band of the normal law (blue):
    there the normal law is wrong. Grey: each cluster's posterior by itself; their sum would be wider than the
    population.

    Args:
        tree: population.nc.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 2, 4.2)
    clusters = tree["clusters"].to_dataset()
    for ax, (name, other, density) in zip(
        axes[0], (("q0", "a_au", "density_q0"), ("a_au", "q0", "density_ln_a")), strict=True
    ):
        at = clusters[name].to_numpy()
        widths = np.gradient(at if name == "q0" else np.log(at))
        single = clusters["alone"].sum(other).to_numpy() / widths
        shown = single[np.linspace(0, len(single) - 1, min(len(single), 60)).astype(int)]
        ax.plot(at, shown.T, color=GREY, linewidth=0.6, alpha=0.4)
        tops = []
        for law, colour in LAW_COLOURS.items():
            draws = tree[law][density].to_numpy().reshape(-1, len(at))
            q = np.quantile(draws, [0.025, 0.16, 0.5, 0.84, 0.975], axis=0)
            ax.fill_between(at, q[0], q[4], color=colour, alpha=0.15, linewidth=0)
            ax.fill_between(at, q[1], q[3], color=colour, alpha=0.25, linewidth=0)
            ax.plot(at, q[2], color=colour, label=f"law: {law}")
            tops.append(q[3].max())
        ax.set(xlabel=LABELS[name], ylabel="density" if name == "q0" else "density of ln a", ylim=(0, 1.6 * max(tops)))
        if name == "a_au":
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter(NullFormatter())
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def hyperparameters(tree: xr.DataTree) -> Figure:
    """Corner plot of the parameters of the law `normal`, with 68 and 95 % contours.

    Args:
        tree: population.nc.

    Returns:
        The figure.
    """
    group = tree["normal"].to_dataset()
    draws = np.column_stack([group[name].to_numpy().ravel() for name in PARAMETERS])
    side = width_in(8)
    # of labels, as type is larger beside a small figure
    apart = max(pt(12) / 12 * 8 / side, 1.0)
    figure = Figure(figsize=(side, side))
    corner.corner(
        draws,
        fig=figure,
        bins=40,
        labels=list(PARAMETERS.values()),
        labelpad=0.3 * (apart - 1),
        label_kwargs={"fontsize": pt(12 if apart == 1 else 8)},
        max_n_ticks=5 if apart == 1 else 3,
        levels=(0.68, 0.95),
        smooth=1.0,
        color=BLUE,
        plot_density=False,
        plot_datapoints=False,
        hist_kwargs={"density": True},
    )
    margin = 0.1 * apart
    figure.subplots_adjust(left=margin, bottom=margin, right=0.98, top=0.98)
    said = "" if is_on_paper() else "\ncontours: 68 % and 95 % HPD"
    figure.text(0.6, 0.94, f"{len(draws)} draws{said}", va="top")
    return figure


@styled
def clusters_in_its_light(clusters: pd.DataFrame) -> Figure:
    """Each cluster's Q0 and a (medians and 68 % intervals), by itself (grey) and given the population (blue).

    Look for: blue points that are closer to each other than the grey ones, above all where grey intervals are wide.

    Args:
        clusters: population_clusters.csv.

    Returns:
        The figure.
    """
    rows = clusters[clusters.left_out == ""].sort_values("q0_mean")[:60]
    figure, axes = panels(1, 2, 1.5 + 0.17 * len(rows), stack=False, sharey=True)
    place = np.arange(len(rows))
    for ax, name in zip(axes[0], BIRTH, strict=True):
        for end, colour, shift, label in (("_alone", GREY, 0.15, "alone"), ("", BLUE, -0.15, "in the population")):
            low, middle, high = (rows[f"{name}_{q}{end}"] for q in ("q16", "q50", "q84"))
            ax.hlines(place + shift, low, high, color=colour)
            ax.plot(middle, place + shift, "o", color=colour, markersize=3, label=label)
        ax.set_xlabel(LABELS[name])
        ax.xaxis.set_major_locator(MaxNLocator(3 if is_narrow() else 5))
    names = [str(name) if len(str(name)) <= 24 else f"{str(name)[:23]}…" for name in rows.case]
    axes[0, 0].set_yticks(place, names, parse_math=False)
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def population_ranks(coverage: pd.DataFrame) -> Figure:
    """Synthetic populations: ECDF minus uniform of the truth's rank among the draws of each parameter.

    Look for: lines within the band, which holds honest ones with a probability of 95 %. Titles give the share of truths
    inside 90 % intervals, and inside intervals from the clusters' posterior means only.

    Args:
        coverage: `coverage` of `natal.assessment.population.check_populations`.

    Returns:
        The figure.
    """
    tables = list(dict.fromkeys(coverage.table))
    figure, axes = panels(len(tables), len(PARAMETERS), 2.9 * len(tables), sharex=True, sharey=True)
    for row_of, table in zip(axes, tables, strict=True):
        for ax, (name, label) in zip(row_of, PARAMETERS.items(), strict=True):
            rows = coverage[(coverage.table == table) & (coverage.parameter == name)]
            _ranks(ax, rows, label)
        row_of[0].set_ylabel(f"{table}\nECDF - uniform")
    for ax in axes[-1]:
        ax.set_xlabel("rank of the truth")
    return figure


def _ranks(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    place = np.linspace(0, 1, 201)
    band = simultaneous_band(len(rows))
    ax.fill_between(band.place, band.low - band.place, band.high - band.place, **BAND)
    ax.plot(place, ecdf(rows["rank"].to_numpy(), place) - place, color=BLUE)
    ax.axhline(0, color=BLACK, linewidth=0.6)
    inside = [
        ((rows[f"{end}low"] <= rows.truth) & (rows.truth <= rows[f"{end}high"])).mean() for end in ("", "stacked_")
    ]
    ax.set_title(f"{label}\n90 %: {100 * inside[0]:.0f} %, means alone {100 * inside[1]:.0f} %", fontsize=pt(TICK_SIZE))


@styled
def population_violations(violations: pd.DataFrame) -> Figure:
    """Populations that violate the normal law: what both laws say of them, and the truth.

    Look for: the law in bins near the true mean and spread of Q0 where the normal one is not.

    Args:
        violations: `violations` of `natal.assessment.population.check_populations`.

    Returns:
        The figure.
    """
    kinds = list(dict.fromkeys(violations.violation))
    figure, axes = panels(len(kinds), 2, 2.6 * len(kinds))
    for row_of, kind in zip(axes, kinds, strict=True):
        for ax, part in zip(row_of, ("mean", "sd"), strict=True):
            for shift, (law, colour) in enumerate(LAW_COLOURS.items()):
                rows = violations[(violations.violation == kind) & (violations.law == law)]
                errors = np.abs(rows[[f"{part}_low", f"{part}_high"]].to_numpy().T - rows[part].to_numpy())
                ax.errorbar(
                    rows.population + 0.2 * shift, rows[part], yerr=errors, fmt="o", color=colour, label=f"law: {law}"
                )
            ax.axhline(rows[f"{part}_true"].iloc[0], color=BLACK, label="truth")
            ax.set(xlabel="population", ylabel=f"{part} of $Q_0$", title=kind, xticks=sorted(set(rows.population)))
    shared_legend(figure, axes[0, 0])
    return figure
