"""Training of the ensemble, and of other networks by epochs: full batch or mini-batches, with early stopping."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from natal.data.normaliser import Normaliser, fit_normaliser, refuse_non_positive
from natal.data.runs import Runs
from natal.data.scatter import scatter_weights
from natal.emulator.ensemble import Ensemble, untrained_ensemble
from natal.emulator.layers import TrainingNetwork, training_loss, weighted_loss
from natal.emulator.loop import Rows, fit_networks, shuffled_batches
from natal.emulator.network_files import DTYPE
from natal.emulator.optimisers import make_optimiser
from natal.settings.emulator import TrainingSettings
from natal.variables import Box, limits_of

EPOCHS_PER_CALL = 50

Data = tuple[Float[Array, "_ _"], Float[Array, "_ _"]]
Record = Callable[..., dict[str, Array]]


class History(NamedTuple):
    """Learning curves of shape (member, epoch), nan after a member's last epoch, and where its best weights were.

    Losses are mean squared errors of normalised summaries, weighted if the training was, without the penalty of weight
    decay. With mini-batches, training loss and gradient norm are means over an epoch's batches; all other numbers
    belong to the weights at an epoch's beginning.

    Attributes:
        train_loss: At each epoch.
        validation_loss: At each epoch.
        gradient_norm: Norm of the gradient of all parameters together.
        best_epoch: The epoch whose weights each member kept, shape (member,).
        timing_s: Seconds of compiling and training.
        recorded: What `record` noted, shape (member, epoch, ...).
    """

    train_loss: np.ndarray
    validation_loss: np.ndarray
    gradient_norm: np.ndarray
    best_epoch: np.ndarray  # (member,)
    timing_s: dict[str, float]
    recorded: dict[str, np.ndarray]


def mean_squared_error(
    network: Callable[[Array], Array],
    x: Float[Array, "run birth"],
    y: Float[Array, "run summary"],
    key: PRNGKeyArray | None = None,
) -> Float[Array, ""]:
    """Mean squared error over runs and summaries, in normalised units.

    Args:
        network: Maps one input to outputs.
        x: Normalised births.
        y: Normalised summaries.
        key: Not used.
    """
    return jnp.mean((jax.vmap(network)(x) - y) ** 2)


def normalised(runs: Runs, normaliser: Normaliser) -> Data:
    """Births and summaries as networks see them.

    Args:
        runs: In physical units.
        normaliser: Fitted to the training runs.
    """
    x, y = (jnp.asarray(values, DTYPE) for values in (runs.x, runs.y))
    return normaliser.normalise_x(x), normaliser.normalise_y(y)


def rows_to_learn(runs: Runs, train: Runs, normaliser: Normaliser, settings: TrainingSettings) -> Rows:
    """The arrays that a loss takes: births, summaries and, with `settings.weighting`, weights of squared errors.

    Args:
        runs: Whose arrays these are.
        train: Training runs, from which the weights come.
        normaliser: Of births and summaries.
        settings: Whether errors are weighted.
    """
    data = normalised(runs, normaliser)
    if settings.weighting == "none":
        return data
    as_seen = replace(train, y=np.asarray(normalised(train, normaliser)[1], float))
    return *data, jnp.asarray(scatter_weights(as_seen, runs.x), DTYPE)


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
    """Train `settings.members` networks on the training runs; each is stopped by the validation runs.

    Normalisation and the weights of `settings.weighting` come from the training runs. The loss is the mean squared
    error of normalised summaries.

    Args:
        key: For initial weights and what is random in training.
        train: Training runs.
        validation: Runs that decide which weights each member keeps.
        box: The ranges of birth conditions.
        settings: Networks and training.
        record: `record(network, *rows)` gives what to note at each epoch; None: nothing.
        must_train: Whether a member that learned nothing is an error.

    Returns:
        The ensemble with every member's best weights, and the learning curves.

    Raises:
        NatalError: If `train` is not the training split, if a column of `settings.log10` is not positive, if weights
            need replicates and there are none, or if a member learned nothing.
    """
    normaliser = fit_normaliser(train, log10=settings.log10)
    refuse_non_positive(validation, settings.log10)
    untrained = untrained_ensemble(
        key, settings.members, normaliser, limits_of(box), settings.activation, settings.initialisation, settings.hidden
    )
    learned, held_out = (rows_to_learn(runs, train, normaliser, settings) for runs in (train, validation))
    weighted = settings.weighting != "none"
    fit = partial(train_by_epochs, key, record=record, must_train=must_train, progress_label="train")
    if settings.dropout_rate or settings.batch_norm:
        wrapped = eqx.filter_vmap(lambda n: TrainingNetwork.around(n, settings.dropout_rate, settings.batch_norm))(
            untrained.networks
        )
        having_seen = TrainingNetwork.having_seen
        trained, history = fit(
            wrapped, weighted_loss if weighted else training_loss, learned, held_out, settings, having_seen=having_seen
        )
        networks = eqx.filter_vmap(TrainingNetwork.plain)(trained)
    else:
        networks, history = fit(
            untrained.networks, weighted_loss if weighted else mean_squared_error, learned, held_out, settings
        )
    return eqx.tree_at(lambda e: e.networks, untrained, networks), history


def train_by_epochs(
    key: PRNGKeyArray,
    networks: Any,
    loss: Callable[..., Float[Array, ""]],
    train: Rows,
    validation: Rows,
    settings: TrainingSettings,
    *,
    progress_label: str,
    section: str = "emulator",
    must_train: bool = True,
    having_seen: Callable[[Any, Array, PRNGKeyArray], Any] | None = None,
    record: Record | None = None,
) -> tuple[Any, History]:
    """Train networks with the optimiser, batches and patience of `settings`; an epoch is a check of `fit_networks`.

    Args:
        key: For what is random in training.
        networks: Untrained members, their weights stacked along a first axis.
        loss: As for `fit_networks`.
        train: Inputs, outputs and what else the loss takes, as networks see them.
        validation: The same of the runs that decide which weights each member keeps.
        settings: How to train; what they say about networks is not used.
        progress_label: Name of the work in progress lines and errors.
        section: The configuration's section, for errors.
        must_train: Whether a member that learned nothing is an error.
        having_seen: As for `fit_networks`.
        record: As for `fit_networks`.

    Returns:
        The members with their best weights, and the learning curves.

    Raises:
        NatalError: If `must_train`, and the best weights of a member are its untrained ones.
    """
    n_rows, n_members = len(train[0]), len(jax.tree.leaves(eqx.filter(networks, eqx.is_array))[0])
    n_batches = -(-n_rows // (settings.batch_size or n_rows))
    epochs = jnp.arange(settings.max_epochs)
    fit = fit_networks(
        jax.vmap(jax.vmap(jax.random.fold_in, (None, 0)), (0, None))(jax.random.split(key, n_members), epochs),
        networks,
        loss,
        train,
        validation,
        make_optimiser(settings, settings.max_epochs * n_batches),
        checks_per_call=EPOCHS_PER_CALL,
        progress_label=progress_label,
        progress_unit=f"x {EPOCHS_PER_CALL} epochs",
        batches=None if n_batches == 1 else partial(shuffled_batches, n_rows=n_rows, n_batches=n_batches),
        validate_first=True,
        patience=settings.patience,
        # a single epoch shows nothing
        must_train=must_train and settings.max_epochs > 1,
        refusal=f"{section}.learning_rate = {settings.learning_rate:g} does not {progress_label}",
        having_seen=having_seen,
        record=record,
    )
    timing_s = {"compile": fit.compile_s, "train": fit.seconds[-1]}
    curves = fit.train_loss, fit.validation_loss, fit.gradient_norm
    return fit.networks, History(*curves, fit.best_check, timing_s, fit.recorded)
