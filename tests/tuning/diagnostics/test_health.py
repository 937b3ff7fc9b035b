"""Each check of a training's health finds the illness it is for, and leaves the healthy alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from closed_form import BOX, SIGMA, make_runs, smooth_mean

from natal.data.normaliser import fit_normaliser
from natal.emulator.layers import TrainingNetwork
from natal.emulator.perceptron import make_emulator_network
from natal.emulator.training import History, mean_squared_error, normalised, train_ensemble
from natal.figures.diagnostics import judged_curves, layer_curves, normalised_columns
from natal.settings.emulator import TrainingSettings
from natal.tuning.diagnostics.curves import ADVICE, judge, scatter_floor
from natal.tuning.diagnostics.health import (
    curve_verdicts,
    gradient_checks,
    health_table,
    idle_checks,
    loss_limits,
    normalisation_checks,
    rate_check,
    ten_examples,
)
from natal.tuning.diagnostics.layers import idle_shares, layer_gradient_norms, layer_table, record_layers

pytestmark = pytest.mark.slow

KEY = jax.random.key(41)
EPOCHS = np.arange(600)


def verdict(train, validation, stopped_early=True, floor=0.1, ignorant=1.0):
    """The name of a curve's verdict."""
    return judge(np.asarray(train), np.asarray(validation), stopped_early, floor, ignorant).name


def falling(to, over=60.0):
    """A loss that falls from 1 to `to`."""
    return to + (1 - to) * np.exp(-EPOCHS / over)


def test_a_healthy_curve_is_fine():
    """A smooth fall to the floor, with small batches' noise or without, ended by patience or not."""
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(600)
    assert verdict(falling(0.09), falling(0.1)) == "fine"
    assert verdict(falling(0.09) * noise, falling(0.1), stopped_early=False) == "fine"
    ended = np.where(EPOCHS > 450, np.nan, falling(0.1))
    assert verdict(np.where(EPOCHS > 450, np.nan, falling(0.09)), ended) == "fine"


def test_a_curve_that_still_falls():
    """No patience spent, and the last hundred epochs brought a good part."""
    assert verdict(falling(0.1, 400), falling(0.1, 400), stopped_early=False) == "still falling"


def test_a_plateau_is_flat_and_high():
    """Flat at a third of what could be learned; where the floor is higher, the same loss is all there is."""
    assert verdict(falling(0.7), falling(0.7)) == "plateau"
    assert verdict(falling(0.7), falling(0.7), floor=0.69) == "fine"
    # without replicates nobody knows what could be learned
    assert verdict(falling(0.7), falling(0.7), floor=np.nan) == "fine"


def test_oscillation():
    """The loss jumps by 40 % from epoch to epoch; steady exponential progress of as much a step is none."""
    jumps = np.where(EPOCHS % 2, 1.2, 0.8)
    assert verdict(falling(0.1) * jumps, falling(0.12) * jumps) == "oscillation"
    assert verdict(np.exp(-0.06 * EPOCHS), np.exp(-0.06 * EPOCHS), False, 0.0) == "still falling"


def test_overfitting():
    """Validation rises by a tenth after its best epoch while training falls."""
    rise = 0.04 * np.clip(EPOCHS - 300, 0, None) / 300
    assert verdict(falling(0.05, 120), falling(0.15) + rise) == "overfitting"
    # both rise: not that
    assert verdict(falling(0.15) + rise, falling(0.15) + rise) == "fine"


@pytest.mark.parametrize(
    "curve", [np.full(600, np.nan), np.linspace(1, 2, 600), np.where(EPOCHS > 0, np.inf, 1.0), np.ones(600)]
)
def test_a_curve_without_learning(curve):
    """Not a number, only rising, infinite after a step, or no movement at all."""
    assert verdict(curve, curve) == "no learning"


def test_every_verdict_has_advice():
    """And none is left over."""
    assert set(ADVICE) == {"fine", "still falling", "plateau", "oscillation", "overfitting", "no learning"}


