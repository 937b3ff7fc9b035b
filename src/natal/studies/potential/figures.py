"""The study's figures: from tables to matplotlib figures."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from natal.figures.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from natal.figures.style import panels, shared_legend, styled
from natal.studies.potential.accuracy import MEASURES
from natal.studies.potential.names import CLUMPS, WEIGHTS
from natal.studies.potential.orbits import Tracks
from natal.studies.potential.tables import EXACT, HALVED, NO_SEED, SPHERE

COLOURS = {
    "potential": ORANGE,
    "force": SKY,
    "potential_force": GREEN,
    "potential_poisson": PURPLE,
    "all": VERMILLION,
    SPHERE: BLUE,
    EXACT: BLACK,
    HALVED: GREY,
}
NAMES = {
    "potential": "Φ",
    "force": "F",
    "potential_force": "Φ + F",
    "potential_poisson": "Φ + Poisson",
    "all": "Φ + F + Poisson",
    SPHERE: "Plummer fit",
    EXACT: "true field",
    HALVED: "true field, half step",
}
SYMBOLS = {"potential": "Φ", "force": "F", "density": "ρ"}
UNITS = {"potential": r"Φ [$GM/a$]", "force": r"$F_x$ [$GM/a^2$]", "density": r"4πGρ [$GM/a^3$]"}
MEASURE_COLOURS = {"potential": ORANGE, "force": SKY, "density": VERMILLION}
WEIGHT_NAMES = {"alpha": "α, of Φ", "beta": "β, of F", "gamma": "γ, of Poisson's equation"}
ORBIT_LABELS = {
    "distance_a": "distance [a]",
    "energy_change_own": r"$|\Delta E/E|$ so far, own Φ",
    "energy_change_true": r"$|\Delta E/E|$ so far, true Φ",
    "momentum_change": r"$|\Delta L|/(rv)_{\max}$ so far",
}
# errors of exactly 0 are drawn at the end of a logarithmic axis
LOWEST = 1e-16


def field_title(field: str) -> str:
    """A field's name in titles."""
    own = {SPHERE: "Plummer sphere", CLUMPS: "clumps"}
    return own.get(field, f"particles, ε = {field.removeprefix('particles_').removesuffix('au')} AU")


