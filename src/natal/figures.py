"""Figures of a campaign: from arrays and tables to matplotlib figures, in one style.

Every function returns a `Figure` of its own, made without pyplot, so nothing is displayed, kept open or written;
save it with ``figure.savefig(path)``. Colours are those of Okabe & Ito (2008), which stay apart for colour-blind
readers. Q0 is K/|W| everywhere (equilibrium at 0.5).
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import binom

from natal.campaign import SPLITS
from natal.dataset import ReplicateMeans
from natal.design import INPUTS
from natal.emulator import DTYPE, Ensemble
from natal.nuts import Box
from natal.summaries import OUTPUTS

with warnings.catch_warnings():
    # corner imports ArviZ, which announces its next major version at import
    warnings.simplefilter("ignore", FutureWarning)
    import corner

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#808080"

SPLIT_COLOURS = dict(zip(SPLITS, (BLUE, ORANGE, GREEN), strict=True))
MEMBER_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY)
PARAMETER_STYLES = {"q0": (BLUE, "o"), "a_au": (VERMILLION, "s"), "joint": (BLACK, "D")}
SCALE_RADIUS_MAP = "viridis"

SYMBOLS = {
    "q0": r"$Q_0$",
    "a_au": r"$a$",
    "joint": "joint",
    "f_bound": r"$f_{\rm bound}$",
    "sigma_v_kms": r"$\sigma_v$",
    "r_h_au": r"$r_{\rm h}$",
}
UNITS = {"q0": "", "a_au": " AU", "f_bound": "", "sigma_v_kms": " km/s", "r_h_au": " AU"}
LABELS = {
    name: f"{SYMBOLS[name]} [{unit.strip()}]" if unit else SYMBOLS[name] for name, unit in UNITS.items()
}
LABELS["q0"] = r"$Q_0 = K/|W|$"

WIDTH_IN = 10.0
TICK_SIZE = 10
HPD_LEVELS = (0.68, 0.95)

_styled = matplotlib.rc_context(
    {
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.labelsize": 12,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.linewidth": 0.8,
        "lines.linewidth": 1.5,
        "legend.fontsize": 10,
        "legend.frameon": False,
        "figure.facecolor": "white",
        "figure.dpi": 120,
    }
)


@_styled
def design_coverage(design: pd.DataFrame, box: Box) -> Figure:
    """Where the design's points lie in the box, with a tick for each point in the margins.

    Look for: no empty regions and, in a Latin hypercube, evenly spread ticks; the legend counts how many of a
    block's n equal strata hold a point (all n in a hypercube). `design` has columns split, block, q0, a_au.
    """
    figure, axes = _panels(2, 2, 7.0, sharex="col", sharey="row", height_ratios=(1, 6), width_ratios=(6, 1))
    (top, unused), (main, right) = axes
    unused.axis("off")
    for row, (split, points) in enumerate(design.groupby(design.split.fillna("no split"), sort=False)):
        colour = SPLIT_COLOURS.get(str(split), GREY)
        filled = [
            sum(_filled_strata(b[name], box[name]) for _, b in points.groupby("block")) for name in INPUTS
        ]
        label = (
            f"{split}: n = {len(points)}; strata filled: {filled[0]} in {SYMBOLS['q0']}, {filled[1]} in $a$"
        )
        main.scatter(
            points.q0, points.a_au, s=28, color=colour, edgecolor="white", linewidth=0.5, label=label
        )
        top.vlines(points.q0, -row - 0.8, -row, color=colour, linewidth=1)
        right.hlines(points.a_au, row, row + 0.8, color=colour, linewidth=1)
    main.set(xlabel=LABELS["q0"], ylabel=LABELS["a_au"], xlim=box["q0"], ylim=box["a_au"])
    for margin in (top, right):
        margin.set(frame_on=False)
        margin.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    top.set_yticks([])
    right.set_xticks([])
    figure.legend(loc="outside lower center")
    return figure


@_styled
def energy_errors(summaries: pd.DataFrame, max_energy_error: float) -> Figure:
    """Energy errors |E_T - E_0| / |W_0| of all runs against Q0, coloured by a, and their distribution.

    Look for: everything well below the limit. Very small values are runs whose error happens to cross zero at
    the end. Columns used: q0, a_au, energy_error.
    """
    figure, axes = _panels(1, 2, 4.5, sharey=True, width_ratios=(3, 1))
    scatter, histogram = axes[0]
    # below the rounding of a double; a logarithm has no place for 0
    error = summaries.energy_error.clip(lower=1e-16)
    _scatter_by_radius(figure, scatter, summaries.q0, error, summaries.a_au)
    edges = np.geomspace(error.min(), max(error.max(), max_energy_error), 41)
    histogram.hist(error, bins=edges, orientation="horizontal", color=SKY)
    for ax in (scatter, histogram):
        ax.axhline(max_energy_error, color=VERMILLION, linestyle="--")
    note = f"limit {max_energy_error:g}"
    scatter.annotate(
        note, (0.01, max_energy_error), xycoords=("axes fraction", "data"), va="bottom", color=VERMILLION
    )
    scatter.set(yscale="log", xlabel=LABELS["q0"], ylabel=r"energy error $|E_T - E_0|\,/\,|W_0|$")
    histogram.set(xlabel="runs", title=f"n = {len(error)} runs, largest {error.max():.1e}")
    return figure


@_styled
def summary_scatter(summaries: pd.DataFrame) -> Figure:
    """What the simulator does: the three outputs of single runs against Q0, coloured by a.

    Look for: trends, scatter that grows with Q0, f_bound piling up at 1. Red ticks at the bottom are dissolved
    runs, which have no dispersion and no radius. One row a run: q0, a_au, f_bound, sigma_v_kms (km/s), r_h_au
    (AU), dissolved.
    """
    figure, axes = _panels(1, len(OUTPUTS), 4.0)
    dissolved = summaries.dissolved.astype(bool)
    alive = summaries[~dissolved]
    for ax, name in zip(axes[0], OUTPUTS, strict=True):
        _scatter_by_radius(figure if ax is axes[0, -1] else None, ax, alive.q0, alive[name], alive.a_au)
        ax.plot(
            summaries.q0[dissolved],
            np.full(dissolved.sum(), 0.025),
            linestyle="none",
            marker="|",
            markersize=10,
            color=VERMILLION,
            transform=ax.get_xaxis_transform(),
        )
        ax.set(xlabel=LABELS["q0"], ylabel=LABELS[name], ylim=(0, None))
    figure.suptitle(f"n = {len(alive)} surviving runs; {dissolved.sum()} dissolved runs (red ticks)")
    return figure


@_styled
def loss_curves(
    train_loss: Float[np.ndarray, "member epoch"],
    validation_loss: Float[np.ndarray, "member epoch"],
    best_epoch: Int[np.ndarray, " member"],
) -> Figure:
    """Mean squared error of normalised outputs against epoch, nan after a member stopped; one colour a member.

    Look for: curves that are flat at the marked best epochs, and members that agree. A validation loss that
    climbs while the training loss falls is overfitting; a best epoch at the right edge wants more epochs.
    """
    figure, axes = _panels(1, 1, 4.5)
    ax = axes[0, 0]
    for member, (train, validation, best) in enumerate(
        zip(train_loss, validation_loss, best_epoch, strict=True)
    ):
        colour = MEMBER_COLOURS[member % len(MEMBER_COLOURS)]
        ax.plot(train, color=colour, linewidth=1, alpha=0.5, linestyle=":")
        ax.plot(validation, color=colour, linewidth=1)
        ax.plot(best, validation[best], "o", color=colour, markersize=8, markeredgecolor=BLACK, zorder=3)
    ax.plot([], [], ":", color=GREY, label="training")
    ax.plot([], [], "-", color=GREY, label="validation")
    ax.plot([], [], "o", color=GREY, markeredgecolor=BLACK, label="best epoch")
    ax.legend(title=f"{len(train_loss)} members")
    ax.set(yscale="log", xlabel="epoch", ylabel="loss (mean squared error, normalised)", xlim=(0, None))
    return figure


@_styled
def predicted_vs_true(
    predicted: Float[np.ndarray, "run 3"],
    true: Float[np.ndarray, "run 3"],
    point_means_predicted: Float[np.ndarray, "point 3"],
    point_means_true: Float[np.ndarray, "point 3"],
    point_means_error: Float[np.ndarray, "point 3"],
) -> Figure:
    """Emulator against simulator on the test set, in physical units (1, km/s, AU).

    Single runs are faint: their spread about y = x is mostly the simulator's own scatter. Replicate means, with
    their standard errors `point_means_error`, show the emulator's error: look for departures from the line beyond
    the bars.
    """
    figure, axes = _panels(1, len(OUTPUTS), 4.0)
    for k, (ax, name) in enumerate(zip(axes[0], OUTPUTS, strict=True)):
        ax.scatter(true[:, k], predicted[:, k], s=6, color=SKY, alpha=0.35, linewidth=0, rasterized=True)
        means = point_means_true[:, k], point_means_predicted[:, k]
        ax.errorbar(*means, xerr=point_means_error[:, k], fmt="o", markersize=4, color=BLUE, elinewidth=1)
        ax.axline((true[:, k].mean(), true[:, k].mean()), slope=1, color=BLACK, linewidth=1)
        ax.set(xlabel=f"simulated {LABELS[name]}", ylabel=f"emulated {LABELS[name]}")
        lines = [
            f"RMSE, {kind}: {_rms(a - b):.3g}{UNITS[name]}"
            for kind, a, b in (("runs", predicted[:, k], true[:, k]), ("means", *means))
        ]
        _note(ax, "\n".join(lines))
    figure.suptitle(
        f"{len(true)} single test runs (faint); {len(means[0])} replicate means ± standard error (dark)"
    )
    return figure


@_styled
def residuals(
    residual: Float[np.ndarray, "run 3"],
    x: Float[np.ndarray, "run 2"],
    predicted: Float[np.ndarray, "run 3"],
    sigma_total: Float[np.ndarray, "3"],
) -> Figure:
    """Residuals (simulated - emulated) of single runs against Q0, a and the prediction, in physical units.

    Look for: a running mean at zero, and a running standard deviation that follows the edge of the grey band,
    ± `sigma_total`; where it does not, a constant width is wrong. The last column's abscissa is the row's output.
    """
    figure, axes = _panels(len(OUTPUTS), 3, 8.5, sharey="row")
    for k, name in enumerate(OUTPUTS):
        abscissae = (
            (LABELS["q0"], x[:, 0]),
            (LABELS["a_au"], x[:, 1]),
            (f"emulated {LABELS[name]}", predicted[:, k]),
        )
        for ax, (label, values) in zip(axes[k], abscissae, strict=True):
            ax.axhspan(
                -sigma_total[k], sigma_total[k], color=GREY, alpha=0.25, linewidth=0, label="± sigma_total"
            )
            ax.scatter(values, residual[:, k], s=5, color=SKY, alpha=0.5, linewidth=0, rasterized=True)
            centre, mean, sd = _running_moments(values, residual[:, k])
            ax.plot(centre, mean, color=BLUE, label="running mean")
            ax.plot(
                centre,
                mean + sd,
                color=BLUE,
                linestyle="--",
                linewidth=1,
                label="± running standard deviation",
            )
            ax.plot(centre, mean - sd, color=BLUE, linestyle="--", linewidth=1)
            ax.axhline(0, color=BLACK, linewidth=0.8)
            ax.set_xlabel(label)
        axes[k, 0].set_ylabel(f"residual of {LABELS[name]}")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=3, title=f"n = {len(residual)} single runs"
    )
    return figure


@_styled
def slices(
    ensemble: Ensemble,
    points: ReplicateMeans,
    a_values_au: Sequence[float] = (75.0, 125.0, 175.0),
    q0_value: float = 1.0,
    tolerance: float = 0.06,
) -> Figure:
    """The emulator along lines of constant a (AU), and of constant Q0, with the training points near each line.

    Look for: smooth curves through the points, and members that part where there are no data. Points lie within
    `tolerance` (a share of the box's width) of the line, so they may sit off a curve that varies across it; their
    bars are the scatter of single runs (1 sd), which the ensemble band (2 sd of the members) does not contain.
    """
    lines = [(1, value) for value in a_values_au] + [(0, q0_value)]
    figure, axes = _panels(len(OUTPUTS), len(lines), 8.0, sharex="col", sharey="row")
    for column, (fixed, value) in enumerate(lines):
        free = 1 - fixed
        reach = tolerance * (ensemble.box[fixed][1] - ensemble.box[fixed][0])
        near = np.abs(points.x[:, fixed] - value) <= reach
        x = np.full((200, len(INPUTS)), float(value))
        x[:, free] = np.linspace(*ensemble.box[free], len(x))
        members = np.asarray(jax.vmap(ensemble.members)(jnp.asarray(x, DTYPE)))
        mean, sd = members.mean(1), members.std(1, ddof=1)
        for k, ax in enumerate(axes[:, column]):
            ax.plot(x[:, free], members[:, :, k], color=ORANGE, linewidth=0.7)
            ax.fill_between(
                x[:, free],
                mean[:, k] - 2 * sd[:, k],
                mean[:, k] + 2 * sd[:, k],
                color=BLUE,
                alpha=0.25,
                linewidth=0,
            )
            ax.plot(x[:, free], mean[:, k], color=BLUE)
            ax.errorbar(
                points.x[near, free],
                points.mean[near, k],
                yerr=points.scatter[near, k],
                fmt="o",
                markersize=3.5,
                color=BLACK,
                elinewidth=0.8,
            )
        unit = UNITS[INPUTS[fixed]]
        axes[0, column].set_title(
            f"{SYMBOLS[INPUTS[fixed]]} = {value:g}{unit}\n({near.sum()} points, ± {reach:.2g}{unit})"
        )
        axes[-1, column].set_xlabel(LABELS[INPUTS[free]])
    for k, name in enumerate(OUTPUTS):
        axes[k, 0].set_ylabel(LABELS[name])
    band, member, mean_line, bars = (
        axes[0, 0].collections[0],
        axes[0, 0].lines[0],
        axes[0, 0].lines[ensemble.n_members],
        axes[0, 0].containers[0],
    )
    figure.legend(
        [mean_line, member, band, bars],
        ["ensemble mean", "members", "± 2 sd of members", "training replicate mean ± 1 sd of runs"],
        loc="outside upper center",
        ncols=4,
    )
    return figure


@_styled
def coverage(
    levels: Sequence[float],
    observed: Mapping[str, Sequence[float]],
    n: int,
    by_group: Mapping[str, tuple[Mapping[str, Sequence[float]], int]] | None = None,
) -> Figure:
    """Share of truths inside credible regions against the regions' nominal level.

    `observed` maps q0, a_au (central intervals) and joint (highest-density region) to a share for each of
    `levels`, over `n` cases; `by_group` maps a title to the same for a subset, one more panel each. Look for:
    points inside the grey band, where 95 % of honest results of n independent cases fall. Below the line is
    overconfident. Cases that share a design point are not quite independent, so the band is rather too narrow.
    """
    panels = {"all cases": (observed, n), **(by_group or {})}
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure, axes = _panels(rows, columns, 4.2 * rows, width=5.0 * columns, sharex=True, sharey=True)
    nominal = np.linspace(0, 1, 201)
    for ax, (title, (shares, size)) in zip(axes.flat, panels.items(), strict=False):
        low, high = _binomial_band(nominal, size)
        ax.fill_between(nominal, low, high, color=GREY, alpha=0.25, linewidth=0, label="95 % binomial band")
        ax.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
        for name, values in shares.items():
            colour, marker = PARAMETER_STYLES[name]
            ax.plot(
                levels, values, marker=marker, color=colour, markersize=5, linewidth=1, label=SYMBOLS[name]
            )
        ax.set(title=f"{title} (n = {size})", xlim=(0.4, 1.0), ylim=(0.4, 1.0))
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    axes[0, 0].legend(loc="upper left")
    figure.supxlabel("nominal level", fontsize=12)
    figure.supylabel("truths inside", fontsize=12)
    return figure


@_styled
def pit_histograms(pit: Float[np.ndarray, "case 2"], n_bins: int = 10) -> Figure:
    """Probability integral transforms of the true q0 and a: histograms and ECDF minus uniform.

    `pit` is the posterior's marginal cumulative probability at the truth, columns (q0, a_au). Look for: flat
    within the grey 95 % binomial band (of each bin, or each point). A U shape is overconfident, a hump too wide, a slope biased.
    """
    figure, axes = _panels(2, len(INPUTS), 6.5, sharex=True, sharey="row")
    n = len(pit)
    grid = np.linspace(0, 1, 201)
    bin_low, bin_high = binom.interval(0.95, n, 1 / n_bins)
    low, high = _binomial_band(grid, n)
    for k, name in enumerate(INPUTS):
        histogram, difference = axes[:, k]
        colour, _ = PARAMETER_STYLES[name]
        histogram.axhspan(bin_low, bin_high, color=GREY, alpha=0.25, linewidth=0, label="95 % binomial band")
        histogram.hist(
            pit[:, k], bins=np.linspace(0, 1, n_bins + 1), color=colour, histtype="step", linewidth=1.8
        )
        histogram.axhline(n / n_bins, color=BLACK, linewidth=0.8)
        histogram.set(title=f"{SYMBOLS[name]} (n = {n})", ylim=(0, None), xlim=(0, 1))
        ecdf = np.searchsorted(np.sort(pit[:, k]), grid, side="right") / n
        difference.fill_between(grid, low - grid, high - grid, color=GREY, alpha=0.25, linewidth=0)
        difference.plot(grid, ecdf - grid, color=colour)
        difference.axhline(0, color=BLACK, linewidth=0.8)
        difference.set_xlabel(f"PIT of true {SYMBOLS[name]}")
    axes[0, 0].set_ylabel("cases per bin")
    axes[1, 0].set_ylabel("ECDF − uniform")
    axes[0, 0].legend(loc="lower center")
    return figure


@_styled
def recovered_vs_true(recovery: pd.DataFrame) -> Figure:
    """Posterior means with 68 % intervals against the truth, for every test case.

    `recovery` is the table recovery.csv. Look for: intervals that cross the line about as often as they say, and
    where the data say little (means pulled to the middle of the box). Realizations of one design point share
    their truth and are drawn side by side.
    """
    figure, axes = _panels(1, len(INPUTS), 5.0)
    for ax, name in zip(axes[0], INPUTS, strict=True):
        true, mean = recovery[f"{name}_true"], recovery[f"{name}_mean"]
        low, high = recovery[f"{name}_q16"], recovery[f"{name}_q84"]
        rank = recovery.groupby("point_id").cumcount() / recovery.groupby("point_id").point_id.transform(
            "size"
        )
        shown = true + 0.016 * (true.max() - true.min()) * (rank - rank.mean())
        colour, _ = PARAMETER_STYLES[name]
        ax.vlines(shown, low, high, color=colour, linewidth=0.6, alpha=0.45, rasterized=True)
        ax.scatter(shown, mean, s=7, color=colour, linewidth=0, rasterized=True)
        ax.axline((true.mean(), true.mean()), slope=1, color=BLACK, linewidth=1)
        inside = ((low <= true) & (true <= high)).mean()
        ax.set(xlabel=f"true {LABELS[name]}", ylabel=f"recovered {LABELS[name]}")
        ax.set_title(
            f"RMSE {_rms(mean - true):.3g}{UNITS[name]}; {inside:.0%} of truths in their 68 % intervals"
        )
    figure.suptitle(f"n = {len(recovery)} cases: posterior mean and 68 % interval")
    return figure


@_styled
def corner_case(
    draws: Float[np.ndarray, "draw 2"],
    truth: Float[np.ndarray, "2"] | None,
    box: Box,
    title: str = "",
    grid: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """Posterior draws of (q0, a_au) of one case over the whole prior box, with 68 % and 95 % HPD contours.

    Look for: the truth (orange) inside the contours in about as many cases as their levels say, and contours cut
    off by the box. `grid` = (q0, a_au, density (q0, a_au)) adds the grid posterior's contours, dashed, at the same
    levels, and its marginals: they should coincide.
    """
    figure = Figure(figsize=(6.5, 6.5))
    limits = [box[name] for name in INPUTS]
    # bins of a third of a standard deviation resolve the contours and, smoothed by one bin, widen them by 5 %
    bins = [
        int(np.clip(3 * (high - low) / draws[:, k].std(), 20, 200)) for k, (low, high) in enumerate(limits)
    ]
    corner.corner(
        draws,
        fig=figure,
        bins=bins,
        range=limits,
        labels=[LABELS[name] for name in INPUTS],
        levels=HPD_LEVELS,
        smooth=1.0,
        color=BLUE,
        truths=truth,
        truth_color=ORANGE,
        hist_kwargs={"density": True},
        data_kwargs={"alpha": 0.15},
        plot_density=False,
        max_n_ticks=5,
    )
    axes = np.array(figure.axes).reshape(2, 2)
    (q0_panel, _), (joint, a_panel) = axes
    if grid is not None:
        q0, a_au, density = grid
        joint.contour(
            q0, a_au, density.T, sorted(_hpd_thresholds(density)), colors=BLACK, linestyles="--", linewidths=1
        )
        for ax, centres, marginal in ((q0_panel, q0, density.sum(1)), (a_panel, a_au, density.sum(0))):
            ax.plot(
                centres,
                marginal / (marginal.sum() * (centres[1] - centres[0])),
                "--",
                color=BLACK,
                linewidth=1,
            )
    for ax in axes.flat:
        ax.tick_params(labelsize=TICK_SIZE)
    lines = [title, f"n = {len(draws)} draws; contours: 68 % and 95 % HPD"]
    lines += ["dashed: grid posterior"] if grid is not None else []
    lines += ["orange: truth"] if truth is not None else []
    figure.text(0.97, 0.95, "\n".join(filter(None, lines)), ha="right", va="top")
    return figure


@_styled
def sampler_health(
    recovery: pd.DataFrame, max_rhat: float = 1.02, min_ess: float = 400.0, max_tv: float = 0.05
) -> Figure:
    """R-hat, effective sample size and distance from the grid posterior over all cases (logarithmic counts).

    Columns used: rhat (larger of the two parameters), ess_bulk (smaller), tv_grid, divergences. Look for: nothing
    beyond the dashed thresholds, and distances near the line that draws without any error would show, about
    0.4 sqrt(16 / ESS): only cases well above it disagree with the grid.
    """
    figure, axes = _panels(2, 2, 7.0)
    n = len(recovery)
    checks = (
        ("rhat", r"$\hat R$ (worst parameter)", max_rhat, "above"),
        ("ess_bulk", "bulk ESS (worst parameter)", min_ess, "below"),
        ("tv_grid", "total variation to the grid posterior", max_tv, "above"),
    )
    for ax, (column, label, threshold, side) in zip(axes.flat, checks, strict=False):
        values = recovery[column]
        bad = values > threshold if side == "above" else values < threshold
        ax.hist(values, bins=40, color=SKY, log=True)
        ax.axvline(threshold, color=VERMILLION, linestyle="--")
        ax.set(xlabel=label, ylabel="cases", title=f"{bad.sum()} of {n} {side} {threshold:g}")
    ax = axes[1, 1]
    ax.scatter(recovery.ess_bulk, recovery.tv_grid, s=8, color=SKY, rasterized=True)
    ess = np.linspace(recovery.ess_bulk.min(), recovery.ess_bulk.max(), 200)
    ax.plot(ess, 0.4 * np.sqrt(16 / ess), color=BLACK, label=r"error-free draws, $0.4\sqrt{16/\rm ESS}$")
    ax.set(xlabel="bulk ESS (worst parameter)", ylabel="total variation to the grid")
    ax.legend(loc="upper right")
    divergent = (recovery.divergences > 0).sum()
    figure.suptitle(
        f"n = {n} cases; {recovery.divergences.sum()} divergent transitions, in {divergent} cases"
    )
    return figure


@_styled
def speed_bars(seconds: Mapping[str, float]) -> Figure:
    """Wall time per forward evaluation of each method (s), fastest on top, on a logarithmic axis.

    Each bar states its time and how many times faster than the slowest it is. State device, precision and batch
    size in the labels.
    """
    figure, axes = _panels(1, 1, 1.2 + 0.5 * len(seconds))
    ax = axes[0, 0]
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    slowest, fastest = ordered[0][1], ordered[-1][1]
    for row, (label, value) in enumerate(ordered):
        ax.barh(label, value, height=0.6, color=BLUE if row else GREY)
        speedup = f"  ({slowest / value:,.3g} × faster)" if row else ""
        ax.annotate(
            _duration(value) + speedup, (value, row), xytext=(6, 0), textcoords="offset points", va="center"
        )
    ax.set(xscale="log", xlabel="wall time per evaluation [s]", xlim=(fastest / 10, slowest * 10))
    return figure


def _panels(
    rows: int, columns: int, height: float, width: float = WIDTH_IN, **options: Any
) -> tuple[Figure, Any]:
    """A figure of `height` x `width` inches with an array of axes of shape (rows, columns)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        # ticks are made when drawn, outside the style's context
        ax.tick_params(which="both", labelsize=TICK_SIZE)
    return figure, axes


def _scatter_by_radius(figure: Figure | None, ax: Axes, x: pd.Series, y: pd.Series, a_au: pd.Series) -> None:
    """Scatter single runs coloured by a; with a colour bar if `figure` is given."""
    points = ax.scatter(x, y, c=a_au, s=6, alpha=0.6, cmap=SCALE_RADIUS_MAP, linewidth=0, rasterized=True)
    if figure is not None:
        figure.colorbar(points, ax=ax, label=LABELS["a_au"]).solids.set_alpha(1)


def _note(ax: Axes, text: str) -> None:
    """Text in the upper left of a panel."""
    ax.text(0.03, 0.97, text, transform=ax.transAxes, va="top", fontsize=TICK_SIZE)


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _filled_strata(values: pd.Series, limits: tuple[float, float]) -> int:
    """How many of n equal intervals between `limits` hold at least one of n values."""
    low, high = limits
    stratum = np.floor((values - low) / (high - low) * len(values)).clip(0, len(values) - 1)
    return int(stratum.nunique())


def _running_moments(
    x: np.ndarray, y: np.ndarray, n_bins: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of x, and mean and standard deviation of y, in bins of equal counts along x."""
    bins = [part for part in np.array_split(np.argsort(x, kind="stable"), n_bins) if len(part)]
    moments = [(x[part].mean(), y[part].mean(), y[part].std()) for part in bins]
    centre, mean, sd = np.array(moments).T
    return centre, mean, sd


def _binomial_band(probability: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Central 95 % range of the share of successes in n independent trials."""
    low, high = binom.interval(0.95, n, probability)
    return low / n, high / n


def _hpd_thresholds(density: np.ndarray) -> list[float]:
    """Densities above which lies each of `HPD_LEVELS` of the mass of equal cells."""
    ordered = np.sort(density, axis=None)[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    return [float(ordered[np.searchsorted(mass, level)]) for level in HPD_LEVELS]


def _duration(seconds: float) -> str:
    """Seconds in a readable unit, to three digits."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
