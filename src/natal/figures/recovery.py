"""Figures of the recovery of test clusters: truths against posteriors, and the sampler's health."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from natal.assessment.coverage import LEVELS
from natal.assessment.uniformity import binomial_range
from natal.figures.colours import BAND, BLACK, MANY_POINTS, PARAMETER_COLOURS, PARAMETER_MARKERS, SKY, VERMILLION
from natal.figures.labels import LABELS, SYMBOLS, UNITS
from natal.figures.style import binomial_band, dot_area, is_narrow, is_on_paper, panels, rms, shared_legend, styled
from natal.variables import BIRTH


@styled
def recovered_vs_true(recovery: pd.DataFrame) -> Figure:
    """Posterior means with 68 % intervals against the truth, for every test case.

    Look for: intervals that cross the line about as often as they say, and regions where the data say little (means
    near the middle of the box). Realizations of one design point share their truth and are drawn side by side.

    Args:
        recovery: recovery.csv.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(BIRTH), 5.0)
    realizations = recovery.groupby("point_id").point_id
    offset = realizations.cumcount() / realizations.transform("size") - 0.5
    for ax, name in zip(axes[0], BIRTH, strict=True):
        true, mean, low, high = (recovery[f"{name}_{column}"] for column in ("true", "mean", "q16", "q84"))
        beside_true = true + 0.016 * np.ptp(true) * offset
        ax.vlines(beside_true, low, high, color=PARAMETER_COLOURS[name], linewidth=0.6, alpha=0.45, rasterized=True)
        ax.scatter(beside_true, mean, s=dot_area(len(mean)), color=PARAMETER_COLOURS[name], **MANY_POINTS)
        ax.axline((true.mean(), true.mean()), slope=1, color=BLACK, linewidth=1)
        inside = 100 * ((low <= true) & (true <= high)).mean()
        ax.set(xlabel=f"true {LABELS[name]}", ylabel=f"recovered {LABELS[name]}")
        gap = "\n" if is_on_paper() else " "
        ax.set_title(f"RMSE {rms(mean - true):.3g}{UNITS[name]};{gap}{inside:.0f} % of truths in their 68 % intervals")
    figure.suptitle(f"n = {len(recovery)} cases: posterior mean and 68 % interval")
    return figure


