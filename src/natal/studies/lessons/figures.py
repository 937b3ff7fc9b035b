"""Figures of the study, one a lesson; and two drawings: activation functions, a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.emulator.perceptron import ACTIVATIONS
from natal.figures.colours import BLACK, BLUE, GREEN, GREY, MEMBER_COLOURS, ORANGE, VERMILLION
from natal.figures.style import panels, shared_legend, styled


@styled
def leakage(table: pd.DataFrame) -> Figure:
    """Root mean squared errors that would have been reported, and what the same networks are worth on fresh rows.

    Look for: equal heights where it was honest; where test rows chose when to stop, the report is too good.
    """
    figure, ((ax,),) = panels(1, 1, 4.2, width=8.0)
    place = np.arange(len(table))
    bars = (("reported", "on the test rows, as reported", ORANGE), ("true", "on fresh rows", BLUE))
    for shift, (name, label, colour) in zip((-0.2, 0.2), bars, strict=True):
        ax.bar(place + shift, table[name], 0.38, yerr=table[f"{name}_se"], color=colour, label=label)
    ax.set(ylabel="root mean squared error", ylim=(0.8 * table[["reported", "true"]].to_numpy().min(), None))
    ax.set_xticks(place, table.case)
    shared_legend(figure, ax)
    return figure


@styled
def overfitting(table: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Accuracies on training, validation and fresh rows by cure, the loss on fresh rows, and mean losses by step.

    Look for: the gap between training and validation, and what closes it; a validation loss that turns and rises.

    Args:
        table: A row a cure, from `repeated.overfitting`.
        curves: Mean losses by cure, step and set.
    """
    figure, (axes,) = panels(1, 3, 4.6, width=15.0)
    place, names = np.arange(len(table)), [case.replace(" ", "\n") for case in table.case]
    bars = (("training", GREY), ("validation", ORANGE), ("fresh", BLUE))
    for shift, (name, colour) in zip((-0.27, 0.0, 0.27), bars, strict=True):
        axes[0].bar(place + shift, 100 * table[name], 0.25, yerr=100 * table[f"{name}_se"], color=colour, label=name)
    axes[0].axhline(90, color=BLACK, linestyle="--", linewidth=1, label="best possible")
    axes[0].set(ylabel="accuracy [%]", ylim=(50, 101))
    axes[0].set_xticks(place, names)
    axes[0].legend(loc="lower right", framealpha=0.9, frameon=True, fontsize=8)
    axes[1].bar(place, table.fresh_loss, 0.6, yerr=table.fresh_loss_se, color=BLUE)
    axes[1].axhline(np.log(2), color=BLACK, linestyle="--", linewidth=1, label="knowing nothing")
    axes[1].set(ylabel="cross entropy on fresh rows [nat]")
    axes[1].set_xticks(place, names)
    axes[1].legend()
    for colour, (case, rows) in zip(MEMBER_COLOURS, curves.groupby("case", sort=False), strict=False):
        axes[2].plot(rows.step + 1, rows.training, "--", color=colour, linewidth=1)
        axes[2].plot(rows.step + 1, rows.validation, color=colour, label=str(case))
    axes[2].set(xlabel="step", ylabel="cross entropy [nat] (dashed: training)", xscale="log", ylim=(0, 2))
    axes[2].legend()
    return figure


@styled
def learning_rates(table: pd.DataFrame) -> Figure:
    """Loss by step of gradient descent from the same weights, for each rate.

    Look for: one that hardly moves, one that falls, one that jumps about or runs away.
    """
    figure, ((ax,),) = panels(1, 1, 4.2, width=7.0)
    for colour, (rate, rows) in zip(MEMBER_COLOURS, table.groupby("rate"), strict=False):
        ax.plot(rows.step + 1, rows.loss.clip(upper=1e3), color=colour, label=f"η = {rate:g}")
    ax.set(xlabel="step", ylabel="mean squared error", xscale="log", yscale="log")
    ax.legend()
    return figure


