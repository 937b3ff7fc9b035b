"""What the workflow asks of shard files before it plans its jobs.

No array library: every call of Snakemake reads this.
"""

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
from natal.files.sealed import check_seal
from natal.provenance.digests import changed_parts, is_of_older_code
from natal.simulation.shard_format import EARLIER, FORMAT

CHECKED = ".checked.json"
"""File with sizes, dates and seals of files whose checksums were compared: while these stay, planning opens no
shard."""

LAYOUT = "layout.json"
"""File that says how the campaign's blocks are cut into shards."""


Seal = dict[str, Any]
"""What the first line of a shard says (`natal.files.sealed`)."""


def inspect_shards(folder: Path, shards: Iterable[Shard]) -> tuple[dict[str, Seal], dict[Path, str]]:
    """Look at shard files. A file is read once, and again if its size or date changes.

    A file is whole if it is sealed, is as it was written, and holds the points that it should.

    Args:
        folder: Where the campaign's shards are.
        shards: The shards that there should be.

    Returns:
        The seals of whole files, by shard name; and a line for each other file, among them files that were set aside
        earlier and not made again.
    """
    checked = _read_checked(folder)
    lines, good = {}, {}
    for shard in shards:
        path = folder / f"{shard.name}.h5"
        try:
            stat = path.stat()
            state = [stat.st_size, stat.st_mtime_ns]
            known, seal = checked.get(path.name, ([], {}))
            if known != state:
                seal = check_seal(path, FORMAT)
            _check_points(path, shard, seal)
            good[path.name] = state, seal
        except NatalError as error:
            lines[path] = f"{error}; its points are simulated again"
        except FileNotFoundError:
            for aside in itertools.takewhile(Path.exists, _asides(path)):
                lines[path] = f"{path} was set aside as {aside.name}; its points are simulated again"
    if {name: list(found) for name, found in good.items()} != checked:
        # this is only a memory: that a folder cannot be written is reported elsewhere
        with suppress(OSError), atomic_path(folder / CHECKED) as partial:
            partial.write_text(json.dumps(good), encoding="utf-8")
    return {Path(name).stem: seal for name, (_, seal) in good.items()}, lines


def _read_checked(folder: Path) -> dict[str, Any]:
    """By name of a file, its state and its seal."""
    try:
        checked = json.loads((folder / CHECKED).read_text(encoding="utf-8"))
        good = all(len(state) == 2 and "sha256" in seal for state, seal in checked.values())
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return checked if good else {}


def find_stale(
    folder: Path,
    seals: Mapping[str, Seal],
    digest: Callable[[str], str],
    is_explained: Callable[[Path], bool] = lambda path: False,
) -> dict[Path, str]:
    """Find shards that are whole but were made with other settings or code.

    Snakemake compares digests as well, but it only has records of jobs whose end it lived to see, and keeps them in a
    folder that may be left behind.

    Args:
        folder: Where the campaign's shards are.
        seals: Of the whole ones, by name (`inspect_shards`).
        digest: The digest of a shard made now, by its name.
        is_explained: Whether Snakemake says itself why it makes a shard again: then it needs no line.

    Returns:
        A line for each shard; all that an older version of natal's code made have the same line.
    """
    lines, older = {}, []
    for name, seal in seals.items():
        path, made_with = folder / f"{name}.h5", str(seal.get("digest"))
        if is_of_older_code(made_with):
            older.append(path)
        elif made_with != (now := digest(name)) and not is_explained(path):
            lines[path] = f"{_difference(path, made_with, now)}; its points are simulated again"
    line = f"{folder} holds {len(older)} shards made by an older version of natal's code; they are simulated again"
    return lines | dict.fromkeys(older, line)


def check_digest(path: Path, made_with: str, digest: str) -> None:
    """Check that a shard was made with today's settings and code.

    Args:
        path: The shard, for the message.
        made_with: Its digest.
        digest: The digest of a shard made now.

    Raises:
        NatalError: They differ; the line says in what.
    """
    if made_with != digest:
        raise NatalError(_difference(path, made_with, digest))


def _difference(path: Path, made_with: str, digest: str) -> str:
    changed = ", ".join(changed_parts(made_with, digest))
    return f"{path} was simulated with other settings or code{changed and f' ({changed})'}"


def read_layout(folder: Path) -> Layout | None:
    """Read how the simulations in a folder were cut into jobs.

    Args:
        folder: Where the campaign's shards are.

    Returns:
        As of `plan.layout`; None if nothing tells.
    """
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
    """Note how simulations are cut into jobs; blocks that are not part of the campaign at present stay noted.

    Args:
        folder: Where the campaign's shards are.
        layout: As of `plan.layout`.
    """
    recorded = read_layout(folder) or {}
    if recorded | layout != recorded:
        with atomic_path(folder / LAYOUT) as partial:
            partial.write_text(json.dumps(recorded | layout, indent=1), encoding="utf-8")


def keep_earlier(
    folder: Path, seals: Mapping[str, Seal], stem: Callable[[str], str], digest: Callable[[str], str]
) -> None:
    """Keep shards that are about to be made again, and that their jobs can go on from, under a second name.

    Snakemake removes a file before it is made again, but knows nothing of the second name.

    Args:
        folder: Where the campaign's shards are.
        seals: Of the whole ones, by name (`inspect_shards`).
        stem: What the clusters of a shard made now are, by its name: shards of the same stem hold the same clusters,
            followed to other times.
        digest: The digest of a shard made now, by its name.
    """
    for name, seal in seals.items():
        if seal.get("digest") != digest(name) and seal.get("stem") == stem(name):
            path = folder / f"{name}.h5"
            earlier = path.with_suffix(EARLIER)
            earlier.unlink(missing_ok=True)
            try:
                earlier.hardlink_to(path)
            except OSError:
                # some file systems have no links
                shutil.copy2(path, earlier)


def set_aside(paths: Iterable[Path]) -> None:
    """Rename damaged files to `<name>.set-aside`, or `-2` and so on behind it: they may be of use to somebody.

    Args:
        paths: The files; those that are not there are passed over.
    """
    for path in paths:
        if path.exists():
            path.replace(next(aside for aside in _asides(path) if not aside.exists()))


def _asides(path: Path) -> Iterator[Path]:
    """Names for a file that is set aside, in the order in which they are used."""
    yield path.with_name(f"{path.name}.set-aside")
    yield from (path.with_name(f"{path.name}.set-aside-{number}") for number in itertools.count(2))


def _check_points(path: Path, shard: Shard, seal: Seal) -> None:
    held = (seal.get("first_id"), seal.get("n_points"))
    if held != (shard.first_id, shard.n_points):
        raise NatalError(f"{path} holds {held[1]} points from {held[0]} on, not those of {shard.name}")


def remembered_gint_per_s(folder: Path) -> float | None:
    """The lowest speed of the shards that an earlier call found; no shard is opened.

    Args:
        folder: Where the campaign's shards are.

    Returns:
        1e9 pair interactions a second; None if there are no shards.
    """
    return slowest_gint_per_s(seal for _, seal in _read_checked(folder).values())


def slowest_gint_per_s(seals: Iterable[Seal]) -> float | None:
    """The lowest speed of finished shards.

    Args:
        seals: Of the shards.

    Returns:
        1e9 pair interactions a second; None if there are no shards.
    """
    speeds = []
    for seal in seals:
        with suppress(KeyError, TypeError, ZeroDivisionError):
            speeds.append(seal["interactions"] / seal["integrate_time_s"] / 1e9)
    return min(speeds, default=None)
