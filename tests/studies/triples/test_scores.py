"""Scores of probabilities against definitions, closed forms and simulated honest odds."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from natal.studies.triples import evaluation, scores
from natal.studies.triples.criterion import critical_pericentre, fit_logistic, logistic


def honest(n, seed=0):
    """Probabilities and outcomes drawn from them."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.5, 0.5, n)
    return probability, rng.random(n) < probability


def test_the_criterion_has_its_published_values():
    """2.8 for a light third star on a coplanar circular orbit, 30 % less when retrograde; worked by hand otherwise."""
    found = critical_pericentre(np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.5]), np.array([0.0, np.pi, np.pi / 2]))
    by_hand = 2.8 * (2 * 1.5 / np.sqrt(0.5)) ** 0.4 * 0.85
    np.testing.assert_allclose(found, [2.8, 2.8 * 0.7, by_hand])


def test_the_logistic_fit_finds_the_odds_that_made_the_outcomes():
    """Coefficients within 4 standard errors, from the inverse Fisher information."""
    rng = np.random.default_rng(1)
    x, truth = rng.normal(size=4000), np.array([0.3, -2.0])
    p = logistic(x, truth)
    found = fit_logistic(x, rng.random(4000) < p)
    design = np.column_stack([np.ones(4000), x])
    error = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))))
    assert np.all(np.abs(found - truth) < 4 * error)


def test_the_brier_scores_parts_add_up():
    """Reliability - resolution + uncertainty + the rest is the score; for forecasts equal in a bin the rest is 0."""
    probability, outcome = honest(500)
    parts = scores.brier_parts(probability, outcome, 10)
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert total == pytest.approx(((probability - outcome) ** 2).mean())
    coarse = np.round(probability * 4) / 4
    rest = scores.brier_parts(coarse, outcome, 200)["within_bins"]
    assert rest == pytest.approx(0, abs=1e-12)
    # always the base rate: nothing resolved, nothing wrong
    flat = scores.brier_parts(np.full(500, outcome.mean()), outcome, 10)
    assert (flat["reliability"], flat["resolution"]) == pytest.approx((0, 0), abs=1e-12)


def test_the_area_is_the_share_of_ordered_pairs_and_that_under_the_curve():
    """Ties count one half (Mann & Whitney)."""
    probability, outcome = honest(80)
    probability = np.round(probability, 1)
    pairs = itertools.product(probability[outcome], probability[~outcome])
    by_pairs = np.mean([(y > n) + 0.5 * (y == n) for y, n in pairs])
    assert scores.auc_ranking(probability[None], outcome).auc[0] == pytest.approx(by_pairs)
    false, true = scores.roc_curve(probability, outcome)
    assert np.trapezoid(true, false) == pytest.approx(by_pairs)


def test_delongs_errors_are_those_of_repetition():
    """Over 400 samples the estimated standard errors are the scatter of the areas, alone and paired, within 15 %.

    The relative error of a standard deviation of 400 is 1 / sqrt(800) = 3.5 %, and four of them are 14 %.
    """
    rng = np.random.default_rng(2)
    areas, variances = [], []
    for _ in range(400):
        outcome = np.arange(120) < 50
        signal = rng.normal(size=120) + 1.2 * outcome
        two = np.stack([signal, signal + 0.7 * rng.normal(size=120)])
        found = scores.auc_ranking(two, outcome)
        areas.append([*found.auc, found.auc[0] - found.auc[1]])
        c = found.covariance
        variances.append([c[0, 0], c[1, 1], c[0, 0] + c[1, 1] - 2 * c[0, 1]])
    ratio = np.sqrt(np.mean(variances, axis=0)) / np.std(areas, axis=0, ddof=1)
    assert np.all(np.abs(ratio - 1) < 0.15)


def test_honest_odds_lie_in_their_bands():
    """About 95 % of the bins of honest probabilities, and few of odds that are too bold."""
    inside = []
    for seed in range(20):
        found = scores.reliability(*honest(1000, seed))
        assert found.n.sum() == 1000
        inside.extend((found.low <= found.observed) & (found.observed <= found.high))
    # 200 bins; discrete counts make the band a little too wide
    assert stats.binom.cdf(sum(inside), len(inside), 0.95) > 1e-3
    probability, outcome = honest(5000)
    bold = scores.reliability(np.where(probability > 0.5, 0.97, 0.03), outcome)
    assert not np.any((bold.low <= bold.observed) & (bold.observed <= bold.high))


