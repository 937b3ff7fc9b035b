"""The network is what the page says: layers, gradients and initial weights, each redone by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import blank_ensemble, uniform_points
from scipy.stats import kstest, uniform

from natal.emulator.perceptron import count_parameters, make_emulator_network
from natal.emulator.training import mean_squared_error

N_NETWORKS = 200


def member(networks, k):
    """One network of a stack."""
    return jax.tree.map(lambda leaf: leaf[k] if eqx.is_array(leaf) else leaf, networks)


def in_double_precision(tree):
    """The same numbers as float64."""
    return jax.tree.map(lambda leaf: leaf.astype("float64") if eqx.is_array(leaf) else leaf, tree)


def weights_of(network):
    """[(W1, b1), (W2, b2), (W3, b3)] in double precision."""
    return [(np.asarray(layer.weight, float), np.asarray(layer.bias, float)) for layer in network.layers]


def forward(weights, x):
    """W3 relu(W2 relu(W1 x + b1) + b2) + b3 for the rows of x, and the hidden layers on the way."""
    (w1, b1), (w2, b2), (w3, b3) = weights
    h1 = np.maximum(x @ w1.T + b1, 0.0)
    h2 = np.maximum(h1 @ w2.T + b2, 0.0)
    return h2 @ w3.T + b3, h1, h2


def backward(weights, x, y):
    """The chain rule, layer by layer: gradients of the mean squared error with respect to every (W, b)."""
    (_, _), (w2, _), (w3, _) = weights
    output, h1, h2 = forward(weights, x)
    d_output = 2 * (output - y) / y.size  # the loss is a mean over runs and outputs
    d_h2 = (d_output @ w3) * (h2 > 0)
    d_h1 = (d_h2 @ w2) * (h1 > 0)
    return [(d.T @ before, d.sum(0)) for d, before in ((d_h1, x), (d_h2, h1), (d_output, h2))]


def manual_forward(params, x):
    """One point through 2-64-64-3 with JAX's primitives only; params holds W1, b1, W2, b2, W3, b3."""
    h1 = jnp.maximum(0, params["W1"] @ x + params["b1"])
    h2 = jnp.maximum(0, params["W2"] @ h1 + params["b2"])
    return params["W3"] @ h2 + params["b3"]


def params_of(network):
    """The same weights as a plain dictionary of JAX arrays."""
    layers = enumerate(weights_of(network), start=1)
    return {f"{name}{k}": jnp.asarray(part) for k, layer in layers for name, part in zip("Wb", layer, strict=True)}


@pytest.fixture
def network(float64, ensemble):
    """A trained member, biases and all, in double precision."""
    return in_double_precision(member(ensemble.networks, 0))


@pytest.fixture(scope="module")
def many_networks():
    """A few hundred untrained networks."""
    return eqx.filter_vmap(make_emulator_network)(jax.random.split(jax.random.key(0), N_NETWORKS))


def test_a_forward_pass_by_hand(network):
    """W3 relu(W2 relu(W1 x + b1) + b2) + b3, in double precision to rounding."""
    x = np.random.default_rng(0).standard_normal((50, 2))
    # sums of 64 doubles of order one
    np.testing.assert_allclose(jax.vmap(network)(x), forward(weights_of(network), x)[0], rtol=1e-13, atol=1e-13)


def test_a_forward_pass_without_libraries(network):
    """The same from JAX's primitives, one point at a time: matrix products, sums and max(0, z)."""
    params = params_of(network)
    assert [params[f"W{k}"].shape for k in (1, 2, 3)] == [(64, 2), (64, 64), (3, 64)]
    for x in jnp.asarray(np.random.default_rng(8).standard_normal((20, 2))):
        np.testing.assert_allclose(manual_forward(params, x), network(x), rtol=1e-13, atol=1e-13)


