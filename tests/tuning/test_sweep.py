"""Settings side by side: every combination, the same splits, and a ranking that means something."""

import jax
import numpy as np
import pytest
from closed_form import BOX, SIGMA, make_runs, smooth_mean

from natal.data.runs import Runs
from natal.errors import NatalError
from natal.figures.sweep import sweep_figure
from natal.settings.emulator import TrainingSettings
from natal.settings.sweep import SweepSettings
from natal.tuning.sweep import combinations, joined, ranked, splits, sweep

KEY = jax.random.key(51)


@pytest.fixture(scope="module")
def pair():
    """40 training and 20 validation points, three realizations each, ids apart as a campaign's."""
    train, validation = (make_runs(s, n, 3, seed=n, mean=smooth_mean) for s, n in (("train", 40), ("validation", 20)))
    apart = validation.point_id + 1000
    return train, Runs("validation", validation.x, validation.y, apart, validation.realization, 0)


def test_every_combination_once():
    """The campaign's own first; entries by themselves, their values crossed; none twice."""
    both = {"activation": ["relu", "tanh"], "learning_rate": [0.1, 0.2]}
    # the third is the campaign's own
    grid = [both, {"optimiser": ["sgd"]}, {"activation": ["relu"]}, {"optimiser": ["sgd"]}]
    found = combinations(TrainingSettings(), grid)
    assert found[0] == {}
    assert len(found) == 1 + 4 + 1
    assert {"activation": "tanh", "learning_rate": 0.2} in found


@pytest.mark.slow
def test_layers_side_by_side(pair):
    """Linear and deep networks are told apart; a linear one does not learn the bends."""
    base = TrainingSettings(members=2, learning_rate=1e-2, max_epochs=60, hidden=(16, 16))
    settings = SweepSettings(folds=0, grid=[{"hidden": [[], [16, 16], [16, 8, 4]]}])
    table = sweep(KEY, *pair, BOX, base, settings, np.random.default_rng(4))
    assert sorted(table.hidden) == ["[16, 16]", "[16, 8, 4]", "[]"]
    assert table.hidden.iloc[-1] == "[]"
    assert table.campaign[table.hidden == "[16, 16]"].all()


def test_the_campaigns_own_split(pair):
    """Without folds validation runs stop and score, as in the campaign."""
    (one,) = splits(*pair, 0, np.random.default_rng(0))
    assert (one.train, one.stop, one.score) == (pair[0], pair[1], pair[1])


@pytest.mark.parametrize("folds", [3, 7])
def test_folds_keep_points_whole(pair, folds):
    """Every point scores once, with all its realizations, and never trains or stops what it scores."""
    scored = []
    for part in splits(*pair, folds, np.random.default_rng(1)):
        ids = [set(runs.point_id) for runs in (part.train, part.stop, part.score)]
        assert len(ids[0]) + len(ids[1]) + len(ids[2]) == len(ids[0] | ids[1] | ids[2]) == 60
        assert len(part.train) + len(part.stop) + len(part.score) == 180
        assert part.train.split == "train"
        scored += sorted(ids[2])
    assert sorted(scored) == sorted({*pair[0].point_id, *pair[1].point_id})


def test_what_cannot_be_cut_is_refused(pair):
    """Test runs, shared points and more folds than points."""
    train, validation = pair
    test = Runs("test", validation.x, validation.y, validation.point_id, validation.realization, 0)
    with pytest.raises(NatalError, match="needs train and validation runs, not train and test"):
        joined(train, test)
    with pytest.raises(NatalError, match="share points"):
        joined(train, Runs("validation", train.x, train.y, train.point_id, train.realization, 0))
    few = [runs.at(runs.point_id % 1000 < 2) for runs in pair]
    with pytest.raises(NatalError, match=r"sweep\.folds = 5 is not allowed: there are 4 points"):
        list(splits(*few, 5, np.random.default_rng(0)))


def test_the_table_compares_fold_by_fold():
    """Means, standard errors and paired differences by NumPy; what did not train comes last, with its reason."""
    chosen = [{}, {"activation": "tanh"}, {"learning_rate": 9.0}]
    common = np.array([0.1, 0.3, 0.5, 0.2])
    trials = [
        {"losses": list(common + np.array([0.02, 0.03, 0.02, 0.03])), "epochs": [5.0], "seconds": 1.0, "error": ""},
        {"losses": list(common), "epochs": [7.0, 9.0], "seconds": 2.0, "error": ""},
        {"losses": [], "epochs": [], "seconds": 0.0, "error": "does not train"},
    ]
    table = ranked(chosen, trials, TrainingSettings())
    assert list(table.activation) == ["tanh", "relu", "relu"]
    assert list(table.learning_rate) == [1e-3, 1e-3, 9.0]
    assert list(table.campaign) == [False, True, False]
    assert table.loss[0] == pytest.approx(common.mean())
    assert table.loss_se[0] == pytest.approx(common.std(ddof=1) / 2)
    # the folds' common ups and downs cancel
    assert table.above_best[1] == pytest.approx(0.025)
    assert table.above_best_se[1] == pytest.approx(np.std([0.02, 0.03, 0.02, 0.03], ddof=1) / 2)
    assert table.epochs[0] == 8.0
    assert table.error[2] == "does not train"
    assert np.isnan(table.loss[2])


@pytest.mark.slow
def test_a_sweep_finds_what_learns(pair):
    """A usual rate beats one that hardly moves, in three folds; an absurd one is told, and stops nothing."""
    base = TrainingSettings(members=2, learning_rate=3e-3, max_epochs=150, patience=150)
    settings = SweepSettings(folds=3, grid=[{"learning_rate": [1e-5, 1e30]}])
    table = sweep(KEY, *pair, BOX, base, settings, np.random.default_rng(2))
    assert list(table.learning_rate) == [3e-3, 1e-5, 1e30]
    assert list(table.campaign) == [True, False, False]
    assert table.above_best[1] > 5 * table.above_best_se[1]
    assert "does not train" in table.error[2]
    # no lower than the scatter of realizations, in the same units
    runs = joined(*pair)
    assert table.loss[0] > 0.7 * (SIGMA**2 / runs.y.var(0)).mean()
    assert len(sweep_figure(table, 3).axes) == 1


def test_losses_of_logarithms_are_physical(pair):
    """Settings that normalise logarithms are scored in the same units as those that do not."""
    base = TrainingSettings(members=2, learning_rate=3e-3, max_epochs=150)
    positive = [runs.at(np.all(runs.y > 0, axis=1)) for runs in pair]
    settings = SweepSettings(folds=0, grid=[{"log10": [["sigma_v_kms"]]}])
    table = sweep(KEY, *positive, BOX, base, settings, np.random.default_rng(3))
    assert table.loss.max() < 1.5 * table.loss.min()
    assert sorted(table.log10) == ["[]", "[sigma_v_kms]"]
