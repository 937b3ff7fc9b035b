"""One style for all figures: type sizes, panels, legends, and what several figures have in common.

Figures are drawn for a screen (the report, notebooks), or at the width of a journal's columns (`on_paper`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

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

PT_PER_IN = 72.27
"""TeX's points."""

PAPER_TEXT = 0.75
"""Type on paper over that on a screen: 7.5 to 9 points."""

SMALLEST_PT = 7.0
"""Type on paper."""

STACKED_ASPECT = 0.75
"""Height over width, at most, of panels that stand below each other."""

BROAD_IN = 7.0
"""A figure on a screen that goes over both columns of a page."""

TALLEST_IN = 8.6
"""A figure on paper, which leaves room for its caption."""

_LOOKS: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.dpi": 120,
}
_SIZES = {
    **{"font.size": 11, "axes.titlesize": 11, "axes.labelsize": 12, "legend.fontsize": 10, "figure.titlesize": 12},
    **{"figure.labelsize": 12, "xtick.labelsize": TICK_SIZE, "ytick.labelsize": TICK_SIZE},
}
_ON_PAPER: dict[Any, Any] = {"lines.linewidth": 1.1, "axes.linewidth": 0.6, "patch.linewidth": 0.8}


@dataclass(frozen=True)
class _Paper:
    column_in: float
    page_in: float
    columns: int | None


_paper: ContextVar[_Paper | None] = ContextVar("paper", default=None)

Arguments = ParamSpec("Arguments")


@contextmanager
def on_paper(column_pt: float, page_pt: float, columns: int | None = None) -> Iterator[None]:
    """Draw figures at their size in print: as wide as a column or a page, with type of 7 to 9 points.

    In one column, panels that share a row on a screen stand below each other. What a figure's title says becomes its
    label (`Figure.get_label`): captions have it.

    Args:
        column_pt: Width of one column in TeX's points, 72.27 to the inch.
        page_pt: Width of two.
        columns: Over how many figures go; None: two those that are broad on a screen, one all others.
    """
    token = _paper.set(_Paper(column_pt / PT_PER_IN, page_pt / PT_PER_IN, columns))
    try:
        yield
    finally:
        _paper.reset(token)


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Let a function draw in natal's style."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **named: Arguments.kwargs) -> Figure:
        sizes: dict[Any, Any] = {name: pt(size) for name, size in _SIZES.items()}
        with matplotlib.rc_context(_LOOKS | sizes | (_ON_PAPER if is_on_paper() else {})):
            figure = draw(*args, **named)
            if is_on_paper() and figure.get_suptitle():
                figure.set_label(figure.get_suptitle())
                figure.suptitle("")
        for ax in figure.axes:
            # ticks are made when drawn, which is outside the style's context
            ax.tick_params(which="both", labelsize=pt(TICK_SIZE))
        return figure

    return drawn


def pt(size: float) -> float:
    """A type size in points, on the screen or on paper."""
    return max(PAPER_TEXT * size, SMALLEST_PT) if is_on_paper() else size


def width_in(on_screen: float) -> float:
    """A figure's width in inches, on the screen or on paper."""
    paper = _paper.get()
    if not paper:
        return on_screen
    return paper.column_in if paper.columns == 1 or (not paper.columns and on_screen < BROAD_IN) else paper.page_in


def area(size: float) -> float:
    """A mark's area in square points, on the screen or on paper."""
    return 0.5 * size if _paper.get() else size


def is_on_paper() -> bool:
    """Whether figures are drawn for print, where captions say what their marks are."""
    return _paper.get() is not None


def is_narrow() -> bool:
    """Whether all figures go into one column."""
    paper = _paper.get()
    return paper is not None and paper.columns == 1


def legend_columns(n: int) -> int:
    """In how many columns a figure's legend of n entries stands."""
    return min(n, 2) if is_narrow() else n


def panels(
    rows: int, columns: int, height: float, width: float = WIDTH_IN, *, stack: bool | None = None, **options: Any
) -> tuple[Figure, Any]:
    """A figure with an array of axes of shape (rows, columns).

    On paper it is as wide as there is room, and keeps its shape.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        height: Of the figure on a screen, in inches.
        width: Of the figure on a screen, in inches.
        stack: Whether axes stand below each other in one column of a journal, column by column; None: those of one
            row. If it is False, the height counts lines of text.
        options: For `Figure.subplots`.
    """
    wide = width_in(width)
    if is_narrow() and (rows == 1 if stack is None else stack):
        n, aspect = rows * columns, min(height / rows * columns / width, STACKED_ASPECT)
        figure = Figure((wide, min(n * aspect * wide, TALLEST_IN)), layout="constrained")
        return figure, figure.subplots(n, 1, squeeze=False, **options).reshape(columns, rows).T
    scale = 1.0
    if is_on_paper():
        scale = PAPER_TEXT if stack is False else wide / width * (1.3 if is_narrow() else 1.0)
    figure = Figure((wide, min(scale * height, TALLEST_IN) if is_on_paper() else height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def dot_area(n: int) -> float:
    """Area of each of `n` dots in square points: a single one can be seen, thousands do not hide each other.

    Examples:
        >>> dot_area(1), dot_area(300), dot_area(10_000)
        (25.0, 10.0, 5.0)
    """
    return area(float(np.clip(3000 / max(n, 1), 5, 25)))


def scatter_by_radius(ax: Axes, x: pd.Series, y: pd.Series, a_au: pd.Series) -> ScalarMappable:
    """Scatter single runs coloured by a; returns what a colour bar needs.

    Args:
        ax: Where to draw.
        x: One number a run.
        y: The other number.
        a_au: Scale radii at birth, which give the colours.
    """
    points = ax.scatter(x, y, c=a_au, s=dot_area(len(x)), alpha=0.6, cmap="viridis", **MANY_POINTS)
    # the bar of the points themselves would be as transparent as they are
    return ScalarMappable(points.norm, points.cmap)


def shared_legend(figure: Figure, ax: Axes, **options: Any) -> None:
    """One legend above all panels, with each label of `ax` once.

    Args:
        figure: Where the legend stands.
        ax: The panel whose labels it has.
        **options: For Matplotlib's `Figure.legend`.
    """
    unique = {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(
        unique.values(), unique.keys(), loc="outside upper center", ncols=legend_columns(len(unique)), **options
    )


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
