"""The figure of single clusters through time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from natal.figures.colours import BLACK, BLUE, MANY_POINTS, VERMILLION
from natal.figures.labels import SYMBOLS
from natal.figures.style import WIDTH_IN, legend_columns, panels, pt, styled
from natal.simulation.snapshots import Cluster

# steps of scale bars: 1, 2 or 5 times a power of ten
NICE = (1.0, 2.0, 5.0)


@styled
def cluster_snapshots(clusters: Sequence[Cluster], n_times: int = 5) -> Figure:
    """Stars on the sky (x, y) at several times, one cluster a row; bound stars are filled, others open.

    A dashed circle is the half-mass radius about the bound stars' centre of mass. All panels of a row show the same
    part of the sky. The number of stars outside it is in the lower right corner; the bar is a scale in AU. Look for: a
    cold cluster that keeps its stars, and hot ones that lose theirs early and spread. Bound stars all over a panel, or
    stars that jump between times, mean that something is wrong.

    Args:
        clusters: Snapshots of each cluster.
        n_times: Most snapshots that are shown.

    Returns:
        The figure.
    """
    n_times = min([n_times, *(len(cluster.time_yr) for cluster in clusters)])
    figure, axes = panels(len(clusters), n_times, (WIDTH_IN / n_times + 0.45) * len(clusters) + 0.7)
    for row, cluster in zip(axes, clusters, strict=True):
        times = np.linspace(0, len(cluster.time_yr) - 1, n_times).round().astype(int).tolist()
        half_width_au = _half_width(cluster, times)
        for ax, time in zip(row, times, strict=True):
            _snapshot(ax, cluster, time, half_width_au)
        born = f"{SYMBOLS['q0']} = {cluster.q0:.2f}, {SYMBOLS['a_au']} = {cluster.a_au:.0f} AU"
        row[0].set_ylabel(f"{born}\ny [AU]", fontsize=pt(10))
        _scale_bar(row[0], half_width_au)
    for ax in axes[-1]:
        ax.set_xlabel("x [AU]")
    for ax in axes[:, 1:].flat:
        ax.set_yticklabels([])
    handles = [
        axes[0, 0].scatter([], [], s=14, color=BLUE, label="bound"),
        axes[0, 0].scatter([], [], s=14, facecolor="none", edgecolor=VERMILLION, label="not bound"),
        axes[0, 0].plot([], [], "--", color=BLACK, label="half-mass radius of the bound stars")[0],
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=legend_columns(3))
    return figure


def _half_width(cluster: Cluster, times: Sequence[int]) -> float:
    """Half a panel's side in AU: it shows most stars at the start, most bound ones later, half of all at the end."""
    reach = np.abs(cluster.position_au[..., :2]).max(-1)
    start = float(np.quantile(reach[0], 0.95))
    later = [float(np.quantile(reach[time][cluster.bound[time]], 0.9)) for time in times if cluster.bound[time].any()]
    return 1.15 * max(start, float(np.median(reach[times[-1]])), *later)


def _snapshot(ax: Axes, cluster: Cluster, time: int, half_width_au: float) -> None:
    x, y, _ = cluster.position_au[time].T
    bound = cluster.bound[time]
    size = np.clip(900 / len(x), 1.0, 14.0)
    ax.scatter(x[~bound], y[~bound], s=size, facecolor="none", edgecolor=VERMILLION, linewidth=0.7, rasterized=True)
    ax.scatter(x[bound], y[bound], s=size, color=BLUE, **MANY_POINTS)
    radius = cluster.summaries["r_h_au"][time]
    if np.isfinite(radius):
        centre = np.average(cluster.position_au[time][bound], axis=0, weights=cluster.mass_msun[bound])
        angle = np.linspace(0, 2 * np.pi, 181)
        ax.plot(centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle), "--", color=BLACK, linewidth=1)
    outside = int((np.maximum(abs(x), abs(y)) > half_width_au).sum())
    if outside:
        place: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "bottom"}
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        ax.text(0.97, 0.03, f"{outside} outside", fontsize=pt(8), bbox=ground, **place)
    ax.set(xlim=(-half_width_au, half_width_au), ylim=(-half_width_au, half_width_au), aspect="equal")
    f_bound = cluster.summaries["f_bound"][time]
    ax.set_title(f"t = {cluster.time_yr[time]:.0f} yr\n{SYMBOLS['f_bound']} = {f_bound:.2f}", fontsize=pt(10))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(3, symmetric=True))


def _scale_bar(ax: Axes, half_width_au: float) -> None:
    wanted = 0.6 * half_width_au
    power = 10.0 ** np.floor(np.log10(wanted))
    length = power * max(step for step in NICE if step * power <= wanted)
    left, height = -0.92 * half_width_au, -0.88 * half_width_au
    ax.plot([left, left + length], [height, height], color=BLACK, linewidth=2.5, solid_capstyle="butt")
    ax.text(left, height + 0.04 * half_width_au, f"{length:g} AU", va="bottom", fontsize=pt(8))
