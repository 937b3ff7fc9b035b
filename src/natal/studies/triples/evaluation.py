"""What the study reports: its sample, how far its labels can be trusted, and the scores on test triples."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from natal.studies.triples import scores
from natal.studies.triples.systems import FEATURES

THRESHOLDS = (0.05, 0.1, 0.2, 0.5)
ENERGY_QUANTILES = (0.5, 0.9, 0.99, 1.0)
METHODS = ("network", "network_untempered", "criterion")


def share(hits: int, n: int) -> dict[str, Any]:
    """A share with its exact binomial 95 % interval (Clopper & Pearson 1934); None if there is no case.

    Args:
        hits: Cases that count.
        n: All cases.

    Returns:
        n, share, low and high.

    Examples:
        >>> {name: round(value, 2) for name, value in share(5, 10).items()}
        {'n': 10, 'share': 0.5, 'low': 0.19, 'high': 0.81}
    """
    if n == 0:
        return {"n": 0, "share": None, "low": None, "high": None}
    interval = binomtest(hits, n).proportion_ci()
    return {"n": n, "share": hits / n, "low": interval.low, "high": interval.high}


def describe(table: pd.DataFrame) -> dict[str, Any]:
    """Number of triples, share of unstable ones, when they came apart, steps, and energy errors by label."""
    energy = {
        label: dict(zip(map(str, ENERGY_QUANTILES), group.energy_error.quantile(list(ENERGY_QUANTILES)), strict=True))
        for label, group in (("stable", table[~table.unstable]), ("unstable", table[table.unstable]))
    }
    return {
        "n": len(table),
        "unstable": share(int(table.unstable.sum()), len(table)),
        "t_change_orbits_quartiles": table.t_change_orbits.quantile([0.25, 0.5, 0.75]).tolist(),
        "mean_steps": table.n_steps.mean(),
        "energy_error_quantiles": energy,
    }


def compare_labels(table: pd.DataFrame) -> dict[str, Any]:
    """The two labels, of lost orbits and of chaos: how many triples have which, and quantiles of MEGNO by the first."""
    unstable, chaotic = table.unstable, table.chaotic
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    return {
        "stable": {"regular": int((~unstable & ~chaotic).sum()), "chaotic": int((~unstable & chaotic).sum())},
        "unstable": {"regular": int((unstable & ~chaotic).sum()), "chaotic": int((unstable & chaotic).sum())},
        "chaotic": share(int(chaotic.sum()), len(table)),
        "alike": share(int((unstable == chaotic).sum()), len(table)),
        "chaotic_if_stable": share(int((chaotic & ~unstable).sum()), int((~unstable).sum())),
        "chaotic_if_unstable": share(int((chaotic & unstable).sum()), int(unstable.sum())),
        "t_orbits_median_if_unstable": {
            "regular": table.t_orbits[unstable & ~chaotic].median(),
            "chaotic": table.t_orbits[unstable & chaotic].median(),
        },
        "megno_quantiles": {
            name: dict(zip(map(str, quantiles), group.megno.quantile(quantiles), strict=True))
            for name, group in (("stable", table[~unstable]), ("unstable", table[unstable]))
        },
    }


def threshold_report(table: pd.DataFrame, unstable_change: float) -> dict[str, Any]:
    """Share of unstable triples, and of other labels, if another change of the axes were the limit.

    Args:
        table: Triples that were followed.
        unstable_change: The limit in use.
    """
    labels = table.max_change > unstable_change
    return {
        str(limit): {
            "unstable": float((table.max_change > limit).mean()),
            "other_label": float(((table.max_change > limit) != labels).mean()),
        }
        for limit in THRESHOLDS
    }


def importance(
    predict: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    outcome: np.ndarray,
    rng: np.random.Generator,
    features: Sequence[str] = FEATURES,
) -> dict[str, float]:
    """By how much the Brier score rises when one feature is shuffled among systems (Breiman 2001), mean of ten times.

    Args:
        predict: Gives the probability of the label for features.
        x: Features, shape (system, feature).
        outcome: Whether a system has the label, shape (system,).
        rng: For the shuffling.
        features: Names of the features.
    """
    before = scores.brier(predict(x), outcome)
    rises = {}
    for k, name in enumerate(features):
        shuffled_scores = []
        for _ in range(10):
            shuffled = x.copy()
            shuffled[:, k] = rng.permutation(x[:, k])
            shuffled_scores.append(scores.brier(predict(shuffled), outcome))
        rises[name] = float(np.mean(shuffled_scores) - before)
    return rises


def checked_labels(table: pd.DataFrame, again: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a triple that was followed again: its label and MEGNO, and those of each check.

    Args:
        table: Triples that were followed.
        again: The same triples by the name of the check.

    Returns:
        For each check also the energy error, and how far the inner separation ended from that of the first run,
        relative to it.
    """
    inner = ["inner_x_au", "inner_y_au", "inner_z_au"]
    first = table.set_index("triple_id")
    ids = next(iter(again.values())).triple_id
    first = first.loc[ids]
    columns = {
        "triple_id": ids.to_numpy(),
        "unstable": first.unstable.to_numpy(),
        "max_change": first.max_change.to_numpy(),
        "energy_error": first.energy_error.to_numpy(),
        "megno": first.megno.to_numpy(),
    }
    for check, other in again.items():
        gap = np.linalg.norm(other[inner].to_numpy() - first[inner].to_numpy(), axis=1)
        columns |= {
            f"{check}_unstable": other.t_change_orbits.notna().to_numpy(),
            f"{check}_max_change": other.max_change.to_numpy(),
            f"{check}_energy_error": other.energy_error.to_numpy(),
            f"{check}_megno": other.megno.to_numpy(),
            f"{check}_distance": gap / np.linalg.norm(first[inner].to_numpy(), axis=1),
        }
    return pd.DataFrame(columns)


