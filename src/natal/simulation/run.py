"""Simulates star clusters: initial conditions, leapfrog and summaries, with checkpoints if wanted."""

import hashlib
import logging
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import numpy as np

from natal.progress import Progress
from natal.provenance.digests import code_digest
from natal.running.device import processor
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.batches import BatchEngine
from natal.simulation.checkpoint import Checkpoint
from natal.simulation.cost import SNAPSHOTS_HELD, check_memory, interactions
from natal.simulation.resume import EarlierRuns

log = logging.getLogger("natal")

Values = np.ndarray | Sequence[float] | Sequence[int] | float

__all__ = ["ClusterModel", "Integration", "SimulatedClusters", "SummaryTracks", "simulate_clusters", "snapshot_type"]


class SummaryTracks(NamedTuple):
    """Summaries against time, each of shape (cluster, time)."""

    f_bound: np.ndarray
    sigma_v_kms: np.ndarray
    r_h_au: np.ndarray
    n_bound: np.ndarray
    dissolved: np.ndarray


@dataclass(frozen=True)
class SimulatedClusters:
    """Finished runs as NumPy arrays. `cluster` counts runs in the order asked for.

    Energies are in Msun AU^2 / yr^2; the potential is softened. With a checkpoint the arrays are views of its file.
    """

    time_yr: np.ndarray  # (time,)
    position_au: np.ndarray  # (cluster, time, star, 3)
    velocity_au_yr: np.ndarray  # (cluster, time, star, 3)
    mass_msun: np.ndarray  # (cluster, star)
    kinetic_energy: np.ndarray  # (cluster, time)
    potential_energy: np.ndarray  # (cluster, time)
    summaries: SummaryTracks
    timing_s: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_snapshots(
        cls, snapshots: np.ndarray, integration: Integration, compile_time_s: float
    ) -> "SimulatedClusters":
        """Arrange snapshots, shape (time,) of `snapshot_type`, by cluster; nothing is copied."""
        tracks = {name: np.swapaxes(snapshots[name], 0, 1) for name in TRACKS}
        return cls(
            time_yr=integration.time_yr,
            mass_msun=snapshots["mass_msun"][0],
            summaries=SummaryTracks(**{name: tracks.pop(name) for name in SummaryTracks._fields}),
            **tracks,
            timing_s={"compile": compile_time_s, "integrate": float(snapshots["elapsed_s"][-1])},
        )

    @property
    def energy_error(self) -> np.ndarray:
        """|E_T - E_0| / |W_0| of each run, shape (cluster,)."""
        total = self.kinetic_energy + self.potential_energy
        return np.abs(total[:, -1] - total[:, 0]) / np.abs(self.potential_energy[:, 0])

    @property
    def virial_ratio(self) -> np.ndarray:
        """K/|W| of all stars (bound or not) against time, shape (cluster, time)."""
        return self.kinetic_energy / np.abs(self.potential_energy)


TRACKS = ("position_au", "velocity_au_yr", "kinetic_energy", "potential_energy", *SummaryTracks._fields)


def snapshot_type(n_runs: int, n_stars: int, precision: str) -> np.dtype:
    """All runs at one time: their state, energies and summaries, and the seconds spent up to here."""
    real, vectors = np.dtype(precision), (n_runs, n_stars, 3)
    return np.dtype(
        [
            ("position_au", real, vectors),
            ("velocity_au_yr", real, vectors),
            ("mass_msun", real, (n_runs, n_stars)),
            *((name, real, n_runs) for name in ("kinetic_energy", "potential_energy")),
            *((name, real, n_runs) for name in ("f_bound", "sigma_v_kms", "r_h_au")),
            ("n_bound", np.int32, n_runs),
            ("dissolved", np.bool_, n_runs),
            ("elapsed_s", np.float64),
        ],
        align=True,
    )


