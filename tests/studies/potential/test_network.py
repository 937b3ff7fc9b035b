"""The network, its derivatives, its loss and its training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.emulator.perceptron import count_parameters
from natal.errors import NatalError
from natal.studies.potential.accuracy import as_numpy, relative_errors, rounding
from natal.studies.potential.fields import Sample, plummer_sphere, sample_field, uniform_in_radius
from natal.studies.potential.network import (
    LearnedField,
    fix_gauge,
    in_double_precision,
    make_potential_network,
    potential_and_gradient,
    predict,
    through_second_order,
)
from natal.studies.potential.settings import PotentialSettings, Weights
from natal.studies.potential.store import load_networks, save_networks
from natal.studies.potential.training import TERMS, Scales, loss_terms, measure_scales, train_potential

pytestmark = pytest.mark.slow

SHORT = PotentialSettings(steps=300, batch_size=32, learning_rate=7.0e-3)


def points(n=16, seed=0):
    return uniform_in_radius(jax.random.key(seed), n, 0.0, 5.0)


def plummer_sample(n, seed=0):
    with jax.enable_x64(True):
        return as_numpy(sample_field(plummer_sphere(), points(n, seed)))


def in_float32(sample):
    return Sample(*(jnp.asarray(values, jnp.float32) for values in sample))


def own_labels(network, at):
    """Labels that the network fulfils exactly."""
    potential, gradient, laplacian = through_second_order(network, at)
    return Sample(at, potential, -gradient, laplacian)


def test_it_is_the_primers_network():
    """3 -> 4 x 128 -> 1 with tanh, and Glorot's variance 2 / (n_in + n_out) within 5 standard errors."""
    network = make_potential_network(jax.random.key(1))
    assert count_parameters(network) == (3 + 1) * 128 + 3 * (128 + 1) * 128 + 129
    assert network.activation is not None
    hidden = np.concatenate([np.ravel(layer.weight) for layer in network.layers[1:4]])
    assert hidden.var() == pytest.approx(2 / 256, rel=5 * np.sqrt(2 / hidden.size))
    assert all(not np.any(layer.bias) for layer in network.layers)


