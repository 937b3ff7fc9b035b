"""The worked examples and checkpoints of a textbook introduction to neural networks, redone twice.

Once with NumPy by the formulas of backpropagation, once with Equinox and automatic differentiation; expected numbers
are the text's, to the digits it prints. docs/tutorials/emulators.md lists where the text is wrong.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.emulator.perceptron import ACTIVATIONS

X, Y, RATE = np.array([2.0, 3.0, 10.0]), 3.0, 0.1
W1, B1 = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6]]), np.array([0.1, -0.2])
W2, B2 = np.array([[0.8, -0.5]]), np.array([0.3])


def to_digits(value, text):
    """Equal to a printed number: within half of its last digit."""
    digits = len(text.partition(".")[2])
    return abs(value - float(text)) <= 0.5 * 10.0**-digits + 1e-12


def backpropagated():
    """Forward pass, deltas and gradients of the 3-2-1 network by hand: z1, a1, prediction, loss, deltas."""
    z1 = W1 @ X + B1
    a1 = np.maximum(z1, 0)
    prediction = (W2 @ a1 + B2)[0]
    delta2 = np.array([prediction - Y])
    delta1 = (W2.T @ delta2) * (z1 > 0)
    return z1, a1, prediction, (prediction - Y) ** 2 / 2, delta2, delta1


@pytest.fixture
def network(float64):
    """The same network in Equinox, in double precision."""
    network = eqx.nn.MLP(3, 1, 2, 1, activation=ACTIVATIONS["relu"], dtype="float64", key=jax.random.key(0))
    parts = [jnp.asarray(part) for part in (W1, B1, W2, B2)]
    where = [0, 0, 1, 1]
    return eqx.tree_at(
        lambda n: [getattr(n.layers[k], part) for k, part in zip(where, ("weight", "bias") * 2, strict=True)],
        network,
        parts,
    )


def half_square(network):
    """The text's loss: half the squared error."""
    return 0.5 * (network(jnp.asarray(X))[0] - Y) ** 2


@pytest.mark.parametrize(("x", "z"), [([3.0, 2.0, 10.0, 8.0], 12.0), ([1.0, 5.0, 5.0, 20.0], -14.5)])
def test_a_single_neuron(float64, x, z):
    """The core-collapse predictor's example and checkpoint 1."""
    w, b = np.array([2.0, -3.0, 1.5, -0.5]), 1.0
    assert w @ np.array(x) + b == z
    neuron = eqx.nn.Linear(4, "scalar", dtype="float64", key=jax.random.key(0))
    neuron = eqx.tree_at(lambda n: (n.weight, n.bias), neuron, (jnp.asarray(w[None]), jnp.array([b])))
    assert float(neuron(jnp.array(x))) == z


def test_two_linear_layers_are_one(float64):
    """W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)."""
    np.testing.assert_allclose(W2 @ (W1 @ X + B1) + B2, (W2 @ W1) @ X + (W2 @ B1 + B2), rtol=1e-14)


def test_checkpoint_2(float64):
    """sigma(2) = 0.881 and sigma'(2) = sigma (1 - sigma) = 0.105, which is the slope that JAX finds."""
    sigma = 1 / (1 + np.exp(-2.0))
    assert to_digits(sigma, "0.881")
    assert to_digits(sigma * (1 - sigma), "0.105")
    assert float(ACTIVATIONS["sigmoid"](2.0)) == pytest.approx(sigma, rel=1e-14)
    assert float(jax.grad(ACTIVATIONS["sigmoid"])(2.0)) == pytest.approx(sigma * (1 - sigma), rel=1e-14)


