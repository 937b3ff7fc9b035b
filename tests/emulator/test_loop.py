"""The training loop keeps the weights that validation says, stops in time and refuses what did not learn."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_form import BOX, LIMITS, make_runs
from jax import lax

from natal.data.normaliser import fit_normaliser
from natal.emulator.ensemble import untrained_ensemble
from natal.emulator.loop import drawn_batches, fit_networks, shuffled_batches
from natal.emulator.training import mean_squared_error, normalised, train_ensemble
from natal.errors import NatalError
from natal.settings.emulator import TrainingSettings

KEY = jax.random.key(21)


@pytest.fixture(scope="module")
def few():
    """48 training and 24 validation runs, one a point."""
    return make_runs("train", 48, 1, seed=1), make_runs("validation", 24, 1, seed=2)


def adam_as_it_was(few, members, learning_rate, n_epochs):
    """Full-batch Adam without any options, as natal 0.1.0 had it: best weights, and the losses of training."""
    normaliser = fit_normaliser(few[0])
    networks = untrained_ensemble(KEY, members, normaliser, LIMITS).networks
    parameters, static = eqx.partition(networks, eqx.is_array)
    train, validation = (normalised(runs, normaliser) for runs in few)
    optimiser = optax.adam(learning_rate)

    def loss(parameters, data):
        return mean_squared_error(eqx.combine(parameters, static), *data)

    def epoch(member, _):
        parameters, state, best, best_loss, best_epoch, now = member
        train_loss, gradient = jax.value_and_grad(loss)(parameters, train)
        validation_loss = loss(parameters, validation)
        updates, new_state = optimiser.update(gradient, state, parameters)
        active = (now - best_epoch <= 100) & (now < n_epochs)
        better = active & (validation_loss < best_loss)

        def choose(which, new, old):
            return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)

        following = (
            choose(active, optax.apply_updates(parameters, updates), parameters),
            choose(active, new_state, state),
            choose(better, parameters, best),
            jnp.where(better, validation_loss, best_loss),
            jnp.where(better, now, best_epoch),
            now + active,
        )
        return following, (train_loss, validation_loss, optax.tree.norm(gradient))

    def run(parameters):
        start = (parameters, optimiser.init(parameters), parameters, jnp.float32(jnp.inf), 0, 0)
        return lax.scan(epoch, start, None, length=50)

    (_, _, best, *_), curves = jax.jit(jax.vmap(run))(parameters)
    return best, curves


def test_the_defaults_train_the_same_weights_as_ever(few):
    """To the last bit: the options leave no trace where they are not asked for."""
    settings = TrainingSettings(members=2, learning_rate=3e-3, max_epochs=50)
    ensemble, history = train_ensemble(KEY, *few, BOX, settings)
    best, curves = adam_as_it_was(few, 2, 3e-3, 50)
    for found, expected in zip(history[:3], curves, strict=True):
        np.testing.assert_array_equal(found, expected)
    weights = jax.tree.leaves(eqx.filter(ensemble.networks, eqx.is_array))
    assert len(weights) == 6
    for found, expected in zip(weights, jax.tree.leaves(best), strict=True):
        np.testing.assert_array_equal(found, expected)


class Line(eqx.Module):
    """A network of one weight."""

    at: jax.Array


def turning_loss(network, x, key):
    """Training pushes the weight down for ever; validation is best at zero."""
    return network.at**2 if key is None else network.at


def descend(at, **options):
    """Members that start `at` some places and move by 1/16 a step, in 10 checks of two steps, two checks a call."""
    start, rows = jnp.asarray(at), (jnp.zeros((4, 1)),)
    options = {
        "progress_label": "test",
        "progress_unit": "calls",
        "checks_per_call": 2,
        "batches": partial(drawn_batches, n_rows=4, n_batches=2, batch_size=1),
    } | options
    keys = jax.random.split(KEY, (*start.shape, 10))
    return fit_networks(
        keys, Line(start), turning_loss, rows, options.pop("validation", rows), optax.sgd(1 / 16), **options
    )


def test_each_member_keeps_the_weights_of_its_lowest_validation_loss():
    """Judged after each check, to the end: curves and weights are exact powers of two."""
    fit = descend([1.0, 0.5])
    after = np.array([[1.0], [0.5]]) - np.arange(1, 11) / 8
    np.testing.assert_array_equal(fit.validation_loss, after**2)
    # the mean of a check's two steps, each before it is made
    np.testing.assert_array_equal(fit.train_loss, after + 1 / 8 - 1 / 32)
    np.testing.assert_array_equal(fit.gradient_norm, np.ones((2, 10)))
    np.testing.assert_array_equal(fit.networks.at, [0.0, 0.0])
    assert fit.best_check.tolist() == [8, 4]
    assert len(fit.seconds) == 5


def test_a_check_may_begin_with_its_validation_loss():
    """The untrained weights are then the first that are judged, and the last check's steps never are."""
    fit = descend([1.0, 0.5], validate_first=True)
    np.testing.assert_array_equal(fit.validation_loss, (np.array([[1.0], [0.5]]) - np.arange(10) / 8) ** 2)
    np.testing.assert_array_equal(fit.networks.at, [0.0, 0.0])
    assert fit.best_check.tolist() == [8, 4]


