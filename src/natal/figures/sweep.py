"""The figure of a sweep: the losses of training settings side by side."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.figures.colours import BLUE, VERMILLION
from natal.figures.style import panels, styled

NUMBERS = ("rank", "campaign", "loss", "loss_se", "above_best", "above_best_se", "epochs", "seconds", "error")


@styled
def sweep_figure(table: pd.DataFrame, folds: int) -> Figure:
    """Loss of every combination with its standard error, the best on top; labels say what differs from the campaign.

    Settings whose bars overlap may still differ: the table's `above_best_se` compares fold by fold.

    Args:
        table: What `natal.tuning.sweep.sweep` gives.
        folds: Folds that bars are over; 0: bars are over members.

    Returns:
        The figure.
    """
    trained = table[table.error == ""]
    varied = [name for name in table.columns if name not in NUMBERS]
    figure, axes = panels(1, 1, 1.4 + 0.32 * len(trained))
    ax = axes[0, 0]
    place = np.arange(len(trained))
    own = trained.campaign.to_numpy(bool)
    for chosen, colour in ((~own, BLUE), (own, VERMILLION)):
        loss, error = trained.loss[chosen], trained.loss_se[chosen]
        ax.errorbar(loss, place[chosen], xerr=error, fmt="o", color=colour, capsize=3)
    campaign = table[table.campaign].iloc[0]
    changes = [
        [f"{name} {row[name]}" for name in varied if row[name] != campaign[name]] for _, row in trained.iterrows()
    ]
    ax.set_yticks(place, [", ".join(names) or "the campaign's own" for names in changes], fontsize=9)
    ax.invert_yaxis()
    over = f"{folds} folds" if folds else "members"
    ax.set_xlabel(f"squared error / variance\nmean and standard error over {over}")
    return figure
