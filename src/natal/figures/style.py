"""One style for all figures: type sizes, panels, legends, and what several figures have in common."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from natal.figures.colours import MANY_POINTS

WIDTH_IN = 10.0
TICK_SIZE = 10
HPD_LEVELS = (0.68, 0.95)

styled = matplotlib.rc_context(
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


def panels(rows: int, columns: int, height: float, width: float = WIDTH_IN, **options: Any) -> tuple[Figure, Any]:
    """A figure with an array of axes of shape (rows, columns).

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        height: Of the figure, in inches.
        width: Of the figure, in inches.
        options: For `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        # ticks are made when drawn, which is outside the style's context
        ax.tick_params(which="both", labelsize=TICK_SIZE)
    return figure, axes


def dot_area(n: int) -> float:
    """Area of each of `n` dots in square points: a single one can be seen, thousands do not hide each other.

    Examples:
        >>> dot_area(1), dot_area(300), dot_area(10_000)
        (25.0, 10.0, 5.0)
    """
    return float(np.clip(3000 / max(n, 1), 5, 25))


def scatter_by_radius(ax: Axes, x: pd.Series, y: pd.Series, a_au: pd.Series) -> ScalarMappable:
    """Scatter single runs coloured by a; returns what a colour bar needs."""
    points = ax.scatter(x, y, c=a_au, s=dot_area(len(x)), alpha=0.6, cmap="viridis", **MANY_POINTS)
    # the bar of the points themselves would be as transparent as they are
    return ScalarMappable(points.norm, points.cmap)


def shared_legend(figure: Figure, ax: Axes, **options: Any) -> None:
    """One legend above all panels, with each label of `ax` once."""
    unique = {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=len(unique), **options)


def rms(values: Any) -> float:
    """Root mean square.

    Examples:
        >>> rms([3.0, 4.0, 5.0, 0.0])
        3.5355339059327378
    """
    return float(np.sqrt(np.mean(np.square(values))))


def binomial_band(probability: Any, n: int) -> tuple[Any, Any]:
    """Central 95 % range of the share of successes in n independent trials.

    Args:
        probability: Of a success; a number or an array.
        n: Number of trials.

    Examples:
        >>> [float(share) for share in binomial_band(0.5, 100)]
        [0.4, 0.6]
    """
    # most figures have no such band: SciPy's functions take as long to start as a small figure to draw
    from natal.assessment.uniformity import binomial_range

    low, high = binomial_range(0.95, n, probability)
    return low / n, high / n


def hpd_thresholds(density: np.ndarray) -> list[float]:
    """Densities whose contours hold the shares `HPD_LEVELS` of the mass, increasing; for equal cells."""
    ordered = np.sort(density, axis=None)[::-1]
    mass = np.cumsum(ordered) / ordered.sum()
    return sorted(float(ordered[np.searchsorted(mass, level)]) for level in HPD_LEVELS)
