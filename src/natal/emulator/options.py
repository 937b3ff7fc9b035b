"""Choices a campaign may make about its networks and their training; the defaults are those of `ensemble`.

Activations, initial weights, optimisers with their schedules of the learning rate, and L2 weight decay. What layers do
only in training, dropout and batch normalisation, is in `natal.emulator.layers`.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from natal.settings.emulator import TrainingSettings

Activation = Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]


def gelu(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """z times the normal distribution function at z (Hendrycks & Gimpel 2016), without their tanh approximation."""
    return jax.nn.gelu(z, approximate=False)


ACTIVATIONS: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,  # slope 0.01 below zero
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": gelu,
}


def activation_name(function: Activation) -> str:
    """The name of one of `ACTIVATIONS`."""
    return next(name for name, known in ACTIVATIONS.items() if known is function)


def initialise(key: PRNGKeyArray, network: eqx.nn.MLP, initialisation: str) -> eqx.nn.MLP:
    """The network with weights drawn anew; `equinox` leaves it as Equinox made it.

    `glorot`: uniform, Var(w) = 2 / (n_in + n_out) (Glorot & Bengio 2010, eq. 16). `he`: normal, Var(w) = 2 / n_in (He
    et al. 2015, eq. 10). Biases of both are zero. Equinox's own: uniform(+-1/sqrt(n_in)) for weights and biases.
    """
    if initialisation == "equinox":
        return network
    if initialisation == "glorot":
        draw = jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2)
    else:
        # JAX's he_normal is cut at two standard deviations
        draw = jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=-1, out_axis=-2)
    keys = jax.random.split(key, len(network.layers))
    weights = [draw(k, x.weight.shape, x.weight.dtype) for k, x in zip(keys, network.layers, strict=True)]
    biases = [jnp.zeros(layer.weight.shape[0], layer.weight.dtype) for layer in network.layers]
    network = eqx.tree_at(lambda n: [layer.weight for layer in n.layers], network, weights)
    return eqx.tree_at(lambda n: [layer.bias for layer in n.layers], network, biases)


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
    """The optimiser for one network, which `steps` is the largest number of steps of.

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
