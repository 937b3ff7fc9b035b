"""The figure of one posterior: NUTS draws, the grid beside them, the truth."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, ORANGE
from natal.figures.labels import LABELS
from natal.figures.style import HPD_LEVELS, hpd_thresholds, is_on_paper, pt, styled, width_in
from natal.variables import BIRTH, Box

with warnings.catch_warnings():
    # corner imports ArviZ, which announces its next major version at import
    warnings.simplefilter("ignore", FutureWarning)
    import corner


@styled
def corner_case(
    draws: Float[np.ndarray, "draw birth"],
    truth: Float[np.ndarray, " birth"] | None,
    box: Box,
    title: str = "",
    grid: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Figure:
    """Posterior draws of (q0, a_au) of one case over the whole prior box, with 68 % and 95 % HPD contours.

    Look for: the truth (orange) inside the contours in about as many cases as their levels say, and contours that the
    box cuts off.

    Args:
        draws: NUTS draws.
        truth: The true birth; None: not known.
        box: The prior's ranges.
        title: Of the figure.
        grid: (q0, a_au, density (q0, a_au)) of the grid posterior, dashed: its contours at the same levels and its
            marginals should coincide with those of the draws.

    Returns:
        The figure.
    """
    side = width_in(6.5)
    # of labels, as type is larger beside a small figure
    apart = max(pt(12) / 12 * 6.5 / side, 1.0)
    further = 0.1 * apart if box["a_au"][1] > 9999 else 0.0
    figure = Figure(figsize=(side, side))
    # a third of the sd across a correlated posterior: smoothing by one bin then hardly widens the contours
    narrowest = draws.std(0) * np.sqrt(1 - np.corrcoef(draws.T)[0, 1] ** 2)
    widths = np.array([box[name][1] - box[name][0] for name in BIRTH])
    corner.corner(
        draws,
        fig=figure,
        bins=np.clip(3 * widths / narrowest, 20, 200).astype(int).tolist(),
        hist_bin_factor=0.6,
        range=[box[name] for name in BIRTH],
        labels=[LABELS[name] for name in BIRTH],
        labelpad=0.2 * apart - 0.3 + further,
        levels=HPD_LEVELS,
        smooth=1.0,
        color=BLUE,
        truths=truth,
        truth_color=ORANGE,
        hist_kwargs={"density": True},
        plot_density=False,
    )
    margin = 0.14 * apart + 0.4 * further
    figure.subplots_adjust(left=margin, bottom=margin, right=0.98, top=0.98)
    lines = [title, f"{len(draws)} draws"]
    if not is_on_paper():
        lines += ["contours: 68 % and 95 % HPD"]
        lines += ["orange: truth"] if truth is not None else []
        lines += ["dashed: grid posterior"] if grid is not None else []
    # a dollar in a name is a dollar
    figure.text(0.6, 0.94, "\n".join(filter(None, lines)), va="top", parse_math=False)
    if grid is not None:
        q0, a_au, density = grid
        dashed: dict[str, Any] = {"linestyles": "--", "linewidths": 1}
        figure.axes[2].contour(q0, a_au, density.T, hpd_thresholds(density), colors=BLACK, **dashed)
        for ax, centres, marginal in ((figure.axes[0], q0, density.sum(1)), (figure.axes[3], a_au, density.sum(0))):
            ax.plot(centres, marginal / (marginal.sum() * (centres[1] - centres[0])), "--", color=BLACK, linewidth=1)
    return figure
