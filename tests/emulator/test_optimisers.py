"""Optimisers, schedules and weight decay follow their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closed_form import BOX, LIMITS, make_runs

from natal.data.normaliser import fit_normaliser
from natal.emulator.ensemble import untrained_ensemble
from natal.emulator.optimisers import make_optimiser, make_schedule
from natal.emulator.training import normalised, train_ensemble
from natal.settings.emulator import TrainingSettings

KEY = jax.random.key(21)


@pytest.fixture(scope="module")
def few():
    """48 training and 24 validation runs, one a point."""
    return make_runs("train", 48, 1, seed=1), make_runs("validation", 24, 1, seed=2)


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
