"""An ensemble of small networks from a system's features to its probability of a label: unstable, or chaotic.

Each is a multilayer perceptron with ReLU and one logit, trained by the cross entropy. The ensemble's probability is the
mean of its members' (Lakshminarayanan, Pritzel & Blundell 2017). Its logit is then divided by one temperature, chosen
so that the labels of the validation systems are most likely (Guo et al. 2017). The study `planets` uses it, too.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from natal.emulator.network_files import DTYPE, read_leaves
from natal.emulator.training import History, train_by_epochs
from natal.errors import NatalError
from natal.files.atomic import atomic_path
from natal.settings.emulator import TrainingSettings
from natal.studies.triples.settings import ClassifierSettings

FORMAT = "natal-triples-2"
TINY = 1e-6
"""Least distance of probabilities from 0 and 1, so that no loss is infinite."""


class Classifier(eqx.Module):
    """Trained networks.

    Attributes:
        networks: Members, their weights stacked along a first axis.
        mean: Means of the features over training rows.
        std: Their standard deviations.
        temperature: The number that logits are divided by.
        features: Names of the features.
    """

    networks: eqx.nn.MLP
    mean: Float[Array, " feature"]
    std: Float[Array, " feature"]
    temperature: Float[Array, ""]
    features: tuple[str, ...] = eqx.field(static=True)

    def members(self, x: Float[np.ndarray, "system feature"]) -> Float[np.ndarray, "member system"]:
        """Every member's probability of the label, before the temperature."""
        return np.asarray(_probabilities(self, jnp.asarray(x, DTYPE)), float)

    def __call__(
        self, x: Float[np.ndarray, "system feature"], *, calibrated: bool = True
    ) -> Float[np.ndarray, " system"]:
        """The ensemble's probability of the label.

        Args:
            x: Features of the systems.
            calibrated: Whether logits are divided by the temperature.
        """
        return tempered(self.members(x).mean(0), float(self.temperature) if calibrated else 1.0)


@eqx.filter_jit
def _probabilities(classifier: Classifier, x: Float[Array, "system feature"]) -> Float[Array, "member system"]:
    normalised = (x - classifier.mean) / classifier.std
    logits = eqx.filter_vmap(lambda network: jax.vmap(network)(normalised))(classifier.networks)
    return jax.nn.sigmoid(logits[..., 0])


def tempered(probability: Float[np.ndarray, " system"], temperature: float) -> Float[np.ndarray, " system"]:
    """Probabilities whose logits are divided by `temperature`.

    Args:
        probability: Probabilities between 0 and 1.
        temperature: Above 1: closer to 1/2; below 1: further away.

    Examples:
        >>> tempered(np.array([0.9]), 2.0).round(2).tolist()
        [0.75]
    """
    adjusted: np.ndarray = expit(logit(np.clip(probability, TINY, 1 - TINY)) / temperature)
    return adjusted


def best_temperature(probability: Float[np.ndarray, " system"], labelled: Bool[np.ndarray, " system"]) -> float:
    """The temperature between 1/10 and 10 that makes the labels most likely.

    Args:
        probability: Predicted probabilities.
        labelled: Whether a system has the label.
    """
    margin = np.where(labelled, 1.0, -1.0) * logit(np.clip(probability, TINY, 1 - TINY))

    def loss(log_temperature: float) -> float:
        cost: float = np.logaddexp(0, -margin / np.exp(log_temperature)).mean()
        return cost

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(10), np.log(10)), method="bounded").x))


def train_classifier(
    key: PRNGKeyArray,
    train: tuple[Float[np.ndarray, "system feature"], Bool[np.ndarray, " system"]],
    validation: tuple[Float[np.ndarray, "row feature"], Bool[np.ndarray, " row"]],
    settings: ClassifierSettings,
    features: tuple[str, ...],
) -> tuple[Classifier, History]:
    """Train a classifier.

    Args:
        key: For the weights.
        train: Features of training systems, and whether they have the label.
        validation: The same of the systems that stop each member and give the temperature.
        settings: Networks and training.
        features: Names of the features.

    Raises:
        NatalError: If all training systems have the same label or the same value of a feature, or if a member learns
            nothing.
    """
    x, labelled = train
    if labelled.all() or not labelled.any():
        raise NatalError(f"all {len(x)} training systems share one label: nothing can be learned from them")
    mean, std = x.mean(0), x.std(0)
    if not np.all(std > 0):
        raise NatalError(f"the training systems all have the same {features[int(np.argmin(std))]}: widen the prior")
    make = partial(_network, n_features=len(features), width=settings.width, depth=settings.depth)
    networks = eqx.filter_vmap(make)(jax.random.split(key, settings.members))
    mean_and_std = jnp.asarray(mean, DTYPE), jnp.asarray(std, DTYPE)
    untrained = Classifier(networks, *mean_and_std, jnp.asarray(1.0, DTYPE), features)

    def data(x: np.ndarray, labelled: np.ndarray) -> tuple[Array, Array]:
        return jnp.asarray((x - mean) / std, DTYPE), jnp.asarray(labelled[:, None], DTYPE)

    def cross_entropy(network: Any, x: Array, y: Array, _: PRNGKeyArray | None) -> Array:
        loss: Array = optax.sigmoid_binary_cross_entropy(jax.vmap(network)(x), y).mean()
        return loss

    fitting = TrainingSettings(**settings.model_dump(exclude={"width", "depth"}))
    networks, history = train_by_epochs(
        key,
        networks,
        cross_entropy,
        data(*train),
        data(*validation),
        fitting,
        progress_label="train the classifier",
        section="classifier",
    )
    trained = eqx.tree_at(lambda c: c.networks, untrained, networks)
    temperature = best_temperature(trained(validation[0], calibrated=False), validation[1])
    return eqx.tree_at(lambda c: c.temperature, trained, jnp.asarray(temperature, DTYPE)), history


def _network(key: PRNGKeyArray, n_features: int, width: int, depth: int) -> eqx.nn.MLP:
    return eqx.nn.MLP(n_features, 1, width, depth, dtype=DTYPE, key=key)


def save_classifier(path: str | Path, classifier: Classifier) -> None:
    """Write a file: a JSON header line, then arrays (`eqx.tree_serialise_leaves`).

    Args:
        path: Where to write.
        classifier: The trained classifier.
    """
    networks = classifier.networks
    header = {
        "format": FORMAT,
        "features": classifier.features,
        "members": len(networks.layers[0].weight),
        "width": networks.width_size,
        "depth": networks.depth,
    }
    with atomic_path(path) as partial_path, open(partial_path, "wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        eqx.tree_serialise_leaves(file, classifier)


def load_classifier(path: str | Path) -> Classifier:
    """Load what `save_classifier` wrote.

    Raises:
        NatalError: If the file is something else or damaged.
    """
    try:
        with open(path, "rb") as file:
            header = json.loads(file.readline())
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}")
        features = tuple(map(str, header["features"]))
        members, width, depth = (int(header[name]) for name in ("members", "width", "depth"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NatalError(f"{path} is not a classifier: {error}") from error

    def make() -> Classifier:
        network = partial(_network, n_features=len(features), width=width, depth=depth)
        networks = eqx.filter_vmap(network)(jax.random.split(jax.random.key(0), members))
        blank = jnp.zeros(len(features), DTYPE)
        return Classifier(networks, blank, blank, jnp.zeros((), DTYPE), features)

    return read_leaves(path, make, remedy="train the classifier again")
