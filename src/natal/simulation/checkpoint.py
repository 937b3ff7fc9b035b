"""Checkpoints of a simulate job: one file that grows by a record at every snapshot.

A record holds the whole state at one time, so that the last complete one is enough to go on from. The file is locked
while a job works on it. A second job on the same shard (of a workflow that was killed and started again) waits, then
goes on from what the first one wrote.
"""

import json
import logging
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from natal.errors import NatalError
from natal.files.locks import lock

log = logging.getLogger("natal")

HEADER_BYTES = 4096
"""Size of the first line: what is simulated, as JSON, padded with blanks. Records follow."""


class Checkpoint:
    """A checkpoint file, open and locked within a `with` block; it stays on disk afterwards.

    It has the methods of `natal.simulation.in_memory.InMemory`, and returns what it holds already.

    Args:
        path: The file.
        made_with: What the bits depend on beside the setup: code, versions, processor; values that JSON can hold.

    Examples:
        >>> from natal.settings.integration import Integration
        >>> from natal.simulation.run import simulate
        >>> from natal.simulation.setup import Setup
        >>> setup = Setup.of([0.5], [100.0], integration=Integration(t_end_yr=1.0, snapshots=2))
        >>> with Checkpoint("example.checkpoint", made_with={}) as checkpoint:  # a second time it returns at once
        ...     runs = simulate(setup, checkpoint=checkpoint)
        >>> runs.position_au.shape
        (1, 2, 100, 3)
    """

    def __init__(self, path: str | Path, made_with: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.made_with = dict(made_with)
        self._file: IO[bytes]
        self._record: np.dtype
        self._n_snapshots: int
        self._next: int

    def __enter__(self) -> "Checkpoint":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self._file = open(self.path, "a+b")
            self._lock()
            # it may have been removed while this job waited for the lock
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                    return self
            self._file.close()

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def begin(self, identity: dict[str, Any], snapshot_type: np.dtype, n_snapshots: int) -> int:
        """Say what is simulated, and find what of it the file holds already.

        Records that are cut short or damaged are dropped, with all after them. A file of something else, or made with
        something else (code, versions, processor), is emptied: it could not be continued to the same bits.

        Args:
            identity: What the snapshots follow from (`Setup.identity`).
            snapshot_type: Type of a snapshot.
            n_snapshots: How many there will be.

        Returns:
            How many snapshots are there.
        """
        identity = identity | self.made_with
        self._n_snapshots = n_snapshots
        self._record = np.dtype([("snapshot", snapshot_type), ("number", np.uint64), ("crc32", np.uint64)], align=True)
        header = json.dumps(identity, sort_keys=True).encode().ljust(HEADER_BYTES - 1) + b"\n"
        self._file.seek(0)
        found = self._file.read(HEADER_BYTES)
        if found != header:
            if found:
                log.info("%s: a checkpoint of %s; starting anew", self.path, _difference(found, identity))
            self._file.truncate(0)
            self._write(header)
            self._next = 0
            return 0
        self._next = self._count_good()
        self._file.truncate(self._end_of(self._next))
        return self._next

    def room(self) -> np.ndarray:
        """A new snapshot to fill, in memory."""
        return np.zeros((), self._record["snapshot"])

    def append(self, snapshot: np.ndarray) -> None:
        """Add the next snapshot, and see it on disk.

        Args:
            snapshot: A scalar of the snapshot type.

        Raises:
            NatalError: The file is not as this job left it: another one writes to it.
        """
        if self._n_bytes() != self._end_of(self._next):
            raise self._another_writer()
        entry = np.zeros(1, self._record)
        entry["snapshot"] = snapshot
        entry["number"] = self._next
        entry["crc32"] = _checksum(entry)
        self._write(entry.view(np.uint8).data)
        self._next += 1

    def records(self) -> np.ndarray:
        """All snapshots, shape (time,); a part is read from the file when it is used."""
        if self._n_records() == 0:
            return np.empty(0, self._record)["snapshot"]
        return np.memmap(self.path, self._record, "r", HEADER_BYTES, (self._n_records(),))["snapshot"]

    def check_complete(self) -> None:
        """Read the file once more.

        Raises:
            NatalError: It does not hold one good record of each snapshot and nothing more.
        """
        if self._n_bytes() != self._end_of(self._n_snapshots) or self._count_good() != self._n_snapshots:
            raise self._another_writer()

    def _another_writer(self) -> NatalError:
        return NatalError(f"{self.path}: another job writes to this file, too: see that one runs at a time")

    def _n_bytes(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _end_of(self, n_records: int) -> int:
        return HEADER_BYTES + n_records * self._record.itemsize

    def _n_records(self) -> int:
        return (self._n_bytes() - HEADER_BYTES) // self._record.itemsize

    def _count_good(self) -> int:
        n_found = self._n_records()
        for k in range(n_found):
            entry = np.fromfile(self.path, self._record, 1, offset=HEADER_BYTES + k * self._record.itemsize)
            # out of turn: two jobs wrote at once, on a file system without locks
            if entry["crc32"][0] != _checksum(entry) or entry["number"][0] != k:
                log.info("%s: snapshot %d is damaged; going on from the one before", self.path, k)
                return k
        return n_found

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self) -> None:
        try:
            locked = lock(self._file)
        except BlockingIOError:
            log.info("%s: another job is at work on this shard; waiting for it to end", self.path)
            locked = lock(self._file, wait=True)
        if not locked:
            log.info("%s: this file system has no locks; make sure that one workflow runs at a time", self.path)


def _checksum(entry: np.ndarray) -> int:
    """CRC-32 of a record's bytes, without those of the checksum itself."""
    n_bytes = entry.dtype.itemsize - entry.dtype["crc32"].itemsize
    return zlib.crc32(entry.view(np.uint8)[:n_bytes].data)


def _difference(header: bytes, identity: dict[str, Any]) -> str:
    """Say in words how a checkpoint of something else differs."""
    try:
        found = json.loads(header)
    except (ValueError, RecursionError):
        found = None
    wanted = json.loads(json.dumps(identity))
    if not isinstance(found, dict) or found == wanted:
        return "an unknown kind"
    return f"other {', '.join(key for key in wanted | found if found.get(key) != wanted.get(key))}"