@styled
def coverage(
    levels: Sequence[float],
    observed: Mapping[str, Sequence[float]],
    n: int,
    by_group: Mapping[str, tuple[Mapping[str, Sequence[float]], int]] | None = None,
    errors: Sequence[Mapping[str, Sequence[float]]] | None = None,
) -> Figure:
    """Share of truths inside credible regions against the regions' nominal level.

    Look for: points inside the grey band, which holds 95 % of honest results of n independent cases; points below the
    line are overconfident. Realizations of one design point share their truth, so they are not independent: the band
    does not know this, the bars (1 sd) do.

    Args:
        levels: Nominal levels.
        observed: For q0 and a_au (central intervals) and joint (highest-density region) a share for each level.
        n: Number of cases.
        by_group: By title the same for a subset, with its n; each is one more panel.
        errors: Standard errors of the shares, panel by panel (`natal.assessment.coverage.clustered_errors`).

    Returns:
        The figure.
    """
    parts = {"all cases": (observed, n), **(by_group or {})}
    columns = min(len(parts), 2)
    rows = -(-len(parts) // columns)
    figure, axes = panels(rows, columns, 4.3 * rows, width=5.0 * columns, sharex=True, sharey=True)
    nominal = np.linspace(0, 1, 401)
    observed_shares = (share for shares, _ in parts.values() for values in shares.values() for share in values)
    lowest = min(*levels, *observed_shares)
    for panel, (ax, (title, (shares, size))) in enumerate(zip(axes.flat, parts.items(), strict=False)):
        ax.fill_between(nominal, *binomial_band(nominal, size), label="95 % binomial band", **BAND)
        ax.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
        for name, values in shares.items():
            style = {"marker": PARAMETER_MARKERS[name], "color": PARAMETER_COLOURS[name]}
            spread = errors[panel][name] if errors else None
            ax.errorbar(levels, values, spread, label=SYMBOLS[name], markersize=5, linewidth=1, **style)
        gap = "\n" if is_narrow() else " "
        ax.set(title=f"{title}{gap}(n = {size})", xlim=(min(levels) - 0.05, 1), ylim=(lowest - 0.05, 1))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    for ax in axes.flat[len(parts) :]:
        ax.axis("off")
    shared_legend(figure, axes[0, 0])
    figure.supxlabel("nominal level")
    figure.supylabel("truths inside")
    return figure


@styled
def pit_histograms(pit: Float[np.ndarray, "case birth"], n_bins: int = 10) -> Figure:
    """Probability integral transforms of the true q0 and a: histograms, and ECDF minus uniform.

    Look for: flat within the grey 95 % binomial band of n independent cases (see `coverage`), which holds for each bin
    or point by itself. A U shape is overconfident, a hump is too wide, a slope is biased.

    Args:
        pit: The posterior's marginal cumulative probability at the truth.
        n_bins: Bars of the histograms.

    Returns:
        The figure.
    """
    figure, axes = panels(2, len(BIRTH), 6.5, sharex=True, sharey="row")
    n, grid = len(pit), np.linspace(0, 1, 401)
    low, high = binomial_band(grid, n)
    for k, name in enumerate(BIRTH):
        histogram, difference = axes[:, k]
        histogram.axhspan(*binomial_range(0.95, n, 1 / n_bins), label="95 % binomial band", **BAND)
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
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def sampler_health(
    recovery: pd.DataFrame, max_rhat: float = 1.02, min_ess: float = 400.0, max_tv: float = 0.05
) -> Figure:
    """R-hat, effective sample size and distance from the grid posterior over all cases (logarithmic counts).

    Look for: nothing beyond the dashed thresholds. Independent draws without any error would have distances near the
    curve, about 0.4 sqrt(16 / ESS): only cases well above it disagree with the grid.

    Args:
        recovery: recovery.csv; used are rhat (the larger of two parameters), ess_bulk (the smaller), tv_grid and
            divergences.
        max_rhat: Threshold.
        min_ess: Threshold.
        max_tv: Threshold.

    Returns:
        The figure.
    """
    figure, axes = panels(2, 2, 7.0)
    n, ess, tv = len(recovery), recovery.ess_bulk, recovery.tv_grid
    diagnostics = (
        (recovery.rhat, r"$\hat R$ (worst parameter)", max_rhat, f"above {max_rhat:g}", recovery.rhat > max_rhat),
        (ess, "bulk ESS (worst parameter)", min_ess, f"below {min_ess:g}", ess < min_ess),
        (tv, "total variation to the grid posterior", max_tv, f"above {max_tv:g}", tv > max_tv),
    )
    for ax, (values, label, threshold, where, bad) in zip(axes.flat, diagnostics, strict=False):
        ax.hist(values, bins=40, color=SKY, log=True)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.axvline(threshold, color=VERMILLION, linestyle="--")
        ax.set(xlabel=label, ylabel="cases", ylim=(0.7, None), title=f"{bad.sum()} of {n} {where}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax = axes[1, 1]
    ax.scatter(ess, tv, s=dot_area(n), color=SKY, **MANY_POINTS)
    sizes = np.linspace(ess.min(), ess.max(), 200)
    ax.plot(sizes, 0.4 * np.sqrt(16 / sizes), color=BLACK, label=r"independent draws: $0.4\,\sqrt{16\,/\,{\rm ESS}}$")
    ax.set(xlabel="bulk ESS (worst parameter)", ylabel="total variation to the grid", ylim=(0, 1.25 * tv.max()))
    ax.legend(loc="upper right")
    divergences = recovery.divergences
    figure.suptitle(f"n = {n} cases; {divergences.sum()} divergent transitions in {(divergences > 0).sum()} cases")
    return figure


def campaign_coverage(report: Mapping[str, Any]) -> Figure:
    """`coverage` over all cases and by third of the true Q0.

    Args:
        report: The part `recovery` of metrics.json.

    Returns:
        The figure.
    """
    parts = {f"{SYMBOLS['q0']} {part['q0_min']:.2f} to {part['q0_max']:.2f}": part for part in report["by_q0_tercile"]}
    groups = {title: (by_region(part["coverage"]), part["n_cases"]) for title, part in parts.items()}
    errors = [by_region(part["coverage_se"]) for part in (report, *parts.values())]
    return coverage(LEVELS, by_region(report["coverage"]), report["n_cases"], groups, errors)


def by_region(coverage: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
    """Turn {level: {region: share}} into {region: [share by level]}; regions are q0, a_au and joint.

    Examples:
        >>> by_region({"68": {"q0": 0.7, "a_au": 0.6, "joint": 0.65}, "95": {"q0": 1.0, "a_au": 0.9, "joint": 0.95}})
        {'q0': [0.7, 1.0], 'a_au': [0.6, 0.9], 'joint': [0.65, 0.95]}
    """
    return {name: [shares[name] for shares in coverage.values()] for name in (*BIRTH, "joint")}