def test_the_floor_is_the_scatter_of_realizations():
    """The pooled variance within points, in units of the training outputs'; nan without replicates."""
    train, validation = make_runs("train", 60, 4, seed=1), make_runs("validation", 200, 5, seed=2)
    expected = (SIGMA**2 / train.y.var(0)).mean()
    # each output's variance has 800 degrees of freedom: a relative error of sqrt(2 / 800) = 5 %; 5 sigma of three
    found = scatter_floor(validation, as_seen(validation, fit_normaliser(train)))
    assert abs(found / expected - 1) < 5 * np.sqrt(2 / 800)
    assert np.isnan(scatter_floor(make_runs("validation", 9, 1, seed=3), np.zeros((9, 3))))
    # a point of a single realization says nothing, and spoils nothing
    uneven = validation.at(np.arange(len(validation.x)) > 3)
    assert abs(scatter_floor(uneven, as_seen(uneven, fit_normaliser(train))) / found - 1) < 0.05


def as_seen(runs, normaliser):
    """Outputs as networks see them."""
    return np.asarray(normalised(runs, normaliser)[1], float)


def with_bias(network, layer, units, value):
    """The network with other biases in some units of a hidden layer."""
    bias = network.layers[layer].bias.at[:units].set(value)
    return eqx.tree_at(lambda n: n.layers[layer].bias, network, bias)


def test_dead_units_are_counted():
    """16 of 64 ReLUs that no run switches on are dead; leaky ones are not, saturated sigmoids are."""
    x = jax.random.normal(jax.random.key(1), (300, 2))
    network = with_bias(make_emulator_network(KEY, "relu", "he"), 0, 16, -100.0)
    first, second = idle_shares(network, x)
    assert first == 0.25
    assert second < 0.25
    assert idle_shares(with_bias(make_emulator_network(KEY, "leaky_relu", "he"), 0, 16, -100.0), x)[0] == 0
    assert idle_shares(with_bias(make_emulator_network(KEY, "sigmoid", "he"), 1, 32, 100.0), x)[1] == 0.5


def test_a_unit_that_one_run_switches_on_is_not_dead():
    """One run that passes a gradient is enough."""
    x = jax.random.normal(jax.random.key(1), (300, 2))
    network = make_emulator_network(KEY, "relu", "he")
    z = x @ network.layers[0].weight[0]
    just_one = with_bias(network, 0, 1, -(z.max() + jnp.sort(z)[-2]) / 2)
    assert idle_shares(just_one, x)[0] == idle_shares(network, x)[0]
    assert idle_shares(with_bias(network, 0, 1, -z.max() - 1), x)[0] == idle_shares(network, x)[0] + 1 / 64


def test_a_linear_network_has_no_units_to_idle():
    """One layer with a gradient, and no hidden one."""
    network = make_emulator_network(KEY, hidden=())
    x, y = jax.random.normal(jax.random.key(1), (50, 2)), jax.random.normal(jax.random.key(2), (50, 3))
    recorded = record_layers(network, x, y)
    assert [len(values) for values in recorded.values()] == [1, 0]


def test_gradients_by_layer_add_up():
    """Their squares sum to that of the whole gradient."""
    x, y = jax.random.normal(jax.random.key(1), (50, 2)), jax.random.normal(jax.random.key(2), (50, 3))
    network = make_emulator_network(KEY)
    whole = jax.tree.leaves(eqx.filter_grad(mean_squared_error)(network, x, y))
    total = sum(float((leaf**2).sum()) for leaf in whole)
    assert float((layer_gradient_norms(network, x, y) ** 2).sum()) == pytest.approx(total, rel=1e-5)
    wrapped = TrainingNetwork.around(network, 0.0, False)
    np.testing.assert_allclose(layer_gradient_norms(wrapped, x, y), layer_gradient_norms(network, x, y), rtol=1e-5)


def history_of(norms, idle):
    """A history with these recorded numbers (member, epoch, layer), for checks that read nothing else."""
    nothing = np.ones(norms.shape[:2])
    best = np.zeros(len(norms), int)
    recorded = {"layer_gradient_norm": norms, "idle_share": idle}
    return History(nothing, nothing, nothing, best, {}, recorded)


def test_vanishing_and_exploding_gradients_are_seen():
    """A first layer of a ten-thousandth of the gradient, and a gradient that grows a thousandfold."""
    norms = np.ones((2, 50, 3))
    idle = np.zeros((2, 50, 2))
    assert {row["verdict"] for row in gradient_checks(history_of(norms, idle))} == {"fine"}
    vanished = norms * np.array([1e-4, 1.0, 1.0])
    rows = list(gradient_checks(history_of(vanished, idle)))
    assert [row["verdict"] for row in rows] == ["look", "fine", "fine", "fine"]
    exploded = norms.copy()
    exploded[1, 30] = 1e3
    assert [row["verdict"] for row in gradient_checks(history_of(exploded, idle))] == ["fine"] * 3 + ["look"]
    rows = list(idle_checks(history_of(norms, idle + np.array([0.5, 0.1]))))
    assert [(row["value"], row["verdict"]) for row in rows] == [(0.5, "look"), (0.1, "fine")]


