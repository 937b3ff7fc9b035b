"""The plan of a campaign, read from its configuration: splits, blocks, shards, box, tables.

Standard library only and cheap: the workflow evaluates it for every job. Point ids do not move when a campaign grows:
each split counts from a number of its own, and later blocks go on where earlier ones ended.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from natal.campaign.tables import csv_rows, number
from natal.errors import NatalError
from natal.variables import BIRTH, CALIBRATION, SPLITS, Box

MAX_POINTS_PER_SPLIT = 100_000
"""Point ids of a split have room for so many."""
CHECKS = ("brute_force", "posterior_predictive")
"""Checks that simulate runs of their own."""

PROPOSED = "proposed"
"""What blocks of `design.proposed` are called; their points are training points."""

# ids of trust_runs.py and numerical_runs.py in workflow/scripts/checks/ come after all of these
POINT_ID_OFFSET = {name: k * MAX_POINTS_PER_SPLIT for k, name in enumerate((*SPLITS, CALIBRATION, *CHECKS, PROPOSED))}
"""First point id of each split, of each check, and of proposed points."""


Config = dict[str, Any]
"""A campaign's configuration, checked and in natal's units."""
Layout = dict[str, dict[str, Any]]
"""How blocks are cut into jobs: what `layout` returns."""


@dataclass(frozen=True)
class Block:
    """Points drawn together."""

    split: str
    """What they are for."""
    index: int
    """Number of the block within its split."""
    size: int
    """How many points."""
    first_id: int
    """Their ids count from here."""


@dataclass(frozen=True)
class Shard:
    """The points of one simulate job."""

    name: str
    """Of its file."""
    first_id: int
    """Ids of its points count from here."""
    n_points: int
    """How many points."""
    n_realizations: int
    """Clusters at each of them."""
    first_realization: int = 0
    """Number of the first of these clusters: those before were simulated by another job, when the campaign was
    smaller."""

    @property
    def point_ids(self) -> list[int]:
        """Ids of the shard's points."""
        return list(range(self.first_id, self.first_id + self.n_points))

    @property
    def n_runs(self) -> int:
        """Clusters that the job simulates."""
        return self.n_points * self.n_realizations


def blocks(config: Config) -> list[Block]:
    """The blocks that a campaign draws.

    Args:
        config: The configuration.

    Returns:
        In the order train, validation, test, calibration: Latin hypercubes, but for calibration, whose draws are
        independent. With `design.table` there are no hypercubes.
    """
    drawn = []
    for split in () if config["design"]["table"] else SPLITS:
        first_id = POINT_ID_OFFSET[split]
        for index, size in enumerate(config["design"][split]):
            drawn.append(Block(split, index, size, first_id))
            first_id += size
    if config["design"]["calibration"]:
        drawn.append(Block(CALIBRATION, 0, config["design"]["calibration"], POINT_ID_OFFSET[CALIBRATION]))
    return drawn


def n_realizations(config: Config, split: str) -> int:
    """Clusters drawn at each point of a split.

    Args:
        config: The configuration.
        split: The split.

    Returns:
        Their number. All rows of a table get that of the split with the most, so that a row may change its split
        without being simulated again.
    """
    given: int | dict[str, int] = config["design"]["realizations"]
    if split == CALIBRATION:
        return 1
    if isinstance(given, int):
        return given
    return max(given.values()) if config["design"]["table"] else given[split]


def runs_per_job(config: Config) -> int:
    """Clusters of a full simulate job: `points_per_job` counts points of the split with the most realizations.

    Args:
        config: The configuration.

    Returns:
        Their number.
    """
    points: int = config["design"]["points_per_job"]
    return points * max(n_realizations(config, split) for split in SPLITS)


