"""Trains mixture density networks on single outcomes by maximum likelihood.

The optimiser is AdamW (Loshchilov & Hutter 2019) on mini-batches, with a learning rate that falls along a cosine. Each
member keeps the weights with the best validation loss. Members differ by their initial weights and mini-batches.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import logit
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray

from natal.data.outcomes import Outcomes
from natal.emulator.loop import Rows, drawn_batches, fit_networks
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble, MixtureNetwork, log_outcome, make_density_network, scaling
from natal.likelihood.mixture_density import LATENT, Counts
from natal.settings.density import DensitySettings
from natal.variables import SIZE, SUMMARIES, Box, Limits, limits_of

STEPS_PER_CHECK = 25
CHECKS_PER_CALL = 10
MAX_GRADIENT_NORM = 5.0

Network = TypeVar("Network", bound=Any)


class DensityHistory(NamedTuple):
    """Learning curves: mean negative ln likelihoods in physical units, one check every 25 steps.

    Attributes:
        train_loss: Shape (member, check).
        validation_loss: Shape (member, check).
        best_step: The step whose weights each member kept, shape (member,).
        seconds: Wall time, compilation included.
    """

    train_loss: np.ndarray
    validation_loss: np.ndarray
    best_step: np.ndarray  # (member,)
    seconds: float


def negative_log_likelihood(
    network: MixtureNetwork, x: Float[Array, "row input"], y: Float[Array, "row summary"], survived: Bool[Array, " row"]
) -> Float[Array, ""]:
    """Mean negative ln likelihood of outcomes; `y` of dissolved clusters may be any positive numbers.

    Args:
        network: Gives the law at each input.
        x: Inputs in physical units.
        y: Summaries in physical units.
        survived: False for a cluster that dissolved, of which only this counts.

    Returns:
        nat per cluster.
    """
    return -jax.vmap(partial(log_outcome, network))(x, y, survived).mean()


def train_density(
    key: PRNGKeyArray, train: Outcomes, validation: Outcomes, box: Box, counts: Counts, settings: DensitySettings
) -> tuple[DensityEnsemble, DensityHistory]:
    """Train `settings.members` density networks.

    Args:
        key: For initial weights and mini-batches.
        train: Outcomes to learn from.
        validation: Outcomes that decide which weights each member keeps.
        box: The ranges of birth conditions.
        counts: The numbers of bound stars that a cluster may have.
        settings: Size of the networks, steps, batches and learning rate.

    Returns:
        The members with their best weights, and the learning curves.

    Raises:
        NatalError: If a summary is the same in all training runs, or if a member never learned: its validation loss
            was never finite and below that of its untrained weights.
    """
    limits = limits_of(box)
    shift, scale = (jnp.asarray(values, DTYPE) for values in _location_and_scale(train, limits, counts.n_stars))

    def member(key: PRNGKeyArray) -> MixtureNetwork:
        return make_density_network(key, settings.width, settings.components, shift, scale, limits, counts)

    return train_members(key, member, train, validation, settings)


def train_members(
    key: PRNGKeyArray,
    make_member: Callable[[PRNGKeyArray], MixtureNetwork],
    train: Outcomes,
    validation: Outcomes,
    settings: DensitySettings,
    *,
    section: str = "density",
) -> tuple[DensityEnsemble, DensityHistory]:
    """Train networks of any inputs on single outcomes. A check (`fit_networks`) comes after 25 mini-batches.

    Args:
        key: For initial weights and mini-batches.
        make_member: Makes one untrained network from a key. Its shift and scale must not depend on the key; they are
            not trained.
        train: Outcomes to learn from; x has as many columns as the networks take.
        validation: Outcomes that decide which weights each member keeps.
        settings: Steps, batches and learning rate.
        section: The configuration's section, for errors.

    Returns:
        The members with their best weights, and the learning curves.

    Raises:
        NatalError: If a member never learned: its validation loss was never finite and below that of its untrained
            weights.
    """
    networks, history = fit_members(
        key, make_member, negative_log_likelihood, on_device(train), on_device(validation), settings, section=section
    )
    return DensityEnsemble(networks), history


def fit_members(
    key: PRNGKeyArray,
    make_member: Callable[[PRNGKeyArray], Network],
    loss: Callable[..., Array],
    train: Rows,
    validation: Rows,
    settings: DensitySettings,
    *,
    section: str = "density",
) -> tuple[Network, DensityHistory]:
    """Train members of any law and loss; `train_members` calls this with the loss of outcomes.

    Args:
        key: For initial weights and mini-batches.
        make_member: Makes one untrained member from a key; what is trained of it is its field `network`.
        loss: `loss(member, *rows)`, the mean negative ln likelihood of rows.
        train: Arrays to learn from, rows along the first axis of each.
        validation: Arrays that decide which weights each member keeps.
        settings: Steps, batches and learning rate.
        section: The configuration's section, for errors.

    Returns:
        The members with their best weights, stacked along a first axis, and the learning curves.

    Raises:
        NatalError: If a member never learned.
    """
    key_start, key_run = jax.random.split(key)
    networks = eqx.filter_jit(eqx.filter_vmap(make_member))(jax.random.split(key_start, settings.members))
    member = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, networks)

    def loss_of(perceptron: eqx.nn.MLP, *rows_and_key: Any) -> Array:
        return loss(eqx.tree_at(lambda m: m.network, member, perceptron), *rows_and_key[:-1])

    def keys_of_call(key: PRNGKeyArray) -> Key[Array, "member check"]:
        return jax.vmap(partial(jax.random.split, num=CHECKS_PER_CALL))(jax.random.split(key, settings.members))

    n_calls = -(-settings.steps // (STEPS_PER_CHECK * CHECKS_PER_CALL))
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps)
    optimiser = optax.chain(
        optax.clip_by_global_norm(MAX_GRADIENT_NORM), optax.adamw(rate, weight_decay=settings.weight_decay)
    )
    n_rows = len(train[0])
    fit = fit_networks(
        jnp.concatenate([keys_of_call(call_key) for call_key in jax.random.split(key_run, n_calls)], axis=1),
        networks.network,
        loss_of,
        train,
        validation,
        # a step whose gradient is not finite is left out: it would end a member
        optax.apply_if_finite(optimiser, max_consecutive_errors=STEPS_PER_CHECK),
        checks_per_call=CHECKS_PER_CALL,
        progress_label=f"{section}, {settings.components} components",
        progress_unit=f"x {STEPS_PER_CHECK * CHECKS_PER_CALL} steps",
        batches=partial(drawn_batches, n_rows=n_rows, n_batches=STEPS_PER_CHECK, batch_size=settings.batch_size),
        must_train=True,
        refusal=f"{section}.learning_rate = {settings.learning_rate:g} does not train",
    )
    trained: Network = eqx.tree_at(lambda n: n.network, networks, fit.networks)
    best_step, seconds = STEPS_PER_CHECK * fit.best_check, fit.compile_s + fit.seconds[-1]
    return trained, DensityHistory(fit.train_loss, fit.validation_loss, best_step, seconds)


def on_device(outcomes: Outcomes) -> tuple[Array, Array, Array]:
    """Outcomes as the arrays that laws take: x, y and whether the cluster survived.

    Summaries that a dissolved cluster lacks become a positive number; no gradient comes from them.
    """
    y = np.where(outcomes.survived[:, None], outcomes.y, 0.5)
    return jnp.asarray(outcomes.x, DTYPE), jnp.asarray(y, DTYPE), jnp.asarray(outcomes.survived)


def _location_and_scale(train: Outcomes, limits: Limits, n_stars: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of latent numbers over surviving training rows, after `scaling` is subtracted."""
    x, y = train.x[train.survived], train.y[train.survived]
    values = latent(y, n_stars) - scaling(np.log(x[:, SIZE]), np.log(limits[SIZE]).mean())
    shift, scale = values.mean(0), values.std(0)
    if not np.all(scale > 1e-6):
        raise NatalError("the training runs all have the same summaries: nothing can be learned from them")
    return shift, scale


def latent(y: Float[np.ndarray, "row summary"], n_stars: int) -> Float[np.ndarray, "row summary"]:
    """The numbers in which a law's components are normal, in the order of `LATENT`.

    Args:
        y: Summaries in physical units.
        n_stars: Stars of a cluster at birth.

    Examples:
        >>> latent(np.array([[0.5, 1.0, 1000.0]]), 100).round(3).tolist()  # f_bound, sigma_v_kms, r_h_au
        [[0.0, 6.908, 0.0]]
    """
    return np.column_stack(
        [
            np.asarray(SUMMARIES[name].transformed(y[:, k], log=np.log, logit=logit, n_stars=n_stars))
            for name in LATENT
            for k in [SUMMARIES.names.index(name)]
        ]
    )