def test_backpropagation_by_hand(network):
    """The hand-derived gradient of the mean squared error is JAX's, through Equinox and through plain products."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((50, 2)), rng.standard_normal((50, 3))
    by_hand = backward(weights_of(network), x, y)

    def loss(params):
        return ((jax.vmap(lambda one: manual_forward(params, one))(jnp.asarray(x)) - y) ** 2).mean()

    plain = jax.grad(loss)(params_of(network))
    plain = [(plain[f"W{k}"], plain[f"b{k}"]) for k in (1, 2, 3)]
    # what training follows
    equinox = weights_of(eqx.filter_grad(mean_squared_error)(network, jnp.asarray(x), jnp.asarray(y)))
    for gradient in (plain, equinox):
        for found, expected in zip(gradient, by_hand, strict=True):
            for part_found, part_expected in zip(found, expected, strict=True):
                assert np.any(part_expected != 0)
                # sums of 50 x 64 terms in double precision
                np.testing.assert_allclose(part_found, part_expected, rtol=1e-11, atol=1e-13)


def test_slopes_of_one_network_by_hand(network):
    """What NUTS follows: the Jacobian is W3 D2 W2 D1 W1, D picking the neurons that are on."""
    weights = weights_of(network)
    (w1, _), (w2, _), (w3, _) = weights
    for x in np.random.default_rng(9).standard_normal((20, 2)):
        _, h1, h2 = forward(weights, x)
        by_hand = w3 @ np.diag(h2 > 0) @ w2 @ np.diag(h1 > 0) @ w1
        np.testing.assert_allclose(jax.jacrev(network)(jnp.asarray(x)), by_hand, rtol=1e-11, atol=1e-13)


def test_the_loss_is_the_mean_over_runs_and_outputs(network):
    """Mean squared error of normalised outputs, each output counting alike."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((20, 2)), rng.standard_normal((20, 3))
    loss = mean_squared_error(network, jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(loss, ((forward(weights_of(network), x)[0] - y) ** 2).mean(), rtol=1e-13)


def test_the_number_of_parameters():
    """(2 + 1) 64 + (64 + 1) 64 + (64 + 1) 3 = 4,547."""
    assert count_parameters(make_emulator_network(jax.random.key(0))) == 3 * 64 + 65 * 64 + 65 * 3 == 4547


@pytest.mark.parametrize(("layer", "shape"), [(0, (64, 2)), (1, (64, 64)), (2, (3, 64))])
def test_initial_weights_are_glorot_uniform(many_networks, layer, shape):
    """Weights are uniform with variance 2 / (n_in + n_out) in every layer; biases are zero."""
    weights = np.asarray(many_networks.layers[layer].weight, float)
    assert weights.shape == (N_NETWORKS, *shape)
    bound, n = np.sqrt(6 / sum(shape)), weights.size
    # a uniform variable has kurtosis 1.8, so the sample variance a relative error of sqrt(0.8 / n); 5 sigma.
    # n = 25,600, 819,200 and 38,400: 2.8, 0.5 and 2.3 per cent
    np.testing.assert_allclose((weights**2).mean(), 2 / sum(shape), rtol=5 * np.sqrt(0.8 / n))
    # float32 bounds; the largest of n uniform values is below (1 - 20 / n) of the bound once in e^20
    assert (1 - 20 / n) * bound < np.abs(weights).max() <= bound * (1 + 2**-23)
    # 1 per mille of seeds would fail
    assert kstest(weights.ravel(), uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
    assert not np.any(many_networks.layers[layer].bias)


def test_layers_and_members_draw_their_own_weights(many_networks):
    """No two networks are alike, nor two layers of one network."""
    first = np.asarray(many_networks.layers[0].weight)[:, 0, 0]
    assert len(np.unique(first)) == N_NETWORKS
    # correlation of n independent pairs is below 5 / sqrt(n), n = 200
    second, third = (np.asarray(many_networks.layers[k].weight)[:, 0, 0] for k in (1, 2))
    for a, b in ((first, second), (second, third), (first, third)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(N_NETWORKS)


def test_members_of_an_ensemble_start_apart():
    """Every pair of members differs: their spread says something."""
    ensemble = blank_ensemble(members=4)
    predictions = np.asarray(ensemble.members(jnp.array([0.9, 130.0])))
    assert len(np.unique(predictions[:, 0])) == 4


def by_numpy(ensemble, x):
    """Every member's prediction in physical units (member, point, 3), from its weights alone."""
    n = ensemble.normaliser
    z = (x - np.asarray(n.x_mean, float)) / np.asarray(n.x_std, float)
    outputs = [forward(weights_of(member(ensemble.networks, k)), z)[0] for k in range(ensemble.n_members)]
    return np.stack(outputs) * np.asarray(n.y_std, float) + np.asarray(n.y_mean, float)


def test_the_ensemble_averages_its_members(float64, ensemble):
    """Prediction and spread are NumPy's mean and standard deviation (ddof = 1) over members, in physical units."""
    x = uniform_points(100, np.random.default_rng(3))
    expected = by_numpy(ensemble, x)
    mean, std = in_double_precision(ensemble)(x)
    np.testing.assert_allclose(mean, expected.mean(0), rtol=1e-12)
    # the spread is about a hundredth of the values: two digits are lost
    np.testing.assert_allclose(std, expected.std(0, ddof=1), rtol=1e-9)


def test_single_precision_predictions(ensemble):
    """In float32, as used, predictions miss double precision by the rounding of three sums of 64 terms."""
    x = uniform_points(100, np.random.default_rng(4))
    mean, _ = ensemble(x)
    assert mean.dtype == jnp.float32
    # 64 products of order one rounded to 2^-24 each, in units of the outputs' standard deviation
    allowed = 3 * 64 * 2.0**-24 * np.asarray(ensemble.normaliser.y_std, float)
    assert np.all(np.abs(np.asarray(mean, float) - by_numpy(ensemble, x).mean(0)) < allowed)


def test_one_point_or_many(ensemble):
    """`mean` at one point, `members` averaged and a call on many agree to float32 rounding."""
    x = uniform_points(20, np.random.default_rng(5)).astype("float32")
    together, _ = ensemble(x)
    y_std = np.asarray(ensemble.normaliser.y_std)
    for one, expected in zip(x, np.asarray(together), strict=True):
        for found in (ensemble.mean(jnp.asarray(one)), ensemble.members(jnp.asarray(one)).mean(0)):
            assert np.all(np.abs(np.asarray(found) - expected) < 3 * 64 * 2.0**-24 * y_std)


def test_gradients_are_slopes(float64, ensemble):
    """The Jacobian of the ensemble's mean, in physical units, equals central differences."""
    double = in_double_precision(ensemble)
    jacobian = jax.jit(jax.vmap(jax.jacfwd(double.mean)))
    mean = jax.jit(jax.vmap(double.mean))
    x = uniform_points(30, np.random.default_rng(6))
    step = 1e-7 * np.array([1.0, 150.0])
    above, below = (
        np.stack([(mean(x + sign * h) - mean(x)) / (sign * h.sum()) for h in np.diag(step)], axis=-1)
        for sign in (1, -1)
    )
    # piecewise linear: exact but for rounding, 1e-16 / 1e-7 of a value over a slope of the same size; on one of the 640
    # edges between pieces, which a point in 250 is, there are two slopes
    straight = np.isclose(above, below, rtol=1e-5).all((1, 2))
    assert straight.sum() >= 28
    np.testing.assert_allclose(jacobian(x)[straight], ((above + below) / 2)[straight], rtol=1e-6)


def test_gradients_are_finite_everywhere_in_the_box(ensemble):
    """At the box's corners, its centre and all over it, in single precision."""
    corners = [[q0, a_au] for q0 in (0.5, 1.0, 1.5) for a_au in (50.0, 125.0, 200.0)]
    x = jnp.asarray(np.vstack([corners, uniform_points(200, np.random.default_rng(7))]), "float32")
    gradient = jax.jit(jax.vmap(jax.jacrev(ensemble.mean)))(x)
    assert gradient.shape == (209, 3, 2)
    assert np.all(np.isfinite(gradient))
