"""The figure of what adaptive points save: their learning curve beside that of points that fill the box."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.figures.colours import BLUE, VERMILLION
from natal.figures.style import panels, styled

ARM_STYLES = {
    "adaptive": {"color": VERMILLION, "linestyle": "-", "marker": "o"},
    "space_filling": {"color": BLUE, "linestyle": "--", "marker": "s"},
}
ERRORS = {"disagreement": "error of the mean [standard deviations]", "information": "surprise [nats a cluster]"}


@styled
def gain_figure(curves: pd.DataFrame, criterion: str) -> Figure:
    """Validation error against training points, mean and standard error over repeats, adaptive and space-filling.

    Look for: curves that are apart by more than their bars. The distance along the horizontal axis is what one arm
    saves.

    Args:
        curves: What `natal.adaptive.gain.learning_curves` gives.
        criterion: `disagreement` or `information`, which the adaptive points were chosen by.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 1, 4.5)
    ax = axes[0, 0]
    for arm, style in ARM_STYLES.items():
        errors = curves[curves.arm == arm].groupby("n_points").error
        n, mean = np.array(list(errors.groups)), errors.mean().to_numpy()
        ax.errorbar(n, mean, errors.sem().to_numpy(), capsize=3, label=arm.replace("_", "-"), **style)
    ax.set(xscale="log", xlabel="training points", ylabel=ERRORS[criterion])
    ax.set_xticks(n, [str(k) for k in n])
    ax.minorticks_off()
    ax.legend()
    return figure
