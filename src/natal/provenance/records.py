"""A record beside every output of what made it: results/<campaign>/provenance/<output>.json (a study: studies/<name>).

Jobs write records when they have ended well. Planning compares them with the files (`natal.provenance.comparing`). What
people are told of them is in `natal.provenance.describe`, which no simulation imports.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from natal.errors import NatalError
from natal.files.sealed import read_seal
from natal.provenance.environment import environment

FORMAT = "natal-provenance-1"
"""Name of this format, in every record."""
FOLDER = "provenance"
"""Where records lie, within a campaign's results."""


@dataclass(frozen=True)
class FileState:
    """A file as it was."""

    path: str
    """As it was given."""
    size_bytes: int
    """Of the whole file."""
    sha256: str
    """Of all bytes, or of those behind the seal if the file has one."""


@dataclass(frozen=True)
class Record:
    """What made one output."""

    format: str
    """`FORMAT`."""
    output: FileState
    rule: str
    """The rule's name."""
    wildcards: dict[str, str]
    """What the rule's wildcards stood for."""
    digest: str
    """Of the rule's code and settings, by name: `natal.provenance.digests.stage_digest`."""
    seed: int
    """The campaign's."""
    config: dict[str, Any]
    """All of the campaign's configuration; the digest names the parts that entered."""
    environment: dict[str, str]
    """Git commit, versions, machine and date: `natal.provenance.environment`."""
    inputs: list[FileState]
    """What the job read."""


def record_path(output: str | Path, folder: str | Path) -> Path:
    """Where the record of an output lies.

    Args:
        output: The output.
        folder: The campaign's folder.

    Returns:
        A path within that folder, or beside an output that is not in there.
    """
    output = Path(output)
    folder = Path(folder) if output.is_relative_to(folder) else output.parent
    name = output.relative_to(folder)
    return folder / FOLDER / name.with_name(f"{name.name}.json")


def read_record(path: str | Path) -> Record | None:
    """Read a record.

    Args:
        path: The record's file.

    Returns:
        The record; None if there is none that can be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            return None
        content |= {"output": FileState(**content["output"]), "inputs": [FileState(**one) for one in content["inputs"]]}
        return Record(**content)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def results_folder(config: dict[str, Any]) -> Path:
    """Where a campaign's or a study's outputs lie.

    Args:
        config: Its configuration.

    Returns:
        `results/<campaign>` or `results/studies/<name>`.
    """
    return Path("results", *((config["campaign"],) if "campaign" in config else ("studies", config["name"])))


def write_records(task: Any, reads: Iterable[str] = ()) -> None:
    """Write a record of each output of a job that is done.

    Args:
        task: What Snakemake gives to a script.
        reads: Files that were read beside the rule's inputs.
    """
    # planning reads records without pandas
    from natal.files.formats import write_json

    shared = {
        "format": FORMAT,
        "rule": task.rule,
        "wildcards": dict(task.wildcards.items()),
        "digest": task.params.digest,
        "seed": task.config["seed"],
        "config": task.config,
        "environment": environment(),
        "inputs": [file_state(path) for path in dict.fromkeys([*task.input, *reads])],
    }
    folder = results_folder(task.config)
    for output in task.output:
        write_json(record_path(output, folder), asdict(Record(output=file_state(output), **shared)))


def file_state(path: str | Path) -> FileState:
    """Size and checksum of a file. The checksum of a sealed file is read from its seal, as the file may be large.

    Args:
        path: The file.

    Returns:
        The file as it is.
    """
    path = Path(path)
    sealed = seal_sha256(path)
    if sealed is None:
        with open(path, "rb") as file:
            sealed = hashlib.file_digest(file, "sha256").hexdigest()
    return FileState(path.as_posix(), path.stat().st_size, sealed)


def seal_sha256(path: Path) -> str | None:
    """The checksum in a file's seal.

    Args:
        path: The file.

    Returns:
        None if it has no seal.
    """
    if path.suffix != ".h5":
        return None
    try:
        return str(read_seal(path)["sha256"])
    except NatalError:
        return None
