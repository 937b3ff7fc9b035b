"""What is simulated and how: all that the bits of a simulation follow from, but for code and machine."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from natal.errors import NatalError
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.clusters import snapshot_type
from natal.simulation.cost import memory_bytes

Values = np.ndarray | Sequence[float] | Sequence[int] | float
"""One number for each run, or one for all."""


@dataclass(frozen=True)
class Setup:
    """Clusters to simulate, one a run, and how they are followed. Made by `Setup.of`.

    The random stars of a run follow from (`seed`, `point_id`, `realization`) alone.
    """

    point_id: np.ndarray
    """Shape (run,)."""
    realization: np.ndarray
    """Shape (run,)."""
    q0: np.ndarray
    """K/|W|, shape (run,)."""
    a_au: np.ndarray
    """Shape (run,)."""
    seed: int
    cluster: ClusterModel
    integration: Integration

    @classmethod
    def of(
        cls,
        q0: Values,
        a_au: Values,
        *,
        point_id: Values | None = None,
        realization: Values | None = None,
        seed: int = 0,
        cluster: ClusterModel | None = None,
        integration: Integration | None = None,
    ) -> "Setup":
        """Set up one run for each entry of `q0` and `a_au`.

        Args:
            q0: K/|W| at birth.
            a_au: Plummer scale radius in AU.
            point_id: Whole numbers below 2^32; by default they count the runs.
            realization: The same, for several runs of one point; 0 by default.
            seed: Another one gives other stars.
            cluster: What a cluster is made of; None: the default one.
            integration: How it is followed; None: the default way.

        Returns:
            The setup, its numbers in the precision of the integration.
        """
        integration = integration or Integration()
        q0, a_au = np.broadcast_arrays(np.atleast_1d(q0), np.atleast_1d(a_au))
        return cls(
            point_id=np.asarray(np.arange(len(q0)) if point_id is None else point_id).astype(np.uint32),
            realization=np.asarray(np.zeros(len(q0)) if realization is None else realization).astype(np.uint32),
            q0=q0.astype(integration.precision),
            a_au=a_au.astype(integration.precision),
            seed=int(seed),
            cluster=cluster or ClusterModel(),
            integration=integration,
        )

    @classmethod
    def of_campaign(
        cls, config: dict[str, Any], q0: Values, a_au: Values, *, point_id: Values, realization: Values | None = None
    ) -> "Setup":
        """Set up runs with the seed, the clusters and the integration of a campaign.

        Args:
            config: The campaign's configuration, checked.
            q0: K/|W| at birth.
            a_au: Plummer scale radius in AU.
            point_id: Points of the runs.
            realization: Realizations of the runs; 0 by default.

        Returns:
            The setup.
        """
        cluster, integration = ClusterModel(**config["cluster"]), Integration(**config["integration"])
        births: dict[str, Any] = {"point_id": point_id, "realization": realization}
        return cls.of(q0, a_au, **births, seed=config["seed"], cluster=cluster, integration=integration)

    @property
    def births(self) -> tuple[np.ndarray, ...]:
        """What the runs differ in: point_id, realization, q0, a_au."""
        return self.point_id, self.realization, self.q0, self.a_au

    @property
    def n_runs(self) -> int:
        """The number of clusters."""
        return len(self.q0)

    @property
    def snapshot_type(self) -> np.dtype:
        """The type of a snapshot of all runs."""
        return snapshot_type(self.n_runs, self.cluster.n_stars, self.integration.precision)

    @property
    def identity(self) -> dict[str, Any]:
        """What a snapshot's bits follow from.

        The allowed energy error is left out: it only decides whether finished runs are kept.
        """
        followed = self.integration.model_dump()
        del followed["max_energy_error"]
        return {
            "runs": hashlib.sha256(b"".join(values.tobytes() for values in self.births)).hexdigest(),
            "seed": self.seed,
            "cluster": self.cluster.model_dump(),
            "integration": followed,
        }

    def check_memory(self, max_memory_gb: float, n_snapshots_held: int) -> None:
        """Check that the runs fit into memory.

        Args:
            max_memory_gb: What they may take, in 1e9 bytes.
            n_snapshots_held: Snapshots in memory at once.

        Raises:
            NatalError: They do not fit; the line says what to change.
        """
        n_stars, item_bytes = self.cluster.n_stars, np.dtype(self.integration.precision).itemsize
        batch = self.integration.clusters_per_batch
        held = self.n_runs, n_stars, n_snapshots_held, item_bytes
        needed = memory_bytes(*held, clusters_per_batch=batch, n_devices=jax.local_device_count())
        if needed > max_memory_gb * 1e9:
            lower = "" if batch is None else f"integration.clusters_per_batch = {batch}, "
            raise NatalError(
                f"a job of {self.n_runs} runs of {n_stars} stars needs {needed / 1e9:.2f} GB, more than "
                f"resources.max_memory_gb = {max_memory_gb:g}: raise it, or lower {lower}design.points_per_job or "
                "design.realizations"
            )
