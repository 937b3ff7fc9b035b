"""Dropout and batch normalisation: formulas in training, running statistics and plain networks in use."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.emulator.layers import EPSILON, MEMORY, BatchNorm, TrainingNetwork, training_loss
from natal.emulator.perceptron import make_emulator_network

KEY = jax.random.key(31)


@pytest.fixture
def x():
    """A batch of 400 normalised inputs."""
    return jax.random.normal(jax.random.key(1), (400, 2))


def stirred(network):
    """The network with running statistics, scales and shifts that are not those it starts with."""
    keys = iter(jax.random.split(jax.random.key(2), 8))

    def drawn(norm):
        parts = [jax.random.uniform(next(keys), norm.mean.shape, minval=0.5, maxval=1.5) for _ in range(4)]
        return BatchNorm(*parts)

    return eqx.tree_at(lambda n: n.norms, network, [drawn(norm) for norm in network.norms])


def test_a_batch_is_normalised(x):
    """In training every unit has mean beta and standard deviation gamma over the batch."""
    norm = stirred(TrainingNetwork.around(make_emulator_network(KEY), 0.0, True)).norms[0]
    z = 3.0 + 2.0 * jax.random.normal(jax.random.key(3), (400, 64))
    normed = np.asarray(norm(z, training=True), float)
    np.testing.assert_allclose(normed.mean(0), norm.beta, atol=1e-5)
    # epsilon takes 1e-5 / 4 off the variance
    np.testing.assert_allclose(normed.std(0), norm.gamma, rtol=1e-5)
    by_hand = (np.asarray(z) - np.asarray(norm.mean)) / np.sqrt(np.asarray(norm.var) + EPSILON)
    in_use = norm(z, training=False)
    np.testing.assert_allclose(in_use, by_hand * np.asarray(norm.gamma) + np.asarray(norm.beta), atol=1e-5)


def test_running_statistics_find_those_of_the_batches():
    """Mean and unbiased variance of small batches of one law, once the start is forgotten."""
    norm = BatchNorm.fresh(3, "float32")
    law_mean, law_sd = np.array([1.0, -2.0, 5.0]), np.array([0.5, 1.0, 3.0])
    batches = law_mean + law_sd * jax.random.normal(jax.random.key(4), (500, 8, 3))
    norm, track = jax.lax.scan(lambda n, z: (n.having_seen(z),) * 2, norm, batches)
    # averages over the last 400 of 500: of 8 values each, known to sd / sqrt(3200) but for memory's overlap; 5 sigma
    np.testing.assert_allclose(track.mean[100:].mean(0), law_mean, atol=5 * law_sd.max() / np.sqrt(3200))
    np.testing.assert_allclose(track.var[100:].mean(0), law_sd**2, rtol=5 * np.sqrt(2 / 2800))
    first = (1 - MEMORY) * np.asarray(batches[0]).mean(0)
    np.testing.assert_allclose(track.mean[0], first, rtol=1e-5)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_plain_network_is_the_one_in_use(x, batch_norm):
    """Folded into weights and biases, normalisation by running statistics predicts the same."""
    network = stirred(TrainingNetwork.around(make_emulator_network(KEY, "tanh", "equinox"), 0.3, batch_norm))
    plain = network.plain()
    assert isinstance(plain, eqx.nn.MLP)
    # sums of 64 float32 products
    np.testing.assert_allclose(jax.vmap(plain)(x), network.outputs(x)[0], atol=2e-5)


def test_dropped_neurons_average_out(x):
    """z of the second layer keeps its mean under dropout in the first, which takes 30 % of the neurons away."""
    network = TrainingNetwork.around(make_emulator_network(KEY), 0.3, False)
    whole = network.outputs(x)[1][1]
    keys = jax.random.split(jax.random.key(5), 200)
    drawn = jax.jit(jax.vmap(lambda key: network.outputs(x, key)[1][1]))(keys)
    error = np.asarray(drawn.std(0, ddof=1)) / np.sqrt(len(keys))
    # 25,600 standardised deviations: their mean square is 1 but for a few per cent
    assert 0.9 < np.mean((np.asarray(drawn.mean(0) - whole) / error) ** 2) < 1.1
    hidden = np.asarray(jax.nn.relu(network.outputs(x)[1][0]))
    dropped = np.asarray(network.dropout(jnp.asarray(hidden), key=keys[0]))
    on = hidden > 0
    assert abs((dropped[on] == 0).mean() - 0.3) < 5 * np.sqrt(0.21 / on.sum())
    kept = dropped > 0
    np.testing.assert_allclose(dropped[kept] * 0.7, hidden[kept], rtol=1e-6)


def test_validation_is_not_random(x):
    """Without a key nothing is dropped, and one row's prediction does not depend on the others."""
    network = stirred(TrainingNetwork.around(make_emulator_network(KEY), 0.5, True))
    y = jnp.zeros((400, 3))
    assert training_loss(network, x, y, None) == training_loss(network, x, y, None)
    np.testing.assert_allclose(network.outputs(x[:5])[0], network.outputs(x)[0][:5], atol=1e-5)
    keys = jax.random.split(KEY, 2)
    assert training_loss(network, x, y, keys[0]) != training_loss(network, x, y, keys[1])


def test_running_statistics_are_not_learned(x):
    """The loss has no slope along them in training; scales and shifts have one."""
    network = stirred(TrainingNetwork.around(make_emulator_network(KEY), 0.0, True))
    gradient = eqx.filter_grad(training_loss)(network, x, jnp.ones((400, 3)), KEY)
    for norm in gradient.norms:
        assert not np.any(norm.mean)
        assert not np.any(norm.var)
        assert np.any(norm.gamma)
        assert np.any(norm.beta)
