"""Training with nothing hidden: one network by full-batch Adam or gradient descent, and a look before each step.

Rate, weight decay and dropout are numbers that may be traced, so that many trainings run side by side under `jax.vmap`.
The campaign's trainings are `natal.emulator.training`'s.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.emulator.optimisers import is_weight
from natal.emulator.perceptron import ACTIVATIONS, initialise

Scalar = Float[Array, ""] | float


class Rows(NamedTuple):
    """Inputs and outputs."""

    x: Float[Array, "row input"]
    y: Float[Array, "row output"]


def make_perceptron(
    key: PRNGKeyArray, n_inputs: int, width: int, depth: int, activation: str = "relu", initialisation: str = "glorot"
) -> eqx.nn.MLP:
    """An untrained network with one output.

    Args:
        key: For the weights.
        n_inputs: Numbers that go in.
        width: Units of each hidden layer.
        depth: Number of hidden layers.
        activation: A key of `natal.emulator.perceptron.ACTIVATIONS`.
        initialisation: Law of the first weights, as `emulator.initialisation` allows them.
    """
    network = eqx.nn.MLP(n_inputs, 1, width, depth, activation=ACTIVATIONS[activation], dtype=DTYPE, key=key)
    return initialise(key, network, initialisation)


def outputs(
    network: eqx.nn.MLP, x: Float[Array, "row input"], key: PRNGKeyArray | None = None, dropout: Scalar = 0.0
) -> Float[Array, "row output"]:
    """Of many rows; with a key each hidden neuron is zero with probability `dropout`, the others larger by as much.

    Args:
        network: The network.
        x: Inputs.
        key: Decides which neurons are dropped; None: none is.
        dropout: Share of neurons to drop.
    """
    layers: Any = network.layers
    for k, layer in enumerate(layers[:-1]):
        x = network.activation(jax.vmap(layer)(x))
        if key is not None:
            x = x * jax.random.bernoulli(jax.random.fold_in(key, k), 1 - dropout, x.shape) / (1 - dropout)
    said: Array = jax.vmap(layers[-1])(x)
    return said


def squared_error(predicted: Float[Array, "row output"], y: Float[Array, "row output"]) -> Float[Array, ""]:
    """Mean squared error.

    Args:
        predicted: What the network says.
        y: What is true.
    """
    return jnp.mean((predicted - y) ** 2)


def cross_entropy(predicted: Float[Array, "row output"], y: Float[Array, "row output"]) -> Float[Array, ""]:
    """Mean cross entropy in nat; `predicted` are logits, `y` 0 or 1.

    Args:
        predicted: ln of the odds of a 1.
        y: The labels.
    """
    entropy: Array = optax.sigmoid_binary_cross_entropy(predicted, y).mean()
    return entropy


def accuracy(predicted: Float[Array, "row output"], y: Float[Array, "row output"]) -> Float[Array, ""]:
    """Share of rows on the right side of a logit of 0.

    Args:
        predicted: ln of the odds of a 1.
        y: The labels, 0 or 1.
    """
    return jnp.mean((predicted > 0) == (y > 0.5))


def train(
    key: PRNGKeyArray,
    network: eqx.nn.MLP,
    rows: Rows,
    rate: Scalar,
    watch: Callable[[eqx.nn.MLP], Any],
    *,
    steps: int,
    loss: Callable[[Array, Array], Array] = squared_error,
    weight_decay: Scalar = 0.0,
    dropout: Scalar | None = None,
    adam: bool = True,
) -> tuple[eqx.nn.MLP, Any]:
    """`steps` steps on all `rows`; `watch` sees the network before each, and what it returns is stacked.

    `weight_decay` is the lambda of a penalty lambda sum ||W||^2; without `dropout` no key is used.

    Args:
        key: For dropout.
        network: Where to start.
        rows: What to learn.
        rate: Learning rate.
        watch: Called with the network before each step.
        steps: How many.
        loss: Of predictions and truths.
        weight_decay: lambda, 0 for no penalty.
        dropout: Share of neurons to drop; None: none.
        adam: Adam, or plain gradient descent.

    Returns:
        The network after the last step; and what `watch` saw, with the step as first axis.
    """
    parameters, static = eqx.partition(network, eqx.is_array)
    optimiser = optax.scale_by_adam() if adam else optax.identity()

    def total(parameters: Any, key: PRNGKeyArray) -> Array:
        network = eqx.combine(parameters, static)
        predicted = outputs(network, rows.x) if dropout is None else outputs(network, rows.x, key, dropout)
        penalty: Any = sum(
            (leaf**2).sum()
            for leaf, counts in zip(*map(jax.tree.leaves, (parameters, is_weight(parameters))), strict=True)
            if counts
        )
        penalised: Array = loss(predicted, rows.y) + weight_decay * penalty
        return penalised

    def step(carry: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
        parameters, state = carry
        seen = watch(eqx.combine(parameters, static))
        updates, state = optimiser.update(jax.grad(total)(parameters, key), state)
        parameters = jax.tree.map(lambda leaf, update: leaf - rate * update, parameters, updates)
        return (parameters, state), seen

    (parameters, _), seen = lax.scan(step, (parameters, optimiser.init(parameters)), jax.random.split(key, steps))
    trained: eqx.nn.MLP = eqx.combine(parameters, static)
    return trained, seen
