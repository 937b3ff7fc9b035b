"""Trains mixture density networks on single outcomes by maximum likelihood.

Mini-batches, AdamW (Loshchilov & Hutter 2019) with a rate that falls along a cosine; each member keeps the weights
that did best on the validation outcomes. Members differ by initial weights and batches.
"""

import time
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.scipy.special import logit
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from natal.data.outcomes import Outcomes
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble, MixtureNetwork, make_network
from natal.progress import track
from natal.settings.density import DensitySettings
from natal.variables import SUMMARIES, Box

STEPS_PER_CHECK = 25
CHECKS_PER_CALL = 10
MAX_GRADIENT_NORM = 5.0


class DensityHistory(NamedTuple):
    """Mean negative log likelihoods (member, check), natural log, in physical units; a check every 25 steps."""

    train_loss: np.ndarray
    validation_loss: np.ndarray
    best_step: np.ndarray  # (member,)
    seconds: float


class _Member(NamedTuple):
    parameters: Any
    optimiser: Any
    best: Any
    best_loss: Float[Array, ""]
    best_step: Int[Array, ""]
    step: Int[Array, ""]


def negative_log_likelihood(
    network: MixtureNetwork, x: Float[Array, "row input"], y: Float[Array, "row 3"], survived: Bool[Array, " row"]
) -> Float[Array, ""]:
    """Mean over outcomes; `y` of dissolved clusters may be any positive numbers."""

    def one(x: Array, y: Array, survived: Array) -> Array:
        alive = network(x).observed().log_prob(y)
        return jnp.where(survived, alive, network.log_dissolved(x))

    return -jax.vmap(one)(x, y, survived).mean()


def train_density(
    key: PRNGKeyArray,
    train: Outcomes,
    validation: Outcomes,
    box: Box,
    n_stars: int,
    settings: DensitySettings,
) -> tuple[DensityEnsemble, DensityHistory]:
    """Fit `settings.members` networks to `train`, each stopped by `validation`.

    Raises `NatalError` if a member's validation loss never was finite and below that of its untrained weights.
    """
    limits = (box["q0"], box["a_au"])
    shift, scale = _location_and_scale(train, limits, n_stars)
    key_start, key_run = jax.random.split(key)
    make = partial(
        make_network,
        width=settings.width,
        components=settings.components,
        shift=jnp.asarray(shift, DTYPE),
        scale=jnp.asarray(scale, DTYPE),
        box=limits,
        n_stars=n_stars,
    )
    networks = eqx.filter_vmap(make)(jax.random.split(key_start, settings.members))
    return fit_networks(key_run, networks, train, validation, settings)


