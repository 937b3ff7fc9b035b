"""Figures of the study. Stable triples are blue, unstable ones vermillion; lines of the criterion are black."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, GREY, MANY_POINTS, MEMBER_COLOURS, ORANGE, VERMILLION
from natal.figures.style import dot_area, panels, shared_legend, styled
from natal.studies.triples import scores
from natal.studies.triples.criterion import criterion_ratio, critical_pericentre
from natal.studies.triples.evaluation import share
from natal.studies.triples.systems import pericentre_ratio

LABELS = ((False, BLUE, "stable"), (True, VERMILLION, "unstable"))
METHODS = (("network", BLUE, "network"), ("criterion", ORANGE, "Mardling & Aarseth, fitted odds"))


def _by_label(ax: Axes, x: np.ndarray, y: np.ndarray, unstable: np.ndarray) -> None:
    # in random order, so that neither label hides the other
    order = np.random.default_rng(0).permutation(len(x))
    colours = np.where(unstable, VERMILLION, BLUE)[order]
    ax.scatter(x[order], y[order], c=colours, s=dot_area(len(x)), alpha=0.6, **MANY_POINTS)
    for _, colour, label in LABELS:
        ax.plot([], [], "o", color=colour, markersize=5, label=label)


@styled
def stability_map(table: pd.DataFrame) -> Figure:
    """All triples over e_outer: R_p / a_in without its dependence on mass ratio and inclination, and the period ratio.

    Look for: vermillion below the criterion's curve, blue above, and the width of the mixed zone between.

    Args:
        table: Triples that were followed.
    """
    figure, (axes,) = panels(1, 2, 4.6)
    e = table.e_outer.to_numpy()
    zero, grid = np.zeros(200), np.linspace(0, e.max(), 200)
    curve = critical_pericentre(zero, grid, zero)
    scale = critical_pericentre(table.mass_ratio_outer.to_numpy(), e, table.inclination_rad.to_numpy())
    scaled = pericentre_ratio(table) * critical_pericentre(0 * e, e, 0 * e) / scale
    unstable = table.unstable.to_numpy()
    _by_label(axes[0], e, scaled, unstable)
    axes[0].plot(grid, curve, color=BLACK, label="Mardling & Aarseth (2001)")
    axes[0].set(
        xlabel=r"$e_{\rm out}$", ylabel=r"$R_p / a_{\rm in}\;/\;[(1+q_{\rm out})^{2/5}(1 - 0.3\,i/180°)]$", yscale="log"
    )
    _by_label(axes[1], e, table.period_ratio.to_numpy(), unstable)
    axes[1].set(xlabel=r"$e_{\rm out}$", ylabel=r"$P_{\rm out} / P_{\rm in}$", yscale="log")
    shared_legend(figure, axes[0])
    return figure


@styled
def inclination(table: pd.DataFrame) -> Figure:
    """Share of unstable triples by the ratio to the criterion, for thirds of the mutual inclination; and by the latter.

    Look for: curves that fall through one half at 1; these would need no correction. The criterion's factor for i is
    linear.

    Args:
        table: Triples that were followed.
    """
    figure, (axes,) = panels(1, 2, 4.2)
    ratio, degrees = criterion_ratio(table), np.degrees(table.inclination_rad.to_numpy())
    unstable = table.unstable.to_numpy()
    edges = np.geomspace(0.4, 2.5, 13)
    for low, high, colour in ((0, 60, BLUE), (60, 120, ORANGE), (120, 180, VERMILLION)):
        inside = (degrees >= low) & (degrees < high)
        _shares(axes[0], ratio[inside], unstable[inside], edges, colour, f"{low}° to {high}°", logarithmic=True)
    axes[0].axvline(1, color=BLACK, linewidth=0.8)
    axes[0].set(xscale="log", xlabel=r"$(R_p / a_{\rm in})$ / criterion", ylabel="share unstable", ylim=(0, 1))
    axes[0].set_xticks([0.5, 1, 2], ["0.5", "1", "2"])
    axes[0].set_xticks([], minor=True)
    axes[0].legend(title="mutual inclination")
    near = (ratio > 0.8) & (ratio < 1.25)
    _shares(axes[1], degrees[near], unstable[near], np.linspace(0, 180, 13), BLACK, None, logarithmic=False)
    axes[1].set(xlabel="mutual inclination [deg]", ylabel="share unstable, ratio 0.8 to 1.25", ylim=(0, 1))
    axes[1].set_xticks(range(0, 181, 30))
    return figure


def _shares(
    ax: Axes,
    x: np.ndarray,
    unstable: np.ndarray,
    edges: np.ndarray,
    colour: str,
    label: str | None,
    *,
    logarithmic: bool,
) -> None:
    """Share of unstable triples in bins of x with five or more, with exact 95 % intervals."""
    which = np.digitize(x, edges) - 1
    middle = np.sqrt(edges[:-1] * edges[1:]) if logarithmic else 0.5 * (edges[:-1] + edges[1:])
    in_bins = [share(int(unstable[which == k].sum()), int((which == k).sum())) for k in range(len(middle))]
    rows = np.array([[m, s["share"], s["low"], s["high"]] for m, s in zip(middle, in_bins, strict=True) if s["n"] >= 5])
    if rows.size:
        errors = np.abs(rows[:, 2:].T - rows[:, 1])
        ax.errorbar(rows[:, 0], rows[:, 1], errors, fmt="o-", color=colour, markersize=4, linewidth=1, label=label)


@styled
def reliability_diagrams(predictions: pd.DataFrame, n_bins: int) -> Figure:
    """Observed against predicted shares of unstable test triples, with the binomial 95 % range of honest odds.

    Look for: markers within their bars; above the diagonal more triples fall apart than predicted. The lower panels
    show how many triples each bin has.

    Args:
        predictions: Probabilities and outcomes of test triples.
        n_bins: Bins of probability.
    """
    names = (METHODS[0], ("network_untempered", GREY, "network before its temperature"), METHODS[1])
    figure, axes = panels(2, 3, 5.0, sharex=True, sharey="row", height_ratios=(3, 1))
    for (ax, counts), (name, colour, title) in zip(axes.T, names, strict=True):
        bins = scores.reliability(predictions[name].to_numpy(), predictions.outcome.to_numpy(), n_bins)
        ax.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
        ax.vlines(bins.predicted, bins.low, bins.high, colors=GREY, alpha=0.4, linewidth=6, label="95 % binomial")
        ax.plot(bins.predicted, bins.observed, "o", color=colour, markersize=5, label=f"n = {bins.n.sum():.0f}")
        ax.set(title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        ax.legend(loc="upper left")
        counts.hist(predictions[name], np.linspace(0, 1, n_bins + 1), color=colour, alpha=0.7)
        counts.set(xlabel="predicted P(unstable)", yscale="log")
    axes[0, 0].set_ylabel("share unstable")
    axes[1, 0].set_ylabel("triples")
    return figure


@styled
def roc(predictions: pd.DataFrame, report: dict[str, Any]) -> Figure:
    """ROC curves of network and criterion on test triples; on the right their corner, with the sharp criterion.

    Look for: which curve is higher, and where the cross lies, the criterion as it was meant.

    Args:
        predictions: Probabilities and outcomes of test triples.
        report: What `natal.studies.triples.evaluation.score_report` gives.
    """
    figure, (axes,) = panels(1, 2, 4.6)
    unstable = predictions.outcome.to_numpy()
    for ax in axes:
        for name, colour, label in METHODS:
            area = report["methods"][name]["auc"]
            text = f"{label}: {area['value']:.4f} [{area['low']:.4f}, {area['high']:.4f}]"
            ax.plot(*scores.roc_curve(predictions[name].to_numpy(), unstable), color=colour, label=text)
        below = predictions.criterion_ratio.to_numpy() < 1
        ax.plot(
            below[~unstable].mean(), below[unstable].mean(), "X", color=BLACK, markersize=9, label="criterion, at 1"
        )
        ax.set(xlabel="stable ones called unstable", ylabel="unstable ones called unstable")
    axes[0].set(aspect="equal", xlim=(0, 1), ylim=(0, 1.005))
    axes[1].set(xlim=(0, 0.3), ylim=(0.7, 1.003), title="corner")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=1, title="area [95 % interval]"
    )
    return figure


@styled
def energy_errors(table: pd.DataFrame, checked: pd.DataFrame) -> Figure:
    """Largest relative energy error of each triple until its label was known, and the same with the finer step.

    Look for: stable triples far below the change that makes a triple unstable; on the right a factor of four to
    sixteen.

    Args:
        table: Triples that were followed.
        checked: What `natal.studies.triples.evaluation.checked_labels` gives.
    """
    figure, (axes,) = panels(1, 2, 4.2)
    smallest = 1e-8
    bins = np.geomspace(smallest, max(1.0, float(table.energy_error.max())), 41)
    for is_unstable, colour, label in LABELS:
        values = table.energy_error[table.unstable == is_unstable].clip(lower=smallest)
        axes[0].hist(values, bins, histtype="step", color=colour, linewidth=1.8, label=f"{label} (n = {len(values)})")
    axes[0].set(xscale="log", yscale="log", xlabel=r"largest $|E / E_0 - 1|$", ylabel="triples per bin")
    axes[0].legend()
    first, finer = (
        checked[name].clip(lower=smallest).to_numpy() for name in ("energy_error", "finer_step_energy_error")
    )
    _by_label(axes[1], first, finer, checked.unstable.to_numpy())
    span = np.array([max(min(first.min(), finer.min()), smallest), max(first.max(), finer.max())])
    for factor, style in ((1, "-"), (4, "--"), (16, ":")):
        axes[1].plot(
            span, span / factor, style, color=BLACK, linewidth=0.8, label=f"1/{factor}" if factor > 1 else "equal"
        )
    axes[1].set(xscale="log", yscale="log", xlabel=r"largest $|E / E_0 - 1|$", ylabel="with the finer step")
    axes[1].legend(fontsize=8)
    return figure


@styled
def checks(checked: pd.DataFrame, unstable_change: float, parted: float) -> Figure:
    """How far neighbours ended from each other, by label; and the largest change of an axis with a finer step.

    Look for: two heaps on the left, regular and chaotic. On the right, look for points near the diagonal, and few in
    the upper left and lower right quarters, where the labels differ.

    Args:
        checked: What `natal.studies.triples.evaluation.checked_labels` gives.
        unstable_change: Change of an axis that makes a triple unstable.
        parted: Relative distance above which neighbours have parted.
    """
    figure, (axes,) = panels(1, 2, 4.4)
    distance = checked.neighbour_distance.clip(lower=1e-10, upper=1e2)
    for is_unstable, colour, label in LABELS:
        values = distance[checked.unstable == is_unstable]
        axes[0].hist(values, np.geomspace(1e-10, 1e2, 37), histtype="step", color=colour, linewidth=1.8, label=label)
    axes[0].axvline(parted, color=BLACK, linestyle="--", label="counts as parted")
    axes[0].set(xscale="log", xlabel="relative distance of inner separations at the end", ylabel="triples per bin")
    axes[0].legend()
    first, finer = (checked[name].clip(1e-4, 10).to_numpy() for name in ("max_change", "finer_step_max_change"))
    _by_label(axes[1], first, finer, checked.unstable.to_numpy())
    axes[1].plot([1e-4, 10], [1e-4, 10], color=BLACK, linewidth=0.8)
    for line in (axes[1].axhline, axes[1].axvline):
        line(unstable_change, color=BLACK, linestyle="--", linewidth=0.8)
    axes[1].set(xscale="log", yscale="log", xlabel="largest change of an axis", ylabel="with the finer step")
    axes[1].legend()
    return figure


@styled
def training(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Cross entropy of each member by epoch, on training triples (dashed) and validation triples; one panel a label.

    Look for: solid curves that have turned before they end, close to the dashed ones.

    Args:
        curves: Learning curves by label.
    """
    figure, (axes,) = panels(1, len(curves), 4.0, sharey=True)
    for ax, (name, table) in zip(axes, curves.items(), strict=True):
        for member, rows in table.groupby("member"):
            colour = MEMBER_COLOURS[int(str(member)) % len(MEMBER_COLOURS)]
            one = member == 0
            ax.plot(rows.epoch, rows.train_loss, "--", color=colour, linewidth=0.8, label="training" if one else None)
            ax.plot(rows.epoch, rows.validation_loss, color=colour, label="validation" if one else None)
        ax.set(xlabel="epoch", yscale="log", title=name)
    axes[0].set_ylabel("cross entropy [nat]")
    axes[0].legend()
    return figure


