"""What may a reader rely on? Coverage by recovered birth, in words, and the goals that a campaign should reach.

Regions are the joint highest-density regions of (Q0, a). They are looked at over all clusters, and over thirds of them
by recovered birth, the posterior mean. This is a function of the data, so honest posteriors are honest within thirds.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import betaincinv

from natal.assessment.coverage import LEVELS, clustered_error, terciles
from natal.variables import BIRTH

CONFIDENCE = 0.95
"""Probability that everything in a verdict is true (Bonferroni over its groups and levels)."""

MAX_REACH = 0.1
"""Regions are not trusted if the share over all clusters may be farther from its level than this."""

THIRDS = ("low", "middle", "high")

JUDGED = (0.50, 0.68, 0.95)
"""Levels of a verdict. The innermost regions see a posterior that peaks beside the truth."""

NAMES = {"q0": "Q0", "a_au": "a"}
UNITS = {"a_au": " AU"}


class CoverageGoal(NamedTuple):
    """How far coverage may be from its level, over all clusters and in every third."""

    overall: float
    third: float


COVERAGE_GOALS = {0.68: CoverageGoal(0.015, 0.03), 0.95: CoverageGoal(0.01, 0.02)}
LOG_SCORE_GOAL = -2.68
"""Least mean ln density at the truth, per unit Q0 and AU, for the default campaign's clusters."""
PROMISE_GOAL = 0.02
"""How far the log score may be from the promised one, which is minus the mean entropy."""


def coverage_by_region(
    recovered: Float[np.ndarray, "case birth"], hpd_level: Float[np.ndarray, " case"]
) -> pd.DataFrame:
    """Share of truths inside joint regions, over all clusters and by third of each recovered birth condition.

    Args:
        recovered: Posterior means, shape (case, birth).
        hpd_level: Posterior mass that is denser than the truth, shape (case,).

    Returns:
        One row a group: `by` (all, or a birth condition) and `third` (empty, or low, middle, high); the range of
        recovered values, `from` and `to` (None for all); `n`; and for each level `share_68` and its binomial standard
        error `share_68_se`.
    """
    each = np.arange(len(hpd_level))
    groups: list[tuple[dict[str, Any], np.ndarray]] = [({"by": "all", "third": "", "from": None, "to": None}, each)]
    for name, values in zip(BIRTH, recovered.T, strict=True):
        for third, cases in zip(THIRDS, terciles(values, each), strict=False):
            reach = {"from": float(values[cases].min()), "to": float(values[cases].max())}
            groups.append(({"by": name, "third": third, **reach}, cases))
    rows = []
    for group, cases in groups:
        row = group | {"n": len(cases)}
        for level in LEVELS:
            inside = (hpd_level[cases] <= level).astype(float)
            row |= {_column(level): float(inside.mean()), f"{_column(level)}_se": clustered_error(inside, cases)}
        rows.append(row)
    return pd.DataFrame(rows)


def _column(level: float) -> str:
    return f"share_{100 * level:.0f}"


def verdict(regions: pd.DataFrame) -> dict[str, Any]:
    """What a reader may rely on, in words.

    Each share has an exact binomial confidence interval (Clopper & Pearson 1934), so wide that all intervals together
    hold with a probability of `CONFIDENCE`. If the interval does not contain the level, regions are said to be too
    small or too wide. If it does, regions can be trusted to within the end of the interval that is farther from the
    level. If this is more than `MAX_REACH` even over all clusters, regions are said to be known only to within that.

    Args:
        regions: The rows of `coverage_by_region`.

    Returns:
        `trusted`: whether all regions can be trusted; `text`: one or two sentences.
    """
    false_alarm = (1 - CONFIDENCE) / (len(regions) * len(JUDGED))
    wrong, right, trusted = [], [], True
    for level in JUDGED:
        name = f"joint {100 * level:.0f} % regions"
        reaches: dict[bool, list[float]] = {True: [], False: []}
        for row in regions.to_dict("records"):
            share = row[_column(level)]
            low, high = _limits(round(share * row["n"]), row["n"], false_alarm)
            if low <= level <= high:
                reaches[row["by"] == "all"].append(100 * max(level - low, high - level))
            else:
                said = f"{100 * abs(share - level):.1f} ± {100 * row[f'{_column(level)}_se']:.1f} points"
                wrong.append(f"{name} of {_group(row)} are {said} too {'small' if share < level else 'wide'}")
        places = [f"over all clusters to {reach:.1f} points" for reach in reaches[True]]
        if reaches[False]:
            others = len(reaches[False]) < len(regions) - 1
            where = "the other thirds" if others else f"every third of the recovered {' and '.join(map(_name, BIRTH))}"
            places.append(f"in {where} to {max(reaches[False]):.1f}{'' if places else ' points'}")
        if places:
            known = min(reaches[True] + reaches[False]) <= 100 * MAX_REACH
            trusted &= known
            right.append(f"{name} {'can be trusted' if known else 'are known only'} {' and '.join(places)}")
    sentences = [_sentence(wrong), _sentence(right)]
    confidence = f"({regions.n[0]} clusters, {100 * CONFIDENCE:.0f} % confidence in all of this at once)"
    return {"trusted": trusted and not wrong, "text": " ".join([one for one in sentences if one] + [confidence])}