def test_the_bootstrap_has_the_error_of_a_mean():
    """Half the width of the interval is 1.96 standard errors of a mean, to 10 % (2,000 resamples: 3 % each end)."""
    values = np.random.default_rng(3).normal(size=(2, 400))
    low, high = scores.bootstrap(values, np.random.default_rng(4)).T
    np.testing.assert_allclose((high - low) / 2, 1.96 * values.std(1) / np.sqrt(400), rtol=0.1)


def test_the_report_compares_methods_on_the_same_triples():
    """A better method is better in every score, its difference is that of the values, the sharp criterion is at 1."""
    probability, outcome = honest(400)
    blurred = 0.5 + 0.5 * (probability - 0.5)
    table = pd.DataFrame(
        {
            "outcome": outcome,
            "criterion_ratio": np.where(probability > 0.5, 0.5, 2.0),
            "network": probability,
            "network_untempered": blurred,
            "criterion": blurred,
        }
    )
    report = evaluation.score_report(table, np.random.default_rng(0), bins=8, resamples=200)
    ours, theirs = report["methods"]["network"], report["methods"]["criterion"]
    for score in ("brier", "log_loss", "accuracy", "auc"):
        gap = report["differences"]["network less criterion"][score]
        assert gap["value"] == pytest.approx(ours[score]["value"] - theirs[score]["value"])
        assert gap["low"] <= gap["value"] <= gap["high"]
    assert ours["brier"]["value"] < theirs["brier"]["value"]
    # it cuts where the network does
    assert report["methods"]["sharp_criterion"]["accuracy"] == ours["accuracy"]


def test_only_features_that_are_used_matter():
    """Odds of one feature alone lose by its shuffling 2 Var(p), as another triple's p is independent."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(4000, 6))

    def predict(x):
        return logistic(x[:, 2], np.array([0.0, 2.0]))

    p = predict(x)
    rises = evaluation.importance(predict, x, rng.random(4000) < p, rng)
    # an honest score's covariance with the outcome is its variance; ten shuffles of 4,000 err by some 2 %
    assert rises.pop("e_outer") == pytest.approx(2 * p.var(), rel=0.1)
    assert list(rises.values()) == [0.0] * 5


def test_labels_of_checks_are_matched_by_triple():
    """Flips and parted neighbours are counted by the first label."""
    inner = {"inner_x_au": [1.0, 1.0, 1.0], "inner_y_au": 0.0, "inner_z_au": 0.0}
    common = {"max_change": [0.01, 0.5, 0.02], "energy_error": 1e-5, "megno": [9.0, 2.0, 2.0]}
    first = pd.DataFrame({"triple_id": [2, 0, 1], "unstable": [False, True, False], **common, **inner})
    again = first[first.triple_id < 2].assign(t_change_orbits=[np.nan, 3.0]).reset_index(drop=True)
    parted = again.assign(t_change_orbits=[3.0, np.nan], inner_y_au=[0.5, 0.0], megno=[9.0, 2.0])
    checked = evaluation.checked_labels(first, {"finer_step": again, "neighbour": parted})
    report = evaluation.check_report(checked, parted=0.1, chaotic_megno=4)
    assert report["finer_step"]["other_label"]["share"] == 1
    assert (report["finer_step"]["became_unstable"], report["finer_step"]["became_stable"]) == (1, 1)
    assert report["neighbour"]["other_label"]["share"] == 0
    assert report["neighbour"]["parted_if_unstable"]["share"] == 1
    assert report["neighbour"]["parted_if_stable"]["share"] == 0
    # ids 0 and 1, both regular at first; the neighbour of 0 became chaotic
    assert report["finer_step"]["other_chaotic_label"]["share"] == 0
    assert report["neighbour"]["other_chaotic_label"]["share"] == 0.5
    assert report["neighbour"]["parted_if_regular"]["share"] == 0.5
    assert report["neighbour"]["parted_if_chaotic"]["n"] == 0


def test_the_two_labels_are_counted():
    """Each triple in one of four cells."""
    table = pd.DataFrame(
        {
            "unstable": [True, True, True, False, False, False],
            "chaotic": [True, True, False, True, False, False],
            "t_orbits": [50.0, 70.0, 1.0, 100.0, 100.0, 100.0],
            "megno": [9.0, 8.0, 1.0, 7.0, 2.0, 2.0],
        }
    )
    found = evaluation.compare_labels(table)
    assert found["stable"] == {"regular": 2, "chaotic": 1}
    assert found["unstable"] == {"regular": 1, "chaotic": 2}
    assert (found["alike"]["share"], found["chaotic"]["share"]) == pytest.approx((4 / 6, 0.5))
    assert found["t_orbits_median_if_unstable"] == {"regular": 1, "chaotic": 60}