def _by_terms(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for terms, rows in table.groupby("terms", sort=False):
        yield str(terms), rows


def _networks(table: pd.DataFrame) -> list[str]:
    return list(table[table.seed != NO_SEED].terms.unique())


@styled
def accuracy(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """rms error over rms value within the trained radius, by combination of loss terms, one row a field.

    Filled symbols are errors against the field that was trained on, one dot a seed. For particles, open symbols are
    errors against the smooth Plummer sphere, and lines say how far this sphere (blue) is from the particles' own field.
    Look for: what a term brings, compared with the scatter of the seeds.

    Args:
        tables: By field, what `natal.studies.potential.tables.accuracy_tables` gives.
    """
    figure, axes = panels(len(tables), 3, 2.6 * len(tables) + 0.7)
    for row, (field, table) in zip(axes, tables.items(), strict=True):
        within = table[table.region == "within"]
        kinds = _networks(within)
        for ax, measure in zip(row, MEASURES, strict=True):
            for place, terms in enumerate(kinds):
                chosen = within[within.terms == terms]
                own, smooth = (chosen[chosen.reference == name][measure] for name in (EXACT, SPHERE))
                colour = COLOURS[terms]
                ax.plot(np.full(len(own), place - 0.12), own, "o", color=colour, markersize=5)
                if len(smooth):
                    places = np.full(len(smooth), place + 0.12)
                    ax.plot(places, smooth, "s", mfc="none", color=colour, markersize=5)
            model = within[within.terms == SPHERE]
            if len(model):
                ax.axhline(model[measure].iloc[0], color=BLUE, linestyle="--", linewidth=1)
            ax.set(yscale="log", title=f"{field_title(field)}: {SYMBOLS[measure]}", xlim=(-0.6, len(kinds) - 0.4))
            _whole_decades(ax)
            ax.set_xticks(range(len(kinds)), [NAMES[name].replace(" + ", "\n+ ") for name in kinds], fontsize=8)
        row[0].set_ylabel("rms error / rms value")
    last = axes[-1, 0]
    handles = [
        Line2D([], [], marker="o", linestyle="", color=GREY, label="against the field trained on"),
        Line2D([], [], marker="s", mfc="none", linestyle="", color=GREY, label="against the Plummer fit"),
        Line2D([], [], linestyle="--", color=BLUE, label="Plummer fit against the particles' field"),
    ]
    figure.legend(
        handles=handles if SPHERE in set(table.reference) else handles[:1], loc="outside upper center", ncols=3
    )
    last.figure.align_ylabels(axes[:, 0])
    return figure


def _whole_decades(ax: Axes) -> None:
    low, high = np.log10(ax.get_ylim())
    ax.set_ylim(10.0 ** np.floor(low), 10.0 ** np.ceil(high))
    ax.yaxis.set_minor_formatter(NullFormatter())


@styled
def profiles(tables: Mapping[str, pd.DataFrame], radius: float) -> Figure:
    """rms error over rms value in shells of radius against the field trained on, mean over seeds; one column a field.

    Look for: where an error grows, and what is left of the field beyond the dashed line.

    Args:
        tables: By field, errors by shell.
        radius: Within which networks were trained: the dashed line.
    """
    figure, axes = panels(3, len(tables), 8.6, sharex=True, sharey="row")
    for column, (field, table) in zip(axes.T, tables.items(), strict=True):
        own = table[table.reference == EXACT]
        for ax, measure in zip(column, MEASURES, strict=True):
            for terms, rows in _by_terms(own):
                by_radius = rows.groupby(["r_low_a", "r_high_a"])[measure].mean().reset_index()
                middle = (by_radius.r_low_a + by_radius.r_high_a) / 2
                ax.plot(middle, by_radius[measure], color=COLOURS[terms], linewidth=1.5, label=NAMES[terms])
            ax.axvline(radius, color=GREY, linestyle="--", linewidth=1)
            ax.set(yscale="log")
        column[0].set_title(field_title(field))
        column[-1].set_xlabel("r [a]")
    for ax, measure in zip(axes[:, 0], MEASURES, strict=True):
        # an error of ten times the value only says that nothing is left of the field
        ax.set(ylabel=f"relative error of {SYMBOLS[measure]}", ylim=(None, min(ax.get_ylim()[1], 10.0)))
    # the last field is one of particles, whose panel has the sphere as well
    shared_legend(figure, axes[0, -1])
    return figure


@styled
def line(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Φ, the x component of the force and 4πGρ along the x axis: the truth, the Plummer fit and two networks.

    Look for: structure of the particles that networks follow, and structure that they smooth away.

    Args:
        tables: By field, what `natal.studies.potential.tables.line_table` gives.
    """
    figure, axes = panels(3, len(tables), 8.6, sharex=True, sharey="row")
    compared = (EXACT, SPHERE, "potential_force", "all")
    for column, (field, table) in zip(axes.T, tables.items(), strict=True):
        for ax, measure in zip(column, MEASURES, strict=True):
            for terms in (name for name in compared if name in set(table.terms)):
                rows = table[table.terms == terms]
                style = (
                    {"color": GREY, "linewidth": 2.5} if terms == EXACT else {"color": COLOURS[terms], "linewidth": 1.2}
                )
                ax.plot(rows.x_a, rows[measure], label=NAMES[terms], **style)
        # the spikes of single particles would hide all else
        column[2].set(ylim=(-0.5, 6.0), xlabel="x [a]", xlim=(-3, 3))
        column[0].set_title(field_title(field))
    for ax, measure in zip(axes[:, 0], MEASURES, strict=True):
        ax.set_ylabel(UNITS[measure])
    shared_legend(figure, axes[0, -1])
    return figure


@styled
def curves(tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Losses against steps: the sum over the trained terms, mean over each hundred steps, one line a seed.

    Args:
        tables: Learning curves by field and combination of terms.
    """
    figure, axes = panels(1, len(tables), 3.6, sharey=True)
    for ax, (field, kinds) in zip(axes[0], tables.items(), strict=True):
        for terms, table in kinds.items():
            for _, rows in table.groupby("seed"):
                total = rows[["potential", "force", "poisson"]].sum(axis=1)
                ax.plot(rows.step, total, color=COLOURS[terms], linewidth=1, label=NAMES[terms])
        ax.set(yscale="log", xlabel="step", title=field_title(field))
    axes[0, 0].set_ylabel("training loss (1: predicts nothing)")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def weights(tables: Mapping[str, pd.DataFrame], base: Mapping[str, float]) -> Figure:
    """Errors against one weight of the loss, the others as in the configuration; one row a field, one column a weight.

    Dots are networks, lines geometric means over seeds. Filled: within the trained radius; open: beyond. Look for:
    which error a weight buys, and at whose cost. Only ratios of weights matter: the optimisers know no size of a loss.

    Args:
        tables: By field, errors of networks by their weights.
        base: The configuration's weights.
    """
    varied = [name for name in WEIGHTS if any(table[name].nunique() > 1 for table in tables.values())]
    figure, axes = panels(len(tables), len(varied), 3.2 * len(tables) + 0.5, sharex="col", sharey="row")
    for row, (field, table) in zip(axes, tables.items(), strict=True):
        for ax, name in zip(row, varied, strict=True):
            others = [other for other in WEIGHTS if other != name]
            rows = table[(table[others] == [base[other] for other in others]).all(axis=1)]
            for measure, colour in MEASURE_COLOURS.items():
                for region, filled in (("within", colour), ("beyond", "none")):
                    chosen = rows[rows.region == region]
                    mean = np.exp(np.log(chosen[measure]).groupby(chosen[name]).mean())
                    label = f"{SYMBOLS[measure]}, {region} the trained radius"
                    ax.plot(mean.index, mean, "-" if region == "within" else ":", color=colour, linewidth=1.2)
                    ax.plot(chosen[name], chosen[measure], "o", mfc=filled, color=colour, markersize=5, label=label)
            ax.axvline(base[name], color=GREY, linestyle="--", linewidth=1)
            ax.set(xscale="log", yscale="log", title=field_title(field))
        row[0].set_ylabel("rms error / rms value")
    for ax, name in zip(axes[-1], varied, strict=True):
        ax.set_xlabel(WEIGHT_NAMES[name])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


@styled
def expansions(table: pd.DataFrame, maps: pd.DataFrame) -> Figure:
    """Errors of expansions of the clumps' field against their highest degree, and the density in a plane.

    Black lines are expansions, horizontal lines networks (mean over seeds): within the trained radius solid, beyond it
    dotted. The maps share one scale of colours. Look for: the degree from which an expansion is nearer to the field
    than a network, and clumps that are drawn out or lost.

    Args:
        table: Errors of expansions and networks by region.
        maps: 4πGρ in the plane z = 0, as `natal.studies.potential.weighting.density_maps` gives it.
    """
    figure, axes = panels(2, 3, 6.6)
    of_expansions, of_networks = table[table.degree.notna()], table[table.degree.isna()]
    for ax, measure in zip(axes[0], MEASURES, strict=True):
        for region, style in (("within", "-"), ("beyond", ":")):
            rows = of_expansions[of_expansions.region == region]
            ax.plot(
                rows.degree, rows[measure], f"o{style}", color=BLACK, label=f"expansion, {region} the trained radius"
            )
            for terms, one in _by_terms(of_networks[of_networks.region == region]):
                mean = np.exp(np.log(one[measure]).mean())
                label = f"network, {NAMES[terms]}, {region}"
                ax.axhline(mean, color=COLOURS[terms], linestyle=style, linewidth=1.5, label=label)
        ax.set(yscale="log", xlabel="highest degree", title=SYMBOLS[measure])
        _whole_decades(ax)
    axes[0, 0].set_ylabel("rms error / rms value")
    titles = {"exact": "true field", "network": "network", "expansion": "expansion, highest degree"}
    x, y = np.sort(maps.x_a.unique()), np.sort(maps.y_a.unique())
    for ax, (column, title) in zip(axes[1], titles.items(), strict=True):
        values = maps[column].to_numpy().reshape(len(y), len(x))
        drawn = ax.pcolormesh(x, y, values, vmin=0.0, vmax=maps.exact.max(), cmap="viridis", rasterized=True)
        ax.set(title=title, xlabel="x [a]", aspect="equal")
    axes[1, 0].set_ylabel("y [a]")
    figure.colorbar(drawn, ax=list(axes[1]), label=UNITS["density"])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


@styled
def tracks(by_field: Mapping[str, Tracks], orbits: list[str], field: str) -> Figure:
    """Orbits in the x-y plane: in the true field (grey) and in that of the network with the last combination of terms.

    Circles mark the ends. For particles, dotted orbits are those in the Plummer fit.

    Args:
        by_field: Tracks by predictor.
        orbits: Names of the orbits.
        field: Name of the field.
    """
    figure, axes = panels(1, len(orbits), 3.4)
    learned = [name for name in by_field if name not in (EXACT, SPHERE)]
    network = "all" if "all" in learned else learned[-1]
    for number, (ax, orbit) in enumerate(zip(axes[0], orbits, strict=True)):
        for name in (EXACT, network, SPHERE):
            if name not in by_field:
                continue
            x, y, _ = by_field[name].position[:, number].T
            colour, width = (GREY, 2.2) if name == EXACT else (COLOURS[name], 0.9)
            ax.plot(x, y, ":" if name == SPHERE else "-", color=colour, linewidth=width, label=NAMES[name])
            ax.plot(x[-1], y[-1], "o", color=colour, markersize=6, markeredgecolor=BLACK)
        reach = 1.1 * max(np.abs(track.position[:, number, :2]).max() for track in by_field.values())
        ax.set(
            title=orbit.replace("_", " "), xlabel="x [a]", aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach)
        )
    axes[0, 0].set_ylabel("y [a]")
    shared_legend(figure, axes[0, 0], title=field_title(field))
    return figure


@styled
def orbits(table: pd.DataFrame, field: str) -> Figure:
    """Distance from the true orbit, and the largest changes of energy and angular momentum so far; one column an orbit.

    Lines are geometric means over seeds. Grey is the true field followed with half the step: the part of the
    integration. The integrator conserves the energy with the field's own potential; the energy with the true potential
    shows what the learned field does to the orbit. A spherical field conserves the angular momentum to rounding, below
    the axis.

    Args:
        table: What `natal.studies.potential.tables.orbit_tables` gives.
        field: Name of the field.
    """
    names = list(table.orbit.unique())
    figure, axes = panels(len(ORBIT_LABELS), len(names), 9.5, sharex=True, sharey="row")
    for column, orbit in zip(axes.T, names, strict=True):
        rows = table[table.orbit == orbit]
        for ax, measure in zip(column, ORBIT_LABELS, strict=True):
            _against_time(ax, rows, measure)
        column[0].set_title(orbit.replace("_", " "))
        column[-1].set_ylim(bottom=max(column[-1].get_ylim()[0], 1e-6))
        column[-1].set_xlabel(r"time [$\sqrt{a^3/GM}$]")
    for ax, label in zip(axes[:, 0], ORBIT_LABELS.values(), strict=True):
        ax.set_ylabel(label)
    figure.align_ylabels(axes[:, 0])
    # a true orbit has an energy, but no distance from itself
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, title=field_title(field))
    return figure


def _against_time(ax: Axes, rows: pd.DataFrame, measure: str) -> None:
    for terms, one in _by_terms(rows):
        changes = one[measure] if measure == "distance_a" else one.groupby("seed")[measure].cummax()
        values = np.log(changes.clip(lower=LOWEST)).groupby(one.time).mean()
        if terms == EXACT and measure == "distance_a":
            continue
        # at the start nothing has changed yet
        ax.plot(values.index[1:], np.exp(values.to_numpy()[1:]), color=COLOURS[terms], linewidth=1, label=NAMES[terms])
    ax.set(yscale="log")
