"""One network of the emulator: its layers, activations and initial weights."""

from collections.abc import Callable
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.variables import BIRTH, SUMMARIES

HIDDEN = (64, 64)
_UNITS = (len(BIRTH), *HIDDEN, len(SUMMARIES))
N_PARAMETERS = sum((n_in + 1) * n_out for n_in, n_out in pairwise(_UNITS))

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


def make_emulator_network(key: PRNGKeyArray, activation: str = "relu", initialisation: str = "glorot") -> eqx.nn.MLP:
    """One untrained member; by default with Glorot-uniform weights, Var(w) = 2 / (n_in + n_out), and zero biases.

    Glorot & Bengio (2010), eq. 16. Equinox's own default, uniform(+-1/sqrt(n_in)) for weights and biases, differs.
    `ACTIVATIONS` and `initialise` have the other names.
    """
    network = eqx.nn.MLP(
        len(BIRTH), len(SUMMARIES), HIDDEN[0], len(HIDDEN), activation=ACTIVATIONS[activation], dtype=DTYPE, key=key
    )
    network = initialise(key, network, initialisation)
    assert count_parameters(network) == N_PARAMETERS
    return network


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
