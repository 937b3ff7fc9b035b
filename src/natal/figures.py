"""Figures of a campaign: from arrays and tables to matplotlib figures, in one style.

Every function returns a `Figure` of its own, made without pyplot, so that nothing is displayed, kept open or written;
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
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullFormatter, PercentFormatter
from scipy.stats import binom

from natal.campaign import CALIBRATION, SPLITS
from natal.dataset import ReplicateMeans
from natal.design import INPUTS
from natal.emulator import DTYPE, Ensemble
from natal.nuts import Box
from natal.summaries import OUTPUTS

with warnings.catch_warnings():
    # corner imports ArviZ, which announces its next major version at import
    warnings.simplefilter("ignore", FutureWarning)
    import corner

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#808080"

SPLIT_COLOURS = dict(zip(SPLITS, (BLUE, ORANGE, GREEN), strict=True))
MEMBER_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY)
PARAMETER_COLOURS = {"q0": BLUE, "a_au": VERMILLION, "joint": BLACK}
PARAMETER_MARKERS = {"q0": "o", "a_au": "s", "joint": "D"}
BAND: dict[str, Any] = {"color": GREY, "alpha": 0.25, "linewidth": 0}
# a vector format would otherwise hold thousands of symbols
MANY_POINTS: dict[str, Any] = {"linewidth": 0, "rasterized": True}

SYMBOLS = {
    "q0": r"$Q_0$",
    "a_au": r"$a$",
    "joint": "joint",
    "f_bound": r"$f_{\rm bound}$",
    "sigma_v_kms": r"$\sigma_v$",
    "r_h_au": r"$r_h$",
}
UNITS = {"q0": "", "a_au": " AU", "f_bound": "", "sigma_v_kms": " km/s", "r_h_au": " AU"}
LABELS = {name: f"{SYMBOLS[name]} [{unit.strip()}]" if unit else SYMBOLS[name] for name, unit in UNITS.items()}
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
        "legend.fontsize": 10,
        "legend.frameon": False,
        "figure.titlesize": 12,
        "figure.facecolor": "white",
        "figure.dpi": 120,
    }
)


@_styled
def design_coverage(design: pd.DataFrame, box: Box) -> Figure:
    """Where the design's points lie in the box, with a tick for each point in the margins.

    Look for: no empty regions and, in a Latin hypercube, evenly spread ticks; the legend counts how many of a block's
    n equal strata hold a point (all n in a hypercube). The calibration's independent draws, small and without ticks,
    clump as chance has it. `design` has columns split, block, q0, a_au.
    """
    figure, axes = _panels(2, 2, 7.0, sharex="col", sharey="row", height_ratios=(1, 6), width_ratios=(6, 1))
    (top, corner_panel), (main, right) = axes
    drawn = design[design.split == CALIBRATION]
    if len(drawn):
        label = f"calibration: n = {len(drawn)} independent draws"
        main.scatter(drawn.q0, drawn.a_au, s=6, color=PURPLE, label=label, zorder=0, **MANY_POINTS)
    hypercubes = design[design.split != CALIBRATION]
    for row, (found, points) in enumerate(hypercubes.groupby("split", sort=False, dropna=False)):
        split = str(found) if found in SPLITS else "no split"
        colour = SPLIT_COLOURS.get(split, GREY)
        in_q0, in_a = (sum(_filled_strata(b[name], box[name]) for _, b in points.groupby("block")) for name in INPUTS)
        label = f"{split}: n = {len(points)}; strata filled: {in_q0} in {SYMBOLS['q0']}, {in_a} in {SYMBOLS['a_au']}"
        main.scatter(points.q0, points.a_au, s=28, color=colour, edgecolor="white", linewidth=0.5, label=label)
        top.vlines(points.q0, -row - 0.8, -row, color=colour, linewidth=1)
        right.hlines(points.a_au, row, row + 0.8, color=colour, linewidth=1)
    main.set(xlabel=LABELS["q0"], ylabel=LABELS["a_au"], xlim=box["q0"], ylim=box["a_au"])
    for ax in (top, corner_panel, right):
        ax.axis("off")
    figure.legend(loc="outside lower center")
    return figure


@_styled
def energy_errors(summaries: pd.DataFrame, max_energy_error: float) -> Figure:
    """Energy errors |E_T - E_0| / |W_0| of all runs against Q0, coloured by a, and their distribution.

    Look for: everything well below the limit. Very small values are runs whose error happens to cross zero at the
    end. Columns used: q0, a_au, energy_error.
    """
    figure, axes = _panels(1, 2, 4.5, sharey=True, width_ratios=(4, 1))
    scatter, histogram = axes[0]
    # smaller than the rounding of a double; a logarithmic axis has no place for 0
    error = summaries.energy_error.clip(lower=1e-16)
    colours = _scatter_by_radius(scatter, summaries.q0, error, summaries.a_au)
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


@_styled
def summary_scatter(summaries: pd.DataFrame) -> Figure:
    """What the simulator does: the three outputs of single runs against Q0, coloured by a.

    Look for: trends, scatter that grows with Q0, f_bound piling up at 1. Red ticks at the bottom are dissolved runs,
    which have no dispersion and no radius. Columns used: q0, a_au, f_bound, sigma_v_kms, r_h_au, dissolved.
    """
    figure, axes = _panels(1, len(OUTPUTS), 4.0)
    dissolved = summaries.dissolved.astype(bool)
    alive = summaries[~dissolved]
    for ax, name in zip(axes[0], OUTPUTS, strict=True):
        colours = _scatter_by_radius(ax, alive.q0, alive[name], alive.a_au)
        ax.vlines(summaries.q0[dissolved], 0, 0.045, color=VERMILLION, linewidth=1, transform=ax.get_xaxis_transform())
        ax.set(xlabel=LABELS["q0"], ylabel=LABELS[name], ylim=(0, None))
    figure.colorbar(colours, ax=axes, label=LABELS["a_au"])
    figure.suptitle(f"n = {len(alive)} surviving runs; {dissolved.sum()} dissolved runs (red ticks)")
    return figure


@_styled
def loss_curves(
    train_loss: Float[np.ndarray, "member epoch"],
    validation_loss: Float[np.ndarray, "member epoch"],
    best_epoch: Int[np.ndarray, " member"],
) -> Figure:
    """Mean squared error of normalised outputs against epoch, nan after a member stopped; right: the end, enlarged.

    One colour a member. Look for: curves flat at the marked best epochs, and members that agree. A validation loss
    that climbs while the training loss falls is overfitting; best epochs at the right edge want more epochs.
    """
    figure, axes = _panels(1, 2, 4.5)
    for ax in axes[0]:
        for member, best in enumerate(best_epoch):
            colour = MEMBER_COLOURS[member % len(MEMBER_COLOURS)]
            ax.plot(train_loss[member], "--", color=colour, linewidth=1)
            ax.plot(validation_loss[member], color=colour, linewidth=1)
            ax.plot(best, validation_loss[member, best], "o", color=colour, markeredgecolor=BLACK, zorder=3)
        ax.set_xlabel("epoch")
    axes[0, 0].set(yscale="log", ylabel="mean squared error of normalised outputs")
    axes[0, 1].set_ylim(0.98 * np.nanmin(train_loss), 1.2 * np.nanmin(validation_loss))
    for marker, label in (("--", "training"), ("-", "validation"), ("o", "best epoch")):
        axes[0, 0].plot([], [], marker, color=GREY, label=label)
    axes[0, 0].legend(title=f"{len(best_epoch)} members")
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

    Single runs are faint: their spread about y = x is mostly the simulator's own scatter. Replicate means, with their
    standard errors `point_means_error`, show the emulator's error: look for departures from the line beyond the bars.
    """
    figure, axes = _panels(1, len(OUTPUTS), 4.1)
    for k, (ax, name) in enumerate(zip(axes[0], OUTPUTS, strict=True)):
        run, mean = (true[:, k], predicted[:, k]), (point_means_true[:, k], point_means_predicted[:, k])
        ax.scatter(*run, s=6, color=SKY, alpha=0.4, **MANY_POINTS)
        ax.errorbar(*mean, xerr=point_means_error[:, k], fmt="o", markersize=4, color=BLUE, elinewidth=1)
        limits = (min(map(np.min, run)), max(map(np.max, run)))
        ax.plot(limits, limits, color=BLACK, linewidth=1)
        ax.set(xlabel=f"simulated {LABELS[name]}", ylabel=f"emulated {LABELS[name]}", aspect="equal")
        of_runs, of_means = (f"{_rms(y - x):.3g}{UNITS[name]}" for x, y in (run, mean))
        ax.set_title(f"RMSE of runs {of_runs},\nof means {of_means}")
    figure.suptitle(f"{len(true)} single test runs (faint), {len(point_means_true)} replicate means ± standard error")
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
    ± `sigma_total`; where it does not, a constant width is wrong. The last column's abscissa is the row's own output.
    """
    figure, axes = _panels(len(OUTPUTS), 3, 8.5, sharey="row")
    for k, name in enumerate(OUTPUTS):
        abscissae = {LABELS["q0"]: x[:, 0], LABELS["a_au"]: x[:, 1], f"emulated {LABELS[name]}": predicted[:, k]}
        for ax, (label, values) in zip(axes[k], abscissae.items(), strict=True):
            ax.axhspan(-sigma_total[k], sigma_total[k], label=r"$\pm\,\sigma_{\rm total}$", **BAND)
            ax.scatter(values, residual[:, k], s=5, color=SKY, alpha=0.5, **MANY_POINTS)
            centre, mean, sd = _running_moments(values, residual[:, k])
            ax.plot(centre, mean, color=BLUE, label="running mean")
            for edge in (mean - sd, mean + sd):
                ax.plot(centre, edge, "--", color=BLUE, linewidth=1, label="± running standard deviation")
            ax.axhline(0, color=BLACK, linewidth=0.8)
            ax.set_xlabel(label)
        axes[k, 0].set_ylabel(f"residual of {LABELS[name]}")
    _shared_legend(figure, axes[0, 0], title=f"n = {len(residual)} single runs")
    return figure


@_styled
def slices(
    ensemble: Ensemble,
    points: ReplicateMeans,
    a_values_au: Sequence[float] | None = None,
    q0_value: float | None = None,
    tolerance: float = 0.06,
) -> Figure:
    """The emulator along lines of constant a (AU), and of constant Q0, with the training points near each line.

    By default three values of a that part the box evenly, and the middle of Q0. Look for: smooth curves through the
    points, and members that part where data are few. Points lie within `tolerance` (a share of the box's width) of
    the line, so they may sit off a curve that varies across it; their bars are the scatter of single runs (1 sd),
    which the band of the ensemble (2 sd of its members) does not contain.
    """
    (q0_low, q0_high), (a_low, a_high) = ensemble.box
    a_values = a_values_au or [a_low + share * (a_high - a_low) for share in (1 / 6, 1 / 2, 5 / 6)]
    q0_middle = 0.5 * (q0_low + q0_high)
    lines = [*((1, a) for a in a_values), (0, q0_middle if q0_value is None else q0_value)]
    figure, axes = _panels(len(OUTPUTS), len(lines), 8.0, sharex="col", sharey="row")
    for column, (fixed, value) in enumerate(lines):
        free, unit = 1 - fixed, UNITS[INPUTS[fixed]]
        reach = tolerance * (ensemble.box[fixed][1] - ensemble.box[fixed][0])
        near = np.abs(points.x[:, fixed] - value) <= reach
        x = np.full((200, len(INPUTS)), float(value))
        x[:, free] = np.linspace(*ensemble.box[free], len(x))
        members = np.asarray(jax.vmap(ensemble.members)(jnp.asarray(x, DTYPE)))
        mean, sd = members.mean(1), members.std(1, ddof=1)
        for k, ax in enumerate(axes[:, column]):
            low, high = mean[:, k] - 2 * sd[:, k], mean[:, k] + 2 * sd[:, k]
            ax.fill_between(x[:, free], low, high, color=SKY, alpha=0.5, linewidth=0, label="± 2 sd of members")
            ax.plot(x[:, free], members[:, :, k], color=ORANGE, linewidth=0.7, label="members")
            ax.plot(x[:, free], mean[:, k], color=BLUE, linewidth=1, label="ensemble mean")
            bars = {"fmt": "o", "markersize": 3.5, "color": BLACK, "elinewidth": 0.8}
            label = "training: replicate mean ± 1 sd of single runs"
            ax.errorbar(points.x[near, free], points.mean[near, k], points.scatter[near, k], label=label, **bars)
        title = f"{SYMBOLS[INPUTS[fixed]]} = {value:g}{unit}\n({near.sum()} points within ± {reach:.2g}{unit})"
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel(LABELS[INPUTS[free]])
    for ax, name in zip(axes[:, 0], OUTPUTS, strict=True):
        ax.set_ylabel(LABELS[name])
    _shared_legend(figure, axes[0, 0])
    return figure


@_styled
def coverage(
    levels: Sequence[float],
    observed: Mapping[str, Sequence[float]],
    n: int,
    by_group: Mapping[str, tuple[Mapping[str, Sequence[float]], int]] | None = None,
    errors: Sequence[Mapping[str, Sequence[float]]] | None = None,
) -> Figure:
    """Share of truths inside credible regions against the regions' nominal level.

    `observed` maps q0, a_au (central intervals) and joint (highest-density region) to a share for each of `levels`,
    over `n` cases; `by_group` maps a title to the same for a subset, one more panel each, and `errors` holds standard
    errors of the shares, panel by panel. Look for: points inside the grey band, where 95 % of honest results of n
    independent cases fall; below the line is overconfident. Realizations of one design point share their truth and are
    not independent, which the band ignores and the errors (bars of 1 sd, `calibration.clustered_errors`) do not.
    """
    panels = {"all cases": (observed, n), **(by_group or {})}
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    figure, axes = _panels(rows, columns, 4.3 * rows, width=5.0 * columns, sharex=True, sharey=True)
    nominal = np.linspace(0, 1, 401)
    lowest = min(
        min(levels), *(share for shares, _ in panels.values() for values in shares.values() for share in values)
    )
    for panel, (ax, (title, (shares, size))) in enumerate(zip(axes.flat, panels.items(), strict=False)):
        ax.fill_between(nominal, *_binomial_band(nominal, size), label="95 % binomial band", **BAND)
        ax.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
        for name, values in shares.items():
            style = {"marker": PARAMETER_MARKERS[name], "color": PARAMETER_COLOURS[name]}
            spread = errors[panel][name] if errors else None
            ax.errorbar(levels, values, spread, label=SYMBOLS[name], markersize=5, linewidth=1, **style)
        ax.set(title=f"{title} (n = {size})", xlim=(min(levels) - 0.05, 1), ylim=(lowest - 0.05, 1))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    axes[0, 0].legend(loc="upper left")
    figure.supxlabel("nominal level", fontsize=12)
    figure.supylabel("truths inside", fontsize=12)
    return figure


@_styled
def pit_histograms(pit: Float[np.ndarray, "case 2"], n_bins: int = 10) -> Figure:
    """Probability integral transforms of the true q0 and a: histograms, and ECDF minus uniform.

    `pit` is the posterior's marginal cumulative probability at the truth, columns (q0, a_au). Look for: flat within
    the grey 95 % binomial band of n independent cases (see `coverage`), which holds for each bin or point by itself.
    A U shape is overconfident, a hump is too wide, a slope is biased.
    """
    figure, axes = _panels(2, len(INPUTS), 6.5, sharex=True, sharey="row")
    n, grid = len(pit), np.linspace(0, 1, 401)
    low, high = _binomial_band(grid, n)
    for k, name in enumerate(INPUTS):
        histogram, difference = axes[:, k]
        histogram.axhspan(*binom.interval(0.95, n, 1 / n_bins), label="95 % binomial band", **BAND)
        histogram.axhline(n / n_bins, color=BLACK, linewidth=0.8)
        counts, edges = np.histogram(pit[:, k], n_bins, (0, 1))
        histogram.stairs(counts, edges, color=PARAMETER_COLOURS[name], linewidth=1.8)
        histogram.set(title=f"{SYMBOLS[name]} (n = {n})", ylim=(0, None), xlim=(0, 1))
        difference.fill_between(grid, low - grid, high - grid, **BAND)
        difference.axhline(0, color=BLACK, linewidth=0.8)
        ecdf = np.searchsorted(np.sort(pit[:, k]), grid, side="right") / n
        difference.plot(grid, ecdf - grid, color=PARAMETER_COLOURS[name])
        difference.set_xlabel(f"PIT of true {SYMBOLS[name]}")
    axes[0, 0].set_ylabel("cases per bin")
    axes[1, 0].set_ylabel("ECDF − uniform")
    axes[0, 0].legend(loc="lower center")
    return figure


@_styled
def recovered_vs_true(recovery: pd.DataFrame) -> Figure:
    """Posterior means with 68 % intervals against the truth, for every test case.

    `recovery` is the table recovery.csv. Look for: intervals that cross the line about as often as they say, and
    where the data say little (means pulled to the middle of the box). Realizations of one design point share their
    truth and are drawn side by side.
    """
    figure, axes = _panels(1, len(INPUTS), 5.0)
    realizations = recovery.groupby("point_id").point_id
    offset = realizations.cumcount() / realizations.transform("size") - 0.5
    for ax, name in zip(axes[0], INPUTS, strict=True):
        true, mean, low, high = (recovery[f"{name}_{column}"] for column in ("true", "mean", "q16", "q84"))
        shown = true + 0.016 * np.ptp(true) * offset
        ax.vlines(shown, low, high, color=PARAMETER_COLOURS[name], linewidth=0.6, alpha=0.45, rasterized=True)
        ax.scatter(shown, mean, s=7, color=PARAMETER_COLOURS[name], **MANY_POINTS)
        ax.axline((true.mean(), true.mean()), slope=1, color=BLACK, linewidth=1)
        inside = 100 * ((low <= true) & (true <= high)).mean()
        ax.set(xlabel=f"true {LABELS[name]}", ylabel=f"recovered {LABELS[name]}")
        ax.set_title(f"RMSE {_rms(mean - true):.3g}{UNITS[name]}; {inside:.0f} % of truths in their 68 % intervals")
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

    Look for: the truth (orange) inside the contours in about as many cases as their levels say, and contours cut off
    by the box. `grid` = (q0, a_au, density (q0, a_au)) adds the grid posterior, dashed: its contours at the same
    levels and its marginals should coincide with those of the draws.
    """
    figure = Figure(figsize=(6.5, 6.5))
    # a third of the sd across a correlated posterior: smoothing by one bin then hardly widens the contours
    narrowest = draws.std(0) * np.sqrt(1 - np.corrcoef(draws.T)[0, 1] ** 2)
    widths = np.array([box[name][1] - box[name][0] for name in INPUTS])
    corner.corner(
        draws,
        fig=figure,
        bins=np.clip(3 * widths / narrowest, 20, 200).astype(int).tolist(),
        hist_bin_factor=0.6,
        range=[box[name] for name in INPUTS],
        labels=[LABELS[name] for name in INPUTS],
        labelpad=-0.1,
        levels=HPD_LEVELS,
        smooth=1.0,
        color=BLUE,
        truths=truth,
        truth_color=ORANGE,
        hist_kwargs={"density": True},
        plot_density=False,
    )
    lines = [title, f"{len(draws)} draws", "contours: 68 % and 95 % HPD"]
    lines += ["orange: truth"] if truth is not None else []
    lines += ["dashed: grid posterior"] if grid is not None else []
    figure.text(0.57, 0.92, "\n".join(filter(None, lines)), va="top")
    for ax in figure.axes:
        ax.tick_params(labelsize=TICK_SIZE)
    if grid is not None:
        q0, a_au, density = grid
        dashed: dict[str, Any] = {"linestyles": "--", "linewidths": 1}
        figure.axes[2].contour(q0, a_au, density.T, _hpd_thresholds(density), colors=BLACK, **dashed)
        for ax, centres, marginal in ((figure.axes[0], q0, density.sum(1)), (figure.axes[3], a_au, density.sum(0))):
            ax.plot(centres, marginal / (marginal.sum() * (centres[1] - centres[0])), "--", color=BLACK, linewidth=1)
    return figure


@_styled
def sampler_health(
    recovery: pd.DataFrame, max_rhat: float = 1.02, min_ess: float = 400.0, max_tv: float = 0.05
) -> Figure:
    """R-hat, effective sample size and distance from the grid posterior over all cases (logarithmic counts).

    Columns used: rhat (larger of the two parameters), ess_bulk (smaller), tv_grid, divergences. Look for: nothing
    beyond the dashed thresholds, and distances near the curve that error-free independent draws would show, about
    0.4 sqrt(16 / ESS): only cases well above it disagree with the grid.
    """
    figure, axes = _panels(2, 2, 7.0)
    n, ess, tv = len(recovery), recovery.ess_bulk, recovery.tv_grid
    checks = (
        (recovery.rhat, r"$\hat R$ (worst parameter)", max_rhat, f"above {max_rhat:g}", recovery.rhat > max_rhat),
        (ess, "bulk ESS (worst parameter)", min_ess, f"below {min_ess:g}", ess < min_ess),
        (tv, "total variation to the grid posterior", max_tv, f"above {max_tv:g}", tv > max_tv),
    )
    for ax, (values, label, threshold, where, bad) in zip(axes.flat, checks, strict=False):
        ax.hist(values, bins=40, color=SKY, log=True)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.axvline(threshold, color=VERMILLION, linestyle="--")
        ax.set(xlabel=label, ylabel="cases", ylim=(0.7, None), title=f"{bad.sum()} of {n} {where}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax = axes[1, 1]
    ax.scatter(ess, tv, s=8, color=SKY, **MANY_POINTS)
    sizes = np.linspace(ess.min(), ess.max(), 200)
    ax.plot(sizes, 0.4 * np.sqrt(16 / sizes), color=BLACK, label=r"independent draws: $0.4\,\sqrt{16\,/\,{\rm ESS}}$")
    ax.set(xlabel="bulk ESS (worst parameter)", ylabel="total variation to the grid", ylim=(0, 1.25 * tv.max()))
    ax.legend(loc="upper right")
    divergences = recovery.divergences
    figure.suptitle(f"n = {n} cases; {divergences.sum()} divergent transitions in {(divergences > 0).sum()} cases")
    return figure


@_styled
def speed_bars(seconds: Mapping[str, float]) -> Figure:
    """Wall time per forward evaluation of each method (given in s), fastest on top, on a logarithmic axis.

    Bars state their time and how many times faster than the slowest they are. Say device, precision and batch size
    in the labels.
    """
    figure, axes = _panels(1, 1, 1.2 + 0.5 * len(seconds))
    ax, with_prefix = axes[0, 0], EngFormatter("s")
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    slowest, fastest = ordered[0][1], ordered[-1][1]
    for row, (label, value) in enumerate(ordered):
        ax.barh(label, value, height=0.6, color=BLUE if row else GREY)
        text = with_prefix(float(f"{value:.3g}")) + (
            f"  ({float(f'{slowest / value:.2g}'):,g} × faster)" if row else ""
        )
        ax.annotate(text, (value, row), xytext=(6, 0), textcoords="offset points", va="center")
    ax.set(xscale="log", xlabel="wall time per evaluation", xlim=(fastest / 10, slowest * 10))
    ax.xaxis.set_major_formatter(with_prefix)
    return figure


def _panels(rows: int, columns: int, height: float, width: float = WIDTH_IN, **options: Any) -> tuple[Figure, Any]:
    """A figure of `height` x `width` inches with an array of axes of shape (rows, columns)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        # ticks are made when drawn, which is outside the style's context
        ax.tick_params(which="both", labelsize=TICK_SIZE)
    return figure, axes


def _scatter_by_radius(ax: Axes, x: pd.Series, y: pd.Series, a_au: pd.Series) -> ScalarMappable:
    """Scatter single runs coloured by a; returns what a colour bar needs."""
    points = ax.scatter(x, y, c=a_au, s=6, alpha=0.6, cmap="viridis", **MANY_POINTS)
    # the bar of the points themselves would be as transparent as they are
    return ScalarMappable(points.norm, points.cmap)


def _shared_legend(figure: Figure, ax: Axes, **options: Any) -> None:
    """One legend above all panels with each label of `ax` once."""
    unique = {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=len(unique), **options)


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _filled_strata(values: pd.Series, limits: tuple[float, float]) -> int:
    """How many of n equal intervals between `limits` hold at least one of n values."""
    low, high = limits
    return int(np.floor((values - low) / (high - low) * len(values)).clip(0, len(values) - 1).nunique())


def _running_moments(x: np.ndarray, y: np.ndarray, n_bins: int = 12) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Mean of x, and mean and standard deviation of y, in bins of about equal counts along x."""
    bins = pd.DataFrame({"x": x, "y": y, "bin": pd.qcut(x, n_bins, labels=False, duplicates="drop")}).groupby("bin")
    return bins.x.mean(), bins.y.mean(), bins.y.std()


def _binomial_band(probability: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Central 95 % range of the share of successes in n independent trials."""
    low, high = np.asarray(binom.interval(0.95, n, probability)) / n
    return low, high


def _hpd_thresholds(density: np.ndarray) -> list[float]:
    """Increasing densities above which lies each of `HPD_LEVELS` of the mass of equal cells."""
    ordered = np.sort(density, axis=None)[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    return sorted(float(ordered[np.searchsorted(mass, level)]) for level in HPD_LEVELS)
