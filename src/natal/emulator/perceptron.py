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
"""Units of each hidden layer, if nothing else is said."""

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


def make_emulator_network(
    key: PRNGKeyArray, activation: str = "relu", initialisation: str = "glorot", hidden: Sequence[int] = HIDDEN
) -> eqx.nn.MLP:
    """One untrained member; by default with Glorot-uniform weights, Var(w) = 2 / (n_in + n_out), and zero biases.

    Glorot & Bengio (2010), eq. 16. Equinox's own default, uniform(+-1/sqrt(n_in)) for weights and biases, differs.
    `ACTIVATIONS` and `initialise` have the other names. Without any `hidden` layer the network is linear.
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
    # Equinox's layers, and its random numbers, with a width of their own
    sizes = zip(jax.random.split(key, len(hidden) + 1), pairwise(layer_sizes(hidden)), strict=True)
    layers = tuple(eqx.nn.Linear(n_in, n_out, dtype=DTYPE, key=k) for k, (n_in, n_out) in sizes)
    network = eqx.tree_at(lambda n: n.layers, network, layers)
    return initialise(key, network, initialisation)


def layer_sizes(hidden: Sequence[int]) -> list[int]:
    """Inputs, units of each hidden layer, and outputs of the emulator's networks."""
    return [len(BIRTH), *hidden, len(SUMMARIES)]


def hidden_layers(network: eqx.nn.MLP) -> list[int]:
    """Units of each hidden layer; of a stack of networks, too."""
    return [int(layer.out_features) for layer in network.layers[:-1]]


def parameter_count(sizes: Sequence[int]) -> int:
    """Weights and biases of a perceptron with layers of these sizes, inputs and outputs included.

    Every unit has a weight for each unit before it, and a bias.

    >>> parameter_count([2, 64, 64, 3]), parameter_count([5, 100, 100, 3]), parameter_count([10, 50, 50, 5])
    (4547, 11003, 3355)
    """
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))


def count_parameters(network: eqx.Module) -> int:
    """Number of weights and biases."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)))


def initialise(key: PRNGKeyArray, network: eqx.nn.MLP, initialisation: str) -> eqx.nn.MLP:
    """The network with weights drawn anew; `equinox` leaves it as Equinox made it.

    `glorot`: uniform, Var(w) = 2 / (n_in + n_out) (Glorot & Bengio 2010, eq. 16). `he`: normal, Var(w) = 2 / n_in (He
    et al. 2015, eq. 10). Biases of both are zero. Equinox's own: uniform(+-1/sqrt(n_in)) for weights and biases.
    """
    if initialisation == "equinox":
        return network
    if initialisation == "glorot":
        return redraw(key, network, jax.nn.initializers.glorot_uniform(in_axis=-1, out_axis=-2))
    # JAX's he_normal is cut at two standard deviations
    return redraw(key, network, jax.nn.initializers.variance_scaling(2.0, "fan_in", "normal", in_axis=-1, out_axis=-2))


def redraw(key: PRNGKeyArray, network: eqx.nn.MLP, initialiser: jax.nn.initializers.Initializer) -> eqx.nn.MLP:
    """The network with every layer's weights drawn by `initialiser`, and zero biases."""
    keys = jax.random.split(key, len(network.layers))
    weights = [initialiser(k, x.weight.shape, x.weight.dtype) for k, x in zip(keys, network.layers, strict=True)]
    biases = [jnp.zeros(layer.weight.shape[0], layer.weight.dtype) for layer in network.layers]
    drawn: eqx.nn.MLP = eqx.tree_at(
        lambda n: [x.weight for x in n.layers] + [x.bias for x in n.layers], network, weights + biases
    )
    return drawn
