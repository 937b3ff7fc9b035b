"""The classifier learns odds it can learn, calibrates by validation rows only, and survives its file."""

import jax
import numpy as np
import pytest
from scipy.special import expit

from natal.errors import NatalError
from natal.studies.triples.classifier import (
    best_temperature,
    load_classifier,
    save_classifier,
    tempered,
    train_classifier,
)
from natal.studies.triples.scores import auc_ranking
from natal.studies.triples.settings import ClassifierSettings

FEATURES = tuple("abcdef")
SETTINGS = ClassifierSettings(members=2, width=16, learning_rate=2e-2, max_epochs=100, patience=30)


def rows(n, seed):
    """Features, the odds of a curved boundary in two of them, and labels drawn from these odds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    odds = expit(3 * (x[:, 0] + x[:, 1] ** 2 - 1))
    return x, odds, rng.random(n) < odds


def log_loss(probability, outcome):
    """Mean -ln of the probability given to what happened."""
    return -np.log(np.where(outcome, probability, 1 - probability)).mean()


@pytest.fixture(scope="module")
def trained():
    """A classifier of 1,500 rows."""
    (x, _, y), (xv, _, yv) = rows(1500, 0), rows(500, 1)
    return train_classifier(jax.random.key(0), (x, y), (xv, yv), SETTINGS, FEATURES)[0]


def test_it_comes_near_the_true_odds(trained):
    """On fresh rows the log loss is within 0.05 nat of that of the true odds, and far below that of the base rate."""
    x, odds, y = rows(4000, 2)
    best, ours = log_loss(odds, y), log_loss(trained(x), y)
    base = log_loss(np.full(len(y), y.mean()), y)
    assert best - 0.02 < ours < best + 0.05 < base - 0.2
    ranking = auc_ranking(np.stack([odds, trained(x)]), y)
    assert ranking.auc[1] > ranking.auc[0] - 0.02


def test_a_temperature_makes_bold_odds_honest():
    """Logits that are twice too large need a temperature of 2, timid ones one of 1/2."""
    rng = np.random.default_rng(5)
    z = rng.normal(0, 2, 20000)
    y = rng.random(20000) < expit(z)
    # the maximum of the likelihood in ln T errs by 1 / sqrt(information) = 1 / sqrt(n E[z^2 p (1 - p)]) = 1.2 %
    information = (z**2 * expit(z) * (1 - expit(z))).sum()
    for factor in (2.0, 0.5):
        found = best_temperature(expit(factor * z), y)
        assert np.log(found / factor) == pytest.approx(0, abs=4 / np.sqrt(information))
        # where the bold odds are not clipped
        mild = np.abs(factor * z) < 10
        np.testing.assert_allclose(tempered(expit(factor * z), factor)[mild], expit(z)[mild], rtol=1e-6)


def test_the_file_gives_the_same_probabilities(trained, tmp_path):
    """Bit for bit, temperature included; a damaged file says so."""
    path = tmp_path / "classifier.eqx"
    save_classifier(path, trained)
    x, _, _ = rows(50, 3)
    np.testing.assert_array_equal(load_classifier(path)(x), trained(x))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NatalError, match="damaged"):
        load_classifier(path)
    path.write_text("{}\n")
    with pytest.raises(NatalError, match="is not a classifier"):
        load_classifier(path)


def test_what_cannot_be_learned_is_refused():
    """One label, or a feature that never varies, or a rate that explodes: one line each."""
    x, _, y = rows(60, 0)
    with pytest.raises(NatalError, match="share one label"):
        train_classifier(jax.random.key(0), (x, np.ones(60, bool)), (x, y), SETTINGS, FEATURES)
    same = x.copy()
    same[:, 5] = 1.0
    with pytest.raises(NatalError, match="the same f: widen"):
        train_classifier(jax.random.key(0), (same, y), (same, y), SETTINGS, FEATURES)
    hot = ClassifierSettings(members=1, width=8, learning_rate=1e30, max_epochs=50, patience=10)
    with pytest.raises(NatalError, match=r"classifier\.learning_rate"):
        train_classifier(jax.random.key(0), (x, y), (x, y), hot, FEATURES)
