"""What each stage of a campaign took, from the benchmark files that Snakemake keeps beside the logs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def stage_costs(benchmarks: Mapping[str, Sequence[str | Path]]) -> list[dict[str, Any]]:
    """One row a stage: stage, jobs, wall_s (over all jobs), longest_s (of one), memory_gb (of the largest).

    `benchmarks` maps a stage to the files of its jobs. They are records, not results: those that are missing or cannot
    be read do not count, and a stage without any is left out. Numbers that Snakemake did not measure (jobs of less
    than a second or so) are None.
    """
    rows: list[dict[str, Any]] = []
    for stage, files in benchmarks.items():
        tables = [table for table in map(_read, files) if table is not None]
        if not tables:
            continue
        table = pd.concat(tables)
        numbers = {
            "wall_s": table.s.sum(min_count=1),
            "longest_s": table.s.max(),
            # psutil's megabytes are of 2^20 bytes
            "memory_gb": table.max_rss.max() * 2**20 / 1e9,
        }
        known = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
        rows.append({"stage": stage, "jobs": len(tables)} | known)
    return rows


def _read(path: str | Path) -> pd.DataFrame | None:
    """The last line of a benchmark file, None if there is no such line."""
    try:
        table = pd.read_csv(path, sep="\t")[["s", "max_rss"]].tail(1)
    except (OSError, ValueError, KeyError):
        return None
    # "-" and "NA" stand for what was not measured
    return table.apply(pd.to_numeric, errors="coerce") if len(table) else None
