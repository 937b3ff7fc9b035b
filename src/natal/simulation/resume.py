"""What is left to simulate, and how a job goes on from finished simulations to a later time or to other times."""

import bisect
import logging
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from natal.errors import NatalError
from natal.files.sealed import check_seal
from natal.settings.integration import Integration
from natal.simulation.shard_format import DATASETS, FORMAT

log = logging.getLogger("natal")

BLOCK = 16
"""Snapshots read at once: those of a run are compressed together."""


class Leg(NamedTuple):
    """The way to one snapshot."""

    number: int
    """Of the snapshot."""
    earlier_step: int | None
    """The stored state to start from, in steps after birth; None: the snapshot before, or the birth."""
    n_steps: int
    """How many steps further the snapshot is."""

    @property
    def is_computed(self) -> bool:
        """Whether there is anything to compute: steps, or the birth."""
        return self.n_steps > 0 or self.earlier_step is None


def remaining_legs(n_done: int, integration: Integration, stored: list[int]) -> list[Leg]:
    """The ways to the snapshots that are left, each from the last known state before it.

    Args:
        n_done: Snapshots that are there.
        integration: When snapshots are wanted.
        stored: States of an earlier simulation, in steps after birth, in ascending order.

    Returns:
        One way a snapshot.
    """
    legs = []
    for number in range(n_done, integration.snapshots):
        end = number * integration.steps_per_snapshot
        previous = max(0, end - integration.steps_per_snapshot)
        # a stored birth is useful, too
        useful = [step for step in stored if previous < step <= end or step == number == 0]
        begin = useful[-1] if useful else previous
        legs.append(Leg(number, useful[-1] if useful else None, end - begin))
    return legs


class EarlierRuns:
    """The stored snapshots of a shard, by the number of leapfrog steps after birth.

    Args:
        path: The shard.
        dt_yr: The step.

    Raises:
        NatalError: The file is no whole shard, or a time in it is no multiple of the step.
    """

    def __init__(self, path: str | Path, dt_yr: float) -> None:
        check_seal(path, FORMAT)
        self.path = Path(path)
        with h5py.File(path) as file:
            steps = file["time_yr"][:] / dt_yr
            self._seconds = float(file.attrs["integrate_time_s"])
        self.steps: list[int] = np.rint(steps).astype(int).tolist()
        if not np.allclose(steps, self.steps, rtol=1e-9, atol=1e-6):
            raise NatalError(f"{path} has snapshots between steps of {dt_yr} yr")
        self._block: dict[str, np.ndarray] = {}
        self._block_start = -BLOCK

    @classmethod
    def find(cls, path: str | Path, stem: str, dt_yr: float) -> "EarlierRuns | None":
        """Open a shard if there is one to go on from.

        Args:
            path: Where it would be.
            stem: Name of the clusters that it must hold (`inventory.keep_earlier`).
            dt_yr: The step.

        Returns:
            The shard; None if there is no whole one of these clusters.
        """
        try:
            if check_seal(path, FORMAT).get("stem") == stem:
                return cls(path, dt_yr)
        except FileNotFoundError:
            pass
        except (NatalError, OSError, KeyError) as error:
            log.info("%s; starting anew", error)
        return None

    def copy_to(self, snapshot: np.ndarray, step: int) -> None:
        """Fill a snapshot with a stored state.

        Args:
            snapshot: What to fill, of `natal.simulation.clusters.snapshot_type`.
            step: The state's number of steps after birth.
        """
        number = bisect.bisect_left(self.steps, step)
        if not self._block_start <= number < self._block_start + BLOCK:
            self._read(number)
        for name, values in self._block.items():
            snapshot[name] = values if name == "mass_msun" else values[:, number - self._block_start]
        # the time of the whole simulation, times the share of its steps
        snapshot["elapsed_s"] = self._seconds * step / max(1, self.steps[-1])

    def _read(self, start: int) -> None:
        with h5py.File(self.path) as file:
            mass = file["mass_msun"][:]
            self._block = {"mass_msun": mass.reshape(-1, mass.shape[-1])}
            for name, dataset in DATASETS.items():
                # (point, realization, time, ...)
                values = file[dataset][:, :, start : start + BLOCK]
                self._block[name] = values.reshape(-1, *values.shape[2:])
        self._block_start = start
