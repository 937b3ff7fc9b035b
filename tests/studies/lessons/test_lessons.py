"""Each lesson teaches what it says."""

import jax
import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT
from snakemake.utils import update_config

from natal.errors import NatalError
from natal.settings.reading import check
from natal.studies.lessons import figures, repeated, single
from natal.studies.lessons.settings import Leakage, Lessons, Overfitting

KEY = jax.random.key(0)


def test_configurations_are_valid_and_mistakes_named():
    """The default one, the smoke one laid over it; a share that is none."""
    config, smoke = (
        yaml.safe_load((ROOT / "config" / "studies" / f"lessons{end}.yaml").read_text()) for end in ("", "_smoke")
    )
    for changes in ({}, smoke):
        update_config(config, changes)
        check(Lessons, config)
    config["overfitting"]["dropout"] = 1.0
    with pytest.raises(NatalError, match=r"overfitting\.dropout = 1\.0 is not allowed"):
        check(Lessons, config)


@pytest.mark.slow
def test_hinges_reach_the_theorys_rate():
    """The largest error is below 9 h^2 / 8, comes near it, and falls fourfold for twice as many hinges."""
    table = single.hinges(KEY, (16, 32, 64), (), 10)
    share = table.largest_error / table.bound
    assert np.all((share < 1) & (share > 0.9))
    np.testing.assert_allclose(table.largest_error[:-1].to_numpy() / table.largest_error[1:].to_numpy(), 4, rtol=0.05)


def test_hinges_meet_the_sine_at_their_knots():
    """And nowhere by chance: between them the difference is that of a straight line."""
    with jax.enable_x64(True):
        network, knots = single.hinge_network(4), np.linspace(-1, 1, 5)
        said = [float(network(np.array([x]))[0]) for x in (*knots, 0.25)]
    np.testing.assert_allclose(said[:-1], np.sin(3 * knots), atol=1e-12)
    assert said[-1] == pytest.approx((np.sin(0) + np.sin(1.5)) / 2)


def test_mean_squared_error_is_a_gaussian_likelihood():
    """Minus ln L is a line in it with the slope N / (2 sigma^2); the likeliest sigma is its root."""
    numbers, table = single.likelihood(KEY)
    assert numbers["slope"] == pytest.approx(numbers["slope_expected"], rel=1e-9)
    assert numbers["constant"] == pytest.approx(numbers["constant_expected"], rel=1e-6)
    assert numbers["sigma_of_highest_likelihood"] == pytest.approx(numbers["root_of_smallest_mse"], rel=1e-3)
    assert table.mse.idxmin() == table.minus_ln_l.idxmin()


@pytest.mark.slow
def test_equal_weights_stay_equal():
    """From zero or a constant all neurons do the same for ever, and the sine is not learned; from Glorot's it is."""
    table, curves = single.symmetry(KEY, 1500)
    found = table.set_index("start")
    assert found.distinct_units.tolist() == [1, 1, single.WIDTH]
    # a constant is all that zero weights can say: the sine's mean square
    assert found["last"]["zero"] == pytest.approx((1 - np.sin(6) / 6) / 2, rel=0.03)
    assert found["last"]["constant"] > 100 * found["last"]["glorot"]
    assert len(curves) == 3 * 1500


@pytest.mark.slow
def test_three_learning_rates():
    """A small one moves little, a right one learns, a large one never settles."""
    losses = single.learning_rates(KEY, (1e-4, 0.1, 2.0), 2000).groupby("rate").loss
    first, last = losses.first(), losses.last()
    assert last[1e-4] > 0.3 * first[1e-4]
    assert last[0.1] < 0.02 * first[0.1]
    assert not last[2.0] < first[2.0]


@pytest.mark.slow
def test_the_sine_is_learned():
    """To a per cent; at first there is nothing of it."""
    errors, curves = single.sine(KEY, 2000)
    assert errors.rms_error.iloc[0] > 0.3
    assert errors.rms_error.iloc[-1] < 0.01
    assert curves.step.nunique() == 4


@pytest.mark.slow
@pytest.mark.slow
def test_test_rows_that_stop_training_flatter():
    """Honest scores are what the network is worth, within four errors; those of rows that chose it are too good."""
    table = repeated.leakage(KEY, Leakage(repeats=80, train=30, held_out=15, noise=0.3, steps=200)).set_index("case")
    sigma = table.flattery / table.flattery_se
    print(table.to_string())
    assert abs(sigma["honest"]) < 4
    assert abs(sigma["normalised with test rows"]) < 4
    assert sigma["stopped by test rows"] > 4


@pytest.mark.slow
@pytest.mark.slow
def test_each_cure_helps():
    """An untamed network knows its rows by heart; each cure takes at least a third off the loss on fresh rows."""
    settings = Overfitting(
        repeats=12, train=40, more=2000, held_out=100, features=10, steps=300, weight_decay=0.03, dropout=0.7
    )
    table, curves = repeated.overfitting(KEY, settings)
    print(table.to_string())
    found = table.set_index("case")
    assert found.training["untamed"] > 0.98
    assert found.fresh["untamed"] < 0.8
    cures = found.fresh_loss[["weight decay", "dropout", "early stopping", "more data"]]
    assert np.all(cures < found.fresh_loss["untamed"] * 2 / 3)
    assert set(curves.case) == {"untamed", "weight decay", "dropout", "more data"}


@pytest.mark.slow
def test_the_figures_show_their_tables():
    """Bars, points and curves are those of the tables; the drawn network computes the worked example."""
    errors = {f"{name}_se": [0.1, 0.1] for name in ("reported", "true")}
    bars = figures.leakage(pd.DataFrame({"case": ["a", "b"], "reported": [1.0, 2.0], "true": [1.5, 2.5]} | errors))
    assert [bar.get_height() for bar in bars.axes[0].patches] == [1.0, 2.0, 1.5, 2.5]
    hinges = pd.DataFrame(
        {"hinges": [2, 4, 4], "how": ["written down", "written down", "trained"], "largest_error": [1.0, 0.2, 0.5]}
    ).assign(bound=[1.1, 0.3, np.nan])
    assert figures.hinges(hinges).axes[0].lines[1].get_ydata().tolist() == [1.0, 0.2]
    assert [len(ax.lines) for ax in figures.activations().axes] == [5, 5]
    texts = [text.get_text() for text in figures.network().axes[0].texts]
    assert "ŷ\n2.06" in texts
    assert "a$_2$\n0" in texts