def test_derivatives_of_the_activations(float64):
    """ReLU' = 1 above 0 and 0 at it; tanh' = 1 - tanh^2; tanh(z) = 2 sigma(2 z) - 1; leaky ReLU = max(0.01 z, z)."""
    z = jnp.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    relu, leaky, tanh, sigmoid = (ACTIVATIONS[name] for name in ("relu", "leaky_relu", "tanh", "sigmoid"))
    np.testing.assert_array_equal(jax.vmap(jax.grad(relu))(z), [0, 0, 0, 1, 1])
    np.testing.assert_allclose(jax.vmap(jax.grad(tanh))(z), 1 - np.tanh(z) ** 2, rtol=1e-13)
    np.testing.assert_allclose(tanh(z), 2 * sigmoid(2 * z) - 1, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(leaky(z), np.maximum(0.01 * z, z), rtol=1e-14)


def test_the_forward_pass(network):
    """z1 = (2.2, -4.8), a1 = (2.2, 0), prediction 2.06, loss 0.442."""
    z1, a1, prediction, loss, _, _ = backpropagated()
    np.testing.assert_allclose(z1, [2.2, -4.8], rtol=1e-14)
    np.testing.assert_allclose(a1, [2.2, 0.0], rtol=1e-14)
    assert prediction == pytest.approx(2.06, rel=1e-14)
    assert to_digits(loss, "0.442")
    np.testing.assert_allclose(network.layers[0](jnp.asarray(X)), z1, rtol=1e-14)
    np.testing.assert_allclose(network(jnp.asarray(X)), [prediction], rtol=1e-14)
    assert float(half_square(network)) == pytest.approx(loss, rel=1e-14)


def test_checkpoint_3():
    """With a sigmoid in its place a1 = (0.900, 0.008)."""
    a1 = np.asarray(ACTIVATIONS["sigmoid"](jnp.asarray(backpropagated()[0])))
    assert to_digits(a1[0], "0.900")
    assert to_digits(a1[1], "0.008")


def test_the_deltas(network):
    """delta2 = -0.94 and delta1 = (-0.752, 0), before the ReLU's slope (-0.752, 0.470): the loss's slopes along z."""
    _, a1, _, _, delta2, delta1 = backpropagated()
    np.testing.assert_allclose(delta2, [-0.94], rtol=1e-14)
    np.testing.assert_allclose(W2.T @ delta2, [-0.752, 0.470], rtol=1e-14)
    np.testing.assert_allclose(delta1, [-0.752, 0.0], rtol=1e-14)

    def loss_after(z1):
        return 0.5 * (network.layers[1](network.activation(z1))[0] - Y) ** 2

    np.testing.assert_allclose(jax.grad(loss_after)(network.layers[0](jnp.asarray(X))), delta1, rtol=1e-14)
    z2 = network.layers[1](jnp.asarray(a1))
    np.testing.assert_allclose(jax.grad(lambda z: 0.5 * (z[0] - Y) ** 2)(z2), delta2, rtol=1e-14)


def test_the_gradients(network):
    """dL/dW2 = (-2.068, 0), dL/dW1 = (-1.504, -2.256, -7.520; 0, 0, 0), those of the biases the deltas."""
    _, a1, _, _, delta2, delta1 = backpropagated()
    gradient = eqx.filter_grad(half_square)(network)
    printed = [[[-1.504, -2.256, -7.520], [0, 0, 0]], [-0.752, 0], [[-2.068, 0]], [-0.94]]
    by_hand = [np.outer(delta1, X), delta1, np.outer(delta2, a1), delta2]
    found = [part for layer in gradient.layers for part in (layer.weight, layer.bias)]
    for text, hand, automatic in zip(printed, by_hand, found, strict=True):
        np.testing.assert_allclose(hand, text, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(automatic, text, rtol=1e-13, atol=1e-14)


def test_one_update_and_checkpoint_4(network):
    """With eta = 0.1 the first weight of the output becomes 1.007; all others follow, and the loss falls."""
    gradient = eqx.filter_grad(half_square)(network)
    after = jax.tree.map(lambda w, g: w - RATE * g if eqx.is_array(w) else w, network, gradient)
    assert to_digits(float(after.layers[1].weight[0, 0]), "1.007")
    np.testing.assert_allclose(after.layers[0].weight, [[0.6504, -0.0744, 0.952], [0.1, 0.4, -0.6]], rtol=1e-13)
    np.testing.assert_allclose(after.layers[0].bias, [0.1752, -0.2], rtol=1e-13)
    np.testing.assert_allclose(after.layers[1].weight, [[1.0068, -0.5]], rtol=1e-13)
    np.testing.assert_allclose(after.layers[1].bias, [0.394], rtol=1e-13)
    # the step is far too long: to first order it moves the prediction by 0.1 (1 + 4.84 + 0.64 (1 + 113)) = 7.9 errors
    assert to_digits(float(half_square(after)), "33.95")
    shorter = jax.tree.map(lambda w, g: w - 0.01 * g if eqx.is_array(w) else w, network, gradient)
    assert float(half_square(shorter)) < float(half_square(network))


def test_checkpoint_5():
    """512 + 256 + 128 + 64 = 960 neurons; but their weights are far more than those of 1024 in one layer."""
    widths = [1024 // 2**k for k in range(1, 5)]
    assert widths == [512, 256, 128, 64]
    assert sum(widths) == 960
    n_in, n_out = 3, 1
    sizes = [n_in, *widths, n_out]
    deep = sum((before + 1) * after for before, after in itertools.pairwise(sizes))
    shallow = (n_in + 1) * 1024 + 1025 * n_out
    assert (deep, shallow) == (174593, 5121)


def test_the_normalised_range_of_masses():
    """Masses log-uniform from 1e2 to 1e6 Msun run from -1.73 to 1.73, not from -2 to 2: sqrt(3) standard deviations."""
    logs = np.log10(np.logspace(2, 6, 100_001))
    z = (logs - logs.mean()) / logs.std()
    # the ends of an even grid of n + 1 points: sqrt(3) (1 - 1 / n)
    np.testing.assert_allclose([z[0], z[-1]], [-np.sqrt(3), np.sqrt(3)], rtol=2e-5)


def test_bias_correction_counts_from_one(float64):
    """Adam's corrections as printed divide by 1 - beta^0 = 0 in the first step; with t + 1 the step is eta sign(g)."""
    gradient, beta1, beta2, rate = 0.3, 0.9, 0.999, 0.01
    m, v = (1 - beta1) * gradient, (1 - beta2) * gradient**2
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(np.float64(0.0) / (1 - beta1**0))
    step = rate * (m / (1 - beta1)) / (np.sqrt(v / (1 - beta2)) + 1e-8)
    assert step == pytest.approx(rate, rel=1e-7)


def test_the_poisson_term_has_a_minus_sign(float64):
    """del^2 Phi - 4 pi G rho vanishes for a Plummer sphere; with the printed plus sign it is 8 pi G rho."""
    mass, a = 2.0, 1.5  # G = 1

    def potential(x):
        return -mass / jnp.sqrt(x @ x + a**2)

    x = jnp.array([0.3, -0.7, 1.1])
    density = 3 * mass / (4 * np.pi * a**3) * (1 + float(x @ x) / a**2) ** -2.5
    laplacian = float(jnp.trace(jax.hessian(potential)(x)))
    assert laplacian == pytest.approx(4 * np.pi * density, rel=1e-12)
    assert laplacian + 4 * np.pi * density == pytest.approx(8 * np.pi * density, rel=1e-12)
