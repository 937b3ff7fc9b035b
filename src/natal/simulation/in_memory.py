"""Keeps snapshots in memory as they are made; `natal.simulation.checkpoint` does the same with a file."""

from typing import Any

import numpy as np


class InMemory:
    """Keeps all snapshots in one array, with the methods of a `Checkpoint`."""

    def begin(self, identity: dict[str, Any], snapshot_type: np.dtype, n_snapshots: int) -> int:
        """Make room for all snapshots.

        Args:
            identity: Not used.
            snapshot_type: Type of a snapshot.
            n_snapshots: How many there will be.

        Returns:
            0, as none is there yet.
        """
        self._snapshots = np.zeros(n_snapshots, snapshot_type)
        self._n_done = 0
        return 0

    def room(self) -> np.ndarray:
        """The next place of the array."""
        return self._snapshots[self._n_done, ...]

    def append(self, snapshot: np.ndarray) -> None:
        """Count the next snapshot; it is in its place already.

        Args:
            snapshot: What `room` gave.
        """
        self._n_done += 1

    def records(self) -> np.ndarray:
        """All snapshots so far, shape (time,)."""
        return self._snapshots[: self._n_done]

    def check_complete(self) -> None:
        """Do nothing: nobody else writes here."""
