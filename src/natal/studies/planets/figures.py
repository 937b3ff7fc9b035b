"""Figures of the study. Systems that last are blue, those that come apart vermillion."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, MANY_POINTS, ORANGE, VERMILLION
from natal.figures.style import dot_area, panels, styled
from natal.studies.planets.evaluation import NO_ENCOUNTER
from natal.studies.planets.systems import tightest_spacing
from natal.studies.triples.evaluation import share
from natal.studies.triples.scores import roc_curve


@styled
def spacing(table: pd.DataFrame) -> Figure:
    """Share of systems that come apart by their tightest spacing, and when they do.

    Look for: a share that is still falling far beyond the limit of two planets; times that grow with the spacing by
    decades.

    Args:
        table: Systems with their label and time.
    """
    figure, (axes,) = panels(1, 2, 4.2)
    values, unstable = tightest_spacing(table), table.unstable.to_numpy()
    edges = np.linspace(0, 14, 15)
    which = np.digitize(values, edges)
    for k in range(1, len(edges)):
        found = share(int(unstable[which == k].sum()), int((which == k).sum()))
        if found["n"] >= 5:
            errors = [[found["share"] - found["low"]], [found["high"] - found["share"]]]
            axes[0].errorbar(edges[k] - 0.5, found["share"], errors, fmt="o", color=VERMILLION, markersize=5)
    axes[0].set(ylabel="share that comes apart", ylim=(-0.02, 1.02))
    axes[1].scatter(
        values[unstable], table.t_end_orbits[unstable], color=VERMILLION, s=dot_area(int(unstable.sum())), **MANY_POINTS
    )
    axes[1].set(ylabel="when [inner orbits]", yscale="log")
    for ax in axes:
        ax.axvline(NO_ENCOUNTER, color=BLACK, linestyle="--", linewidth=1, label="two circular orbits: never beyond")
        ax.set(xlabel="tightest spacing [mutual Hill radii]", xlim=(0, 14))
    axes[0].legend()
    return figure


@styled
def scores(predictions: pd.DataFrame, depths: pd.DataFrame) -> Figure:
    """ROC curves of network and spacing on test systems, and the Brier score by the number of hidden layers.

    Look for: how far the network's curve is above the other, and from how many layers on nothing is gained.

    Args:
        predictions: What `natal.studies.planets.evaluation.predict` gives.
        depths: What `natal.studies.planets.evaluation.depth_table` gives.
    """
    figure, (axes,) = panels(1, 2, 4.2)
    outcome = predictions.outcome.to_numpy()
    for name, colour, label in (("network", BLUE, "network"), ("criterion", ORANGE, "tightest spacing, fitted odds")):
        axes[0].plot(*roc_curve(predictions[name].to_numpy(), outcome), color=colour, label=label)
    below = predictions.criterion_ratio.to_numpy() < 1
    axes[0].plot(
        below[~outcome].mean(), below[outcome].mean(), "X", color=BLACK, markersize=9, label=r"spacing, at $2\sqrt{3}$"
    )
    axes[0].set(xlabel="lasting ones called unstable", ylabel="unstable ones called unstable", aspect="equal")
    axes[0].legend()
    axes[1].errorbar(
        depths.hidden_layers, depths.brier_test, depths.brier_test_se, fmt="o-", color=BLUE, label="test, ± 1 s.e."
    )
    axes[1].plot(depths.hidden_layers, depths.brier_validation, "s--", color=ORANGE, label="validation")
    criterion = ((predictions.criterion - outcome) ** 2).mean()
    axes[1].axhline(criterion, color=BLACK, linestyle="--", linewidth=1, label="tightest spacing, test")
    axes[1].set(xlabel="hidden layers", ylabel="Brier score")
    axes[1].set_xticks(depths.hidden_layers)
    axes[1].legend()
    return figure
