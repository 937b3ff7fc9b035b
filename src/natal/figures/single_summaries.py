"""The figure of what each summary says of (Q0, a) by itself, and what all of them say together."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import HPD_LEVELS, hpd_thresholds, panels, styled
from natal.posterior.single_summaries import SingleSummaries, held_share
from natal.variables import SUMMARIES

COLOURS = (BLUE, GREEN, PURPLE, VERMILLION)


@styled
def likelihood_contours(found: SingleSummaries, truth: Float[np.ndarray, "case birth"]) -> Figure:
    """Likelihoods of some clusters over (Q0, a), a cluster a row: given one summary, a column each, and given all.

    Inner and outer contours hold 68 and 95 % under a uniform prior; the title says which share of the box the inner one
    encloses. The last column repeats the inner contours of the single summaries, dashed. Look for: bands that cross.
    Bands that run the same way are a degeneracy: together they say no more than one of them.

    Args:
        found: Shares of cells.
        truth: The births of the same clusters.

    Returns:
        One panel for each cluster and summary, and one for all summaries together.
    """
    figure, axes = panels(len(truth), len(SUMMARIES) + 1, 2.6 * len(truth) + 0.5, sharex=True, sharey=True)
    for row, born, alone, together in zip(axes, truth, found.alone, found.together, strict=True):
        for ax, shares, name, colour in zip(row, alone, SUMMARIES, COLOURS, strict=False):
            _region(ax, found, shares, colour, SYMBOLS[name])
            # the lower threshold encloses more
            inner = hpd_thresholds(shares)[-1:]
            row[-1].contour(found.q0, found.a_au, shares.T, inner, colors=colour, linestyles="--", linewidths=0.9)
        _region(row[-1], found, together, BLACK, "all")
        for ax in row:
            ax.plot(*born, "+", color=ORANGE, markersize=12, markeredgewidth=2.2, label="truth")
        row[0].set_ylabel(LABELS["a_au"])
    for ax in axes[-1]:
        ax.set_xlabel(LABELS["q0"])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center")
    return figure


def _region(ax: Axes, found: SingleSummaries, shares: Float[np.ndarray, "nq na"], colour: str, name: str) -> None:
    levels = hpd_thresholds(shares)
    ax.contourf(found.q0, found.a_au, shares.T, [*levels, max(2 * levels[-1], shares.max())], colors=colour, alpha=0.2)
    ax.contour(found.q0, found.a_au, shares.T, levels, colors=colour, linewidths=(0.8, 1.6))
    ax.set_title(f"{name}: {100 * HPD_LEVELS[0]:.0f} % in {100 * held_share(shares, HPD_LEVELS[0]):.0f} % of the box")
