"""Layers, activations and initial weights follow their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, expit

from natal.emulator.perceptron import (
    ACTIVATIONS,
    count_parameters,
    hidden_layers,
    layer_sizes,
    make_emulator_network,
    parameter_count,
)

WIDTHS = [(), (64,), (64, 64), (7, 9, 5), (16, 8, 8, 4)]


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
    network = make_emulator_network(jax.random.key(1), activation, "equinox")
    x = np.array([0.3, -0.8], "float32")
    h, function = x, ACTIVATIONS[activation]
    for layer in network.layers[:-1]:
        h = np.asarray(function(layer.weight @ h + layer.bias))
    np.testing.assert_allclose(network(x), network.layers[-1].weight @ h + network.layers[-1].bias, atol=1e-6)


def test_initial_weights_have_their_variance():
    """He: normal, 2 / n_in; Equinox: uniform within 1 / sqrt(n_in), biases too. 40 networks' 64 x 64 matrices."""
    keys = jax.random.split(jax.random.key(2), 40)
    he, equinox = ([make_emulator_network(key, "relu", name).layers[1] for key in keys] for name in ("he", "equinox"))
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


@pytest.mark.parametrize(
    ("sizes", "n"),
    [([2, 64, 64, 3], 4547), ([5, 100, 100, 3], 11_003), ([10, 50, 50, 5], 3355), ([2, 3], 9), ([3, 2, 1], 11)],
)
def test_counting_parameters(sizes, n):
    """By hand: 5-100-100-3 has (5 + 1) 100 + (100 + 1) 100 + (100 + 1) 3 of them."""
    assert parameter_count(sizes) == n


@pytest.mark.parametrize("hidden", WIDTHS)
def test_a_network_has_the_layers_that_were_asked_for(hidden):
    """Its weights are as many as counted, its forward pass is that of these layers."""
    network = make_emulator_network(jax.random.key(3), "tanh", "equinox", hidden)
    assert hidden_layers(network) == list(hidden)
    assert count_parameters(network) == parameter_count(layer_sizes(hidden))
    h = x = np.array([0.3, -0.8], "float32")
    for layer in network.layers[:-1]:
        h = np.tanh(layer.weight @ h + layer.bias)
    np.testing.assert_allclose(network(x), network.layers[-1].weight @ h + network.layers[-1].bias, atol=1e-6)


def test_no_hidden_layer_leaves_a_linear_map():
    """Whatever the activation: twice the way in is twice the way out."""
    network = make_emulator_network(jax.random.key(4), "relu", hidden=())
    start, step = np.array([0.2, -1.0], "float32"), np.array([-3.0, 2.0], "float32")
    moved = [np.asarray(network(start + k * step)) for k in (0, 1, 2)]
    np.testing.assert_allclose(moved[2] - moved[0], 2 * (moved[1] - moved[0]), rtol=1e-5)


def test_a_first_hidden_layer_by_hand():
    """A self-test: x = (0.5, 1), W = ((1, -1), (0, 2)) and b = (0, -1) give z = (-0.5, 1), and ReLU leaves (0, 1)."""
    weight, bias = jnp.array([[1.0, -1.0], [0.0, 2.0]]), jnp.array([0.0, -1.0])
    assert ACTIVATIONS["relu"](weight @ jnp.array([0.5, 1.0]) + bias).tolist() == [0.0, 1.0]