@pytest.mark.usefixtures("float64")
def test_derivatives_are_those_of_automatic_differentiation():
    """Gradient and Laplacian carried through the layers against reverse mode and the trace of the Hessian."""
    network = in_double_precision(make_potential_network(jax.random.key(2)))
    # biases that are not zero, so that tanh has both derivatives
    network = eqx.tree_at(lambda n: [la.bias for la in n.layers], network, [la.bias + 0.3 for la in network.layers])
    at = points()
    potential, gradient, laplacian = through_second_order(network, at)
    value, reverse = potential_and_gradient(network, at)
    hessian = jax.vmap(jax.hessian(network))(at)
    np.testing.assert_allclose(potential, value, rtol=1e-12)
    np.testing.assert_allclose(gradient, reverse, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(laplacian, jnp.trace(hessian, axis1=1, axis2=2), rtol=1e-10, atol=1e-13)
    field = LearnedField(network)
    np.testing.assert_allclose(field.acceleration(at[0]), -reverse[0], rtol=1e-12)


def test_the_loss_is_zero_for_a_field_that_is_met_and_knows_the_signs():
    """Force -grad Phi, Laplacian +4 pi G rho: turning either label's sign costs four times its mean square."""
    network, at = make_potential_network(jax.random.key(3)), points(64)
    labels = own_labels(network, at)
    scales = Scales(1.0, 1.0, 1.0)
    met = loss_terms(network, labels, scales, TERMS["all"])
    assert max(float(value) for value in met.values()) < 1e-10
    turned = labels._replace(acceleration=-labels.acceleration, laplacian=-labels.laplacian)
    wrong = loss_terms(network, turned, scales, TERMS["all"])
    assert float(wrong["force"]) == pytest.approx(4 * float(jnp.mean((labels.acceleration**2).sum(1))), rel=1e-4)
    assert float(wrong["poisson"]) == pytest.approx(4 * float(jnp.mean(labels.laplacian**2)), rel=1e-4)


def test_each_term_is_one_for_a_network_that_says_the_mean():
    """What `Scales` are for: no force and no density cost 1 each, and so does the mean potential."""
    train = plummer_sample(2000)
    network = jax.tree.map(
        lambda leaf: 0 * leaf if eqx.is_array(leaf) else leaf, make_potential_network(jax.random.key(4))
    )
    network = fix_gauge(network, jnp.zeros(3), float(train.potential.mean()))
    found = loss_terms(network, in_float32(train), measure_scales(train), TERMS["all"])
    for value in found.values():
        assert float(value) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("terms", TERMS)
def test_only_what_is_asked_for_is_in_the_loss(terms):
    found = loss_terms(
        make_potential_network(jax.random.key(5)), in_float32(plummer_sample(8)), Scales(1.0, 1.0, 1.0), TERMS[terms]
    )
    assert tuple(found) == TERMS[terms]


@pytest.mark.slow
def test_a_short_training_learns_the_sphere():
    """300 steps reach some per cent in every measure; an untrained network is off by the whole value."""
    train, test = plummer_sample(4096), plummer_sample(1000, seed=1)
    network, curve = train_potential(jax.random.key(6), train, -1.0, TERMS["all"], SHORT, "test")
    errors = relative_errors(as_numpy(predict(network, jnp.asarray(test.position, jnp.float32))), test)
    untrained = make_potential_network(jax.random.key(6))
    before = relative_errors(as_numpy(predict(untrained, jnp.asarray(test.position, jnp.float32))), test)
    assert max(errors.values()) < 0.1
    assert min(before.values()) > 0.8
    assert curve.step.tolist() == [100, 200, 300]
    assert (np.diff(curve.losses.sum(1)) < 0).all()
    # float32 keeps about 6 digits, second derivatives included: far below what training reaches
    noise = rounding(network, test.position)
    assert min(noise.values()) > 1e-9
    assert max(noise.values()) < 1e-4


def test_forces_alone_learn_the_potential_up_to_its_gauge():
    """The constant is set at the origin."""
    train = plummer_sample(4096)
    network, curve = train_potential(jax.random.key(7), train, -1.0, TERMS["force"], SHORT, "test")
    assert float(network(jnp.zeros(3))) == pytest.approx(-1.0, abs=1e-6)
    assert np.isnan(curve.losses[:, [0, 2]]).all()
    test = plummer_sample(500, seed=2)
    found = as_numpy(predict(network, jnp.asarray(test.position, jnp.float32)))
    assert relative_errors(found, test)["potential"] < 0.1


def test_weights_say_what_counts():
    """A weight of next to nothing leaves the loss without its term; losses are told without weights."""
    train, short = plummer_sample(2000), PotentialSettings(steps=100, batch_size=16)
    curves = {}
    for gamma in (1e-6, 100.0):
        weighted = short.model_copy(update={"weights": Weights(gamma=gamma)})
        curves[gamma] = train_potential(jax.random.key(9), train, -1.0, TERMS["all"], weighted, "test")[1].losses[0]
    without = train_potential(jax.random.key(9), train, -1.0, TERMS["potential_force"], short, "test")[1].losses[0]
    np.testing.assert_allclose(curves[1e-6][:2], without[:2], rtol=0.02)
    assert curves[100.0][0] > 1.5 * without[0]
    # with a hundred times the weight the term itself would be a hundred times as large
    assert 1.1 * curves[100.0][2] < curves[1e-6][2] < 100 * curves[100.0][2]


def test_a_rate_that_explodes_is_a_users_mistake():
    settings = PotentialSettings(steps=100, batch_size=8, learning_rate=1.0e38)
    with pytest.raises(NatalError, match=r"^training.learning_rate = 1e\+38 does not train: the loss is not finite$"):
        train_potential(jax.random.key(8), plummer_sample(100), -1.0, TERMS["potential"], settings, "test")


def test_networks_survive_their_file(tmp_path):
    networks = [make_potential_network(jax.random.key(k)) for k in (1, 2)]
    save_networks(tmp_path / "all.eqx", networks, "plummer", "all", "digest")
    found = load_networks(tmp_path / "all.eqx")
    assert len(found) == 2
    assert all(eqx.tree_equal(a, b) for a, b in zip(networks, found, strict=True))
    content = (tmp_path / "all.eqx").read_bytes()
    (tmp_path / "cut.eqx").write_bytes(content[:-100])
    with pytest.raises(NatalError, match="damaged or foreign weights"):
        load_networks(tmp_path / "cut.eqx")
    (tmp_path / "other.eqx").write_text('{"format": "natal-ensemble-1"}\n')
    with pytest.raises(NatalError, match="does not hold potential networks"):
        load_networks(tmp_path / "other.eqx")
    (tmp_path / "text.eqx").write_text("no JSON\n")
    with pytest.raises(NatalError, match="does not hold potential networks"):
        load_networks(tmp_path / "text.eqx")
