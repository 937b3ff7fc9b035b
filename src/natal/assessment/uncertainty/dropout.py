"""MC dropout: a network in which neurons are dropped at random, both in training and in use.

Gal & Ghahramani (2016, ICML, sec. 3 and 4): each set of dropped neurons is a draw of an approximate posterior of the
weights. The predictive mean and variance are those over such draws, the variance with the noise added (their eq. 6
ff.).

Here the sets are drawn once and kept. Dropping neuron j for good, and scaling the others by 1 / (1 - rate), is the same
as scaling columns of the next layer's weights. So the draws are ordinary networks, and together an `Ensemble`, whose
log density is one smooth function of (Q0, a). If sets were drawn at every call, NUTS would see another function each
time.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from natal.assessment.uncertainty.spread import SpreadLikelihood, with_noise
from natal.data.normaliser import fit_normaliser
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.emulator.perceptron import make_emulator_network
from natal.emulator.training import mean_squared_error, normalised, train_by_epochs
from natal.settings.emulator import TrainingSettings
from natal.variables import Box, limits_of


class DropoutNetwork(eqx.Module):
    """A multilayer perceptron that drops hidden neurons if it is given a key.

    Attributes:
        network: The perceptron.
        dropout: With the probability `p` to drop a neuron.
    """

    network: eqx.nn.MLP
    dropout: eqx.nn.Dropout

    def __call__(self, x: Float[Array, " birth"], key: PRNGKeyArray | None = None) -> Float[Array, " summary"]:
        """Normalised summaries at normalised x; without a key no neuron is dropped."""
        *hidden, last = self.network.layers
        keys = [None] * len(hidden) if key is None else jax.random.split(key, len(hidden))
        for layer, layer_key in zip(hidden, keys, strict=True):
            x = self.dropout(jax.nn.relu(layer(x)), key=layer_key, inference=key is None)
        return last(x)


def dropout_loss(
    network: DropoutNetwork, x: Float[Array, "run birth"], y: Float[Array, "run summary"], key: PRNGKeyArray | None
) -> Float[Array, ""]:
    """Mean squared error with neurons dropped anew for every run; without a key that of the whole network.

    Args:
        network: The network.
        x: Births, normalised.
        y: Summaries, normalised.
        key: Decides which neurons are dropped; None: none is.
    """
    if key is None:
        return mean_squared_error(network, x, y)
    keys = jax.random.split(key, len(x))
    return jnp.mean((jax.vmap(network)(x, keys) - y) ** 2)


def freeze_mask(network: DropoutNetwork, key: PRNGKeyArray) -> eqx.nn.MLP:
    """The network without the neurons that `key` drops; at every x it is equal to `network(x, key)`.

    Args:
        network: The network.
        key: Decides which neurons are dropped.
    """
    following = network.network.layers[1:]
    if not following:
        return network.network
    keep = 1 - network.dropout.p
    keys = jax.random.split(key, len(following))
    weights = [
        layer.weight * jax.random.bernoulli(k, keep, layer.weight.shape[1:]) / keep
        for k, layer in zip(keys, following, strict=True)
    ]
    thinned: eqx.nn.MLP = eqx.tree_at(lambda n: [layer.weight for layer in n.layers[1:]], network.network, weights)
    return thinned


def fit_mc_dropout(
    key: PRNGKeyArray, train: Runs, validation: Runs, box: Box, settings: TrainingSettings, rate: float, masks: int
) -> SpreadLikelihood:
    """Train one network with dropout, freeze sets of dropped neurons, and fit the noise.

    The noise is the scatter of validation runs beyond the spread of the sets.

    Args:
        key: For weights, training and sets.
        train: Training runs.
        validation: Runs that stop the training and give the noise.
        box: The ranges of birth conditions.
        settings: Of the training.
        rate: Probability to drop a neuron.
        masks: Number of sets.
    """
    key_network, key_training, key_masks = jax.random.split(key, 3)
    normaliser = fit_normaliser(train)
    untrained = DropoutNetwork(make_emulator_network(key_network, hidden=settings.hidden), eqx.nn.Dropout(rate))
    # a stack of one
    stacked = jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, untrained)
    data = normalised(train, normaliser), normalised(validation, normaliser)
    trained, _ = train_by_epochs(
        key_training, stacked, dropout_loss, *data, settings, progress_label="train with dropout"
    )
    network = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, trained)
    networks = eqx.filter_vmap(lambda k: freeze_mask(network, k))(jax.random.split(key_masks, masks))
    return with_noise(Ensemble(networks, normaliser, limits_of(box)), validation)