def layout(config: Config, recorded: Layout | None = None, runs_in_time: Callable[[], int] | None = None) -> Layout:
    """How each block is cut into jobs.

    Simulations that are there stay whole when realizations are added: the added ones get jobs of their own. Only
    another `points_per_job` cuts a block anew; with `job_minutes` nothing does.

    Args:
        config: The configuration.
        recorded: The layout of the simulations that are there.
        runs_in_time: How many clusters a job of `job_minutes` simulates.

    Returns:
        By block: `points` of a job, `ends`, the numbers of realizations that the block has grown to, and the
        `points_per_job` that it was cut with.
    """
    cuts: Layout = {}
    minutes, per_job = (config["design"][key] for key in ("job_minutes", "points_per_job"))
    for label, block in _parts(config):
        each = n_realizations(config, block.split)
        old = (recorded or {}).get(label)
        if old and (minutes or old["points_per_job"] == per_job):
            ends = [*(end for end in old["ends"] if end < each), each]
            cuts[label] = old | {"ends": ends}
        else:
            runs = runs_in_time() if minutes and runs_in_time else runs_per_job(config)
            cuts[label] = {"points_per_job": per_job, "points": max(1, runs // each), "ends": [each]}
    return cuts


def shards(
    config: Config, recorded: Layout | None = None, runs_in_time: Callable[[], int] | None = None
) -> dict[str, Shard]:
    """All simulate jobs of a campaign, of about the same number of runs. No shard spans two blocks.

    Args:
        config: The configuration.
        recorded: The layout of the simulations that are there.
        runs_in_time: How many clusters a job of `job_minutes` simulates.

    Returns:
        Shards by name; jobs of added realizations have the first one's number in their name.
    """
    cuts = layout(config, recorded, runs_in_time)
    by_name = {}
    for label, block in _parts(config):
        per_job = cuts[label]["points"]
        for first, end in pairwise([0, *cuts[label]["ends"]]):
            for k, start in enumerate(range(0, block.size, per_job)):
                name = f"{label}_{k:03d}" + (f"_r{first:03d}" if first else "")
                n_points = min(per_job, block.size - start)
                by_name[name] = Shard(name, block.first_id + start, n_points, end - first, first)
    return by_name


def _parts(config: Config) -> list[tuple[str, Block]]:
    """What is cut into jobs, with the first part of their names: the table, every block, every proposed block."""
    table = [("table", Block(SPLITS[0], 0, len(read_table(config)), 0))] if config["design"]["table"] else []
    drawn = [(f"{block.split}{block.index}", block) for block in blocks(config)]
    return table + drawn + [(f"{PROPOSED}{block.index}", block) for block, _ in proposed_blocks(config)]


def recipes(config: Config) -> Callable[[Shard], Any]:
    """What determines the births of a shard's points.

    Tables are read once: a campaign may have ten thousand shards.

    Args:
        config: The configuration.

    Returns:
        A function of the shard: it returns the shard's rows of a table, or what its block is drawn from.
    """
    proposed, drawn, ranges = proposed_blocks(config), blocks(config), box(config)
    rows = read_table(config) if config["design"]["table"] else []

    def of(shard: Shard) -> Any:
        for block, points in proposed:
            start = shard.first_id - block.first_id
            if 0 <= start < block.size:
                return points[start : start + shard.n_points]
        for block in drawn:
            if block.first_id <= shard.first_id < block.first_id + block.size:
                # a larger number of independent draws begins with the same ones
                size = [] if block.split == CALIBRATION else [block.size]
                return {"seed": config["seed"], "box": ranges, "block": [block.split, block.index, *size]}
        return [tuple(rows[i][name] for name in BIRTH) for i in shard.point_ids]

    return of


def q0_factor(config: Config) -> float:
    """Factor from the configuration's virial convention to K/|W|.

    Args:
        config: The configuration.

    Returns:
        1 or 0.5.
    """
    return {"K/|W|": 1.0, "2K/|W|": 0.5}[config["design"]["virial_convention"]]


def box(config: Config) -> Box:
    """The design box.

    Args:
        config: The configuration.

    Returns:
        {'q0': (low, high), 'a_au': (low, high)}, q0 as K/|W|.
    """
    return _in_k_over_w(config, config["design"]["box"])


def prior_box(config: Config) -> Box:
    """The box of the uniform prior: `inference.prior`, or the design box.

    Args:
        config: The configuration.

    Returns:
        {'q0': (low, high), 'a_au': (low, high)}, q0 as K/|W|.
    """
    return _in_k_over_w(config, config["inference"]["prior"] or config["design"]["box"])


def _factor(config: Config, name: str) -> float:
    return q0_factor(config) if BIRTH[name].unit == "K/|W|" else 1.0


def _in_k_over_w(config: Config, ranges: dict[str, list[float]]) -> Box:
    factors = {name: _factor(config, name) for name in BIRTH}
    return {name: (factor * ranges[name][0], factor * ranges[name][1]) for name, factor in factors.items()}


def has_splits(config: Config) -> bool:
    """Whether every split has points: a design table may leave splits out.

    Args:
        config: The configuration.
    """
    if not config["design"]["table"]:
        return True
    return set(SPLITS) <= {row["split"] for row in read_table(config)}


def read_table(config: Config) -> list[dict[str, Any]]:
    """Read `design.table`, a CSV file with columns q0, a_au and perhaps split.

    Splits are given for all rows or for none. Rows of another campaign's calibration draws are left out: a campaign
    makes its own.

    Args:
        config: The configuration.

    Returns:
        A row a point: births, q0 as K/|W|; `split`, empty if none is given; `row` in the file.

    Raises:
        NatalError: A value is missing, unreadable or outside the box; the line names row and column.
    """
    state = None
    with suppress(OSError):
        stat = Path(config["design"]["table"]).stat()
        state = stat.st_size, stat.st_mtime_ns
    return list(_table(json.dumps(config["design"], default=list), state))


@lru_cache(maxsize=4)
def _table(design: str, _: Any) -> list[dict[str, Any]]:
    """The rows of a design's table; a process reads a table again only if its size or date changes."""
    config = {"design": json.loads(design)}
    name = config["design"]["table"]
    rows: list[dict[str, Any]] = []
    # so that a design.csv of another campaign can be used
    optional = ("split", "point_id", "block")
    for row_number, row in csv_rows(name, "design.table", required=BIRTH.names, optional=optional):
        if row.get("split") == CALIBRATION:
            continue
        values = _point(config, name, row_number, row)
        split = row.get("split") or ""
        if split and split not in SPLITS:
            raise NatalError(f"{name}, row {row_number}, column split: {split!r} is not one of {', '.join(SPLITS)}")
        rows.append(values | {"split": split, "row": row_number})
    without = [row["row"] for row in rows if not row["split"]]
    if 0 < len(without) < len(rows):
        raise NatalError(f"{name}, row {without[0]}, column split: empty, but other rows have a split")
    most = POINT_ID_OFFSET[CALIBRATION]
    if not 0 < len(rows) <= most:
        raise NatalError(f"{name}: {len(rows)} rows besides calibration draws, but 1 to {most} are allowed")
    return rows


def proposed_blocks(config: Config) -> list[tuple[Block, list[tuple[float, ...]]]]:
    """Read the files of `design.proposed`, CSV with columns q0, a_au and perhaps score.

    Args:
        config: The configuration.

    Returns:
        A block for each file, with its points (q0, a_au), q0 as K/|W|.

    Raises:
        NatalError: A value is missing, unreadable or outside the box; the line names file, row and column.
    """
    proposed = []
    first_id = POINT_ID_OFFSET[PROPOSED]
    for index, name in enumerate(config["design"]["proposed"]):
        rows = csv_rows(name, "design.proposed", required=BIRTH.names, optional=("score",))
        points = [tuple(_point(config, name, number, row).values()) for number, row in rows]
        proposed.append((Block(SPLITS[0], index, len(points), first_id), points))
        first_id += len(points)
    if first_id - POINT_ID_OFFSET[PROPOSED] > MAX_POINTS_PER_SPLIT:
        raise NatalError(f"design.proposed: more than {MAX_POINTS_PER_SPLIT} rows in all")
    return proposed


def _point(config: Config, path: str, row_number: int, row: dict[str, str]) -> dict[str, float]:
    """A row's birth, q0 as K/|W|; raises `NatalError` if a value is no number or outside `design.box`."""
    values = {name: _factor(config, name) * number(path, row_number, name, row[name]) for name in BIRTH}
    for column, (low, high) in box(config).items():
        if not low <= values[column] <= high:
            raise NatalError(
                f"{path}, row {row_number}, column {column}: {row[column]} is outside design.box "
                f"({config['design']['box'][column]})"
            )
    return values
