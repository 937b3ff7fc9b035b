"""The figure of what a forward evaluation costs."""

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from natal.figures.colours import BLUE, GREY
from natal.figures.style import panels, styled


@styled
def speed_bars(seconds: Mapping[str, float]) -> Figure:
    """Wall time per forward evaluation of each method, fastest on top, on a logarithmic axis.

    Bars state their time and how many times faster than the slowest they are.

    Args:
        seconds: Seconds by label; a label should name device, precision and batch size.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 1, 1.2 + 0.5 * len(seconds))
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
