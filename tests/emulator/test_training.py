"""Training keeps the weights of the lowest validation loss, stops in time, and learns."""

import re
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, LIMITS, SIGMA, linear_mean, make_runs, smooth_mean, uniform_points

from natal.data.normaliser import fit_normaliser
from natal.data.runs import Runs
from natal.data.scatter import scatter_weights
from natal.emulator.baselines import fit_baselines
from natal.emulator.ensemble import load_ensemble, save_ensemble, untrained_ensemble
from natal.emulator.training import mean_squared_error, train_ensemble
from natal.errors import NatalError
from natal.settings.emulator import TrainingSettings

KEY = jax.random.key(11)


def as_split(runs, split):
    """The same runs under another name."""
    return Runs(split, runs.x, runs.y, runs.point_id, runs.realization, runs.n_dissolved)


def as_seen(ensemble, runs):
    """Inputs and outputs as the networks see them."""
    n = ensemble.normaliser
    return n.normalise_x(jnp.asarray(runs.x, "float32")), n.normalise_y(jnp.asarray(runs.y, "float32"))


def losses(ensemble, runs):
    """Every member's loss on `runs`."""
    data = as_seen(ensemble, runs)
    return np.asarray(eqx.filter_vmap(lambda network: mean_squared_error(network, *data))(ensemble.networks))


@pytest.fixture(scope="module")
def few():
    """24 training and 24 validation runs, one a point: scatter enough to overfit."""
    return make_runs("train", 24, 1, seed=1), make_runs("validation", 24, 1, seed=2)


@pytest.fixture(scope="module")
def impatient(few):
    """Training that stops after 20 epochs without improvement, long before its 5000th."""
    settings = TrainingSettings(members=3, learning_rate=3e-3, max_epochs=5000, patience=20)
    return train_ensemble(KEY, *few, BOX, settings)


def test_the_best_weights_are_returned(trained, runs):
    """Each member's validation loss is the lowest on its curve, at its best epoch."""
    ensemble, history = trained
    best = np.nanmin(history.validation_loss, axis=1)
    np.testing.assert_array_equal(np.nanargmin(history.validation_loss, axis=1), history.best_epoch)
    # float32 means over 480 x 3 squares: each is a sum rounded about log2(1440) = 11 times, in another order
    np.testing.assert_allclose(losses(ensemble, runs.validation), best, rtol=11 * 2.0**-23)


def test_the_best_weights_are_returned_when_later_ones_are_worse(impatient, few):
    """The same where training went on into overfitting."""
    ensemble, history = impatient
    best = np.nanmin(history.validation_loss, axis=1)
    np.testing.assert_allclose(losses(ensemble, few[1]), best, rtol=6 * 2.0**-23)
    last = np.array([curve[np.isfinite(curve)][-1] for curve in history.validation_loss])
    assert np.all(last > best)


def test_a_member_stops_when_its_patience_is_spent(impatient):
    """Curves end `patience` epochs after the best one, each member by itself, and are nan from there on."""
    _, history = impatient
    n_epochs = history.train_loss.shape[1]
    assert n_epochs < 5000
    for k, best in enumerate(history.best_epoch):
        ended = np.arange(n_epochs) > best + 20
        for curve in (history.train_loss, history.validation_loss, history.gradient_norm):
            np.testing.assert_array_equal(np.isnan(curve[k]), ended)
    assert len(set(history.best_epoch.tolist())) > 1


def test_training_goes_on_until_the_last_member_stops(impatient):
    """No more than one call's stretch of 50 epochs is wasted after the last member stopped."""
    _, history = impatient
    assert history.train_loss.shape[1] - 50 <= history.best_epoch.max() + 20 + 1 <= history.train_loss.shape[1]


@pytest.mark.parametrize("max_epochs", [30, 100, 120])
def test_no_member_trains_beyond_the_last_epoch(few, max_epochs):
    """`max_epochs` bounds curves and weights alike, whether or not it is a multiple of the compiled stretch."""
    settings = TrainingSettings(members=2, learning_rate=1e-4, max_epochs=max_epochs, patience=5000)
    ensemble, history = train_ensemble(KEY, *few, BOX, settings)
    assert history.validation_loss.shape == (2, max_epochs)
    assert np.all(history.best_epoch < max_epochs)
    best = history.validation_loss[[0, 1], np.minimum(history.best_epoch, max_epochs - 1)]
    np.testing.assert_allclose(losses(ensemble, few[1]), best, rtol=6 * 2.0**-23)


