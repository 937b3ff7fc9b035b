"""Figures of the checks against the simulator: brute-force posteriors and posterior predictive clusters."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, GREEN, ORANGE, VERMILLION
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import hpd_thresholds, legend_columns, panels, styled
from natal.variables import SUMMARIES

PANELS_A_ROW = 4
SOURCES: dict[str, dict[str, Any]] = {
    "emulator": {"colors": BLUE, "linestyles": "-", "linewidths": 1.8},
    "synthetic": {"colors": BLACK, "linestyles": "--", "linewidths": 1.2},
    "kernel": {"colors": VERMILLION, "linestyles": ":", "linewidths": 1.4},
}


@styled
def brute_force(
    q0: Float[np.ndarray, " nq"],
    a_au: Float[np.ndarray, " na"],
    posteriors: dict[str, Float[np.ndarray, "case nq na"]],
    table: pd.DataFrame,
) -> Figure:
    """Posteriors of a few cases with and without the emulator: 68 % and 95 % HPD contours, the truth as a cross.

    Look for: contours that agree to about the noise of the runs. The panel's title states the distance and this noise.

    Args:
        q0: Centres of cells.
        a_au: Centres of cells.
        posteriors: Shares of cells, by `emulator`, `synthetic` and `kernel`.
        table: The table of `natal.assessment.brute_force.BruteForce`.

    Returns:
        The figure.
    """
    rows = -(-len(table) // PANELS_A_ROW)
    figure, axes = panels(rows, min(len(table), PANELS_A_ROW), 2.9 * rows + 0.5)
    for k, (ax, case) in enumerate(zip(axes.flat, table.itertuples(), strict=False)):
        shares = [values[k] for values in posteriors.values()]
        likely = np.max([share / share.max() for share in shares], axis=0) > 1e-3
        for source, share in zip(posteriors, shares, strict=True):
            ax.contour(q0, a_au, share.T, hpd_thresholds(share), **SOURCES[source])
        ax.plot(case.q0_true, case.a_au_true, "+", color=ORANGE, markersize=12, markeredgewidth=2.2)
        # the whole of a is mostly possible, of Q0 a small part
        near = [*q0[likely.any(1)], case.q0_true]
        margin = 0.15 * np.ptp(near)
        ax.set(xlim=(min(near) - margin, max(near) + margin), ylim=(a_au[0], a_au[-1]), xlabel=LABELS["q0"])
        ax.set_title(f"TV {case.tv_synthetic:.2f} (noise {case.noise_synthetic:.2f})")
    for ax in axes.flat[len(table) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel(LABELS["a_au"])
    for source, style in SOURCES.items():
        axes[0, 0].plot(
            [], [], color=style["colors"], linestyle=style["linestyles"], linewidth=style["linewidths"], label=source
        )
    axes[0, 0].plot([], [], "+", color=ORANGE, markersize=10, markeredgewidth=2, label="truth")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=legend_columns(4))
    return figure


@styled
def posterior_predictive(table: pd.DataFrame) -> Figure:
    """Observed summaries, and those of clusters simulated from the posterior: their median and 68 % and 95 % ranges.

    Look for: observations (orange) inside the bars. A joint p-value below 0.01 says that clusters with births from the
    posterior do not look like the observed one.

    Args:
        table: What `natal.assessment.posterior_predictive.check_cases` gives.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(SUMMARIES), 0.38 * len(table) + 2.0, stack=False, sharey=True)
    place = np.arange(len(table))
    for ax, name in zip(axes[0], SUMMARIES, strict=True):
        ax.hlines(place, table[f"{name}_q02.5"], table[f"{name}_q97.5"], color=BLUE, linewidth=1.5, label="95 %")
        ax.hlines(place, table[f"{name}_q16"], table[f"{name}_q84"], color=BLUE, linewidth=5, alpha=0.6, label="68 %")
        ax.plot(table[f"{name}_q50"], place, "|", color=GREEN, markersize=12, markeredgewidth=2, label="median")
        ax.plot(table[name], place, "o", color=ORANGE, markeredgecolor=BLACK, label="observed")
        ax.set(xlabel=LABELS[name])
    labels = [
        f"{SYMBOLS['q0']} {case.q0_true:.2f}, a {case.a_au_true:.0f} AU (p = {case.joint_p:.2f})"
        for case in table.itertuples()
    ]
    axes[0, 0].set_yticks(place, labels)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=legend_columns(4))
    return figure