def fit_networks(
    key: PRNGKeyArray, networks: MixtureNetwork, train: Outcomes, validation: Outcomes, settings: DensitySettings
) -> tuple[DensityEnsemble, DensityHistory]:
    """Train the weights of `networks`, untrained members stacked along a first axis; shift and scale stay.

    The outcomes' x has as many columns as the networks take. Raises `NatalError` as `train_density` does.
    """
    started = time.perf_counter()
    learned: Any = jax.tree.map(lambda _: False, networks)
    learned = eqx.tree_at(lambda n: n.network, learned, jax.tree.map(eqx.is_inexact_array, networks.network))
    parameters, fixed = eqx.partition(networks, learned)
    one_fixed = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, fixed)

    optimiser = optax.chain(
        optax.clip_by_global_norm(MAX_GRADIENT_NORM),
        optax.adamw(
            optax.cosine_decay_schedule(settings.learning_rate, settings.steps), weight_decay=settings.weight_decay
        ),
    )
    data, held_out = _arrays(train), _arrays(validation)

    def loss(parameters: Any, rows: tuple) -> Array:
        return negative_log_likelihood(eqx.combine(parameters, one_fixed), *rows)

    def step(carry: tuple, key: PRNGKeyArray) -> tuple:
        parameters, state = carry
        chosen = jax.random.randint(key, (settings.batch_size,), 0, len(train.x))
        value, gradient = jax.value_and_grad(loss)(parameters, jax.tree.map(lambda leaf: leaf[chosen], data))
        updates, state = optimiser.update(gradient, state, parameters)
        return (optax.apply_updates(parameters, updates), state), value

    def check(member: _Member, key: PRNGKeyArray) -> tuple:
        keys = jax.random.split(key, STEPS_PER_CHECK)
        learned_now: tuple = lax.scan(step, (member.parameters, member.optimiser), keys)
        (parameters, state), losses = learned_now
        validation_loss = loss(parameters, held_out)
        better = validation_loss < member.best_loss
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), parameters, member.best)
        now = member.step + STEPS_PER_CHECK
        following = _Member(
            parameters,
            state,
            best,
            jnp.where(better, validation_loss, member.best_loss),
            jnp.where(better, now, member.best_step),
            now,
        )
        return following, (losses.mean(), validation_loss)

    def begin(parameters: Any) -> _Member:
        zero = jnp.asarray(0)
        return _Member(parameters, optimiser.init(parameters), parameters, loss(parameters, held_out), zero, zero)

    @jax.jit
    def advance(members: _Member, keys: Key[Array, " member"]) -> tuple:
        return jax.vmap(lambda member, key: lax.scan(check, member, jax.random.split(key, CHECKS_PER_CALL)))(
            members, keys
        )

    members = jax.jit(jax.vmap(begin))(parameters)
    n_calls = -(-settings.steps // (STEPS_PER_CHECK * CHECKS_PER_CALL))
    curves: list = []
    for call_key in track(
        jax.random.split(key, n_calls),
        total=n_calls,
        label=f"density, {settings.components} components",
        unit=f"x {STEPS_PER_CHECK * CHECKS_PER_CALL} steps",
    ):
        members, curve = advance(members, jax.random.split(call_key, settings.members))
        curves.append(jax.device_get(curve))
    idle = np.flatnonzero(~np.isfinite(members.best_loss) | (np.asarray(members.best_step) == 0))
    if idle.size:
        raise NatalError(
            f"density.learning_rate = {settings.learning_rate:g} does not train: {idle.size} of {settings.members} "
            "members never had a validation loss that is finite and below that of their untrained weights"
        )
    train_loss, validation_loss = (np.concatenate(parts, axis=1) for parts in zip(*curves, strict=True))
    ensemble = DensityEnsemble(eqx.combine(members.best, fixed))
    seconds = time.perf_counter() - started
    return ensemble, DensityHistory(train_loss, validation_loss, np.asarray(members.best_step), seconds)


def _arrays(outcomes: Outcomes) -> tuple[Array, Array, Array]:
    """On the device; placeholders, which no gradient passes, stand for what a dissolved cluster lacks."""
    y = np.where(outcomes.survived[:, None], outcomes.y, [0.5, 1.0, 100.0])
    return jnp.asarray(outcomes.x, DTYPE), jnp.asarray(y, DTYPE), jnp.asarray(outcomes.survived)


def _location_and_scale(train: Outcomes, limits: tuple, n_stars: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of (ln(sigma_v sqrt(a / a0)), ln(r_h / a), z) over surviving training rows.

    Raises `NatalError` if one of them does not vary.
    """
    x, y = train.x[train.survived], train.y[train.survived]
    log_a, middle = np.log(x[:, 1]), np.log(limits[1]).mean()
    values = latent(y, n_stars) + np.column_stack([0.5 * (log_a - middle), -log_a, np.zeros_like(log_a)])
    shift, scale = values.mean(0), values.std(0)
    if not np.all(scale > 1e-6):
        raise NatalError("the training runs all have the same summaries: nothing can be learned from them")
    return shift, scale


def latent(y: Float[np.ndarray, "row 3"], n_stars: int) -> Float[np.ndarray, "row 3"]:
    """(ln sigma_v, ln r_h, z) of summaries, the numbers that a law's components are normal or logistic in."""
    f_bound, sigma_v, r_h = (
        np.asarray(variable.transformed(y[:, k], n_stars=n_stars, log=np.log, logit=logit))
        for k, variable in enumerate(SUMMARIES.values())
    )
    return np.column_stack([sigma_v, r_h, f_bound])
