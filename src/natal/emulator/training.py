"""Training of several networks at once, full batch or in mini-batches, with early stopping.

One compiled scan advances every member by a stretch of epochs; each member keeps its best weights by validation
loss and stops on its own when `patience` epochs bring nothing better.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from natal.data.normaliser import Normaliser, fit_normaliser, refuse_non_positive
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble, untrained_ensemble
from natal.emulator.layers import TrainingNetwork, training_loss
from natal.emulator.network_files import DTYPE
from natal.emulator.options import make_optimiser
from natal.errors import NatalError
from natal.progress import track
from natal.settings.emulator import TrainingSettings
from natal.variables import Box

EPOCHS_PER_CALL = 50

Data = tuple[Float[Array, "_ _"], Float[Array, "_ _"]]
Loss = Callable[[Any, Array, Array, PRNGKeyArray | None], Float[Array, ""]]
Record = Callable[[Any, Array, Array], dict[str, Array]]


class History(NamedTuple):
    """Curves of shape (member, epoch), nan after a member's last epoch, and where its best weights were.

    Losses are mean squared errors of normalised outputs, without the penalty of weight decay; the gradient norm is that
    of all parameters together. With mini-batches, training loss and norm are means over an epoch's batches; every other
    number is of an epoch's first weights. `recorded` is what `fit_networks` was asked to note, (member, epoch, ...).
    """

    train_loss: np.ndarray
    validation_loss: np.ndarray
    gradient_norm: np.ndarray
    best_epoch: np.ndarray  # (member,)
    timing_s: dict[str, float]
    recorded: dict[str, np.ndarray]


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
    box: Box,
    settings: TrainingSettings,
    *,
    record: Record | None = None,
    must_train: bool = True,
) -> tuple[Ensemble, History]:
    """Train `settings.members` networks on the training runs and stop each by the validation runs.

    Normalisation comes from the training runs; the loss is the mean squared error of normalised outputs. Returns the
    ensemble with every member's best weights, and the curves. Raises `NatalError` if `train` is not the training split,
    if a column of `settings.log10` is not positive, and as `fit_networks` does.
    """
    normaliser = fit_normaliser(train, log10=settings.log10)
    refuse_non_positive(validation, settings.log10)
    untrained = untrained_ensemble(
        key, settings.members, normaliser, (box["q0"], box["a_au"]), settings.activation, settings.initialisation
    )
    data = normalised(train, normaliser), normalised(validation, normaliser)
    fit = partial(fit_networks, key, record=record, must_train=must_train)

    def loss(network: Callable, x: Array, y: Array, _: PRNGKeyArray | None) -> Array:
        return mean_squared_error(network, x, y)

    if settings.dropout_rate or settings.batch_norm:
        wrapped = eqx.filter_vmap(lambda n: TrainingNetwork.around(n, settings.dropout_rate, settings.batch_norm))(
            untrained.networks
        )
        having_seen = TrainingNetwork.having_seen
        trained, history = fit(wrapped, training_loss, *data, settings, "train", having_seen=having_seen)
        networks = eqx.filter_vmap(TrainingNetwork.plain)(trained)
    else:
        networks, history = fit(untrained.networks, loss, *data, settings, "train")
    return eqx.tree_at(lambda e: e.networks, untrained, networks), history


def fit_networks(
    key: PRNGKeyArray,
    networks: Any,
    loss: Loss,
    train: Data,
    validation: Data,
    settings: TrainingSettings,
    label: str,
    *,
    having_seen: Callable[[Any, Array, PRNGKeyArray], Any] | None = None,
    record: Record | None = None,
    must_train: bool = True,
) -> tuple[Any, History]:
    """Train each of `networks` (weights stacked along a first axis) and return those of its lowest validation loss.

    `loss(network, x, y, key)` gets a fresh key in training and None in validation, where it must not be random.
    `having_seen(network, x, key)` gives the network with what it notes of a batch after its step, and must change no
    learned weight; `record(network, x, y)` what to note of an epoch's first weights on the training data. `label` names
    the work in progress bars and errors. Raises `NatalError` if the best weights of a network are its untrained ones,
    unless not `must_train`.
    """
    started = time.perf_counter()
    parameters, static = eqx.partition(networks, eqx.is_array)
    n_rows = len(train[0])
    n_batches = -(-n_rows // (settings.batch_size or n_rows))
    optimiser = make_optimiser(settings, settings.max_epochs * n_batches)

    def step(carry: tuple[Any, Any], batch: tuple[Array, Array, PRNGKeyArray]) -> tuple[tuple[Any, Any], Any]:
        parameters, state = carry
        x, y, key = batch
        value, gradient = jax.value_and_grad(parameter_loss)(parameters, x, y, key)
        updates, state = optimiser.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        if having_seen is not None:
            parameters, _ = eqx.partition(having_seen(eqx.combine(parameters, static), x, key), eqx.is_array)
        return (parameters, state), (value, optax.tree.norm(gradient))

    def parameter_loss(parameters: Any, *rest: Any) -> Array:
        return loss(eqx.combine(parameters, static), *rest)

    def note(parameters: Any) -> dict[str, Array]:
        return {} if record is None else record(eqx.combine(parameters, static), *train)

    epoch = partial(
        _epoch,
        steps=partial(_in_batches, step, train, n_batches),
        validate=lambda parameters: parameter_loss(parameters, *validation, None),
        note=note,
        patience=settings.patience,
        max_epochs=settings.max_epochs,
    )

    def stretch(members: _Member) -> tuple[_Member, dict[str, Array]]:
        return jax.vmap(lambda member: lax.scan(epoch, member, None, length=EPOCHS_PER_CALL))(members)

    def first_state(key: PRNGKeyArray, parameters: Any) -> _Member:
        zero = jnp.asarray(0)
        infinite = jnp.asarray(jnp.inf, DTYPE)
        return _Member(key, parameters, optimiser.init(parameters), parameters, infinite, zero, zero)

    n = len(jax.tree.leaves(parameters)[0])
    members = jax.vmap(first_state)(jax.random.split(key, n), parameters)
    run = jax.jit(stretch).lower(members).compile()
    compiled = time.perf_counter()

    parts = []
    calls = -(-settings.max_epochs // EPOCHS_PER_CALL)
    for _ in track(range(calls), total=calls, label=label, unit=f"x {EPOCHS_PER_CALL} epochs"):
        members, curve = run(members)
        parts.append(jax.device_get(curve))
        if np.all(members.epoch - members.best_epoch > settings.patience):
            break
    # losses exploded or never moved: the weights would be random but look trained (one epoch alone tells nothing)
    idle = np.flatnonzero(np.asarray(members.best_epoch) == 0)
    if must_train and idle.size and settings.max_epochs > 1:
        raise NatalError(
            f"emulator.learning_rate = {settings.learning_rate:g} does not {label}: {idle.size} of {n} members "
            "never had a validation loss that is finite and below that of their untrained weights"
        )
    curves = {
        name: np.concatenate([part[name] for part in parts], axis=1)[:, : settings.max_epochs] for name in parts[0]
    }
    history = History(
        train_loss=curves.pop("train_loss"),
        validation_loss=curves.pop("validation_loss"),
        gradient_norm=curves.pop("gradient_norm"),
        best_epoch=np.asarray(members.best_epoch),
        timing_s={"compile": compiled - started, "train": time.perf_counter() - compiled},
        recorded=curves,
    )
    return eqx.combine(members.best, static), history


def _in_batches(
    step: Callable, train: Data, n_batches: int, carry: tuple[Any, Any], key: PRNGKeyArray
) -> tuple[tuple[Any, Any], tuple[Array, Array]]:
    """One epoch's steps: the last parameters and state, mean loss and gradient norm.

    Batches are of equal size; the few rows left over come in with the next epoch's order.
    """
    if n_batches == 1:
        return step(carry, (*train, key))
    key_order, key_steps = jax.random.split(key)
    n_rows = len(train[0])
    rows = jax.random.permutation(key_order, n_rows)[: n_rows // n_batches * n_batches].reshape(n_batches, -1)
    carry, curve = lax.scan(
        lambda carry, batch: step(carry, (*(values[batch[0]] for values in train), batch[1])),
        carry,
        (rows, jax.random.split(key_steps, n_batches)),
    )
    return carry, jax.tree.map(jnp.mean, curve)


def _epoch(
    member: _Member, _: None, *, steps: Callable, validate: Callable, note: Callable, patience: int, max_epochs: int
) -> tuple[_Member, dict[str, Array]]:
    """One epoch of one network; after its patience or the last epoch it no longer changes."""
    key = jax.random.fold_in(member.key, member.epoch)
    (parameters, optimiser_state), (train_loss, gradient_norm) = steps((member.parameters, member.optimiser), key)
    validation_loss = validate(member.parameters)

    active = (member.epoch - member.best_epoch <= patience) & (member.epoch < max_epochs)
    better = active & (validation_loss < member.best_loss)
    keep = partial(jax.tree.map, lambda new, old: jnp.where(active, new, old))
    following = _Member(
        key=member.key,
        parameters=keep(parameters, member.parameters),
        optimiser=keep(optimiser_state, member.optimiser),
        best=jax.tree.map(lambda new, old: jnp.where(better, new, old), member.parameters, member.best),
        best_loss=jnp.where(better, validation_loss, member.best_loss),
        best_epoch=jnp.where(better, member.epoch, member.best_epoch),
        epoch=member.epoch + active,
    )
    curve = {"train_loss": train_loss, "validation_loss": validation_loss, "gradient_norm": gradient_norm}
    curve |= note(member.parameters)
    return following, jax.tree.map(lambda value: jnp.where(active, value, jnp.nan), curve)
