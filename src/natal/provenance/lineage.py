"""Where a file comes from: its record, and the records of all that it was made from."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from natal.errors import NatalError
from natal.provenance.digests import digest_parts
from natal.provenance.records import FOLDER, FileState, Record, file_state, read_record


@dataclass(frozen=True)
class FileOrigin:
    """A file with what is known of its making."""

    path: Path
    """Absolute."""
    now: FileState | None
    """The file as it is; None if it is gone."""
    record: Record | None
    """What made it; None if no record was written or it cannot be read."""
    inside: dict[str, str]
    """Without a record, what the file says of itself: digest, commit, versions, in formats that hold them."""
    inputs: dict[Path, FileState]
    """What it was made from, by path, in the state in which that was read."""

    @property
    def is_recorded(self) -> bool:
        """Whether the file is still the one that the record is of."""
        return self.record is not None and self.now is not None and self.now.sha256 == self.record.output.sha256


@dataclass(frozen=True)
class Step:
    """Files that one rule made, with the same code at the same commit."""

    rule: str
    """Its name."""
    code: str
    """Digest of the code."""
    commit: str
    """Of natal."""
    created: str
    """Date of the last of the files (UTC)."""
    files: list[Path]
    """Their paths."""


def read_origin(path: str | Path) -> FileOrigin:
    """Read what is known of a file's making.

    Args:
        path: The file.

    Returns:
        What is known.

    Raises:
        NatalError: There is no such file.
    """
    path = Path(os.path.abspath(path))
    if not path.is_file():
        raise NatalError(
            f"{as_typed(path)} is a folder: name a file in it" if path.is_dir() else f"no file {as_typed(path)}"
        )
    return _look(path)


def history(*origins: FileOrigin) -> list[FileOrigin]:
    """Find all files behind some files.

    Args:
        origins: The files asked for.

    Returns:
        Each file once and after what it was made from; the last one asked for is last.
    """
    seen: dict[Path, FileOrigin] = {}

    def visit(one: FileOrigin) -> Iterator[FileOrigin]:
        seen[one.path] = one
        for path in one.inputs:
            if path not in seen:
                yield from visit(_look(path))
        yield one

    return [one for last in origins if last.path not in seen for one in visit(last)]


def steps(files: Iterable[FileOrigin]) -> list[Step]:
    """The steps that made files, in their order.

    Args:
        files: In the order of `history`; those without a record are left out.

    Returns:
        One for each rule, code and commit.
    """
    groups: dict[tuple[str, str, str], list[FileOrigin]] = {}
    for one in files:
        if one.record:
            record = one.record
            code = digest_parts(record.digest).get("code", record.digest)
            groups.setdefault((record.rule, code, record.environment["commit"]), []).append(one)
    return [
        Step(*key, max(one.record.environment["created"] for one in made if one.record), [one.path for one in made])
        for key, made in groups.items()
    ]


def read_records(folder: str | Path) -> list[Record]:
    """Read all records of a campaign.

    Args:
        folder: `results/<campaign>`.

    Returns:
        In the order in which the files were made; what cannot be read is left out.

    Raises:
        NatalError: There are none.
    """
    paths = sorted(Path(folder, FOLDER).rglob("*.json"))
    records = [record for path in paths if (record := read_record(path))]
    if not records:
        raise NatalError(f"{folder} holds no records of what made it ({FOLDER}/): give results/<campaign>")
    return sorted(records, key=lambda record: (record.environment["created"], record.output.path))


def recorded_config(folder: str | Path) -> dict[str, Any]:
    """The configuration of a finished campaign: that of the latest record of its tables and networks.

    Args:
        folder: `results/<campaign>`.

    Returns:
        The configuration in natal's units.

    Raises:
        NatalError: There is no such record.
    """
    paths = [path for part in ("", "emulator") for path in Path(folder, FOLDER, part).glob("*.json")]
    records = [record for path in paths if (record := read_record(path))]
    if not records:
        raise NatalError(f"{folder} holds no records of what made it ({FOLDER}/): give results/<campaign>")
    return max(records, key=lambda record: record.environment["created"]).config


def as_typed(path: Path) -> str:
    """A path as one would type it here.

    Args:
        path: An absolute path.

    Returns:
        Relative to this folder if it is in there.
    """
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _look(path: Path) -> FileOrigin:
    now = file_state(path) if path.is_file() else None
    for folder in path.parents:
        name = path.relative_to(folder)
        record = read_record(folder / FOLDER / name.with_name(f"{name.name}.json"))
        if record:
            # a campaign may have been moved since
            recorded = Path(record.output.path).parents[len(name.parts) - 1]
            inputs = {
                Path(os.path.normpath(folder / os.path.relpath(one.path, recorded))): one for one in record.inputs
            }
            return FileOrigin(path, now, record, {}, inputs)
    return FileOrigin(path, now, None, _read_inside(path) if now else {}, {})


def _read_inside(path: Path) -> dict[str, str]:
    try:
        if path.suffix in (".h5", ".nc"):
            with h5py.File(path) as file:
                content: dict[str, Any] = dict(file.attrs)
        elif path.suffix == ".eqx":
            with open(path, "rb") as binary:
                content = json.loads(binary.readline())["versions"]
        else:
            return {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    wanted = ("digest", "commit", "created", "python", "machine")
    return {key: str(value) for key, value in content.items() if key in wanted or key.startswith("version_")}
