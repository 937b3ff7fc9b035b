"""Small files in plain formats: JSON and CSV, written atomically."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from natal.files.atomic import atomic_path


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON. Numbers that are not finite become null, as the standard has no name for them.

    Args:
        path: The file.
        content: Mappings, lists, numbers and texts, also of NumPy.
    """
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(_plain(content), indent=2) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Args:
        path: The file.

    Returns:
        Its content.
    """
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _plain(value: Any) -> Any:
    """Replace NumPy types, and what JSON cannot hold."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV; floats keep all their digits.

    Args:
        path: The file.
        table: Its index is not written.
    """
    with atomic_path(path) as partial:
        table.to_csv(partial, index=False)


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read a table as it was written.

    Args:
        path: The file.

    Returns:
        The table. The name of a `case` is text, be it NA or 007; only an empty cell is missing.
    """
    return pd.read_csv(path, dtype={"case": str}, keep_default_na=False, na_values=[""])
