"""Campaigns side by side: the numbers of their metrics.json in one table."""

from pathlib import Path
from typing import Any

import pandas as pd

from natal.errors import NatalError
from natal.files.formats import read_json


def finished_campaigns(results: str | Path) -> list[str]:
    """Names of the campaigns under `results` that have a metrics.json, sorted."""
    return sorted(path.parent.name for path in Path(results).glob("*/metrics.json"))


def comparison(results: str | Path) -> pd.DataFrame:
    """One row for each number of any metrics.json under `results`, one column for each campaign.

    Args:
        results: The folder of campaigns' results.

    Returns:
        Column `metric` has the keys that lead to the number, joined by dots; units are those of metrics.json. A number
        that a campaign lacks is NaN.

    Raises:
        NatalError: If no campaign is finished, or if a metrics.json cannot be read.
    """
    names = finished_campaigns(results)
    if not names:
        raise NatalError(f"{results}: no campaign has a metrics.json yet; run one before comparing")
    columns = {}
    for name in names:
        path = Path(results) / name / "metrics.json"
        try:
            columns[name] = pd.Series(_numbers(read_json(path)), dtype=float)
        except ValueError as error:
            raise NatalError(f"{path} is no JSON ({error}); remove it and run the campaign again") from None
    return pd.DataFrame(columns).sort_index().rename_axis("metric").reset_index()


def _numbers(content: Any, prefix: str = "") -> dict[str, float]:
    """The numbers of nested dictionaries and lists, by dotted key."""
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        return {prefix: float(content)}
    else:
        return {}
    numbers: dict[str, float] = {}
    for key, value in items:
        numbers |= _numbers(value, f"{prefix}.{key}" if prefix else str(key))
    return numbers