@styled
def chaos(table: pd.DataFrame, checked: pd.DataFrame, predictions: pd.DataFrame, chaotic_megno: float) -> Figure:
    """The two labels: MEGNO by stability and against twins' distance, shares by the criterion, ROC curves of chaos.

    Look for: stable triples in a heap at 2; twins that part where MEGNO is large; chaos that reaches beyond the
    boundary of lost orbits; and how well network and criterion, fitted again, predict chaos.

    Args:
        table: Triples that were followed.
        checked: What `natal.studies.triples.evaluation.checked_labels` gives.
        predictions: Probabilities and outcomes of test triples for chaos.
        chaotic_megno: MEGNO above which a triple is chaotic.
    """
    figure, ((left, right), (shares, curves)) = panels(2, 2, 8.0)
    limits = (0.1, 1e3)
    for is_unstable, colour, label in LABELS:
        values = table.megno[table.unstable == is_unstable].clip(*limits)
        left.hist(values, np.geomspace(*limits, 61), histtype="step", color=colour, linewidth=1.8, label=label)
    left.axvline(chaotic_megno, color=BLACK, linestyle="--", label="counts as chaotic")
    left.set(xscale="log", yscale="log", xlabel="MEGNO", ylabel="triples per bin")
    left.legend()
    distance = checked.neighbour_distance.clip(1e-10, 1e2).to_numpy()
    _by_label(right, checked.megno.clip(*limits).to_numpy(), distance, checked.unstable.to_numpy())
    right.axvline(chaotic_megno, color=BLACK, linestyle="--")
    right.set(xscale="log", yscale="log", xlabel="MEGNO", ylabel="relative distance of twins at the end")
    ratio, edges = criterion_ratio(table), np.geomspace(0.4, 5, 16)
    for name, colour in (("unstable", VERMILLION), ("chaotic", BLUE)):
        _shares(shares, ratio, table[name].to_numpy(), edges, colour, name, logarithmic=True)
    shares.axvline(1, color=BLACK, linewidth=0.8)
    shares.set(xscale="log", xlabel=r"$(R_p / a_{\rm in})$ / criterion", ylabel="share", ylim=(0, 1))
    shares.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
    shares.set_xticks([], minor=True)
    shares.legend()
    for name, colour, label in METHODS:
        curves.plot(
            *scores.roc_curve(predictions[name].to_numpy(), predictions.outcome.to_numpy()), color=colour, label=label
        )
    curves.set(xlabel="regular ones called chaotic", ylabel="chaotic ones called chaotic", aspect="equal")
    curves.legend()
    return figure
