"""Where the snapshots of a simulation go as they are made: memory, or a file (`natal.simulation.checkpoint`)."""

from typing import Any, Protocol

import numpy as np


class SnapshotSink(Protocol):
    """Takes snapshots one after the other, and has them all in the end."""

    def begin(self, identity: dict[str, Any], snapshot_type: np.dtype, n_snapshots: int) -> int:
        """Say what is simulated; return how many snapshots of it are there already."""

    def room(self) -> np.ndarray:
        """Room for the next snapshot, a scalar of the snapshots' type."""

    def append(self, snapshot: np.ndarray) -> None:
        """Keep the next snapshot, which `room` gave the room for."""

    def records(self) -> np.ndarray:
        """All snapshots so far, shape (time,)."""

    def check_complete(self) -> None:
        """Raise `NatalError` unless all snapshots are there, and nothing else."""


class InMemory:
    """Keeps all snapshots in one array."""

    def begin(self, identity: dict[str, Any], snapshot_type: np.dtype, n_snapshots: int) -> int:
        """Take room for all; nothing is there yet."""
        self._snapshots = np.zeros(n_snapshots, snapshot_type)
        self._n_done = 0
        return 0

    def room(self) -> np.ndarray:
        """The next place of the array."""
        return self._snapshots[self._n_done, ...]

    def append(self, snapshot: np.ndarray) -> None:
        """Count it: it is in its place."""
        self._n_done += 1

    def records(self) -> np.ndarray:
        """All snapshots so far, shape (time,)."""
        return self._snapshots[: self._n_done]

    def check_complete(self) -> None:
        """Nothing to look at: nobody else writes here."""
