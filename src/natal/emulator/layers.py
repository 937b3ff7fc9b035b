"""Layers that act in training only: dropout and batch normalisation. A plain network is left afterwards.

Every hidden layer is z -> batch normalisation -> activation -> dropout. With fixed statistics, batch normalisation is
an affine map of each neuron. So it can be folded into the weights and biases after training: an ensemble's file has
plain networks, however they were trained.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

EPSILON = 1e-5
"""Added to a batch's variance (Ioffe & Szegedy 2015)."""

MEMORY = 0.9
"""Share of the running statistics that one batch leaves unchanged."""


class BatchNorm(eqx.Module):
    """Batch normalisation: (z - mu) / sqrt(var + epsilon) gamma + beta (Ioffe & Szegedy 2015, algorithm 1).

    Attributes:
        gamma: Learned factors.
        beta: Learned shifts.
        mean: Running mean mu.
        var: Running variance.
    """

    gamma: Float[Array, " unit"]
    beta: Float[Array, " unit"]
    mean: Float[Array, " unit"]
    var: Float[Array, " unit"]

    @classmethod
    def fresh(cls, n_units: int, dtype: Any) -> "BatchNorm":
        """A layer that has seen nothing: the identity, except for epsilon.

        Args:
            n_units: Units of the layer.
            dtype: Of its numbers.
        """
        zeros, ones = jnp.zeros(n_units, dtype), jnp.ones(n_units, dtype)
        return cls(ones, zeros, zeros, ones)

    def __call__(self, z: Float[Array, "row unit"], *, training: bool) -> Float[Array, "row unit"]:
        """Normalise by the batch's own statistics in training, and by the running ones in use."""
        mean, var = (z.mean(0), z.var(0)) if training else (self.mean, self.var)
        return (z - mean) / jnp.sqrt(var + EPSILON) * self.gamma + self.beta

    def having_seen(self, z: Float[Array, "row unit"]) -> "BatchNorm":
        """The layer with running statistics moved towards this batch's, with unbiased variance (their algorithm 2)."""
        mean = MEMORY * self.mean + (1 - MEMORY) * z.mean(0)
        var = MEMORY * self.var + (1 - MEMORY) * z.var(0, ddof=1)
        updated: BatchNorm = eqx.tree_at(lambda n: (n.mean, n.var), self, (mean, var))
        return updated


class TrainingNetwork(eqx.Module):
    """A multilayer perceptron with dropout, batch normalisation or both in its hidden layers.

    Attributes:
        network: The perceptron.
        norms: One batch normalisation for each hidden layer; empty if there is none.
        dropout: With the probability to drop a neuron.
    """

    network: eqx.nn.MLP
    norms: list[BatchNorm]  # one a hidden layer; empty: none
    dropout: eqx.nn.Dropout

    @classmethod
    def around(cls, network: eqx.nn.MLP, dropout_rate: float, batch_norm: bool) -> "TrainingNetwork":
        """Wrap an untrained network.

        Args:
            network: A perceptron.
            dropout_rate: Probability to drop a neuron.
            batch_norm: Whether to normalise.
        """
        hidden = network.layers[:-1] if batch_norm else ()
        norms = [BatchNorm.fresh(layer.weight.shape[0], layer.weight.dtype) for layer in hidden]
        return cls(network, norms, eqx.nn.Dropout(dropout_rate))

    def outputs(
        self, x: Float[Array, "row input"], key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "row output"], list[Float[Array, "row unit"]]]:
        """Outputs of a batch, and the hidden layers' z before normalisation.

        Args:
            x: Rows of inputs.
            key: For training: batch statistics, and other neurons dropped for every row. None: as in use.
        """
        *hidden, last = self.network.layers
        keys = [None] * len(hidden) if key is None else jax.random.split(key, len(hidden))
        seen = []
        for k, layer in enumerate(hidden):
            z = jax.vmap(layer)(x)
            seen.append(z)
            if self.norms:
                z = self.norms[k](z, training=key is not None)
            x = self.dropout(self.network.activation(z), key=keys[k], inference=key is None)
        return jax.vmap(last)(x), seen

    def having_seen(self, x: Float[Array, "row input"], key: PRNGKeyArray) -> "TrainingNetwork":
        """The network with its running statistics after this batch, seen without the neurons that `key` drops.

        Args:
            x: The batch's inputs, normalised.
            key: Decides which neurons are dropped.
        """
        if not self.norms:
            return self
        _, seen = self.outputs(x, key)
        norms = [norm.having_seen(z) for norm, z in zip(self.norms, seen, strict=True)]
        updated: TrainingNetwork = eqx.tree_at(lambda n: n.norms, self, norms)
        return updated

    def plain(self) -> eqx.nn.MLP:
        """The network in use: nothing is dropped, normalisation is folded into weights and biases."""
        if not self.norms:
            return self.network
        *hidden, last = self.network.layers
        folded = []
        for layer, norm in zip(hidden, self.norms, strict=True):
            assert layer.bias is not None
            scale = norm.gamma / jnp.sqrt(norm.var + EPSILON)
            parameters = scale[:, None] * layer.weight, scale * (layer.bias - norm.mean) + norm.beta
            folded.append(eqx.tree_at(lambda x: (x.weight, x.bias), layer, parameters))
        plain: eqx.nn.MLP = eqx.tree_at(lambda n: n.layers, self.network, (*folded, last))
        return plain


def training_loss(
    network: TrainingNetwork, x: Float[Array, "row input"], y: Float[Array, "row output"], key: PRNGKeyArray | None
) -> Float[Array, ""]:
    """Mean squared error over rows and outputs; with a key as in training, without one as in use.

    Args:
        network: The network.
        x: Inputs, normalised.
        y: Outputs, normalised.
        key: Decides which neurons are dropped; None: none is, and running statistics take the place of the batch's.
    """
    return jnp.mean((network.outputs(x, key)[0] - y) ** 2)


def weighted_loss(
    network: eqx.nn.MLP | TrainingNetwork,
    x: Float[Array, "row input"],
    y: Float[Array, "row output"],
    weight: Float[Array, "row output"],
    key: PRNGKeyArray | None,
) -> Float[Array, ""]:
    """Mean of weight times squared error over rows and outputs, for both kinds of network.

    Args:
        network: A plain perceptron or one in training.
        x: Rows of inputs.
        y: Outputs to learn.
        weight: Of each squared error.
        key: For dropout and batch statistics; None: as in use.
    """
    predicted = network.outputs(x, key)[0] if isinstance(network, TrainingNetwork) else jax.vmap(network)(x)
    return jnp.mean(weight * (predicted - y) ** 2)
