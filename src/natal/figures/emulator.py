"""Figures of the emulator: its training, its predictions and what they miss."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from natal.data.runs import ReplicateMeans
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.figures.colours import BAND, BLACK, BLUE, GREY, MANY_POINTS, MEMBER_COLOURS, ORANGE, SKY
from natal.figures.labels import LABELS, SYMBOLS, UNITS
from natal.figures.style import dot_area, panels, rms, shared_legend, styled
from natal.variables import BIRTH, SUMMARIES


@styled
def loss_curves(
    train_loss: Float[np.ndarray, "member epoch"],
    validation_loss: Float[np.ndarray, "member epoch"],
    best_epoch: Int[np.ndarray, " member"],
) -> Figure:
    """Loss against epoch, one colour a member; on the right the end, enlarged.

    Look for: curves that are flat at the marked best epochs, and members that agree. A validation loss that climbs
    while the training loss falls is overfitting; best epochs at the right edge need more epochs.

    Args:
        train_loss: Mean squared error of normalised summaries; nan after a member stopped.
        validation_loss: The same of validation runs.
        best_epoch: The epoch whose weights each member kept.

    Returns:
        The figure.
    """
    figure, axes = panels(1, 2, 4.5)
    for ax in axes[0]:
        for member, best in enumerate(best_epoch):
            colour = MEMBER_COLOURS[member % len(MEMBER_COLOURS)]
            ax.plot(train_loss[member], "--", color=colour, linewidth=1)
            ax.plot(validation_loss[member], color=colour, linewidth=1)
            ax.plot(best, validation_loss[member, best], "o", color=colour, markeredgecolor=BLACK, zorder=3)
        ax.set_xlabel("epoch")
    axes[0, 0].set(yscale="log", ylabel="mean squared error of normalised outputs")
    best_loss = validation_loss[np.arange(len(best_epoch)), best_epoch]
    axes[0, 1].set_ylim(0.95 * np.nanmin([train_loss, validation_loss]), 1.1 * best_loss.max())
    for marker, label in (("--", "training"), ("-", "validation"), ("o", "best epoch")):
        axes[0, 0].plot([], [], marker, color=GREY, label=label)
    axes[0, 0].legend(title=f"{len(best_epoch)} members")
    return figure


@styled
def predicted_vs_true(
    predicted: Float[np.ndarray, "run summary"],
    true: Float[np.ndarray, "run summary"],
    point_means_predicted: Float[np.ndarray, "point summary"],
    point_means_true: Float[np.ndarray, "point summary"],
    point_means_error: Float[np.ndarray, "point summary"],
) -> Figure:
    """Emulator against simulator on the test set, in physical units (1, km/s, AU).

    Single runs are faint: their spread about y = x is mostly the simulator's own scatter. Replicate means show the
    emulator's error. Look for: means that miss the line by more than their bars.

    Args:
        predicted: Predictions for single runs.
        true: Single runs.
        point_means_predicted: Predictions for the points.
        point_means_true: Means of the points' runs.
        point_means_error: Their standard errors.

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(SUMMARIES), 4.1)
    for k, (ax, name) in enumerate(zip(axes[0], SUMMARIES, strict=True)):
        run, mean = (true[:, k], predicted[:, k]), (point_means_true[:, k], point_means_predicted[:, k])
        ax.scatter(*run, s=dot_area(len(true)), color=SKY, alpha=0.4, **MANY_POINTS)
        ax.errorbar(*mean, xerr=point_means_error[:, k], fmt="o", markersize=4, color=BLUE, elinewidth=1)
        limits = (min(map(np.min, run)), max(map(np.max, run)))
        ax.plot(limits, limits, color=BLACK, linewidth=1)
        ax.set(xlabel=f"simulated {LABELS[name]}", ylabel=f"emulated {LABELS[name]}", aspect="equal")
        of_runs, of_means = (f"{rms(y - x):.3g}{UNITS[name]}" for x, y in (run, mean))
        ax.set_title(f"RMSE of runs {of_runs},\nof means {of_means}")
    figure.suptitle(f"{len(true)} single test runs (faint), {len(point_means_true)} replicate means ± standard error")
    return figure


