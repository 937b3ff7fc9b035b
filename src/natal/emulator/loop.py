"""The training loop of every network: members side by side, checked again and again, the best weights kept.

A check is a number of optimiser steps and a validation loss. One compiled scan advances all members by several checks.
Each member keeps the weights with the lowest validation loss, and stops by itself once its patience is used up.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.progress import track

Rows = tuple[Array, ...]
"""Arrays with one row for each example along their first axes. A loss takes them as arguments."""

Batches = tuple[Int[Array, "step row"], Key[Array, " step"]]
"""The numbers of the rows that each step of a check sees, and the steps' keys."""

Carry = tuple[Any, Any]
"""A member's parameters and the state of its optimiser."""


class Fit(NamedTuple):
    """What `fit_networks` returns. Curves (member, check, ...) are nan after a member stopped.

    Attributes:
        networks: Members with their best weights.
        best_check: Number of checks after which a member had these, shape (member,); 0: they are the untrained ones.
        train_loss: Mean over a check's steps, without the penalty of weight decay; by name if the loss has terms.
        gradient_norm: Norm of the gradient of all parameters together, mean over a check's steps.
        validation_loss: At each check.
        recorded: What `record` noted.
        compile_s: Seconds of compiling.
        seconds: Seconds from then to the end of each call of the compiled scan, shape (call,).
    """

    networks: Any  # with each member's best weights
    best_check: np.ndarray  # (member,): how many checks' steps are behind these; 0: they are the untrained ones
    train_loss: Any  # mean over a check's steps; by name where the loss has terms
    gradient_norm: np.ndarray  # of all parameters together, mean over a check's steps
    validation_loss: np.ndarray
    recorded: dict[str, np.ndarray]
    compile_s: float
    seconds: np.ndarray  # (call,): from then to the end of each call of the compiled scan


class _Member(NamedTuple):
    parameters: Any
    optimiser: Any
    best: Any
    best_loss: Float[Array, ""]
    best_check: Int[Array, ""]


