"""The figures show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest

from natal.studies.triples import evaluation, figures, scores, systems
from natal.studies.triples.criterion import criterion_ratio, critical_pericentre
from natal.studies.triples.settings import Prior

N = 300


@pytest.fixture(scope="module")
def table():
    """Triples with labels by the criterion, blurred, and made-up energy errors."""
    rng = np.random.default_rng(0)
    prior = Prior()
    drawn = systems.draw(N, prior, rng)
    unstable = criterion_ratio(drawn) < np.exp(rng.normal(0, 0.2, N))
    megno = 2 * 10 ** rng.uniform(-0.1, 1, N)
    return drawn.assign(unstable=unstable, energy_error=10 ** rng.uniform(-6, -3, N), megno=megno, chaotic=megno > 4)


@pytest.fixture(scope="module")
def predictions(table):
    rng = np.random.default_rng(1)
    ratio = criterion_ratio(table)
    odds = 1 / (1 + ratio**6)
    names = ("network", "network_untempered", "criterion")
    noisy = {name: np.clip(odds + rng.normal(0, 0.02, N), 0.001, 0.999) for name in names}
    return pd.DataFrame({"outcome": table.unstable, "criterion_ratio": ratio, **noisy})


def test_the_map_shows_every_triple_and_the_criterion(table):
    """On which side of the curve a dot lies is which side of 1 the ratio is."""
    left, right = figures.stability_map(table).axes
    assert len(left.collections[0].get_offsets()) == len(right.collections[0].get_offsets()) == N
    e, scaled = np.asarray(left.collections[0].get_offsets()).T
    zero = np.zeros(N)
    below = scaled < critical_pericentre(zero, e, zero)
    assert below.sum() == (criterion_ratio(table) < 1).sum()


def test_reliability_shows_the_bins(predictions):
    """Markers are the shares of each bin, for all three probabilities."""
    axes = figures.reliability_diagrams(predictions, 5).axes[:3]
    for ax, name in zip(axes, ("network", "network_untempered", "criterion"), strict=True):
        found = scores.reliability(predictions[name].to_numpy(), predictions.outcome.to_numpy(), 5)
        x, y = ax.lines[1].get_data()
        np.testing.assert_allclose(x, found.predicted)
        np.testing.assert_allclose(y, found.observed)


def test_the_cross_is_the_sharp_criterion(predictions):
    """And the legend holds the areas."""
    report = evaluation.score_report(predictions, np.random.default_rng(0), bins=5, resamples=100)
    figure = figures.roc(predictions, report)
    cross = figure.axes[0].lines[-1].get_xydata()[0]
    below, unstable = predictions.criterion_ratio < 1, predictions.outcome
    np.testing.assert_allclose(cross, [below[~unstable].mean(), below[unstable].mean()])
    text = " ".join(label.get_text() for label in figure.legends[0].get_texts())
    assert f"{report['methods']['network']['auc']['value']:.4f}" in text


def test_shares_by_inclination_stay_within_zero_and_one(table):
    """Every bin that holds five triples is drawn, with an interval that contains its share."""
    for ax in figures.inclination(table).axes:
        assert ax.lines
        for container in ax.containers:
            _, y = container.lines[0].get_data()
            ends = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
            assert np.all((ends[:, 0] <= y + 1e-12) & (y - 1e-12 <= ends[:, 1]))
            assert ends.min() >= -1e-12
            assert ends.max() <= 1 + 1e-12


def test_energy_checks_chaos_and_training_are_drawn(table, predictions):
    """Histograms count every triple; each member has its two curves."""
    rng = np.random.default_rng(2)
    n = 50
    checked = pd.DataFrame(
        {
            "unstable": table.unstable[:n],
            "max_change": 10 ** rng.uniform(-3, 1, n),
            "energy_error": table.energy_error[:n],
            "finer_step_energy_error": table.energy_error[:n] / 4,
            "finer_step_max_change": 10 ** rng.uniform(-3, 1, n),
            "megno": table.megno[:n],
            "neighbour_distance": 10 ** rng.uniform(-9, 1, n),
        }
    )
    energies = figures.energy_errors(table, checked).axes[0]
    assert {f"stable (n = {(~table.unstable).sum()})", f"unstable (n = {table.unstable.sum()})"} == {
        text.get_text() for text in energies.get_legend().get_texts()
    }
    left, right = figures.checks(checked, 0.1, 1e-3).axes
    assert left.lines[0].get_xdata()[0] == 1e-3
    assert len(right.collections[0].get_offsets()) == n
    epochs = np.tile(np.arange(5), 2)
    curves = pd.DataFrame({"member": np.repeat([0, 1], 5), "epoch": epochs, "train_loss": 0.5, "validation_loss": 0.6})
    assert [len(ax.lines) for ax in figures.training({"unstable": curves, "chaotic": curves}).axes] == [4, 4]
    bars, twins, shares, _ = figures.chaos(table, checked, predictions, 4.0).axes
    assert bars.lines[0].get_xdata()[0] == 4
    assert len(twins.collections[0].get_offsets()) == n
    assert len(shares.containers) == 2
