"""The figure of the emulator over its whole box: mean summaries and the scatter about them, for each (Q0, a)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from natal.assessment.emulator_map import EmulatorMap
from natal.data.runs import ReplicateMeans
from natal.figures.colours import BLACK
from natal.figures.labels import LABELS
from natal.figures.style import area, panels, shared_legend, styled
from natal.variables import SUMMARIES

N_LEVELS = 12
MIN_REALIZATIONS = 8
"""Fewest surviving realizations of a point whose standard deviation is shown: with fewer it is too uncertain."""
MARKERS = ("o", "s")


@styled
def summary_map(emulated: EmulatorMap, points: Mapping[str, ReplicateMeans]) -> Figure:
    """Emulated summaries over (Q0, a) and, beside them, the scatter of single clusters, as filled contours.

    Points are drawn in the same colours: their means on the left, their standard deviations on the right, where only
    points of 8 realizations or more are shown (16 give a scatter to 18 %). Look for: points that cannot be told from
    the ground, and contours that do not bend where there are no points. A point of another colour is an error of the
    emulator (left) or of the predicted scatter (right).

    Args:
        emulated: The emulator on a grid.
        points: Means and scatter of points, by up to two labels (training, test).

    Returns:
        The figure.
    """
    figure, axes = panels(len(SUMMARIES), 2, 9.6, stack=True, sharex=True, sharey=True)
    for k, (row, name) in enumerate(zip(axes, SUMMARIES, strict=True)):
        means = {label: (part.x, part.mean[:, k]) for label, part in points.items()}
        known = {label: part.n >= MIN_REALIZATIONS for label, part in points.items()}
        scatters = {label: (part.x[known[label]], part.scatter[known[label], k]) for label, part in points.items()}
        _contours(row[0], emulated, emulated.mean[..., k], means, LABELS[name], "viridis")
        _contours(row[1], emulated, emulated.scatter[..., k], scatters, f"scatter of {LABELS[name]}", "cividis")
        row[0].set_ylabel(LABELS["a_au"])
    for ax in axes[-1]:
        ax.set_xlabel(LABELS["q0"])
    axes[0, 0].set_title("emulated mean")
    axes[0, 1].set_title("standard deviation of single clusters")
    shared_legend(figure, axes[0, 0])
    return figure


def _contours(
    ax: Axes,
    emulated: EmulatorMap,
    values: np.ndarray,
    points: Mapping[str, tuple[np.ndarray, np.ndarray]],
    label: str,
    colours: str,
) -> None:
    all_values = np.concatenate([values.ravel(), *(at_points for _, at_points in points.values())])
    # single outliers would leave all others one colour
    low, high = np.nanquantile(all_values, [0.005, 0.995])
    levels = MaxNLocator(N_LEVELS).tick_values(low, high)
    scale = Normalize(levels[0], levels[-1])
    ground = ax.contourf(emulated.q0, emulated.a_au, values.T, levels=levels, norm=scale, cmap=colours, extend="both")
    ax.contour(emulated.q0, emulated.a_au, values.T, levels=levels, colors="white", linewidths=0.4)
    for marker, (name, (x, at_points)) in zip(MARKERS, points.items(), strict=False):
        number = f"{name}: {len(x)} points"
        edge: dict[str, Any] = {"marker": marker, "s": area(22), "edgecolor": BLACK, "linewidth": 0.5}
        ax.scatter(x[:, 0], x[:, 1], c=at_points, norm=scale, cmap=colours, **edge)
        ax.scatter([], [], color="white", label=number, **edge)
    ax.figure.colorbar(ground, ax=ax, label=label)