def test_the_curves_start_at_the_initial_weights(trained, runs):
    """Losses and gradient norm of epoch 0 are those of the untrained networks."""
    history = trained[1]
    start = untrained_ensemble(jax.random.key(4), 5, fit_normaliser(runs.train), LIMITS)
    np.testing.assert_allclose(history.train_loss[:, 0], losses(start, runs.train), rtol=13 * 2.0**-23)
    np.testing.assert_allclose(history.validation_loss[:, 0], losses(start, runs.validation), rtol=13 * 2.0**-23)
    data = as_seen(start, runs.train)
    gradients = eqx.filter_vmap(lambda network: eqx.filter_grad(mean_squared_error)(network, *data))(start.networks)
    squares = sum((np.asarray(leaf, float).reshape(5, -1) ** 2).sum(1) for leaf in jax.tree.leaves(gradients))
    # back through three layers in float32: a few tens of roundings
    np.testing.assert_allclose(history.gradient_norm[:, 0], np.sqrt(squares), rtol=1e-5)


def test_training_repeats_itself(impatient, few):
    """The same key and runs give the same weights, to the last bit."""
    settings = TrainingSettings(members=3, learning_rate=3e-3, max_epochs=5000, patience=20)
    again, history = train_ensemble(KEY, *few, BOX, settings)
    for found, expected in zip(*(jax.tree.leaves(e) for e in (again, impatient[0])), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(history.train_loss, impatient[1].train_loss)


def test_a_member_does_not_know_how_many_others_there_are(impatient, few):
    """Members of a smaller ensemble start from the same weights and follow the same curves."""
    for key in (KEY, jax.random.key(12)):
        normaliser = fit_normaliser(few[0])
        two, five = (untrained_ensemble(key, n, normaliser, LIMITS).networks.layers[1].weight for n in (2, 5))
        np.testing.assert_array_equal(two, five[:2])
    settings = TrainingSettings(members=2, learning_rate=3e-3, max_epochs=50, patience=20)
    _, history = train_ensemble(KEY, *few, BOX, settings)
    expected = impatient[1].train_loss[:, :10]
    # ten steps may amplify another order of float32 sums (6e-8); members differ by more than a tenth
    np.testing.assert_allclose(history.train_loss[:, :10], expected[:2], rtol=1e-4)
    assert np.abs(expected[0] / expected[1] - 1).max() > 0.1


def test_another_key_gives_another_ensemble(impatient, few):
    """Weights come from the key."""
    settings = TrainingSettings(members=3, learning_rate=3e-3, max_epochs=50, patience=20)
    other, _ = train_ensemble(jax.random.key(12), *few, BOX, settings)
    assert not np.any(np.asarray(other.networks.layers[1].weight) == np.asarray(impatient[0].networks.layers[1].weight))


def test_ten_examples_can_be_learned_by_heart():
    """4,547 parameters reproduce 30 numbers: the loss falls to less than a millionth of their variance."""
    train = make_runs("train", 10, 1, seed=3)
    settings = TrainingSettings(members=2, learning_rate=3e-3, max_epochs=2000, patience=2000)
    ensemble, history = train_ensemble(KEY, train, as_split(train, "validation"), BOX, settings)
    assert np.nanmin(history.train_loss, axis=1).max() < 1e-6
    sd = train.y.std(0)
    assert np.all(np.abs(np.asarray(ensemble(train.x)[0]) - train.y) < 1e-2 * sd)


@pytest.mark.slow
def test_a_smooth_function_is_learned():
    """Noise-free values of a curved map at 200 points: better than every baseline, on points never seen."""
    train, validation = (
        make_runs(split, n, 2, seed=k, mean=smooth_mean, sigma=0.0)
        for k, (split, n) in enumerate((("train", 200), ("validation", 60)))
    )
    settings = TrainingSettings(members=3, max_epochs=1000)
    ensemble, _ = train_ensemble(KEY, train, validation, BOX, settings)
    x = uniform_points(2000, np.random.default_rng(4))
    truth = smooth_mean(x)

    def error(prediction):
        return np.sqrt(((np.asarray(prediction) - truth) ** 2).mean(0))

    for predict in fit_baselines(train).values():
        assert np.all(error(ensemble(x)[0]) < error(predict(x)))


def test_the_emulator_pools_its_points(ensemble):
    """The mean of a point's 8 runs misses by sigma / sqrt(8); the emulator, which learns from all points, by less."""
    x = uniform_points(2000, np.random.default_rng(5))
    error = (np.asarray(ensemble(x)[0]) - linear_mean(x)) / SIGMA
    assert np.all(np.sqrt((error**2).mean(0)) < 1 / np.sqrt(8))


@pytest.mark.parametrize("learning_rate", [1e30, 10.0, 1e-12])
def test_untrained_weights_are_refused(few, learning_rate):
    """Losses that are nan, or only grow, or do not move leave random weights as the best: none pass for trained."""
    settings = TrainingSettings(members=2, learning_rate=learning_rate, max_epochs=50, patience=20)
    said = re.escape(f"emulator.learning_rate = {learning_rate:g} does not train: 2 of 2 members")
    with pytest.raises(NatalError, match=said):
        train_ensemble(KEY, *few, BOX, settings)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_only_training_runs_train(few, split):
    """Runs of another split are refused as training data."""
    with pytest.raises(NatalError, match=f"not from {split} runs"):
        train_ensemble(KEY, as_split(few[0], split), few[1], BOX, TrainingSettings(members=2))


def test_the_ensemble_knows_its_box(ensemble):
    """The box that was learned travels with the weights."""
    assert ensemble.box == LIMITS
    assert ensemble.n_members == 5


@pytest.fixture(scope="module")
def some():
    """48 training and 24 validation runs, one a point."""
    return make_runs("train", 48, 1, seed=1), make_runs("validation", 24, 1, seed=2)


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
@pytest.mark.slow
def test_every_option_trains_and_is_kept(some, tmp_path, options):
    """The loss falls by half at least, the history is that of the weights that are kept, and a file holds them."""
    settings = TrainingSettings(**({"members": 2, "max_epochs": 150, "learning_rate": 3e-3} | options))
    ensemble, history = train_ensemble(jax.random.key(21), *some, BOX, settings)
    best = np.nanmin(history.validation_loss, axis=1)
    assert np.all(best < 0.5 * history.validation_loss[:, 0])
    data = as_seen(ensemble, some[1])
    members = np.asarray(ensemble.at_points(some[1].x))
    y = np.asarray(ensemble.normaliser.normalise_y(jnp.asarray(members)))
    # normalised back from float32 predictions in physical units
    np.testing.assert_allclose(((y - np.asarray(data[1])[:, None]) ** 2).mean((0, 2)), best, rtol=1e-4)
    save_ensemble(tmp_path / "ensemble.eqx", ensemble, "0" * 16, {})
    np.testing.assert_array_equal(load_ensemble(tmp_path / "ensemble.eqx").at_points(some[1].x), members)


def test_a_validation_run_without_a_logarithm_is_named(some):
    """Before training starts, in one line; training runs are `test_normalisation`'s."""
    validation = some[1].at(np.arange(24))
    validation.y[5, 1] = 0.0
    positive = some[0].at(some[0].y[:, 1] > 0)
    said = "emulator.log10: sigma_v_kms of validation point 5, realization 0, is 0, which has no logarithm"
    with pytest.raises(NatalError, match=said):
        train_ensemble(KEY, positive, validation, BOX, TrainingSettings(members=2, log10=["sigma_v_kms"]))


@pytest.mark.parametrize("dropout_rate", [0.0, 0.2])
def test_squared_errors_are_weighted_by_the_scatter(dropout_rate):
    """The kept weights are those of the lowest weighted validation loss, with weights from training runs."""
    train, validation = make_runs("train", 24, 3, seed=1), make_runs("validation", 12, 3, seed=2)
    settings = TrainingSettings(members=2, max_epochs=40, weighting="scatter", dropout_rate=dropout_rate)
    ensemble, history = train_ensemble(KEY, train, validation, BOX, settings)
    y = np.asarray(as_seen(ensemble, train)[1], float)
    weight = scatter_weights(replace(train, y=y), validation.x)
    x, y = as_seen(ensemble, validation)
    predicted = eqx.filter_vmap(lambda network: jax.vmap(network)(x))(ensemble.networks)
    expected = (weight * (np.asarray(predicted) - y) ** 2).mean((1, 2))
    np.testing.assert_allclose(np.nanmin(history.validation_loss, axis=1), expected, rtol=1e-5)
    assert weight.std() > 0.05
