"""Optimisers, their schedules of the learning rate, and L2 weight decay."""

from typing import Any

import jax
import optax

from natal.settings.emulator import TrainingSettings


def make_schedule(settings: TrainingSettings, steps: int) -> float | optax.Schedule:
    """The learning rate, or how it falls over `steps` optimiser steps to `final_rate` times itself.

    `cosine` (Loshchilov & Hutter 2017, eq. 5, without restarts), `exponential`, or `step`: in `rate_drops` drops by
    equal factors at even distances.
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
    """The optimiser for one network, which takes `steps` steps at most.

    `weight_decay` is the lambda of a penalty lambda sum_l ||W_l||_F^2 on the loss: its gradient 2 lambda W is added to
    that of the data, for weights and not for biases. With `adamw` the step itself shrinks weights by 2 lambda times the
    learning rate instead (Loshchilov & Hutter 2019, algorithm 2), which for plain gradient descent is the same.
    `momentum` is v <- beta v + g, w <- w - eta v (Polyak 1964); Adam has beta_1 = 0.9, beta_2 = 0.999 and
    epsilon = 10^-8 (Kingma & Ba 2015, algorithm 1).
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
    """Which leaves of one network are weight matrices: not biases, nor scales, shifts and statistics of layers."""
    return jax.tree.map(lambda leaf: leaf.ndim == 2, parameters)
