"""What each stage of a campaign took: from the benchmark files that Snakemake keeps beside the logs, and the logs."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from natal.running.jobs import SIMULATING

Files = Mapping[str, Sequence[str | Path]]
"""Files of a stage's jobs, by the stage's name."""

KINDS = {
    "simulating": SIMULATING,
    "fitting": ("train", "density", "likelihood"),
    "inferring": ("recover", "calibrate", "observe"),
    "checking": ("evaluate", "uncertainty", "brute_force", "speed"),
    "drawing": ("figures",),
}
"""Stages by what they are for."""

_WORKED = re.compile(r"^(\S+ \S+) INFO worked for ([0-9.]+) s$", re.M)


def stage_costs(benchmarks: Files) -> list[dict[str, Any]]:
    """What each stage took.

    Benchmark files are records, not results: those that are missing or cannot be read do not count.

    Args:
        benchmarks: Benchmark files of the jobs, by stage.

    Returns:
        One row a stage that has records: `stage`, `jobs`, `wall_s` (over all jobs), `starting_s` (of that),
        `longest_s`, `memory_gb` (of one job). What is not known is None: Snakemake does not measure the memory of jobs
        of less than a second or so.
    """
    rows: list[dict[str, Any]] = []
    for stage, table in _jobs(benchmarks).groupby("stage", sort=False):
        numbers = {
            "wall_s": table.s.sum(min_count=1),
            "starting_s": table.starting_s.sum(min_count=1),
            "longest_s": table.s.max(),
            # psutil's megabytes have 2^20 bytes
            "memory_gb": table.max_rss.max() * 2**20 / 1e9,
        }
        known = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
        rows.append({"stage": stage, "jobs": len(table)} | known)
    return rows


def campaign_costs(benchmarks: Files) -> dict[str, Any]:
    """What the whole campaign took, and on what.

    Args:
        benchmarks: Benchmark files of the jobs, by stage.

    Returns:
        `jobs`, `job_s` (over all jobs), `wall_s` (of the time in which at least one ran), and `shares` of `job_s`: one
        for each of `KINDS` that has jobs, without starting, and `starting`: the interpreter, imports, and what
        Snakemake does around a job. Jobs without a benchmark file, or whose log does not say when they ended, are left
        out.
    """
    table = _jobs(benchmarks).dropna(subset=["s", "starting_s", "ended"])
    wall, until = 0.0, -np.inf
    for begun, ended in sorted(zip(table.ended - table.s, table.ended, strict=True)):
        wall += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    total = float(table.s.sum())
    working = {kind: table[table.stage.isin(stages)] for kind, stages in KINDS.items()}
    seconds = {kind: (jobs.s - jobs.starting_s).sum() for kind, jobs in working.items() if len(jobs)}
    seconds["starting"] = table.starting_s.sum()
    shares = {kind: float(value / total) for kind, value in seconds.items()} if total else {}
    return {"jobs": len(table), "job_s": total, "wall_s": wall, "shares": shares}


def _jobs(benchmarks: Files) -> pd.DataFrame:
    """One row a job that left a record: stage, s, max_rss, starting_s, and when it ended (s)."""
    rows = [{"stage": stage} | row for stage, files in benchmarks.items() for row in map(_read, files) if row]
    return pd.DataFrame(rows, columns=["stage", "s", "max_rss", "starting_s", "ended"])


def _read(path: str | Path) -> dict[str, float] | None:
    """The last line of a benchmark file, None if there is no such line, and what the log beside it says."""
    try:
        table = pd.read_csv(path, sep="\t")[["s", "max_rss"]].tail(1)
    except (OSError, ValueError, KeyError):
        return None
    if table.empty:
        return None
    # "-" and "NA" stand for what was not measured
    row = {name: float(value) for name, value in table.apply(pd.to_numeric, errors="coerce").iloc[0].items()}
    log = Path(str(path).removesuffix(".benchmark.tsv") + ".log")
    said = _WORKED.findall(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else []
    if not said:
        return row | {"starting_s": np.nan, "ended": np.nan}
    ended, worked = said[-1]
    return row | {"starting_s": max(0.0, row["s"] - float(worked)), "ended": datetime.fromisoformat(ended).timestamp()}
