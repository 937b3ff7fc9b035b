"""Lessons about scores, each from many small data sets side by side: leakage, and overfitting with its cures."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.studies.lessons.settings import Leakage, Overfitting
from natal.studies.lessons.training import Rows, accuracy, cross_entropy, make_perceptron, outputs, squared_error, train

LEAKS = {
    "honest": (False, False),
    "normalised with test rows": (True, False),
    "stopped by test rows": (False, True),
    "both": (True, True),
}
"""Whether test rows enter the normalisation, and whether they choose when to stop."""

FRESH = 300
"""Rows that nothing was chosen by: what a score is truly worth."""


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over repeats, and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def noisy_rows(key: PRNGKeyArray, n: int, noise: float) -> Rows:
    """sin(3 x1) + x2 / 2 on [-1, 1]^2, in units far from one, with Gaussian noise.

    Args:
        key: For the rows.
        n: How many.
        noise: Standard deviation of the noise, before the change of units.
    """
    key_x, key_noise = jax.random.split(key)
    x = jax.random.uniform(key_x, (n, 2), DTYPE, -1, 1)
    y = jnp.sin(3 * x[:, :1]) + 0.5 * x[:, 1:] + noise * jax.random.normal(key_noise, (n, 1), DTYPE)
    return Rows(100 + 50 * x, 20 + 5 * y)


@partial(jax.jit, static_argnames="settings")
def _scores(key: PRNGKeyArray, settings: Leakage, with_test: Array) -> Float[Array, "step set"]:
    """Mean squared errors (validation, test, fresh), in units of y, before each step of one training."""
    keys = jax.random.split(key, 6)
    sizes = (settings.train, settings.held_out, settings.held_out, FRESH)
    learned, validation, test, fresh = (noisy_rows(k, n, settings.noise) for k, n in zip(keys[:4], sizes, strict=True))
    weight = jnp.concatenate([jnp.ones(settings.train), with_test * jnp.ones(settings.held_out)])[:, None]

    def statistics(values: Array) -> tuple[Array, Array]:
        mean = (weight * values).sum(0) / weight.sum()
        return mean, jnp.sqrt((weight * (values - mean) ** 2).sum(0) / weight.sum())

    (mean_x, sd_x), (mean_y, sd_y) = (statistics(jnp.concatenate(pair)) for pair in zip(learned, test, strict=True))

    def watch(network: eqx.nn.MLP) -> Array:
        def error(rows: Rows) -> Array:
            return squared_error(mean_y + sd_y * outputs(network, (rows.x - mean_x) / sd_x), rows.y)

        return jnp.stack([error(rows) for rows in (validation, test, fresh)])

    normalised = Rows((learned.x - mean_x) / sd_x, (learned.y - mean_y) / sd_y)
    seen: Array = train(keys[4], make_perceptron(keys[5], 2, 32, 2), normalised, 1e-2, watch, steps=settings.steps)[1]
    return seen


def leakage(key: PRNGKeyArray, settings: Leakage) -> pd.DataFrame:
    """Root mean squared errors on test rows as they would be reported, and on fresh rows of the same network.

    Args:
        key: For rows and weights.
        settings: Sizes, steps and repeats.

    Returns:
        One row for each way to leak, with means over repeats and standard errors.
    """
    keys = jax.random.split(key, settings.repeats)
    run = jax.vmap(partial(_scores, settings=settings), in_axes=(0,), axis_size=settings.repeats)
    curves = {leak: np.asarray(run(keys, with_test=jnp.full(settings.repeats, float(leak)))) for leak in (False, True)}
    rows = []
    for case, (normalised, stopped) in LEAKS.items():
        seen = curves[normalised]
        stop = seen[:, :, 1 if stopped else 0].argmin(axis=1)
        at_stop = np.sqrt(seen[np.arange(len(seen)), stop])
        pretended, true = at_stop[:, 1], at_stop[:, 2]
        rows.append(
            {
                "case": case,
                **dict(zip(("reported", "reported_se"), mean_and_error(pretended), strict=True)),
                **dict(zip(("true", "true_se"), mean_and_error(true), strict=True)),
                # paired: the same data sets
                **dict(zip(("flattery", "flattery_se"), mean_and_error(true - pretended), strict=True)),
            }
        )
    return pd.DataFrame(rows)


def labelled_rows(key: PRNGKeyArray, n: int, n_features: int) -> Rows:
    """Standard normal features, of which two tell the label, and that with probability 0.9 only.

    Args:
        key: For the rows.
        n: How many.
        n_features: Inputs of each row, two or more.
    """
    key_x, key_flip = jax.random.split(key)
    x = jax.random.normal(key_x, (n, n_features), DTYPE)
    label = (x[:, :1] + x[:, 1:2] > 0) ^ jax.random.bernoulli(key_flip, 0.1, (n, 1))
    return Rows(x, label.astype(DTYPE))


@partial(jax.jit, static_argnames=("settings", "n"))
def _accuracies(
    key: PRNGKeyArray, settings: Overfitting, n: int, weight_decay: Array, dropout: Array
) -> dict[str, Float[Array, "step set"]]:
    """Loss and accuracy (training, validation, fresh) before each step of one training."""
    keys = jax.random.split(key, 5)
    learned, validation, fresh = (
        labelled_rows(k, m, settings.features) for k, m in zip(keys[:3], (n, settings.held_out, FRESH), strict=True)
    )

    def watch(network: eqx.nn.MLP) -> dict[str, Array]:
        sets = [(outputs(network, rows.x), rows.y) for rows in (learned, validation, fresh)]
        return {
            "loss": jnp.stack([cross_entropy(*one) for one in sets]),
            "accuracy": jnp.stack([accuracy(*one) for one in sets]),
        }

    network = make_perceptron(keys[3], settings.features, 32, 2)
    options: Any = {"weight_decay": weight_decay, "dropout": dropout, "loss": cross_entropy}
    seen: dict[str, Array] = train(keys[4], network, learned, 3e-3, watch, steps=settings.steps, **options)[1]
    return seen


def overfitting(key: PRNGKeyArray, settings: Overfitting) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracies of an untamed network and of each cure; and the mean curves, (case, step, set).

    Args:
        key: For rows and weights.
        settings: Sizes, steps, repeats and the strength of each cure.

    Returns:
        One row a cure, with means over repeats and standard errors; and the curves.
    """
    keys, zero = jax.random.split(key, settings.repeats), jnp.asarray(0.0)
    run = jax.vmap(_accuracies, in_axes=(0, None, None, None, None))
    decay, dropout = jnp.asarray(settings.weight_decay), jnp.asarray(settings.dropout)
    untamed = run(keys, settings, settings.train, zero, zero)
    seen = {
        "untamed": untamed,
        "weight decay": run(keys, settings, settings.train, decay, zero),
        "dropout": run(keys, settings, settings.train, zero, dropout),
        "early stopping": untamed,
        "more data": run(keys, settings, settings.more, zero, zero),
    }
    rows, curves = [], []
    for case, one in seen.items():
        losses, shares = np.asarray(one["loss"]), np.asarray(one["accuracy"])
        last = losses.shape[1] - 1
        stop = losses[:, :, 1].argmin(1) if case == "early stopping" else np.full(len(losses), last)
        at_stop, loss_at_stop = (values[np.arange(len(values)), stop] for values in (shares, losses))
        rows.append(
            {"case": case, "steps": float(np.median(stop))}
            | {
                name: value
                for k, part in enumerate(("training", "validation", "fresh"))
                for name, value in zip((part, f"{part}_se"), mean_and_error(at_stop[:, k]), strict=True)
            }
            | dict(zip(("fresh_loss", "fresh_loss_se"), mean_and_error(loss_at_stop[:, 2]), strict=True))
        )
        if case != "early stopping":
            mean = losses.mean(0)
            every = np.unique(np.geomspace(1, last + 1, 100).astype(int)) - 1
            curves.append(
                pd.DataFrame({"case": case, "step": every, "training": mean[every, 0], "validation": mean[every, 1]})
            )
    return pd.DataFrame(rows), pd.concat(curves)