def test_normalisation_is_checked():
    """The training runs' own normaliser is fine; that of others is not; decades ask for logarithms, once."""
    train = make_runs("train", 40, 4, seed=5)
    assert {row["verdict"] for row in normalisation_checks(train, fit_normaliser(train))} == {"fine"}
    other = fit_normaliser(make_runs("train", 40, 4, seed=6))
    wrong = [row["subject"] for row in normalisation_checks(train, other) if row["verdict"] == "look"]
    assert "f_bound: mean" in wrong
    train.y[:, 2] = 10 ** np.random.default_rng(7).uniform(0, 2, len(train.y))
    for log10, expected in (((), ["r_h_au: decades"]), (("r_h_au",), [])):
        rows = normalisation_checks(train, fit_normaliser(train, log10=log10))
        assert [row["subject"] for row in rows if row["verdict"] == "look"] == expected


def test_the_learning_rate_is_judged_for_adam_only():
    """1e-4 to 1e-2."""
    assert rate_check(TrainingSettings())["verdict"] == "fine"
    assert rate_check(TrainingSettings(learning_rate=0.1))["verdict"] == "look"
    assert rate_check(TrainingSettings(learning_rate=0.1, optimiser="sgd"))["verdict"] == "fine"


@pytest.mark.parametrize(("learning_rate", "expected"), [(3e-3, "fine"), (1e-9, "look")])
def test_ten_examples_tell_a_network_that_learns(learning_rate, expected):
    """A usual rate learns ten runs by heart; one that moves nothing does not, and raises no error."""
    train = make_runs("train", 30, 3, seed=8)
    settings = TrainingSettings(learning_rate=learning_rate, dropout_rate=0.5, weight_decay=1.0)
    assert ten_examples(KEY, train, BOX, settings)["verdict"] == expected


@pytest.mark.parametrize("weighting", ["none", "scatter"])
def test_the_whole_table_and_its_figures(weighting):
    """A short healthy training, recorded: the recording changes no weight, and every part ends up in the table."""
    train, validation = (make_runs(s, n, 3, seed=n, mean=smooth_mean) for s, n in (("train", 60), ("validation", 30)))
    settings = TrainingSettings(members=2, learning_rate=3e-3, max_epochs=200, weighting=weighting)
    ensemble, history = train_ensemble(KEY, train, validation, BOX, settings, record=record_layers)
    unwatched, _ = train_ensemble(KEY, train, validation, BOX, settings)
    # another program may add in another order: float32 over 200 epochs
    np.testing.assert_allclose(ensemble.at_points(train.x), unwatched.at_points(train.x), rtol=1e-2)
    assert history.recorded["layer_gradient_norm"].shape == (2, 200, 3)
    layers = layer_table(history, 10)
    assert list(layers.groupby(["member", "layer"]).size()) == [20] * 6
    assert layers.idle_share[layers.layer == 3].isna().all()
    total = np.sqrt((history.recorded["layer_gradient_norm"] ** 2).sum(-1))
    np.testing.assert_allclose(total, history.gradient_norm, rtol=1e-4)

    floor, ignorant = loss_limits(train, validation, ensemble.normaliser, settings)
    assert 0 < floor < np.nanmin(history.validation_loss) * 1.5 < ignorant
    verdicts = curve_verdicts(history, floor, ignorant, settings)
    ten = {"check": "can learn ten examples", "subject": "loss", "value": 0.0, "usual": "", "verdict": "fine"}
    table = health_table(history, verdicts, ten, train, ensemble.normaliser, settings)
    assert isinstance(table, pd.DataFrame)
    assert list(table.check.unique()) == [
        "can learn ten examples",
        "gradients flow",
        "normalised",
        "learning rate",
        "units learn",
        "loss curve",
    ]
    names = [one.name for one in verdicts]
    curves = (history.train_loss, history.validation_loss, history.best_epoch)
    assert len(judged_curves(*curves, floor, names).axes) == 2
    assert len(layer_curves(layers).axes) == 2
    seen = [np.hstack(normalised(runs, ensemble.normaliser)) for runs in (train, validation)]
    assert len(normalised_columns(*seen, ()).axes) == 5
