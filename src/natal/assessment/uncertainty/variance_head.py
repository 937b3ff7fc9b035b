"""Networks that predict their own scatter: a mean and a log-variance for each summary.

They are trained by the negative log likelihood of a normal law (Nix & Weigend 1994; Kendall & Gal 2017, eq. 5 and 8).
Several networks are combined as in Lakshminarayanan, Pritzel & Blundell (2017, sec. 2.4): into a normal law with the
mean and variance of the mixture.
"""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from natal.data.normaliser import Normaliser, fit_normaliser
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.emulator.perceptron import HIDDEN, make_emulator_network
from natal.emulator.training import normalised, train_by_epochs
from natal.likelihood.gaussian import DiagonalGaussian
from natal.settings.emulator import TrainingSettings
from natal.variables import SUMMARIES, Box, limits_of

N_OUTPUTS = len(SUMMARIES)


def make_two_headed_network(key: PRNGKeyArray, hidden: Sequence[int] = HIDDEN) -> eqx.nn.MLP:
    """The emulator's network with one more output a summary, for its log-variance, which starts at zero.

    Args:
        key: For the initial weights.
        hidden: Units in each hidden layer.
    """
    network = make_emulator_network(key, hidden=hidden)
    last = eqx.nn.Linear(network.layers[-1].in_features, 2 * N_OUTPUTS, dtype=DTYPE, key=key)
    weight = jnp.concatenate([network.layers[-1].weight, jnp.zeros_like(network.layers[-1].weight)])
    last = eqx.tree_at(lambda layer: (layer.weight, layer.bias), last, (weight, jnp.zeros(2 * N_OUTPUTS, DTYPE)))
    two_headed: eqx.nn.MLP = eqx.tree_at(lambda n: n.layers[-1], network, last)
    return two_headed


def negative_log_likelihood(
    network: eqx.nn.MLP, x: Float[Array, "run birth"], y: Float[Array, "run summary"], key: PRNGKeyArray | None = None
) -> Float[Array, ""]:
    """Mean of -ln N(y; mean, variance) over runs and summaries, without the constant ln(2 pi) / 2; normalised units.

    Args:
        network: Gives means, then log-variances.
        x: Normalised births.
        y: Normalised summaries.
        key: Not used.
    """
    mean, log_variance = jnp.split(jax.vmap(network)(x), 2, axis=-1)
    return 0.5 * jnp.mean(log_variance + (y - mean) ** 2 * jnp.exp(-log_variance))


class VarianceHeadLikelihood(eqx.Module):
    """Independent normal summaries with the mean and the variance of the members' mixture.

    Attributes:
        networks: Members, stacked along a first axis; their outputs are normalised means, then log-variances.
        ensemble: The same networks without their log-variances.
    """

    networks: eqx.nn.MLP  # weights stacked along a first axis; outputs: means, then log-variances, normalised
    ensemble: Ensemble  # the same networks without their log-variances

    def members(
        self, x: Float[Array, " birth"]
    ) -> tuple[Float[Array, "member summary"], Float[Array, "member summary"]]:
        """Every member's mean and standard deviation at x = (q0, a_au), in physical units."""
        normaliser = self.ensemble.normaliser
        x_normalised = normaliser.normalise_x(x)
        outputs = eqx.filter_vmap(lambda network: network(x_normalised))(self.networks)
        mean, log_variance = jnp.split(outputs, 2, axis=-1)
        return normaliser.denormalise_y(mean), jnp.exp(0.5 * log_variance) * normaliser.y_std

    def conditional(self, x: Float[Array, " birth"]) -> DiagonalGaussian:
        """The law of the summaries at x = (q0, a_au)."""
        mean, sigma = self.members(x)
        return DiagonalGaussian(mean.mean(0), jnp.sqrt((sigma**2).mean(0) + mean.var(0)))


def with_variance_heads(networks: eqx.nn.MLP, normaliser: Normaliser, box: Box) -> VarianceHeadLikelihood:
    """The likelihood of networks that are stacked along a first axis.

    Args:
        networks: Their outputs are normalised means, then log-variances.
        normaliser: Of births and summaries.
        box: The ranges of birth conditions.
    """
    last = networks.layers[-1]
    means = jax.tree.map(lambda leaf: leaf[:, :N_OUTPUTS] if eqx.is_array(leaf) else leaf, last)
    ensemble = Ensemble(eqx.tree_at(lambda n: n.layers[-1], networks, means), normaliser, limits_of(box))
    return VarianceHeadLikelihood(networks, ensemble)


def fit_variance_head(
    key: PRNGKeyArray, train: Runs, validation: Runs, box: Box, settings: TrainingSettings
) -> VarianceHeadLikelihood:
    """Train `settings.members` networks on training runs, each stopped by validation runs.

    Args:
        key: For weights and training.
        train: Training runs.
        validation: Validation runs.
        box: The ranges of birth conditions.
        settings: Of the training.
    """
    key_networks, key_training = jax.random.split(key)
    normaliser = fit_normaliser(train)
    make = partial(make_two_headed_network, hidden=settings.hidden)
    untrained = eqx.filter_vmap(make)(jax.random.split(key_networks, settings.members))
    data = normalised(train, normaliser), normalised(validation, normaliser)
    networks, _ = train_by_epochs(
        key_training, untrained, negative_log_likelihood, *data, settings, progress_label="train with variance heads"
    )
    return with_variance_heads(networks, normaliser, box)
