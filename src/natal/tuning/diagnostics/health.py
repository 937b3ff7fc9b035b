"""Is a training healthy? One table: each row has a number, what is usual, and what to do if it is not."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from natal.data.normaliser import Normaliser
from natal.data.runs import Runs
from natal.emulator.training import History, normalised, rows_to_learn, train_ensemble
from natal.settings.emulator import TrainingSettings
from natal.tuning.diagnostics.curves import Verdict, judge, scatter_floor
from natal.variables import BIRTH, SUMMARIES, Box

N_EXAMPLES = 10
EXAMPLES_LOSS = 0.01
"""Ten examples must be learned to this loss, a hundredth of their variance."""

SMALL_GRADIENT = 1e-3
"""The gradient of a layer has vanished if it is below this share of the whole gradient."""

LARGE_GRADIENT = 100.0
"""Gradients have exploded if the largest is more than this many times that of the first epoch."""

MANY_IDLE = 0.25
RATES = (1e-4, 1e-2)
DECADES = 1.5
OFF = 1e-3
"""Largest distance of the mean from 0 and of the standard deviation from 1, for normalised training runs."""


def health_row(
    name: str, subject: str, value: float, limit: str, healthy: bool | np.bool, advice: str
) -> dict[str, Any]:
    """A row of the table.

    Args:
        name: Of the check.
        subject: What the number is of.
        value: The number.
        limit: What is usual.
        healthy: Whether the number is.
        advice: What to do if it is not.
    """
    verdict, advice = ("fine", "") if healthy else ("look", advice)
    return {"check": name, "subject": subject, "value": value, "usual": limit, "verdict": verdict, "advice": advice}


def ten_examples(key: PRNGKeyArray, train: Runs, box: Box, settings: TrainingSettings) -> dict[str, Any]:
    """Can the network learn ten training runs, of as many points, by heart? If it cannot, something is broken.

    Activation, initial weights, optimiser and learning rate are the campaign's. Everything that hinders learning by
    heart is switched off: mini-batches, a falling rate, weight decay, dropout.

    Args:
        key: For the training.
        train: Training runs.
        box: The ranges of birth conditions.
        settings: The campaign's.
    """
    points = np.unique(train.point_id)
    chosen = points[np.linspace(0, len(points) - 1, min(N_EXAMPLES, len(points))).astype(int)]
    ten = train.at(np.array([np.flatnonzero(train.point_id == point)[0] for point in chosen]))
    n_epochs = max(settings.max_epochs, 2000)
    free = settings.model_copy(
        update={
            "members": 2,
            "max_epochs": n_epochs,
            "patience": n_epochs,
            "batch_size": None,
            "schedule": "constant",
            "weight_decay": 0.0,
            "weighting": "none",
            "dropout_rate": 0.0,
        }
    )
    _, history = train_ensemble(key, ten, replace(ten, split="validation"), box, free, must_train=False)
    loss = float(np.nanmin(history.validation_loss, axis=1).max())
    advice = "a defect, a learning_rate too low or high, or dead units: nothing larger will work before this does"
    return health_row("can learn ten examples", "loss", loss, f"below {EXAMPLES_LOSS:g}", loss < EXAMPLES_LOSS, advice)


def gradient_checks(history: History) -> Iterator[dict[str, Any]]:
    """Do gradients flow through all layers? Medians over epochs and members, and the largest of all."""
    norms = history.recorded["layer_gradient_norm"]
    total = np.sqrt((norms**2).sum(-1))
    for k in range(norms.shape[2]):
        with np.errstate(invalid="ignore"):
            share = float(np.nanmedian(norms[..., k] / total))
        subject, limit = f"layer {k + 1}: share of the gradient", f"above {SMALL_GRADIENT:g}"
        advice = "vanishing: relu or gelu instead of sigmoid or tanh, initialisation he or glorot, batch_norm"
        yield health_row("gradients flow", subject, share, limit, share > SMALL_GRADIENT, advice)
    growth = float(np.nanmax(total / total[:, :1]))
    subject, limit = "largest gradient over the first", f"below {LARGE_GRADIENT:g}"
    advice = "exploding: a learning_rate ten times lower, initialisation glorot"
    yield health_row("gradients flow", subject, growth, limit, growth < LARGE_GRADIENT, advice)


def idle_checks(history: History) -> Iterator[dict[str, Any]]:
    """Do units still learn? Shares of idle units at the weights that are kept, means over members."""
    members = np.arange(len(history.best_epoch))
    for k, share in enumerate(history.recorded["idle_share"][members, history.best_epoch].mean(0)):
        subject, limit = f"layer {k + 1}: share of idle units", f"below {MANY_IDLE:g}"
        advice = "activation leaky_relu or gelu, initialisation he, a lower learning_rate"
        yield health_row("units learn", subject, float(share), limit, share < MANY_IDLE, advice)


def normalisation_checks(train: Runs, normaliser: Normaliser) -> Iterator[dict[str, Any]]:
    """Do normalised births and summaries have mean 0 and standard deviation 1? Which of them span decades?

    Args:
        train: Training runs.
        normaliser: The ensemble's.

    Returns:
        Rows of the table of health.
    """
    seen = (np.asarray(values, float) for values in normalised(train, normaliser))
    for columns, raw, values in zip((BIRTH, SUMMARIES), (train.x, train.y), seen, strict=True):
        for name, physical, z in zip(columns, raw.T, values.T, strict=True):
            for moment, value, expected in (("mean", z.mean(), 0.0), ("standard deviation", z.std(), 1.0)):
                advice = "a defect, unless numbers are too large for float32"
                healthy = abs(value - expected) < OFF
                limit = f"{expected:g} within {OFF:g}"
                yield health_row("normalised", f"{name}: {moment}", float(value), limit, healthy, advice)
            if np.all(physical > 0):
                decades = float(np.log10(physical.max() / physical.min()))
                healthy = decades < DECADES or name in normaliser.log10
                advice = f"try log10: [{name}]"
                yield health_row("normalised", f"{name}: decades", decades, f"below {DECADES:g}", healthy, advice)


def rate_check(settings: TrainingSettings) -> dict[str, Any]:
    """Is the learning rate where those of Adam usually are?"""
    low, high = RATES
    rate, adaptive = settings.learning_rate, settings.optimiser in ("adam", "adamw")
    advice = "unusual for adam: see what the loss curve says"
    limit = f"{low:g} to {high:g}" if adaptive else "any: it scales with the loss"
    return health_row("learning rate", settings.optimiser, rate, limit, not adaptive or low <= rate <= high, advice)


def loss_limits(
    train: Runs, validation: Runs, normaliser: Normaliser, settings: TrainingSettings
) -> tuple[float, float]:
    """The validation loss of a perfect network (nan without replicates), and that of a constant.

    Args:
        train: Training runs.
        validation: Validation runs.
        normaliser: Of births and summaries.
        settings: Whether errors are weighted.
    """
    _, *rows = (np.asarray(part, float) for part in rows_to_learn(validation, train, normaliser, settings))
    y, weight = rows if len(rows) > 1 else (rows[0], 1.0)
    # normalised training outputs have mean zero: a constant at it has this loss
    return scatter_floor(validation, y, weight), float((weight * y**2).mean())


def curve_verdicts(history: History, floor: float, ignorant: float, settings: TrainingSettings) -> list[Verdict]:
    """The verdict on every member's loss curve.

    Args:
        history: The curves.
        floor: Loss of a perfect network.
        ignorant: Loss of a constant.
        settings: Most epochs.
    """
    n_epochs = np.isfinite(history.train_loss).sum(1)
    return [
        judge(train, held_out, bool(n < settings.max_epochs), floor, ignorant)
        for train, held_out, n in zip(history.train_loss, history.validation_loss, n_epochs, strict=True)
    ]


def health_table(
    history: History,
    verdicts: list[Verdict],
    ten: dict[str, Any],
    train: Runs,
    normaliser: Normaliser,
    settings: TrainingSettings,
) -> pd.DataFrame:
    """All checks.

    Args:
        history: The learning curves, with what `natal.tuning.diagnostics.layers.record_layers` noted.
        verdicts: Of the members' curves.
        ten: What `ten_examples` gave.
        train: Training runs.
        normaliser: Of births and summaries.
        settings: The campaign's.

    Returns:
        Columns check, subject, value, usual, verdict (fine or look), advice.
    """
    curves = [
        {
            "check": "loss curve",
            "subject": f"member {k}: validation loss",
            "value": float(np.nanmin(loss)),
            "usual": "fine",
            "verdict": verdict.name,
            "advice": "" if verdict.name == "fine" else verdict.advice,
        }
        for k, (verdict, loss) in enumerate(zip(verdicts, history.validation_loss, strict=True))
    ]
    rows = [
        ten,
        *gradient_checks(history),
        *normalisation_checks(train, normaliser),
        rate_check(settings),
        *idle_checks(history),
        *curves,
    ]
    return pd.DataFrame(rows)