@styled
def symmetry(table: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Loss by step from weights that are all zero, all alike, and drawn.

    Look for: how many neurons differ in the end, and what they can say together.

    Args:
        table: A row a start, from `single.symmetry`.
        curves: Losses by start and step.
    """
    figure, ((ax,),) = panels(1, 1, 4.2, width=7.0)
    for colour, start, n in zip((GREY, ORANGE, BLUE), table.start, table.distinct_units, strict=True):
        rows = curves[curves.start == start]
        label = f"{start}: {n} different neuron{'s' if n > 1 else ''}"
        ax.plot(rows.step + 1, rows.loss, color=colour, label=label)
    ax.set(xlabel="step", ylabel="mean squared error", xscale="log", yscale="log")
    ax.legend()
    return figure


@styled
def likelihood(table: pd.DataFrame) -> Figure:
    """Minus the logarithm of a Gaussian likelihood against the mean squared error, for random straight lines.

    Look for: a straight line, so that the smallest error is the highest likelihood.
    """
    figure, ((ax,),) = panels(1, 1, 4.2, width=6.0)
    ax.plot(table.mse, table.minus_ln_l, "o", color=BLUE, markersize=5)
    ax.set(xlabel="mean squared error", ylabel=r"$-\ln L$ of Gaussian errors")
    return figure


@styled
def hinges(table: pd.DataFrame) -> Figure:
    """Largest error on sin(3 x) against the number of hinges, written down and trained, with the bound.

    Look for: points under and along a line that falls as the square; training that does not reach it.
    """
    figure, ((ax,),) = panels(1, 1, 4.2, width=7.0)
    built, trained = (table[table.how == how] for how in ("written down", "trained"))
    ax.plot(built.hinges, built.bound, "--", color=BLACK, linewidth=1, label=r"$9 h^2 / 8$, $h = 2 / n$")
    ax.plot(built.hinges, built.largest_error, "o", color=BLUE, label="written down")
    ax.plot(trained.hinges, trained.largest_error, "s", color=VERMILLION, label="trained")
    ax.set(xlabel="hinges (ReLUs of one hidden layer)", ylabel="largest error on sin(3x)", xscale="log", yscale="log")
    ax.legend()
    return figure


@styled
def sine(errors: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """What a network says of sin(3 x) on its way, and its error by step.

    Look for: a line first, then the bend, then the sine.

    Args:
        errors: rms error by step, from `single.sine`.
        curves: What the network says at some steps.
    """
    figure, axes = panels(1, 2, 4.2)
    left, right = axes[0]
    truth = curves[curves.step == curves.step.max()]
    left.plot(truth.x, truth.truth, color=BLACK, linewidth=3, alpha=0.3, label="sin(3x)")
    for colour, (step, rows) in zip((GREY, ORANGE, GREEN, BLUE), curves.groupby("step"), strict=False):
        left.plot(rows.x, rows.said, color=colour, label=f"step {step}")
    left.set(xlabel="x", ylabel="output")
    left.legend()
    right.plot(errors.step + 1, errors.rms_error, color=BLUE)
    right.set(xlabel="step", ylabel="root mean squared error", xscale="log", yscale="log")
    return figure


@styled
def activations() -> Figure:
    """The activation functions that a configuration can name, and their derivatives.

    Look for: what is flat learns nothing: sigmoid and tanh far out, ReLU below zero.
    """
    figure, (axes,) = panels(1, 2, 4.2)
    z = jnp.linspace(-4, 4, 801)
    for colour, (name, function) in zip(MEMBER_COLOURS, ACTIVATIONS.items(), strict=False):
        axes[0].plot(z, function(z), color=colour, label=name)
        axes[1].plot(z, jax.vmap(jax.grad(function))(z), color=colour)
    axes[0].set(xlabel="z", ylabel="σ(z)", ylim=(-1.2, 3))
    axes[1].set(xlabel="z", ylabel="σ′(z)")
    shared_legend(figure, axes[0])
    return figure


WEIGHTS = (((0.5, -0.3, 0.2), (0.1, 0.4, -0.6)), ((0.8, -0.5),))
BIASES = ((0.1, -0.2), (0.3,))
INPUTS = (2.0, 3.0, 10.0)
"""The worked example of docs/tutorials/emulators.md."""


@styled
def network() -> Figure:
    """The 3-2-1 network of the worked example (docs/tutorials/emulators.md): weights on lines, values in neurons.

    Look for: the second hidden neuron, which ReLU switches off, so that nothing passes through it.
    """
    figure, ((ax,),) = panels(1, 1, 4.5, width=8.0)
    values = [np.array(INPUTS)]
    for k, (weight, bias) in enumerate(zip(WEIGHTS, BIASES, strict=True)):
        z = np.array(weight) @ values[-1] + np.array(bias)
        values.append(np.maximum(z, 0) if k < len(WEIGHTS) - 1 else z)
    places = [[(2.0 * layer, (len(v) - 1) / 2 - j) for j in range(len(v))] for layer, v in enumerate(values)]
    for weight, before, after in zip(WEIGHTS, places[:-1], places[1:], strict=True):
        for j, end in enumerate(after):
            for k, begin in enumerate(before):
                on = 0.3 + 0.08 * j
                ax.plot(*zip(begin, end, strict=True), color=GREY, linewidth=0.5 + 2 * abs(weight[j][k]), zorder=0)
                middle = [b + on * (e - b) for b, e in zip(begin, end, strict=True)]
                ax.text(*middle, f"{weight[j][k]:g}", ha="center", va="center", backgroundcolor="white", fontsize=9)
    names = ("x", "a", "ŷ")
    for layer, (points, numbers) in enumerate(zip(places, values, strict=True)):
        for j, ((x, y), value) in enumerate(zip(points, numbers, strict=True)):
            colour = BLUE if value else GREY
            ax.plot(x, y, "o", markersize=38, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=2)
            subscript = f"$_{j + 1}$" if len(points) > 1 else ""
            ax.text(x, y, f"{names[layer]}{subscript}\n{value:.3g}", ha="center", va="center", fontsize=9)
            if layer:
                ax.text(x, y - 0.42, f"bias {BIASES[layer - 1][j]:g}", ha="center", fontsize=8)
    ax.set(xlim=(-0.5, 4.5), ylim=(-1.6, 1.5))
    ax.axis("off")
    return figure
