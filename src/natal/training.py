"""Full-batch training of all members at once, with early stopping.

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

from natal.dataset import Runs, fit_normaliser
from natal.emulator import DTYPE, Ensemble, untrained_ensemble
from natal.errors import NatalError
from natal.progress import track

EPOCHS_PER_CALL = 50


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
    """State of one member; `best` are the weights of the lowest validation loss so far."""

    parameters: Any
    optimiser: Any
    best: Any
    best_loss: Float[Array, ""]
    best_epoch: Int[Array, ""]
    epoch: Int[Array, ""]


def mean_squared_error(network: Callable, x: Float[Array, "run 2"], y: Float[Array, "run 3"]) -> Float[Array, ""]:
    """Mean over runs and outputs of the squared error, in normalised units."""
    return jnp.mean((jax.vmap(network)(x) - y) ** 2)


def train_ensemble(
    key: PRNGKeyArray,
    train: Runs,
    validation: Runs,
    box: dict[str, tuple[float, float]],
    settings: TrainingSettings,
) -> tuple[Ensemble, History]:
    """Train `settings.members` networks on the training runs and stop each by the validation runs.

    Normalisation comes from the training runs; the loss is the mean squared error of normalised outputs; Adam,
    full batch. Returns the ensemble with every member's best weights, and the curves. Raises `NatalError` if
    `train` is not the training split or if a member's best weights are its untrained ones.
    """
    started = time.perf_counter()
    normaliser = fit_normaliser(train)
    limits = (box["q0"], box["a_au"])
    ensemble = untrained_ensemble(key, settings.members, normaliser, limits)
    parameters, static = eqx.partition(ensemble.networks, eqx.is_array)
    data = [
        (
            normaliser.normalise_x(jnp.asarray(runs.x, DTYPE)),
            normaliser.normalise_y(jnp.asarray(runs.y, DTYPE)),
        )
        for runs in (train, validation)
    ]
    optimiser = optax.adam(settings.learning_rate)
    epoch = partial(
        _epoch,
        static=static,
        optimiser=optimiser,
        data=data,
        patience=settings.patience,
        max_epochs=settings.max_epochs,
    )

    def stretch(members: _Member) -> tuple[_Member, tuple]:
        return jax.vmap(lambda member: lax.scan(epoch, member, None, length=EPOCHS_PER_CALL))(members)

    def first_state(parameters: Any) -> _Member:
        zero = jnp.asarray(0)
        infinite = jnp.asarray(jnp.inf, DTYPE)
        return _Member(parameters, optimiser.init(parameters), parameters, infinite, zero, zero)

    members = jax.vmap(first_state)(parameters)
    run = jax.jit(stretch).lower(members).compile()
    compiled = time.perf_counter()

    curves = []
    calls = -(-settings.max_epochs // EPOCHS_PER_CALL)
    for _ in track(range(calls), total=calls, label="train", unit=f"x {EPOCHS_PER_CALL} epochs"):
        members, curve = run(members)
        curves.append(jax.device_get(curve))
        if np.all(members.epoch - members.best_epoch > settings.patience):
            break
    # losses exploded or never moved: the weights would be random but look trained (one epoch alone tells nothing)
    idle = np.flatnonzero(np.asarray(members.best_epoch) == 0)
    if idle.size and settings.max_epochs > 1:
        raise NatalError(
            f"emulator.learning_rate = {settings.learning_rate:g} does not train: {idle.size} of {settings.members} "
            "members never had a validation loss that is finite and below that of their untrained weights"
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
    return eqx.tree_at(lambda e: e.networks, ensemble, eqx.combine(members.best, static)), history


def _epoch(
    member: _Member, _: None, *, static: Any, optimiser: Any, data: list, patience: int, max_epochs: int
) -> tuple:
    """One full-batch step of one member; after its patience or the last epoch a member no longer changes."""
    (x_train, y_train), (x_validation, y_validation) = data

    def loss(parameters: Any, x: Array, y: Array) -> Array:
        return mean_squared_error(eqx.combine(parameters, static), x, y)

    train_loss, gradient = jax.value_and_grad(loss)(member.parameters, x_train, y_train)
    validation_loss = loss(member.parameters, x_validation, y_validation)
    updates, optimiser_state = optimiser.update(gradient, member.optimiser, member.parameters)

    active = (member.epoch - member.best_epoch <= patience) & (member.epoch < max_epochs)
    better = active & (validation_loss < member.best_loss)
    keep = partial(jax.tree.map, lambda new, old: jnp.where(active, new, old))
    following = _Member(
        parameters=keep(optax.apply_updates(member.parameters, updates), member.parameters),
        optimiser=keep(optimiser_state, member.optimiser),
        best=jax.tree.map(lambda new, old: jnp.where(better, new, old), member.parameters, member.best),
        best_loss=jnp.where(better, validation_loss, member.best_loss),
        best_epoch=jnp.where(better, member.epoch, member.best_epoch),
        epoch=member.epoch + active,
    )
    curve = (train_loss, validation_loss, optax.tree.norm(gradient))
    return following, tuple(jnp.where(active, value, jnp.nan) for value in curve)
