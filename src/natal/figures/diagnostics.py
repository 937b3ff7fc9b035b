"""Figures of a training's health: gradients and idle units by layer, loss curves with verdicts, normalised columns."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from natal.figures.colours import BAND, BLACK, BLUE, GREY, MEMBER_COLOURS, ORANGE, VERMILLION
from natal.figures.emulator import loss_curves
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import panels, shared_legend, styled
from natal.variables import BIRTH, SUMMARIES


@styled
def layer_curves(layers: pd.DataFrame) -> Figure:
    """Gradient norm of every layer, and share of idle units of every hidden layer, against epoch.

    Lines are medians over members, bands their range. Look for: norms within a factor of ten of each other that fall as
    the loss does, and few idle units. If the first layer is far below the last, its gradient vanishes.

    Args:
        layers: What `natal.tuning.diagnostics.layers.layer_table` gives.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 2, 4.2)
    for number, part in layers.groupby("layer"):
        colour = MEMBER_COLOURS[int(str(number)) - 1]
        for ax, column in zip(axes[0], ("gradient_norm", "idle_share"), strict=True):
            by_epoch = part.dropna(subset=column).groupby("epoch")[column]
            if len(by_epoch):
                epoch = np.array(list(by_epoch.groups))
                ax.fill_between(epoch, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.2, linewidth=0)
                ax.plot(epoch, by_epoch.median(), color=colour, linewidth=1.2, label=f"layer {number}")
    axes[0, 0].set(yscale="log", xlabel="epoch", ylabel="gradient norm of the layer")
    axes[0, 1].set(xlabel="epoch", ylabel="share of idle units")
    top = max(0.05, 1.1 * layers.idle_share.max())
    # a line at zero is not the axis
    axes[0, 1].set_ylim(-0.03 * top, top)
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def judged_curves(
    train_loss: Float[np.ndarray, "member epoch"],
    validation_loss: Float[np.ndarray, "member epoch"],
    best_epoch: Int[np.ndarray, " member"],
    floor: float,
    verdicts: list[str],
) -> Figure:
    """The loss curves with verdicts, and the loss of a perfect network, which is the scatter of realizations.

    Args:
        train_loss: Of each member and epoch.
        validation_loss: Of each member and epoch.
        best_epoch: The epoch whose weights each member kept.
        floor: Loss of a perfect network; nan: not known.
        verdicts: One for each member.

    Returns:
        The figure.
    """
    figure = loss_curves(train_loss, validation_loss, best_epoch)
    right = figure.axes[1]
    if np.isfinite(floor):
        low, high = right.get_ylim()
        right.set_ylim(min(low, 0.95 * floor), high)
        for ax in figure.axes[:2]:
            ax.axhline(floor, color=BLACK, linestyle=":", linewidth=1)
        text = "scatter of\nrealizations"
        right.annotate(text, (0.01, floor), xycoords=("axes fraction", "data"), va="bottom", fontsize=9)
    counts = [f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts)]
    figure.suptitle(f"members: {', '.join(counts)}")
    return figure


@styled
def normalised_columns(
    train: Float[np.ndarray, "run column"], validation: Float[np.ndarray, "other column"], log10: tuple[str, ...]
) -> Figure:
    """Histograms of inputs and outputs as networks see them: training filled, validation as an outline.

    Look for: training means of 0 and standard deviations of 1, no far tail, validation where training is.

    Args:
        train: Normalised columns of training runs, births and then summaries.
        validation: The same of validation runs.
        log10: Names of columns whose logarithm is normalised.

    Returns:
        The figure.
    """
    columns = (*BIRTH, *SUMMARIES)
    figure, axes = panels(1, len(columns), 3.2, sharey=False)
    for ax, name, seen, held_out in zip(axes[0], columns, train.T, validation.T, strict=True):
        edges = np.linspace(min(seen.min(), held_out.min()), max(seen.max(), held_out.max()), 30)
        ax.hist(seen, edges, density=True, color=BLUE, alpha=0.6, label="training")
        ax.hist(held_out, edges, density=True, histtype="step", color=ORANGE, linewidth=1.5, label="validation")
        ax.axvline(0, color=GREY, linewidth=0.8)
        symbol = SYMBOLS[name]
        ax.set_xlabel(rf"$\log_{{10}}$ {symbol}, normalised" if name in log10 else f"{symbol}, normalised")
        ax.set_title(f"mean {round(float(seen.mean()), 2) + 0.0:.2f}, sd {seen.std():.2f}", fontsize=9)
        ax.set_yticks([])
    axes[0, 0].set_ylabel("density")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def extrapolation(table: pd.DataFrame) -> Figure:
    """Error and spread of networks that have learned the inner part of the box, by distance from its edge.

    Look for: both small inside (grey) and growing outside. A spread that stays far below the error outside does not
    warn: extrapolated predictions look as safe as others.

    Args:
        table: What `natal.tuning.diagnostics.extrapolation.extrapolation_table` gives.

    Returns:
        A panel for each summary.
    """
    figure, axes = panels(1, len(SUMMARIES), 3.8)
    for ax, name in zip(axes[0], SUMMARIES, strict=True):
        part = table[table.summary == name]
        ax.axvspan(-0.35, 0, **BAND)
        if len(part):
            error = part.squared_error, part.squared_error_se
            ax.errorbar(part.distance, *error, fmt="o", color=VERMILLION, capsize=3, label="squared error of the mean")
            ax.plot(part.distance, part.squared_spread, "s-", color=BLUE, label="variance of the members")
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set(xlabel="distance [box widths]", ylabel=f"{LABELS[name]}, squared")
    shared_legend(figure, axes[0, 0])
    return figure
