"""Full-batch training of several networks at once, with early stopping.

One compiled scan advances every member by a stretch of epochs; each member keeps its best weights by validation
loss and stops on its own when `patience` epochs bring nothing better.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from natal.dataset import Normaliser, Runs, fit_normaliser
from natal.emulator import DTYPE, Ensemble, untrained_ensemble
from natal.errors import NatalError
from natal.progress import track

EPOCHS_PER_CALL = 50

Data = tuple[Float[Array, "_ _"], Float[Array, "_ _"]]
Loss = Callable[[Any, Array, Array, PRNGKeyArray | None], Float[Array, ""]]


@dataclass(frozen=True)
class TrainingSettings:
    """Config section `emulator`."""

    members: int = 5
    learning_rate: float = 1.0e-3
    max_epochs: int = 1000
    patience: int = 100


class History(NamedTuple):
    """Curves of shape (member, epoch), nan after a member's last epoch, and where its best weights were.

    Losses are mean squared errors of normalised outputs; the gradient norm is that of all parameters together.
    """

    train_loss: np.ndarray
    validation_loss: np.ndarray
    gradient_norm: np.ndarray
    best_epoch: np.ndarray  # (member,)
    timing_s: dict[str, float]


class _Member(NamedTuple):
    """State of one network; `best` are the weights of the lowest validation loss so far."""

    key: PRNGKeyArray
    parameters: Any
    optimiser: Any
    best: Any
    best_loss: Float[Array, ""]
    best_epoch: Int[Array, ""]
    epoch: Int[Array, ""]


def mean_squared_error(network: Callable, x: Float[Array, "run 2"], y: Float[Array, "run 3"]) -> Float[Array, ""]:
    """Mean over runs and outputs of the squared error, in normalised units."""
    return jnp.mean((jax.vmap(network)(x) - y) ** 2)


def normalised(runs: Runs, normaliser: Normaliser) -> Data:
    """Inputs and outputs as networks see them."""
    x, y = (jnp.asarray(values, DTYPE) for values in (runs.x, runs.y))
    return normaliser.normalise_x(x), normaliser.normalise_y(y)


def train_ensemble(
    key: PRNGKeyArray,
    train: Runs,
    validation: Runs,
    box: dict[str, tuple[float, float]],
    settings: TrainingSettings,
) -> tuple[Ensemble, History]:
    """Train `settings.members` networks on the training runs and stop each by the validation runs.

    Normalisation comes from the training runs; the loss is the mean squared error of normalised outputs. Returns the
    ensemble with every member's best weights, and the curves. Raises `NatalError` if `train` is not the training split
    and as `fit_networks` does.
    """
    normaliser = fit_normaliser(train)
    untrained = untrained_ensemble(key, settings.members, normaliser, (box["q0"], box["a_au"]))

    def loss(network: Callable, x: Array, y: Array, _: PRNGKeyArray | None) -> Array:
        return mean_squared_error(network, x, y)

    data = normalised(train, normaliser), normalised(validation, normaliser)
    networks, history = fit_networks(key, untrained.networks, loss, *data, settings, "train")
    return eqx.tree_at(lambda e: e.networks, untrained, networks), history


def fit_networks(
    key: PRNGKeyArray, networks: Any, loss: Loss, train: Data, validation: Data, settings: TrainingSettings, label: str
) -> tuple[Any, History]:
    """Train each of `networks` (weights stacked along a first axis) and return those of its lowest validation loss.

    Adam, full batch. `loss(network, x, y, key)` gets a fresh key in training and None in validation, where it must not
    be random. `label` names the work in progress bars and errors. Raises `NatalError` if the best weights of a network
    are its untrained ones.
    """
    started = time.perf_counter()
    parameters, static = eqx.partition(networks, eqx.is_array)
    optimiser = optax.adam(settings.learning_rate)
    epoch = partial(
        _epoch,
        loss=lambda parameters, *rest: loss(eqx.combine(parameters, static), *rest),
        optimiser=optimiser,
        data=(train, validation),
        patience=settings.patience,
        max_epochs=settings.max_epochs,
    )

    def stretch(members: _Member) -> tuple[_Member, tuple]:
        return jax.vmap(lambda member: lax.scan(epoch, member, None, length=EPOCHS_PER_CALL))(members)

    def first_state(key: PRNGKeyArray, parameters: Any) -> _Member:
        zero = jnp.asarray(0)
        infinite = jnp.asarray(jnp.inf, DTYPE)
        return _Member(key, parameters, optimiser.init(parameters), parameters, infinite, zero, zero)

    n = len(jax.tree.leaves(parameters)[0])
    members = jax.vmap(first_state)(jax.random.split(key, n), parameters)
    run = jax.jit(stretch).lower(members).compile()
    compiled = time.perf_counter()

    curves = []
    calls = -(-settings.max_epochs // EPOCHS_PER_CALL)
    for _ in track(range(calls), total=calls, label=label, unit=f"x {EPOCHS_PER_CALL} epochs"):
        members, curve = run(members)
        curves.append(jax.device_get(curve))
        if np.all(members.epoch - members.best_epoch > settings.patience):
            break
    # losses exploded or never moved: the weights would be random but look trained (one epoch alone tells nothing)
    idle = np.flatnonzero(np.asarray(members.best_epoch) == 0)
    if idle.size and settings.max_epochs > 1:
        raise NatalError(
            f"emulator.learning_rate = {settings.learning_rate:g} does not {label}: {idle.size} of {n} members "
            "never had a validation loss that is finite and below that of their untrained weights"
        )
    train_loss, validation_loss, gradient_norm = (
        np.concatenate(parts, axis=1)[:, : settings.max_epochs] for parts in zip(*curves, strict=True)
    )
    history = History(
        train_loss,
        validation_loss,
        gradient_norm,
        best_epoch=np.asarray(members.best_epoch),
        timing_s={"compile": compiled - started, "train": time.perf_counter() - compiled},
    )
    return eqx.combine(members.best, static), history


def _epoch(
    member: _Member, _: None, *, loss: Callable, optimiser: Any, data: tuple, patience: int, max_epochs: int
) -> tuple:
    """One full-batch step of one network; after its patience or the last epoch it no longer changes."""
    train, validation = data
    key = jax.random.fold_in(member.key, member.epoch)
    train_loss, gradient = jax.value_and_grad(loss)(member.parameters, *train, key)
    validation_loss = loss(member.parameters, *validation, None)
    updates, optimiser_state = optimiser.update(gradient, member.optimiser, member.parameters)

    active = (member.epoch - member.best_epoch <= patience) & (member.epoch < max_epochs)
    better = active & (validation_loss < member.best_loss)
    keep = partial(jax.tree.map, lambda new, old: jnp.where(active, new, old))
    following = _Member(
        key=member.key,
        parameters=keep(optax.apply_updates(member.parameters, updates), member.parameters),
        optimiser=keep(optimiser_state, member.optimiser),
        best=jax.tree.map(lambda new, old: jnp.where(better, new, old), member.parameters, member.best),
        best_loss=jnp.where(better, validation_loss, member.best_loss),
        best_epoch=jnp.where(better, member.epoch, member.best_epoch),
        epoch=member.epoch + active,
    )
    curve = (train_loss, validation_loss, optax.tree.norm(gradient))
    return following, tuple(jnp.where(active, value, jnp.nan) for value in curve)
