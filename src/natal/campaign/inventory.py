"""What the workflow asks of shard files before it plans its jobs. No array library: every Snakemake call reads this."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from natal.campaign.plan import Layout, Shard
from natal.errors import NatalError
from natal.files.atomic import atomic_path
from natal.files.sealed import check_seal, read_seal
from natal.provenance.digests import changed_parts, is_of_older_code
from natal.simulation.shard_format import EARLIER, FORMAT

CHECKED = ".checked.json"
"""Sizes and dates of the files whose checksums were compared: Snakemake sets the dates after a job has ended."""

LAYOUT = "layout.json"
"""How the campaign's blocks are cut into shards."""


def find_damaged(folder: Path, shards: Iterable[Shard]) -> dict[Path, str]:
    """Find files that are not the shards they should be, with a line on what is wrong with each.

    A file counts if it is not sealed, was changed after it was written, or holds other points; so do those
    that were set aside earlier and not made again. A file is read once and then again only if its size or date changes.
    """
    checked = _read_checked(folder)
    lines, good = {}, {}
    for shard in shards:
        path = folder / f"{shard.name}.h5"
        try:
            stat = path.stat()
            state = [stat.st_size, stat.st_mtime_ns]
            _check(path, shard, read=checked.get(path.name) != state)
            good[path.name] = state
        except NatalError as error:
            lines[path] = f"{error}; its points are simulated again"
        except FileNotFoundError:
            for aside in itertools.takewhile(Path.exists, _asides(path)):
                lines[path] = f"{path} was set aside as {aside.name}; its points are simulated again"
    if good != checked:
        # only a memory: a folder that cannot be written is somebody else's to report
        with suppress(OSError):
            (folder / CHECKED).write_text(json.dumps(good), encoding="utf-8")
    return lines


def _read_checked(folder: Path) -> dict[str, Any]:
    try:
        checked = json.loads((folder / CHECKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return checked if isinstance(checked, dict) else {}


def find_stale(
    folder: Path, digests: Mapping[str, str], is_explained: Callable[[Path], bool] = lambda path: False
) -> dict[Path, str]:
    """Find shards that are whole but were made with other settings or code, with a line on each.

    Snakemake compares digests as well, but keeps its records of a job only if it lived to see its end, and in a folder
    that may be left behind.

    Args:
        folder: Where the campaign's shards are.
        digests: Digests of shards made now, by name of the shard.
        is_explained: Whether Snakemake says itself why it makes a shard again: then it needs no line.

    Returns:
        A line for each shard; one and the same for all that an older version of natal's code made.
    """
    lines, older = {}, []
    for name, digest in digests.items():
        path = folder / f"{name}.h5"
        try:
            made_with = _digest_in(path)
        except FileNotFoundError:
            continue
        except NatalError as error:
            lines[path] = f"{error}; its points are simulated again"
            continue
        if is_of_older_code(made_with):
            older.append(path)
        elif made_with != digest and not is_explained(path):
            lines[path] = f"{_difference(path, made_with, digest)}; its points are simulated again"
    line = f"{folder} holds {len(older)} shards made by an older version of natal's code; they are simulated again"
    return lines | dict.fromkeys(older, line)


def check_digest(path: Path, digest: str) -> None:
    """Raise `NatalError` if a shard was not made with the settings and code that `digest` stands for."""
    made_with = _digest_in(path)
    if made_with != digest:
        raise NatalError(_difference(path, made_with, digest))


def _digest_in(path: Path) -> str:
    """The digest that a shard was made with."""
    return str(read_seal(path).get("digest"))


def _difference(path: Path, made_with: str, digest: str) -> str:
    changed = ", ".join(changed_parts(made_with, digest))
    return f"{path} was simulated with other settings or code{changed and f' ({changed})'}"


def read_layout(folder: Path) -> Layout | None:
    """How the simulations in a folder were cut into jobs (`plan.layout`); None if nothing says so."""
    try:
        recorded = json.loads((folder / LAYOUT).read_text(encoding="utf-8"))
        good = all(
            isinstance(part["points_per_job"], int)
            and part["points"] > 0
            and part["ends"]
            and all(low < high for low, high in itertools.pairwise([0, *part["ends"]]))
            for part in recorded.values()
        )
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
    return recorded if good else None


def write_layout(folder: Path, layout: Layout) -> None:
    """Note how simulations are cut into jobs; blocks that are not part of the campaign just now stay noted."""
    recorded = read_layout(folder) or {}
    if recorded | layout != recorded:
        with atomic_path(folder / LAYOUT) as partial:
            partial.write_text(json.dumps(recorded | layout, indent=1), encoding="utf-8")


def keep_earlier(folder: Path, stems: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Give shards that are about to be made again, but can be gone on from, a second name that Snakemake leaves alone.

    `stems` and `digests` are those of shards made now, by name: those of the same stem are the same clusters, followed
    to other times.
    """
    for name, stem in stems.items():
        path = folder / f"{name}.h5"
        try:
            seal = read_seal(path)
        except (OSError, NatalError):
            continue
        if seal.get("stem") == stem and seal.get("digest") != digests[name]:
            earlier = path.with_suffix(EARLIER)
            earlier.unlink(missing_ok=True)
            try:
                earlier.hardlink_to(path)
            except OSError:
                # a file system without links
                shutil.copy2(path, earlier)


def set_aside(paths: Iterable[Path]) -> None:
    """Rename damaged files to `<name>.set-aside`, or `-2` and so on behind it: they may be somebody's."""
    for path in paths:
        if path.exists():
            path.replace(next(aside for aside in _asides(path) if not aside.exists()))


def _asides(path: Path) -> Iterator[Path]:
    """Names for a file that is set aside, the first of them first."""
    yield path.with_name(f"{path.name}.set-aside")
    yield from (path.with_name(f"{path.name}.set-aside-{number}") for number in itertools.count(2))


def _check(path: Path, shard: Shard, *, read: bool) -> None:
    seal = check_seal(path, FORMAT) if read else read_seal(path)
    held = (seal.get("first_id"), seal.get("n_points"))
    if held != (shard.first_id, shard.n_points):
        raise NatalError(f"{path} holds {held[1]} points from {held[0]} on, not those of {shard.name}")


def measured_gint_per_s(folder: Path, shards: Iterable[Shard]) -> float | None:
    """The lowest speed of the finished shards (1e9 pair interactions a second), None if there are none."""
    speeds = []
    for shard in shards:
        path = folder / f"{shard.name}.h5"
        try:
            seal = read_seal(path)
            speeds.append(seal["interactions"] / seal["integrate_time_s"] / 1e9)
        except (OSError, NatalError, KeyError, TypeError, ZeroDivisionError):
            continue
    return min(speeds, default=None)
