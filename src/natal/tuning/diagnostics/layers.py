"""What happens inside a network while it trains: gradients of its layers, and units that no longer learn."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from natal.emulator.layers import TrainingNetwork, training_loss, weighted_loss
from natal.emulator.training import History, mean_squared_error

NO_SLOPE = 1e-6
"""A unit passes no gradient on if the derivative of its activation is below this."""

Network = eqx.nn.MLP | TrainingNetwork


def record_layers(
    network: Network,
    x: Float[Array, "run birth"],
    y: Float[Array, "run summary"],
    weight: Float[Array, "run summary"] | None = None,
) -> dict[str, Float[Array, " layer"]]:
    """Numbers of every layer to note in training, over the training runs.

    Args:
        network: In training.
        x: Normalised births.
        y: Normalised summaries.
        weight: Of squared errors; None: all are 1.

    Returns:
        `layer_gradient_norm` of every layer and `idle_share` of every hidden layer.
    """
    return {
        "layer_gradient_norm": layer_gradient_norms(network, x, y, weight),
        "idle_share": idle_shares(network.plain() if isinstance(network, TrainingNetwork) else network, x),
    }


def layer_gradient_norms(
    network: Network,
    x: Float[Array, "run birth"],
    y: Float[Array, "run summary"],
    weight: Float[Array, "run summary"] | None = None,
) -> Float[Array, " layer"]:
    """Norm of the loss's gradient in the weights and biases of each layer; dropout always drops the same neurons.

    Args:
        network: In training.
        x: Normalised births.
        y: Normalised summaries.
        weight: Of squared errors; None: all are 1.
    """
    key, wrapped = jax.random.key(0), isinstance(network, TrainingNetwork)
    if weight is not None:
        gradient = eqx.filter_grad(weighted_loss)(network, x, y, weight, key)
    else:
        gradient = eqx.filter_grad(training_loss if wrapped else mean_squared_error)(network, x, y, key)
    layers = (gradient.network if wrapped else gradient).layers
    return jnp.stack([jnp.sqrt((layer.weight**2).sum() + (layer.bias**2).sum()) for layer in layers])


def idle_shares(network: eqx.nn.MLP, x: Float[Array, "run birth"]) -> Float[Array, " hidden"]:
    """Share of each hidden layer's units whose activation is flat at every run: dead ReLUs, others saturated.

    A ReLU that is off at some runs is not idle: it learns from the others.

    Args:
        network: One member.
        x: Births, normalised.

    Returns:
        Numbers between 0 and 1, one a hidden layer.
    """
    slope: Callable[[Array], Array] = jax.vmap(jax.vmap(jax.grad(network.activation)))
    shares = []
    for layer in network.layers[:-1]:
        z = jax.vmap(layer)(x)
        shares.append(jnp.all(jnp.abs(slope(z)) < NO_SLOPE, axis=0).mean())
        x = network.activation(z)
    return jnp.stack(shares) if shares else jnp.zeros(0)


def layer_table(history: History, every: int) -> pd.DataFrame:
    """The recorded numbers as a table.

    Args:
        history: The learning curves, with what `record_layers` noted.
        every: Only each so many epochs has rows.

    Returns:
        Columns epoch, member, layer (from 1), gradient_norm, idle_share (nan for the output layer).
    """
    norms, idle = (history.recorded[name] for name in ("layer_gradient_norm", "idle_share"))
    idle = np.concatenate([idle, np.full((*norms.shape[:2], 1), np.nan)], axis=2)
    member, epoch, layer = (np.asarray(index) for index in np.indices(norms.shape))
    columns = {"epoch": epoch, "member": member, "layer": layer + 1, "gradient_norm": norms, "idle_share": idle}
    table = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    return table[(table.epoch % every == 0) & table.gradient_norm.notna()]