@styled
def residuals(
    residual: Float[np.ndarray, "run summary"],
    x: Float[np.ndarray, "run birth"],
    predicted: Float[np.ndarray, "run summary"],
    sigma_total: Float[np.ndarray, " summary"],
) -> Figure:
    """Residuals (simulated - emulated) of single runs against Q0, a and the prediction, in physical units.

    Look for: a running mean at zero, and a running standard deviation that follows the edge of the grey band; where it
    does not, a constant width is wrong. The horizontal axis of the last column is the row's own summary.

    Args:
        residual: Of each run.
        x: Births.
        predicted: Predictions.
        sigma_total: Half widths of the grey band.

    Returns:
        The figure.
    """
    figure, axes = panels(len(SUMMARIES), 3, 8.5, sharey="row")
    for k, name in enumerate(SUMMARIES):
        abscissae = {LABELS["q0"]: x[:, 0], LABELS["a_au"]: x[:, 1], f"emulated {LABELS[name]}": predicted[:, k]}
        for ax, (label, values) in zip(axes[k], abscissae.items(), strict=True):
            ax.axhspan(-sigma_total[k], sigma_total[k], label=r"$\pm\,\sigma_{\rm total}$", **BAND)
            ax.scatter(values, residual[:, k], s=dot_area(len(values)), color=SKY, alpha=0.5, **MANY_POINTS)
            centre, mean, sd = _running_moments(values, residual[:, k])
            ax.plot(centre, mean, color=BLUE, label="running mean")
            for edge in (mean - sd, mean + sd):
                ax.plot(centre, edge, "--", color=BLUE, linewidth=1, label="± running standard deviation")
            ax.axhline(0, color=BLACK, linewidth=0.8)
            ax.set_xlabel(label)
        axes[k, 0].set_ylabel(f"residual of {LABELS[name]}")
    shared_legend(figure, axes[0, 0], title=f"n = {len(residual)} single runs")
    return figure


@styled
def slices(
    ensemble: Ensemble,
    points: ReplicateMeans,
    a_values_au: Sequence[float] | None = None,
    q0_value: float | None = None,
    tolerance: float = 0.06,
) -> Figure:
    """The emulator along lines of constant a, and of constant Q0, with the training points near each line.

    Look for: smooth curves through the points, and members that disagree where data are few. Points may sit off a curve
    that varies across the line. Their bars are the scatter of single runs (1 sd), which is not in the band of the
    ensemble (2 sd of its members).

    Args:
        ensemble: The emulator.
        points: Means of the training points.
        a_values_au: Values of a; None: three that divide the box evenly.
        q0_value: The value of Q0; None: the middle.
        tolerance: How far points may be from a line, as a share of the box's width.

    Returns:
        The figure.
    """
    (q0_low, q0_high), (a_low, a_high) = ensemble.box
    a_values = a_values_au or [a_low + share * (a_high - a_low) for share in (1 / 6, 1 / 2, 5 / 6)]
    q0_middle = 0.5 * (q0_low + q0_high)
    lines = [*((1, a) for a in a_values), (0, q0_middle if q0_value is None else q0_value)]
    figure, axes = panels(len(SUMMARIES), len(lines), 8.0, sharex="col", sharey="row")
    for column, (fixed, value) in enumerate(lines):
        free, unit = 1 - fixed, UNITS[BIRTH.names[fixed]]
        reach = tolerance * (ensemble.box[fixed][1] - ensemble.box[fixed][0])
        near = np.abs(points.x[:, fixed] - value) <= reach
        x = np.full((200, len(BIRTH)), float(value))
        x[:, free] = np.linspace(*ensemble.box[free], len(x))
        members = np.asarray(jax.vmap(ensemble.members)(jnp.asarray(x, DTYPE)))
        mean, sd = members.mean(1), members.std(1, ddof=1)
        for k, ax in enumerate(axes[:, column]):
            low, high = mean[:, k] - 2 * sd[:, k], mean[:, k] + 2 * sd[:, k]
            ax.fill_between(x[:, free], low, high, color=SKY, alpha=0.5, linewidth=0, label="± 2 sd of members")
            ax.plot(x[:, free], members[:, :, k], color=ORANGE, linewidth=0.7, label="members")
            ax.plot(x[:, free], mean[:, k], color=BLUE, linewidth=1, label="ensemble mean")
            bars = {"fmt": "o", "markersize": 3.5, "color": BLACK, "elinewidth": 0.8}
            label = "training: replicate mean ± 1 sd of single runs"
            ax.errorbar(points.x[near, free], points.mean[near, k], points.scatter[near, k], label=label, **bars)
        title = f"{SYMBOLS[BIRTH.names[fixed]]} = {value:g}{unit}\n({near.sum()} points within ± {reach:.2g}{unit})"
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel(LABELS[BIRTH.names[free]])
    for ax, name in zip(axes[:, 0], SUMMARIES, strict=True):
        ax.set_ylabel(LABELS[name])
    shared_legend(figure, axes[0, 0])
    return figure


def _running_moments(x: np.ndarray, y: np.ndarray, n_bins: int = 12) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Mean of x, and mean and standard deviation of y, in bins of about equal counts along x."""
    bins = pd.DataFrame({"x": x, "y": y, "bin": pd.qcut(x, n_bins, labels=False, duplicates="drop")}).groupby("bin")
    return bins.x.mean(), bins.y.mean(), bins.y.std()