def check_report(checked: pd.DataFrame, parted: float, chaotic_megno: float) -> dict[str, Any]:
    """How often a finer step or a neighbouring birth gives another label, and how many neighbours parted, by label.

    Args:
        checked: What `checked_labels` gives.
        parted: Relative distance above which neighbours have parted.
        chaotic_megno: MEGNO above which a triple is chaotic.
    """
    chaotic = checked.megno > chaotic_megno
    report: dict[str, Any] = {}
    for check in ("finer_step", "neighbour"):
        new = checked[f"{check}_unstable"]
        report[check] = {
            "other_label": share(int((new != checked.unstable).sum()), len(checked)),
            "became_unstable": int((new & ~checked.unstable).sum()),
            "became_stable": int((~new & checked.unstable).sum()),
            "unstable": float(new.mean()),
            "unstable_before": float(checked.unstable.mean()),
            "other_chaotic_label": share(
                int(((checked[f"{check}_megno"] > chaotic_megno) != chaotic).sum()), len(checked)
            ),
        }
    apart = checked.neighbour_distance > parted
    groups = {"stable": ~checked.unstable, "unstable": checked.unstable, "chaotic": chaotic, "regular": ~chaotic}
    for label, group in groups.items():
        report["neighbour"][f"parted_if_{label}"] = share(int(apart[group].sum()), int(group.sum()))
    # the two signs of chaos, for triples that were followed to the end
    both = (apart == chaotic)[~checked.unstable]
    report["neighbour"]["chaotic_as_parted_if_stable"] = share(int(both.sum()), len(both))
    return report


def score_report(predictions: pd.DataFrame, rng: np.random.Generator, *, bins: int, resamples: int) -> dict[str, Any]:
    """Scores of each method on test systems, and paired differences between network and criterion, with 95 % intervals.

    Areas under ROC curves have DeLong's intervals, all others the bootstrap's.

    Args:
        predictions: The methods' probabilities, the ratio to the criterion, and `outcome`, whether a system has the
            label. `criterion` is the odds fitted to ln of the ratio; `sharp_criterion` the criterion as it was meant,
            stable above 1.
        rng: For the bootstrap.
        bins: Bins of probability.
        resamples: Of the bootstrap.
    """
    outcome = predictions.outcome.to_numpy()
    probability = {name: predictions[name].to_numpy() for name in METHODS}
    ranking = scores.auc_ranking(np.stack([probability[name] for name in METHODS]), outcome)
    columns = {
        (name, score): values
        for name, p in probability.items()
        for score, values in (
            ("brier", (p - outcome) ** 2),
            ("log_loss", -np.log(np.where(outcome, p, 1 - p))),
            ("accuracy", ((p > 0.5) == outcome).astype(float)),
        )
    }
    sharp = predictions.criterion_ratio.to_numpy() < 1
    columns["sharp_criterion", "accuracy"] = (sharp == outcome).astype(float)
    pairs = [*(("criterion", score) for score in ("brier", "log_loss", "accuracy")), ("sharp_criterion", "accuracy")]
    for other, score in pairs:
        columns[f"network less {other}", score] = columns["network", score] - columns[other, score]
    intervals = scores.bootstrap(np.stack(list(columns.values())), rng, resamples)
    report: dict[str, Any] = {"n": len(predictions), "methods": {}, "differences": {}}
    for (name, score), values, (low, high) in zip(columns, columns.values(), intervals, strict=True):
        part = report["differences" if "less" in name else "methods"].setdefault(name, {})
        part[score] = {"value": values.mean(), "low": low, "high": high}
    for k, name in enumerate(METHODS):
        low, high = ranking.interval(k)
        report["methods"][name] |= {
            "auc": {"value": ranking.auc[k], "low": low, "high": high},
            "brier_parts": scores.brier_parts(probability[name], outcome, bins),
        }
    gap, low, high = ranking.difference(METHODS.index("network"), METHODS.index("criterion"))
    report["differences"]["network less criterion"]["auc"] = {"value": gap, "low": low, "high": high}
    for name, called in (("sharp_criterion", sharp), ("network", probability["network"] > 0.5)):
        report["methods"][name] |= {
            "missed": share(int((outcome & ~called).sum()), int(outcome.sum())),
            "false_alarms": share(int((~outcome & called).sum()), int((~outcome).sum())),
        }
    return report