def _limits(k: int, n: int, false_alarm: float) -> tuple[float, float]:
    low = betaincinv(k, n - k + 1, false_alarm / 2) if k > 0 else 0.0
    high = betaincinv(k + 1, n - k, 1 - false_alarm / 2) if k < n else 1.0
    return float(low), float(high)


def _group(row: Mapping[Any, Any]) -> str:
    if row["by"] == "all":
        return "all clusters"
    low, high = (f"{row[edge]:.3g}{UNITS.get(row['by'], '')}" for edge in ("from", "to"))
    reach = {"low": f"below {high}", "middle": f"from {low} to {high}", "high": f"above {low}"}[row["third"]]
    return f"clusters with a recovered {_name(row['by'])} {reach}"


def _name(birth: str) -> str:
    return NAMES.get(birth, birth)


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def goals(
    regions: pd.DataFrame, log_density: Float[np.ndarray, " case"], entropy: Float[np.ndarray, " case"]
) -> dict[str, dict[str, Any]]:
    """Which goals a campaign reaches.

    Args:
        regions: The rows of `coverage_by_region`.
        log_density: ln of the posterior density at the truth, per unit Q0 and AU, shape (case,).
        entropy: Minus the posterior's mean ln density, shape (case,).

    Returns:
        By goal: `found` with its standard `error`, the range `wanted` (None: no limit), and whether it is `met`. Of the
        thirds the worst one is reported.
    """
    everywhere, thirds = regions[regions.by == "all"], regions[regions.by != "all"]
    found = {}
    for level, goal in COVERAGE_GOALS.items():
        column = _column(level)
        for where, rows, reach in (("overall", everywhere, goal.overall), ("thirds", thirds, goal.third)):
            worst = rows.iloc[int(np.abs(rows[column].to_numpy() - level).argmax())]
            wanted: list[float | None] = [level - reach, level + reach]
            found[f"joint_{100 * level:.0f}_{where}"] = _judged(worst[column], worst[f"{column}_se"], wanted)
    surprise = log_density + entropy
    errors = [float(values.std(ddof=1) / np.sqrt(len(values))) for values in (log_density, surprise)]
    found["log_score"] = _judged(log_density.mean(), errors[0], [LOG_SCORE_GOAL, None])
    found["log_score_less_promised"] = _judged(surprise.mean(), errors[1], [-PROMISE_GOAL, PROMISE_GOAL])
    return found


def _judged(found: float, error: float, wanted: list[float | None]) -> dict[str, Any]:
    low, high = wanted
    met = (low is None or found >= low) and (high is None or found <= high)
    return {"found": float(found), "error": float(error), "wanted": wanted, "met": bool(met)}


def trust_report(
    regions: pd.DataFrame, log_density: Float[np.ndarray, " case"], entropy: Float[np.ndarray, " case"]
) -> dict[str, Any]:
    """What trust.json says of a campaign.

    Args:
        regions: The rows of `coverage_by_region`.
        log_density: ln of the posterior density at the truth, per unit Q0 and AU, shape (case,).
        entropy: Minus the posterior's mean ln density, shape (case,).
    """
    judged = goals(regions, log_density, entropy)
    return {
        "n": len(log_density),
        "log_score": judged["log_score"]["found"],
        "log_score_se": judged["log_score"]["error"],
        "log_score_promised": float(-entropy.mean()),
        "verdict": verdict(regions),
        "goals": judged,
        "missed": [name for name, goal in judged.items() if not goal["met"]],
    }
