"""One network of the emulator: its layers, activations and initial weights."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.variables import BIRTH, SUMMARIES

HIDDEN = (64, 64)
"""Units of each hidden layer by default."""

Activation = Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]


def gelu(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """z times the normal distribution function at z (Hendrycks & Gimpel 2016), without their tanh approximation.

    Examples:
        >>> f"{gelu(jnp.array(1.0)).item():.4f}"
        '0.8413'
    """
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


def make_emulator_network(
    key: PRNGKeyArray, activation: str = "relu", initialisation: str = "glorot", hidden: Sequence[int] = HIDDEN
) -> eqx.nn.MLP:
    """One untrained member.

    By default it has Glorot-uniform weights, Var(w) = 2 / (n_in + n_out), and zero biases (Glorot & Bengio 2010, eq.
    16). Equinox's own default is different: uniform(+-1/sqrt(n_in)) for weights and biases.

    Args:
        key: For the weights.
        activation: One of `ACTIVATIONS`.
        initialisation: `glorot`, `he` or `equinox` (`initialise`).
        hidden: Units of each hidden layer; without any the network is linear.
    """
    network = eqx.nn.MLP(
        len(BIRTH),
        len(SUMMARIES),
        max(hidden, default=1),
        len(hidden),
        activation=ACTIVATIONS[activation],
        dtype=DTYPE,
        key=key,
    )
    # Equinox gives all hidden layers one width: here each has its own, with Equinox's random numbers
    sizes = zip(jax.random.split(key, len(hidden) + 1), pairwise(layer_sizes(hidden)), strict=True)
    layers = tuple(eqx.nn.Linear(n_in, n_out, dtype=DTYPE, key=k) for k, (n_in, n_out) in sizes)
    network = eqx.tree_at(lambda n: n.layers, network, layers)
    return initialise(key, network, initialisation)


def layer_sizes(hidden: Sequence[int]) -> list[int]:
    """Number of inputs, units of each hidden layer, and number of outputs of the emulator's networks.

    Examples:
        >>> layer_sizes([64, 32])
        [2, 64, 32, 3]
    """
    return [len(BIRTH), *hidden, len(SUMMARIES)]


def hidden_layers(network: eqx.nn.MLP) -> list[int]:
    """Units of each hidden layer of a network, or of a stack of networks."""
    return [int(layer.out_features) for layer in network.layers[:-1]]


def parameter_count(sizes: Sequence[int]) -> int:
    """Number of weights and biases of a perceptron.

    Every unit has a weight for each unit before it, and a bias.

    Args:
        sizes: Units of each layer, inputs and outputs included.

    Examples:
        >>> parameter_count([2, 64, 64, 3]), parameter_count([5, 100, 100, 3]), parameter_count([10, 50, 50, 5])
        (4547, 11003, 3355)
    """
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))


def count_parameters(network: eqx.Module) -> int:
    """Number of weights and biases of a network."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)))


def initialise(key: PRNGKeyArray, network: eqx.nn.MLP, initialisation: str) -> eqx.nn.MLP:
    """The network with new weights.

    Args:
        key: For the weights.
        network: The network.
        initialisation: `glorot`: uniform, Var(w) = 2 / (n_in + n_out) (Glorot & Bengio 2010, eq. 16), biases 0. `he`:
            normal, Var(w) = 2 / n_in (He et al. 2015, eq. 10), biases 0. `equinox`: as it is, which is
            uniform(+-1/sqrt(n_in)) for weights and biases.
    """
    if initialisation == "equinox":
        return network
    if initialisation == "glorot":
        return redraw(key, network, jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2))
    # JAX's he_normal is cut at two standard deviations
    return redraw(key, network, jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=-1, out_axis=-2))


def redraw(key: PRNGKeyArray, network: eqx.nn.MLP, initialiser: jax.nn.initializers.Initializer) -> eqx.nn.MLP:
    """The network with the weights of every layer drawn by `initialiser`, and zero biases.

    Args:
        key: For the weights.
        network: Gives the shape.
        initialiser: One of `jax.nn.initializers`.
    """
    keys = jax.random.split(key, len(network.layers))
    weights = [initialiser(k, x.weight.shape, x.weight.dtype) for k, x in zip(keys, network.layers, strict=True)]
    biases = [jnp.zeros(layer.weight.shape[0], layer.weight.dtype) for layer in network.layers]
    drawn: eqx.nn.MLP = eqx.tree_at(
        lambda n: [x.weight for x in n.layers] + [x.bias for x in n.layers], network, weights + biases
    )
    return drawn
