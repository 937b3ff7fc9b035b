"""The figure of the emulator's error at points that it has not seen, beside the spread of its members."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from natal.assessment.emulator_map import SpreadBeyond
from natal.emulator.held_out import HeldOut
from natal.figures.colours import BAND, BLACK, GREY, MEMBER_COLOURS, SPLIT_COLOURS
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import panels, shared_legend, styled
from natal.variables import BIRTH, SUMMARIES

N_BINS = 6


@styled
def spread_and_error(
    points: Mapping[str, HeldOut], factor: Float[np.ndarray, " summary"], beyond: SpreadBeyond
) -> Figure:
    """Squared error of the ensemble's mean over its members' variance, along Q0 and a; the spread outside the box.

    Look for: ratios (with 1 standard error) about the line of the calibration, also in the outermost bins, and a spread
    that grows with the distance from the box.

    Args:
        points: Held-out points by their split's name.
        factor: What spreads are multiplied with.
        beyond: The spread along lines through the edges of the box.

    Returns:
        The figure.
    """
    figure, axes = panels(len(SUMMARIES), len(BIRTH) + 1, 9.0)
    for k, name in enumerate(SUMMARIES):
        for j, birth in enumerate(BIRTH):
            ax = axes[k, j]
            ax.axhline(1, color=GREY, linestyle="--", linewidth=1, label="as the spread says")
            ax.axhline(factor[k] ** 2, color=BLACK, linewidth=1, label="calibrated")
            for split, part in points.items():
                bins = [part.at(rows) for rows in np.array_split(np.argsort(part.x[:, j]), N_BINS) if len(rows)]
                centre = [chosen.x[:, j].mean() for chosen in bins]
                ratio, error = np.reshape([chosen.squared_factor() for chosen in bins], (-1, 2, len(SUMMARIES)))[
                    ..., k
                ].T
                style = {"fmt": "o", "markersize": 4, "elinewidth": 1, "color": SPLIT_COLOURS[split]}
                ax.errorbar(centre, ratio, error, label=f"{len(part.x)} {split} points", **style)
            ax.set_xlabel(LABELS[birth])
        axes[k, 0].set_ylabel(f"squared error / variance\nof {LABELS[name]}")
        for colour, (side, spread) in zip(MEMBER_COLOURS, beyond.spread.items(), strict=False):
            birth, _, end = side.partition(" ")
            axes[k, -1].plot(beyond.distance, spread[:, k], color=colour, label=f"{SYMBOLS[birth]} {end}")
        axes[k, -1].axvspan(beyond.distance[0], 0, **BAND)
        axes[k, -1].set(xlabel="beyond the edge [box widths]", ylabel=f"spread of {LABELS[name]}", yscale="log")
    axes[0, -1].legend(title="edge")
    shared_legend(figure, axes[0, 0])
    return figure
