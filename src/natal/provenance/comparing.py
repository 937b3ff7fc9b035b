"""Whether outputs are those of their records. Checksums tell: dates and Snakemake's memory get lost in copying."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from natal.files.atomic import atomic_path
from natal.provenance.digests import changed_parts
from natal.provenance.records import Record, file_state, read_record, record_path

CHECKSUMS = ".checksums.json"
"""Sizes, dates and checksums of files that were read: a file is read once, and again if its size or date changes."""


class Recorded:
    """A campaign's files beside their records.

    Args:
        folder: The campaign's results.
        sealed: Checksums that are known already, of sealed files (`records.FileState`).
    """

    def __init__(self, folder: Path, sealed: Mapping[Path, str]) -> None:
        self._folder, self._sealed = folder, sealed
        self._records: dict[Path, Record | None] = {}
        self._made_from: dict[Path, dict[str, str]] = {}
        self._known = self._read_known()
        self._checksums: dict[str, tuple[int, int, str]] = {}

    def describes(self, output: Path) -> bool | None:
        """Whether an output is the very file that its record is of.

        Args:
            output: The file.

        Returns:
            None if there is no record or no file.
        """
        record, checksum = self._record(output), self._checksum(output)
        return None if record is None or checksum is None else record.output.sha256 == checksum

    def difference(self, output: Path, digest: str) -> list[str] | None:
        """What of an output's code and settings has changed since it was made.

        Args:
            output: The file.
            digest: What its digest would be now.

        Returns:
            Names as of `changed_parts`; None if nothing has changed, or nothing is known.
        """
        record = self._record(output)
        return None if record is None or record.digest == digest else changed_parts(record.digest, digest)

    def is_made_from(self, outputs: Iterable[Path], file: Path) -> bool | None:
        """Whether outputs were made from a file as it is now.

        Args:
            outputs: Those that are there count.
            file: The file.

        Returns:
            None if records do not tell.
        """
        there = [output for output in outputs if self._checksum(output) is not None]
        if not there or not all(self.describes(output) for output in there):
            return None
        checksum = self._checksum(file)
        return all(self._inputs(output).get(file.as_posix()) == checksum for output in there)

    def keep_checksums(self) -> None:
        """Write down the checksums of what was read, for the next call."""
        known = {name: list(state) for name, state in self._checksums.items()}
        if known != self._known:
            # this is only a memory: that a folder cannot be written is reported elsewhere
            with suppress(OSError), atomic_path(self._folder / CHECKSUMS) as partial:
                partial.write_text(json.dumps(known), encoding="utf-8")

    def _record(self, output: Path) -> Record | None:
        if output not in self._records:
            self._records[output] = read_record(record_path(output, self._folder))
        return self._records[output]

    def _inputs(self, output: Path) -> dict[str, str]:
        """Checksums of what an output was made from, which may be ten thousand shards."""
        if output not in self._made_from:
            record = self._record(output)
            self._made_from[output] = {one.path: one.sha256 for one in record.inputs} if record else {}
        return self._made_from[output]

    def _checksum(self, path: Path) -> str | None:
        if path in self._sealed:
            return self._sealed[path]
        name = path.as_posix()
        if name not in self._checksums:
            try:
                stat = path.stat()
                now = stat.st_size, stat.st_mtime_ns
                *before, checksum = self._known.get(name, [None])
                self._checksums[name] = (*now, checksum if tuple(before) == now else file_state(path).sha256)
            except OSError:
                return None
        return self._checksums[name][-1]

    def _read_known(self) -> dict[str, list[Any]]:
        try:
            known = json.loads((self._folder / CHECKSUMS).read_text(encoding="utf-8"))
            good = all(len(state) == 3 and isinstance(state[2], str) for state in known.values())
        except (OSError, ValueError, AttributeError, TypeError):
            return {}
        return known if good else {}
