"""Other activations, weights, optimisers and batches follow their formulas; the defaults do what they always did."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_form import BOX, LIMITS, make_runs
from jax import lax
from scipy.special import erf, expit

from natal.data.normaliser import fit_normaliser
from natal.emulator.ensemble import load_ensemble, make_network, save_ensemble, untrained_ensemble
from natal.emulator.options import ACTIVATIONS, make_optimiser, make_schedule
from natal.emulator.training import _in_batches, mean_squared_error, normalised, train_ensemble
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


def test_activations_are_the_formulas(float64):
    """Against NumPy and SciPy, on both sides of zero."""
    z = np.linspace(-6, 6, 101)
    expected = {
        "relu": np.maximum(0, z),
        "leaky_relu": np.maximum(0.01 * z, z),
        "tanh": np.tanh(z),
        "sigmoid": expit(z),
        "gelu": z * (1 + erf(z / np.sqrt(2))) / 2,
    }
    assert set(expected) == set(ACTIVATIONS)
    for name, values in expected.items():
        np.testing.assert_allclose(ACTIVATIONS[name](jnp.asarray(z)), values, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_uses_its_activation(activation):
    """Two hidden layers have it, the output has none."""
    network = make_network(jax.random.key(1), activation, "equinox")
    x = np.array([0.3, -0.8], "float32")
    h, function = x, ACTIVATIONS[activation]
    for layer in network.layers[:-1]:
        h = np.asarray(function(layer.weight @ h + layer.bias))
    np.testing.assert_allclose(network(x), network.layers[-1].weight @ h + network.layers[-1].bias, atol=1e-6)


def test_initial_weights_have_their_variance():
    """He: normal, 2 / n_in; Equinox: uniform within 1 / sqrt(n_in), biases too. 40 networks' 64 x 64 matrices."""
    keys = jax.random.split(jax.random.key(2), 40)
    he, equinox = ([make_network(key, "relu", name).layers[1] for key in keys] for name in ("he", "equinox"))
    weights = np.stack([layer.weight for layer in he]).ravel()
    # 163,840 normal values: the sample variance is known to sqrt(2 / n) = 0.35 %; 5 sigma
    np.testing.assert_allclose((weights**2).mean(), 2 / 64, rtol=5 * np.sqrt(2 / weights.size))
    # not cut at two standard deviations, beyond which lie 4.55 %
    share = (np.abs(weights) > 2 * np.sqrt(2 / 64)).mean()
    assert abs(share - 0.0455) < 5 * np.sqrt(0.0455 / weights.size)
    assert not np.any([layer.bias for layer in he])
    weights = np.stack([layer.weight for layer in equinox]).ravel()
    np.testing.assert_allclose((weights**2).mean(), 1 / 64 / 3, rtol=5 * np.sqrt(0.8 / weights.size))
    assert 0.124 < np.abs(weights).max() <= 1 / 8
    assert np.abs([layer.bias for layer in equinox]).max() > 0.1


BY_HAND = {
    "sgd": lambda g, w, s, t, rate: (w - rate * g, s),
    "momentum": lambda g, w, s, t, rate: (w - (0.8 * s[0] + rate * g), (0.8 * s[0] + rate * g, 0)),
    "adam": lambda g, w, s, t, rate: adam_step(g, w, s, t, rate, 0.0),
    "adamw": lambda g, w, s, t, rate: adam_step(g, w, s, t, rate, 0.02),
}


def adam_step(g, w, state, t, rate, decay):
    """Kingma & Ba's algorithm 1, t counted from 1; with Loshchilov & Hutter's decay of the weights themselves."""
    m, v = 0.9 * state[0] + 0.1 * g, 0.999 * state[1] + 0.001 * g**2
    step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w - rate * (step + decay * w), (m, v)


@pytest.mark.parametrize("optimiser", BY_HAND)
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_optimisers_by_hand(float64, optimiser, weight_decay):
    """Ten steps from random gradients, with the gradient 2 lambda W of the penalty on weights, not on biases."""
    settings = TrainingSettings(optimiser=optimiser, learning_rate=0.03, momentum=0.8, weight_decay=weight_decay)
    rng = np.random.default_rng(3)
    parameters = {"weight": rng.standard_normal((4, 3)), "bias": rng.standard_normal(4)}
    by_hand = {name: (value.copy(), (0.0, 0.0)) for name, value in parameters.items()}
    found = jax.tree.map(jnp.asarray, parameters)
    rule = make_optimiser(settings, 10)
    state = rule.init(found)
    for t in range(1, 11):
        data = {name: rng.standard_normal(value.shape) for name, value in parameters.items()}
        updates, state = rule.update(jax.tree.map(jnp.asarray, data), state, found)
        found = optax.apply_updates(found, updates)
        for name, (w, memory) in by_hand.items():
            decays = weight_decay > 0 and name == "weight"
            gradient = data[name] + (2 * weight_decay * w if decays and optimiser != "adamw" else 0)
            if optimiser == "adamw":
                by_hand[name] = adam_step(gradient, w, memory, t, 0.03, 2 * weight_decay if decays else 0.0)
            else:
                by_hand[name] = BY_HAND[optimiser](gradient, w, memory, t, 0.03)
    for name, (w, _) in by_hand.items():
        np.testing.assert_allclose(found[name], w, rtol=1e-12)


