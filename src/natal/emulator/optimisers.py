"""Optimisers, schedules of the learning rate, and L2 weight decay."""

from typing import Any

import jax
import optax

from natal.settings.emulator import TrainingSettings


def make_schedule(settings: TrainingSettings, steps: int) -> float | optax.Schedule:
    """The learning rate, or how it falls over `steps` optimiser steps to `final_rate` times its first value.

    `cosine` is that of Loshchilov & Hutter (2017, eq. 5) without restarts; `exponential` falls by the same factor in
    every step; `step` falls `rate_drops` times, by equal factors and at equal distances.

    Args:
        settings: Learning rate and schedule.
        steps: Optimiser steps of the whole training.

    Examples:
        >>> settings = TrainingSettings(schedule="cosine", learning_rate=1e-3, final_rate=0.01)
        >>> schedule = make_schedule(settings, steps=100)
        >>> [f"{float(schedule(step)):.1e}" for step in (0, 50, 100)]
        ['1.0e-03', '5.1e-04', '1.0e-05']
    """
    first, final = settings.learning_rate, settings.final_rate
    if settings.schedule == "cosine":
        return optax.cosine_decay_schedule(first, steps, alpha=final)
    if settings.schedule == "exponential":
        return optax.exponential_decay(first, steps, final, end_value=first * final)
    if settings.schedule == "step":
        n = settings.rate_drops
        drops = {steps * k // (n + 1): final ** (1 / n) for k in range(1, n + 1)}
        return optax.piecewise_constant_schedule(first, drops)
    return first


def make_optimiser(settings: TrainingSettings, steps: int) -> optax.GradientTransformation:
    """The optimiser of one network.

    `weight_decay` is the lambda of a penalty lambda sum_l ||W_l||_F^2 on the loss: its gradient 2 lambda W is added to
    that of the data, for weights and not for biases. With `adamw` the step itself shrinks weights instead, by 2 lambda
    times the learning rate (Loshchilov & Hutter 2019, algorithm 2); for plain gradient descent this is the same.
    `momentum` is v <- beta v + g, w <- w - eta v (Polyak 1964). Adam has beta_1 = 0.9, beta_2 = 0.999 and epsilon =
    10^-8 (Kingma & Ba 2015, algorithm 1).

    Args:
        settings: Optimiser, learning rate, schedule and weight decay.
        steps: Most steps of the training.
    """
    rate, decay = make_schedule(settings, steps), 2 * settings.weight_decay
    if settings.optimiser == "adamw":
        return optax.adamw(rate, weight_decay=decay, mask=is_weight)
    step = {
        "adam": lambda: optax.adam(rate),
        "sgd": lambda: optax.sgd(rate),
        "momentum": lambda: optax.sgd(rate, momentum=settings.momentum),
    }[settings.optimiser]()
    return optax.chain(optax.add_decayed_weights(decay, mask=is_weight), step) if decay else step


def is_weight(parameters: Any) -> Any:
    """Whether each leaf of one network is a weight matrix, and no bias, scale, shift or statistic of a layer."""
    return jax.tree.map(lambda leaf: leaf.ndim == 2, parameters)