def fit_networks(
    keys: Key[Array, "*member check"],
    networks: Any,
    loss: Callable[..., Any],
    train: Rows,
    validation: Rows | None,
    optimiser: optax.GradientTransformation,
    *,
    checks_per_call: int,
    progress_label: str,
    progress_unit: str,
    batches: Callable[[PRNGKeyArray], Batches] | None = None,
    validate_first: bool = False,
    patience: int | None = None,
    must_train: bool = False,
    refusal: str = "training failed",
    having_seen: Callable[..., Any] | None = None,
    record: Callable[..., dict[str, Array]] | None = None,
) -> Fit:
    """Train every member of `networks`.

    Args:
        keys: For what is random in each check, shape (member, check). With the shape (check,) there is one network, and
            nothing has an axis of members.
        networks: Untrained members, their weights stacked along a first axis.
        loss: `loss(network, *rows, key)` gives a number, or several by name, whose sum is minimised. In validation the
            key is None, and the loss must not be random.
        train: Rows to learn from.
        validation: Rows that decide which weights are kept; None: the last weights are kept.
        optimiser: Of one member.
        checks_per_call: Checks in one call of the compiled scan.
        progress_label: Name of the work in progress lines.
        progress_unit: What a call is called there.
        batches: Gives the batches of a check from its key; None: one step with all rows.
        validate_first: Whether the validation loss of a check is that of the weights before its steps; else it is that
            of the weights after them.
        patience: A member stops after more than this many checks without a better loss; None: never.
        must_train: Whether a member that learned nothing is an error.
        refusal: The first words of that error.
        having_seen: `having_seen(network, inputs, key)` gives, after a step, the network with what it notes of the
            batch's inputs. It must not change a learned weight. None: nothing is noted.
        record: `record(network, *train)` gives what to note of the weights at the beginning of each check; None:
            nothing.

    Raises:
        NatalError: If `must_train`, and a member learned nothing: its validation loss was never finite and below that
            of its untrained weights.
    """
    started = time.perf_counter()
    parameters, static = eqx.partition(networks, eqx.is_array)
    n_checks, axis = keys.shape[-1], keys.ndim - 1
    each_member: Callable[[Callable[..., Any]], Callable[..., Any]] = jax.vmap if axis else lambda function: function

    def total_loss(parameters: Any, rows: Rows, key: PRNGKeyArray | None) -> tuple[Array, Any]:
        terms = loss(eqx.combine(parameters, static), *rows, key)
        return sum(jax.tree.leaves(terms), jnp.zeros((), DTYPE)), terms

    def validate(parameters: Any) -> Array:
        return jnp.asarray(jnp.inf, DTYPE) if validation is None else total_loss(parameters, validation, None)[0]

    def step(carry: Carry, batch: tuple[Any, PRNGKeyArray]) -> tuple[Carry, tuple[Any, Array]]:
        parameters, state = carry
        rows, key = tuple(values[batch[0]] for values in train), batch[1]
        (_, terms), gradient = jax.value_and_grad(total_loss, has_aux=True)(parameters, rows, key)
        updates, state = optimiser.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        if having_seen is not None:
            parameters = eqx.filter(having_seen(eqx.combine(parameters, static), rows[0], key), eqx.is_array)
        return (parameters, state), (terms, optax.tree.norm(gradient))

    def steps(carry: Carry, key: PRNGKeyArray) -> tuple[Carry, tuple[Any, Array]]:
        if batches is None:
            return step(carry, (slice(None), key))
        carry, curve = lax.scan(step, carry, batches(key))
        return carry, jax.tree.map(jnp.mean, curve)

    def check(member: _Member, numbered: tuple[Array, PRNGKeyArray]) -> tuple[_Member, dict[str, Any]]:
        number, key = numbered
        carry, (train_loss, gradient_norm) = steps(member[:2], key)
        judged, judged_check = (member.parameters, number) if validate_first else (carry[0], number + 1)
        validation_loss = validate(judged)
        active = number < n_checks
        if patience is not None:
            active &= number - member.best_check <= patience
        better = active & ((validation_loss < member.best_loss) | (validation is None))

        def choose(which: Array, new: Any, old: Any) -> Any:
            return jax.tree.map(lambda new, old: jnp.where(which, new, old), new, old)

        best = choose(better, (judged, validation_loss, judged_check), member[2:])
        curves = {"train_loss": train_loss, "gradient_norm": gradient_norm, "validation_loss": validation_loss}
        curves["recorded"] = record(eqx.combine(member.parameters, static), *train) if record else {}
        following = _Member(*choose(active, carry, member[:2]), *best)
        return following, choose(active, curves, jax.tree.map(lambda _: jnp.nan, curves))

    def begin(parameters: Any) -> _Member:
        first_loss = jnp.asarray(jnp.inf, DTYPE) if validate_first else validate(parameters)
        return _Member(parameters, optimiser.init(parameters), parameters, first_loss, jnp.asarray(0))

    def advance(members: _Member, numbers: Array, keys: Array) -> Any:
        return each_member(lambda member, keys: lax.scan(check, member, (numbers, keys)))(members, keys)

    members = jax.jit(each_member(begin))(parameters)
    numbers = jnp.arange(checks_per_call)
    run = jax.jit(advance).lower(members, numbers, keys[..., numbers % n_checks]).compile()
    compiled = time.perf_counter()

    parts, seconds = [], []
    n_calls = -(-n_checks // checks_per_call)
    for _ in track(range(n_calls), total=n_calls, label=progress_label, unit=progress_unit):
        members, curves = run(members, numbers, keys[..., numbers % n_checks])
        numbers += checks_per_call
        parts.append(jax.device_get(curves))
        seconds.append(time.perf_counter() - compiled)
        if patience is not None and np.all(numbers[0] - members.best_check > patience):
            break
    best_check = np.asarray(members.best_check)
    # if losses exploded or never moved, weights are random although they look trained
    n_idle = np.sum(~np.isfinite(members.best_loss) | (best_check == 0))
    if must_train and n_idle:
        raise NatalError(
            f"{refusal}: {n_idle} of {best_check.size} members never had a validation loss that is finite and below "
            "that of their untrained weights"
        )
    run_checks = range(min(n_checks, checks_per_call * len(parts)))
    joined = jax.tree.map(lambda *parts: np.concatenate(parts, axis).take(run_checks, axis), *parts)
    best = eqx.combine(members.best, static)
    return Fit(best, best_check, **joined, compile_s=compiled - started, seconds=np.array(seconds))


def shuffled_batches(key: PRNGKeyArray, n_rows: int, n_batches: int) -> Batches:
    """Batches of one epoch, of equal size and in a new order. A few rows that do not fill a batch are left out.

    Args:
        key: For the order and the steps.
        n_rows: Rows to learn from.
        n_batches: Batches.
    """
    key_order, key_steps = jax.random.split(key)
    rows = jax.random.permutation(key_order, n_rows)[: n_rows // n_batches * n_batches].reshape(n_batches, -1)
    return rows, jax.random.split(key_steps, n_batches)


def drawn_batches(key: PRNGKeyArray, n_rows: int, n_batches: int, batch_size: int) -> Batches:
    """Batches whose rows are drawn independently and with replacement, and the keys of their steps.

    Args:
        key: For the draws and the steps.
        n_rows: Rows to learn from.
        n_batches: Batches.
        batch_size: Rows of a batch.
    """
    keys = jax.random.split(key, n_batches)
    return jax.vmap(lambda key: jax.random.randint(key, (batch_size,), 0, n_rows))(keys), keys