def test_weight_decay_is_the_gradient_of_the_penalty(few):
    """One step of gradient descent goes down L + lambda sum ||W||^2, by automatic differentiation of all of it."""
    settings = TrainingSettings(members=2, optimiser="sgd", learning_rate=0.1, weight_decay=0.05, max_epochs=2)
    ensemble, history = train_ensemble(KEY, *few, BOX, settings)
    normaliser = fit_normaliser(few[0])
    networks = untrained_ensemble(KEY, 2, normaliser, LIMITS).networks
    data = normalised(few[0], normaliser)
    one = jax.tree.map(lambda leaf: leaf[0] if isinstance(leaf, jax.Array) else leaf, networks)

    def total(weights):
        layers = [(w, layer.bias) for w, layer in zip(weights, one.layers, strict=True)]
        h = data[0]
        for w, b in layers[:-1]:
            h = jax.nn.relu(h @ w.T + b)
        loss = ((h @ layers[-1][0].T + layers[-1][1] - data[1]) ** 2).mean()
        return loss + 0.05 * sum((w**2).sum() for w in weights)

    before = [layer.weight for layer in one.layers]
    assert history.best_epoch[0] == 1
    for w, gradient, layer in zip(before, jax.grad(total)(before), ensemble.networks.layers, strict=True):
        # float32: a step of a tenth of the gradient, rounded with the weights
        np.testing.assert_allclose(layer.weight[0], w - 0.1 * gradient, atol=3e-7)


def test_schedules():
    """They start at the learning rate and end at `final_rate` of it; the middle is each one's own."""
    settings = {name: TrainingSettings(learning_rate=0.2, schedule=name) for name in ("cosine", "exponential", "step")}
    rates = {name: [float(make_schedule(s, 900)(t)) for t in (0, 450, 900, 2000)] for name, s in settings.items()}
    # cosine: half way between both; exponential: their geometric mean; step: the first of two drops by 10 is past
    middle = {"cosine": 0.2 * 0.505, "exponential": 0.02, "step": 0.02}
    for name, values in rates.items():
        np.testing.assert_allclose(values, [0.2, middle[name], 0.002, 0.002], rtol=1e-5)
    drops = make_schedule(settings["step"], 900)
    np.testing.assert_allclose([float(drops(t)) for t in (299, 301, 599, 601)], [0.2, 0.02, 0.02, 0.002], rtol=1e-5)
    assert make_schedule(TrainingSettings(), 900) == 1e-3


def test_an_epoch_uses_every_run_once():
    """In batches of equal size and an order of its own; what does not fill them waits."""
    x, y = jnp.tile(jnp.arange(50.0)[:, None], 2), jnp.tile(jnp.arange(50.0)[:, None], 3)

    def step(seen, batch):
        rows, same, _ = batch
        assert rows.shape == (12, 2)
        return (seen[0].at[rows[:, 0].astype(int)].add(1), None), (rows.sum(), (rows[:, :1] == same).mean())

    orders = []
    for key in jax.random.split(KEY, 2):
        (seen, _), (_, paired) = _in_batches(step, (x, y), 4, (jnp.zeros(50, int), None), key)
        assert sorted(np.asarray(seen)) == [0, 0] + [1] * 48
        assert paired == 1
        orders.append(np.flatnonzero(np.asarray(seen) == 0))
    assert not np.array_equal(*orders)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "tanh", "initialisation": "he", "optimiser": "momentum", "learning_rate": 0.05},
        {"activation": "gelu", "batch_size": 16, "schedule": "cosine", "optimiser": "adamw", "weight_decay": 1e-3},
        {"activation": "leaky_relu", "dropout_rate": 0.1, "batch_norm": True, "learning_rate": 3e-3},
        {"activation": "sigmoid", "initialisation": "equinox", "schedule": "step", "learning_rate": 0.01},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_option_trains_and_is_kept(few, tmp_path, options):
    """The loss falls by half at least, the history is that of the weights that are kept, and a file holds them."""
    settings = TrainingSettings(**({"members": 2, "max_epochs": 150, "learning_rate": 3e-3} | options))
    ensemble, history = train_ensemble(KEY, *few, BOX, settings)
    best = np.nanmin(history.validation_loss, axis=1)
    assert np.all(best < 0.5 * history.validation_loss[:, 0])
    data = normalised(few[1], ensemble.normaliser)
    members = np.asarray(ensemble.at_points(few[1].x))
    y = np.asarray(ensemble.normaliser.normalise_y(jnp.asarray(members)))
    # normalised back from float32 predictions in physical units
    np.testing.assert_allclose(((y - np.asarray(data[1])[:, None]) ** 2).mean((0, 2)), best, rtol=1e-4)
    save_ensemble(tmp_path / "ensemble.eqx", ensemble, "0" * 16, {})
    np.testing.assert_array_equal(load_ensemble(tmp_path / "ensemble.eqx").at_points(few[1].x), members)


def test_a_validation_run_without_a_logarithm_is_named(few):
    """Before training starts, in one line; training runs are `test_normalisation`'s."""
    validation = few[1].at(np.arange(24))
    validation.y[5, 1] = 0.0
    positive = few[0].at(few[0].y[:, 1] > 0)
    said = "emulator.log10: sigma_v_kms of validation point 5, realization 0, is 0, which has no logarithm"
    with pytest.raises(NatalError, match=said):
        train_ensemble(KEY, positive, validation, BOX, TrainingSettings(members=2, log10=["sigma_v_kms"]))
