"""Figures of what departures do to answers and to observables."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, GREY, MEMBER_COLOURS, VERMILLION
from natal.figures.style import panels, shared_legend, styled
from natal.observables.declared import OBSERVABLES
from natal.studies.departures.names import label


@styled
def table(rows: pd.DataFrame) -> Figure:
    """Coverage, bias, score and warnings of each suite; bars are one standard error.

    Look for: coverage at the dashed levels, bias at 0, warnings where these are off.

    Args:
        rows: What `natal.studies.departures.answers.verdicts` gives.
    """
    figure, axes = panels(1, 4, 0.3 * len(rows) + 1.2, sharey="row")
    place = np.arange(len(rows))[::-1]
    cover, bias, lost, warned = axes[0]
    for level, colour in ((68, BLUE), (95, BLACK)):
        share, error = rows[f"joint_{level}"], rows[f"joint_{level}_se"]
        cover.errorbar(share, place, xerr=error, fmt="o", color=colour, capsize=2)
        cover.axvline(level / 100, color=colour, linestyle="--", linewidth=0.8)
    cover.set_xlabel("in 68 (blue), 95 %")
    for name, colour in (("q0", BLUE), ("ln_a", VERMILLION)):
        bias.errorbar(rows[f"bias_{name}"], place, xerr=rows[f"bias_{name}_se"], fmt="o", color=colour, capsize=2)
    bias.set_xlabel("bias of $Q_0$ (blue), $\\ln a$ [sd]")
    lost.errorbar(rows.lost, place, xerr=rows.lost_se, fmt="o", color=BLACK, capsize=2)
    lost.set_xlabel("log score lost [nats]")
    warned.barh(place, rows.warned, color=BLUE, height=0.6)
    warned.set_xlabel("warned")
    for ax in (bias, lost):
        ax.axvline(0, color=GREY, linewidth=0.8)
    cover.set_yticks(place, [label(suite) for suite in rows.suite])
    return figure


@styled
def laws(rows: pd.DataFrame) -> Figure:
    """How means and widths of observables at given births differ from the control's.

    Look for: shifts at 0, in widths of the control; widths at 1, and for other numbers of stars at the square root of
    the ratio.

    Args:
        rows: What `natal.studies.departures.answers.laws` gives.
    """
    suites = list(dict.fromkeys(rows.suite))
    figure, axes = panels(1, 2, 0.3 * len(suites) + 1.6, sharey="row")
    place = np.arange(len(suites))[::-1]
    names = [name for name in OBSERVABLES if name in set(rows.observable)]
    for k, (name, colour, marker) in enumerate(zip(names, MEMBER_COLOURS, "osD^v", strict=False)):
        own = rows[rows.observable == name].set_index("suite").loc[suites]
        at = place + 0.12 * (k - 1.5)
        axes[0, 0].plot(own["shift"], at, marker, color=colour, label=OBSERVABLES[name].symbol)
        axes[0, 1].errorbar(own["width"], at, xerr=own.width_se, fmt=marker, color=colour, capsize=2)
    for ax, none, said in zip(axes[0], (0, 1), ("shift of the mean [width]", "width / control's"), strict=True):
        ax.axvline(none, color=GREY, linewidth=0.8)
        ax.set_xlabel(said)
    axes[0, 0].set_yticks(place, [label(suite) for suite in suites])
    shared_legend(figure, axes[0, 0])
    return figure
