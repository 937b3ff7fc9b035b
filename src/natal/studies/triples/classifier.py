"""An ensemble of small networks from a triple's features to its probability to be unstable.

Each is a multilayer perceptron with ReLU and one logit, trained by the cross entropy; the ensemble's probability is the
mean of its members' (Lakshminarayanan, Pritzel & Blundell 2017), its logit then divided by one temperature that
makes the validation triples most likely (Guo et al. 2017).
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
from natal.studies.triples.systems import FEATURES

FORMAT = "natal-triples-1"
TINY = 1e-6
"""Probabilities stay this far from 0 and 1, so that no surprise costs infinitely much."""


class Classifier(eqx.Module):
    """Trained members (weights stacked along a first axis), normalisation by training rows, and the temperature."""

    networks: eqx.nn.MLP
    mean: Float[Array, "6"]
    std: Float[Array, "6"]
    temperature: Float[Array, ""]

    def members(self, x: Float[np.ndarray, "triple 6"]) -> Float[np.ndarray, "member triple"]:
        """Every member's probability to be unstable, before the temperature."""
        return np.asarray(_probabilities(self, jnp.asarray(x, DTYPE)), float)

    def __call__(self, x: Float[np.ndarray, "triple 6"], *, calibrated: bool = True) -> Float[np.ndarray, " triple"]:
        """The ensemble's probability to be unstable; `calibrated` false leaves the temperature at 1."""
        return tempered(self.members(x).mean(0), float(self.temperature) if calibrated else 1.0)


@eqx.filter_jit
def _probabilities(classifier: Classifier, x: Float[Array, "triple 6"]) -> Float[Array, "member triple"]:
    normalised = (x - classifier.mean) / classifier.std
    logits = eqx.filter_vmap(lambda network: jax.vmap(network)(normalised))(classifier.networks)
    return jax.nn.sigmoid(logits[..., 0])


def tempered(probability: Float[np.ndarray, " triple"], temperature: float) -> Float[np.ndarray, " triple"]:
    """Probabilities with their logits divided by `temperature`."""
    adjusted: np.ndarray = expit(logit(np.clip(probability, TINY, 1 - TINY)) / temperature)
    return adjusted


def best_temperature(probability: Float[np.ndarray, " triple"], unstable: Bool[np.ndarray, " triple"]) -> float:
    """The temperature between 1/10 and 10 whose probabilities make the labels most likely."""
    margin = np.where(unstable, 1.0, -1.0) * logit(np.clip(probability, TINY, 1 - TINY))

    def loss(log_temperature: float) -> float:
        cost: float = np.logaddexp(0, -margin / np.exp(log_temperature)).mean()
        return cost

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(10), np.log(10)), method="bounded").x))


def train_classifier(
    key: PRNGKeyArray,
    train: tuple[Float[np.ndarray, "triple 6"], Bool[np.ndarray, " triple"]],
    validation: tuple[Float[np.ndarray, "row 6"], Bool[np.ndarray, " row"]],
    settings: ClassifierSettings,
) -> tuple[Classifier, History]:
    """Train on (features, whether unstable), stop each member and fit the temperature on `validation`.

    Raises `NatalError` if the training triples all share a label or a feature, or if a member learns nothing.
    """
    x, unstable = train
    if unstable.all() or not unstable.any():
        raise NatalError(f"all {len(x)} training triples share one label: nothing can be learned from them")
    mean, std = x.mean(0), x.std(0)
    if not np.all(std > 0):
        raise NatalError(f"the training triples all have the same {FEATURES[int(np.argmin(std))]}: widen the prior")
    networks = eqx.filter_vmap(partial(_network, width=settings.width))(jax.random.split(key, settings.members))
    untrained = Classifier(networks, jnp.asarray(mean, DTYPE), jnp.asarray(std, DTYPE), jnp.asarray(1.0, DTYPE))

    def data(x: np.ndarray, unstable: np.ndarray) -> tuple[Array, Array]:
        return jnp.asarray((x - mean) / std, DTYPE), jnp.asarray(unstable[:, None], DTYPE)

    def cross_entropy(network: Any, x: Array, y: Array, _: PRNGKeyArray | None) -> Array:
        loss: Array = optax.sigmoid_binary_cross_entropy(jax.vmap(network)(x), y).mean()
        return loss

    fitting = TrainingSettings(**settings.model_dump(exclude={"width"}))
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


def _network(key: PRNGKeyArray, width: int) -> eqx.nn.MLP:
    return eqx.nn.MLP(len(FEATURES), 1, width, 2, dtype=DTYPE, key=key)


def save_classifier(path: str | Path, classifier: Classifier) -> None:
    """Write a JSON header line, then the leaves (`eqx.tree_serialise_leaves`)."""
    members, width, _ = classifier.networks.layers[0].weight.shape
    header = {"format": FORMAT, "features": FEATURES, "members": members, "width": width}
    with atomic_path(path) as partial_path, open(partial_path, "wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        eqx.tree_serialise_leaves(file, classifier)


def load_classifier(path: str | Path) -> Classifier:
    """Load a classifier. Raises `NatalError` if the file is none or damaged."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.readline())
        if header["format"] != FORMAT or header["features"] != list(FEATURES):
            raise ValueError(f"format {header['format']}")
        members, width = int(header["members"]), int(header["width"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NatalError(f"{path} is not a classifier of triples: {error}") from error

    def make() -> Classifier:
        networks = eqx.filter_vmap(partial(_network, width=width))(jax.random.split(jax.random.key(0), members))
        blank = jnp.zeros(len(FEATURES), DTYPE)
        return Classifier(networks, blank, blank, jnp.zeros((), DTYPE))

    return read_leaves(path, make, remedy="train the classifier again")