def simulate_clusters(
    q0: Values,
    a_au: Values,
    *,
    point_id: Values | None = None,
    realization: Values | None = None,
    seed: int = 0,
    cluster: ClusterModel | None = None,
    integration: Integration | None = None,
    devices: list[jax.Device] | None = None,
    max_memory_gb: float | None = None,
    checkpoint: Checkpoint | None = None,
    earlier: EarlierRuns | None = None,
) -> SimulatedClusters:
    """Simulate one cluster for each entry of `q0` and `a_au`, shape (cluster,) each or scalars.

    `q0` is K/|W| at the start (0.5 is equilibrium), `a_au` the Plummer scale radius. The random stars of a run
    follow from (`seed`, `point_id`, `realization`) alone; by default point_id counts the runs and realization
    is 0. Work is spread over `devices` (default: all local ones). With a `checkpoint` every snapshot is written to its
    file, and what the file holds of these runs is not computed again: an interrupted call, made again on the same
    kind of processor, returns the bits of an uninterrupted one. Nor is what `earlier` holds: a finished simulation of
    the same runs, to other times. Raises `NatalError` if the time step does not fit the
    snapshot times, or the runs `max_memory_gb`.

    >>> run = simulate_clusters([0.5], [100.0], integration=Integration(t_end_yr=10.0))
    >>> run.position_au.shape
    (1, 11, 100, 3)
    """
    cluster = cluster or ClusterModel()
    integration = integration or Integration()
    q0_values, a_values = np.broadcast_arrays(np.atleast_1d(q0), np.atleast_1d(a_au))
    n = len(q0_values)
    ids = [np.arange(n) if point_id is None else np.asarray(point_id)]
    ids.append(np.zeros(n, dtype=int) if realization is None else np.asarray(realization))
    devices = devices or jax.local_devices()
    dtype = np.dtype(integration.precision)
    inputs = (*(i.astype(np.uint32) for i in ids), q0_values.astype(dtype), a_values.astype(dtype))
    n_snapshots, n_steps = integration.snapshots, integration.n_steps
    snapshot = snapshot_type(n, cluster.n_stars, integration.precision)

    if max_memory_gb is not None:
        held = n_snapshots if checkpoint is None else SNAPSHOTS_HELD
        check_memory(n, cluster.n_stars, held, dtype.itemsize, max_memory_gb)
    n_done = 0
    if checkpoint is None:
        snapshots = np.zeros(n_snapshots, snapshot)
    else:
        n_done = checkpoint.begin(_identity(inputs, seed, cluster, integration, devices[0]), snapshot)
        snapshots = checkpoint.records()
    if n_done:
        step = (n_done - 1) * integration.steps_per_snapshot
        log.info("resuming from snapshot %d of %d (step %d of %d)", n_done, n_snapshots, step, n_steps)

    legs = _legs(n_done, integration, [] if earlier is None else earlier.steps)
    if earlier is not None and legs:
        log.info("going on from a simulation of the same clusters up to %g yr", earlier.steps[-1] * integration.dt_yr)

    compile_time_s, engine = 0.0, None
    if any(leg.needs_engine for leg in legs):
        started = time.perf_counter()
        engine = BatchEngine(inputs, seed, cluster, integration, devices)
        compile_time_s = time.perf_counter() - started
    if legs:
        work = interactions(n, cluster.n_stars, 1) / 1e9
        steps_done = n_steps - sum(leg.n_steps for leg in legs)
        before = snapshots[n_done - 1, ...] if n_done else None
        elapsed_s = float(before["elapsed_s"]) if before is not None else 0.0
        started = time.perf_counter()
        with (
            closing(engine) if engine else nullcontext(),
            Progress(
                total=n_steps, done=steps_done, label="simulate", unit="steps", work_per_unit=work, work_unit="Gint"
            ) as progress,
        ):
            for leg in legs:
                now = np.zeros((), snapshot) if checkpoint else snapshots[leg.number, ...]
                if earlier is not None and leg.earlier_step is not None:
                    begin = now if leg.n_steps == 0 else np.zeros((), snapshot)
                    earlier.copy_to(begin, leg.earlier_step)
                    before, elapsed_s = begin, max(elapsed_s, float(begin["elapsed_s"]))
                if engine and leg.needs_engine:
                    for share in engine.next_snapshot(before, now, leg.n_steps):
                        progress.advance(share * leg.n_steps)
                ended = time.perf_counter()
                elapsed_s, started = elapsed_s + ended - started, ended
                now["elapsed_s"] = elapsed_s
                if checkpoint:
                    checkpoint.append(now)
                before = now
    if checkpoint:
        checkpoint.check_complete(n_snapshots)
        snapshots = checkpoint.records()
    return SimulatedClusters.from_snapshots(snapshots, integration, compile_time_s)


class _Leg(NamedTuple):
    """The way to one snapshot: from a stored state (`earlier_step`) or the snapshot before, `n_steps` further."""

    number: int
    earlier_step: int | None
    n_steps: int

    @property
    def needs_engine(self) -> bool:
        """Whether anything is computed: steps, or the birth."""
        return self.n_steps > 0 or self.earlier_step is None


def _legs(n_done: int, integration: Integration, stored: list[int]) -> list[_Leg]:
    """The ways to all snapshots that are left, each from the last known state before it (`stored`: those, in steps)."""
    legs = []
    for number in range(n_done, integration.snapshots):
        end = number * integration.steps_per_snapshot
        previous = max(0, end - integration.steps_per_snapshot)
        # a stored birth is one, too
        useful = [step for step in stored if previous < step <= end or step == number == 0]
        begin = useful[-1] if useful else previous
        legs.append(_Leg(number, useful[-1] if useful else None, end - begin))
    return legs


def _identity(
    inputs: tuple[np.ndarray, ...], seed: int, cluster: ClusterModel, integration: Integration, device: jax.Device
) -> dict[str, Any]:
    """All that a snapshot's bits follow from (the energy error that is allowed decides on finished runs only)."""
    followed = integration.model_dump()
    del followed["max_energy_error"]
    return {
        "runs": hashlib.sha256(b"".join(values.tobytes() for values in inputs)).hexdigest(),
        "seed": int(seed),
        "cluster": cluster.model_dump(),
        "integration": followed,
        "code": code_digest(__file__),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "numpy")},
        "device": device.device_kind if device.platform != "cpu" else processor(),
    }