@pytest.mark.parametrize("validate_first", [False, True])
def test_patience_ends_each_member_by_itself(validate_first):
    """Nothing changes after it, and the loop ends with the call in which the last member stopped."""
    fit = descend([0.25, 0.5], validate_first=validate_first, patience=1)
    assert fit.best_check.tolist() == [2, 4]
    np.testing.assert_array_equal(fit.networks.at, [0.0, 0.0])
    n_judged = np.isfinite(fit.validation_loss).sum(1)
    np.testing.assert_array_equal(n_judged, fit.best_check + 2)
    assert len(fit.seconds) == 3


def test_checks_that_no_call_ends_with_are_kept():
    """Three checks a call: the last call has two that count for nothing."""
    fit, expected = descend([1.0], checks_per_call=3), descend([1.0])
    for name in ("train_loss", "validation_loss", "gradient_norm"):
        np.testing.assert_array_equal(getattr(fit, name), getattr(expected, name))


def test_without_validation_the_last_weights_are_kept():
    """Here of one network without an axis of members."""
    fit = descend(1.0, validation=None)
    assert float(fit.networks.at) == 1.0 - 10 / 8
    assert fit.best_check == 10
    np.testing.assert_array_equal(fit.train_loss, 1.0 - np.arange(10) / 8 - 1 / 32)


@pytest.mark.parametrize("validate_first", [False, True])
def test_members_that_learn_nothing_are_refused_by_number(validate_first):
    """Two of three are best where they start."""
    with pytest.raises(NatalError, match=r"^a.rate = 1 does not train: 2 of 3 members never had a validation loss"):
        descend([1.0, 0.0, -1.0], validate_first=validate_first, must_train=True, refusal="a.rate = 1 does not train")
    fit = descend([1.0, 0.0, -1.0], validate_first=validate_first)
    assert fit.best_check.tolist() == [8, 0, 0]
    np.testing.assert_array_equal(fit.networks.at, [0.0, 0.0, -1.0])


def test_terms_of_a_loss_are_summed_and_noted():
    """Two terms pull with one and two: the weight falls by three sixteenths a step."""

    def terms(network, x, key):
        return {"one": network.at, "two": 2 * network.at}

    fit = fit_networks(
        jax.random.split(KEY, 4),
        Line(jnp.asarray(1.0)),
        terms,
        (jnp.zeros(1),),
        None,
        optax.sgd(1 / 16),
        progress_label="test",
        progress_unit="calls",
        checks_per_call=4,
    )
    np.testing.assert_array_equal(fit.train_loss["one"], 1.0 - 3 / 16 * np.arange(4))
    np.testing.assert_array_equal(fit.train_loss["two"], 2 * (1.0 - 3 / 16 * np.arange(4)))
    assert float(fit.networks.at) == 0.25


def test_an_epoch_uses_every_row_once():
    """In batches of equal size and an order of its own; what does not fill them waits."""
    orders = [shuffled_batches(key, 50, 4)[0] for key in jax.random.split(KEY, 2)]
    for rows in orders:
        assert rows.shape == (4, 12)
        assert len(np.unique(rows)) == 48
        assert np.all((np.asarray(rows) >= 0) & (np.asarray(rows) < 50))
    assert not np.array_equal(*orders)


def test_drawn_rows_are_independent():
    """Every row as often, to 5 sigma, and each step with others."""
    rows = np.asarray(drawn_batches(KEY, 10, 20, 500)[0])
    assert rows.shape == (20, 500)
    assert np.abs(np.bincount(rows.ravel(), minlength=10) - 1000).max() < 5 * np.sqrt(900)
    assert len({tuple(row) for row in rows.tolist()}) == 20
