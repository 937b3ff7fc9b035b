"""Simulates star clusters: births, leapfrog and summaries, snapshot by snapshot.

`simulate` goes on from a checkpoint file or from an earlier simulation; `_snapshots` makes the snapshots.
"""

import logging
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np

from natal.progress import Progress
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.batches import BatchEngine
from natal.simulation.checkpoint import Checkpoint
from natal.simulation.clusters import SimulatedClusters
from natal.simulation.cost import interactions
from natal.simulation.in_memory import InMemory
from natal.simulation.resume import EarlierRuns, Leg, remaining_legs
from natal.simulation.setup import Setup, Values

log = logging.getLogger("natal")


def simulate_clusters(
    q0: Values,
    a_au: Values,
    *,
    point_id: Values | None = None,
    realization: Values | None = None,
    seed: int = 0,
    cluster: ClusterModel | None = None,
    integration: Integration | None = None,
) -> SimulatedClusters:
    """Simulate one cluster for each entry of `q0` and `a_au`, with all snapshots in memory.

    The random stars of a run follow from (`seed`, `point_id`, `realization`) alone. Work is spread over all local
    devices, which changes no bits.

    Args:
        q0: K/|W| at birth, shape (cluster,) or a scalar; 0.5 is equilibrium.
        a_au: Plummer scale radius in AU, shape (cluster,) or a scalar.
        point_id: Whole numbers below 2^32, shape (cluster,); by default they count the clusters.
        realization: The same, for several clusters of one point; 0 by default.
        seed: Another one gives other stars.
        cluster: What a cluster is made of; by default 100 stars of one solar mass.
        integration: How it is followed; by default to 500 yr in steps of 0.05 yr, with 11 snapshots.

    Returns:
        The clusters through time, in the order asked for.

    Raises:
        NatalError: The time step does not fit the snapshot times.

    Examples:
        >>> runs = simulate_clusters(q0=[0.5, 1.0], a_au=100.0, integration=Integration(t_end_yr=10.0))
        >>> runs.position_au.shape  # cluster, time, star, axis
        (2, 11, 100, 3)
        >>> runs.virial_ratio[:, 0].round(3).tolist()
        [0.5, 1.0]
        >>> f"{runs.summaries.f_bound[1, 0]:.0%} of the stars of the second cluster are bound at birth"
        '73% of the stars of the second cluster are bound at birth'
    """
    births = {"point_id": point_id, "realization": realization}
    return simulate(Setup.of(q0, a_au, **births, seed=seed, cluster=cluster, integration=integration))


def simulate(
    setup: Setup,
    *,
    checkpoint: Checkpoint | None = None,
    earlier: EarlierRuns | None = None,
    devices: list[jax.Device] | None = None,
) -> SimulatedClusters:
    """Simulate clusters, and compute only what is not there yet.

    Args:
        setup: Which clusters, and how they are followed.
        checkpoint: A file that every snapshot is written to. What it holds of these runs is not computed again: a call
            that was interrupted, made again on the same kind of processor, returns the bits of an uninterrupted one.
        earlier: A finished simulation of the same clusters, to other times.
        devices: Where to compute; all local ones by default.

    Returns:
        The clusters through time. With a checkpoint its arrays are views of the file.

    Raises:
        NatalError: The time step does not fit the snapshot times, or another process writes to the file.
    """
    integration = setup.integration
    kept = InMemory() if checkpoint is None else checkpoint
    n_done = kept.begin(setup.identity, setup.snapshot_type, integration.snapshots)
    legs = remaining_legs(n_done, integration, [] if earlier is None else earlier.steps)
    _log_beginning(integration, n_done, earlier if legs else None)
    last = kept.records()[-1, ...] if n_done else None
    with BatchEngine(setup, devices or jax.local_devices()) as engine:
        compile_time_s = 0.0
        if any(leg.is_computed for leg in legs):
            started = time.perf_counter()
            engine.compile()
            compile_time_s = time.perf_counter() - started
        elapsed_s = 0.0 if last is None else float(last["elapsed_s"])
        started = time.perf_counter()
        for snapshot in _snapshots(engine, legs, last, earlier, kept.room):
            ended = time.perf_counter()
            # a state of an earlier simulation says how long that took
            elapsed_s = max(elapsed_s, float(snapshot["elapsed_s"])) + ended - started
            started = ended
            snapshot["elapsed_s"] = elapsed_s
            kept.append(snapshot)
    kept.check_complete()
    return SimulatedClusters.from_snapshots(kept.records(), integration.time_yr, compile_time_s)


def _log_beginning(integration: Integration, n_done: int, earlier: EarlierRuns | None) -> None:
    if n_done:
        step = (n_done - 1) * integration.steps_per_snapshot
        at = n_done, integration.snapshots, step, integration.n_steps
        log.info("resuming from snapshot %d of %d (step %d of %d)", *at)
    if earlier is not None:
        log.info("going on from a simulation of the same clusters up to %g yr", earlier.steps[-1] * integration.dt_yr)


def _snapshots(
    engine: BatchEngine,
    legs: list[Leg],
    last: np.ndarray | None,
    earlier: EarlierRuns | None,
    room: Callable[[], np.ndarray],
) -> Iterator[np.ndarray]:
    """Yield every snapshot that is left, each made from the last state known before it.

    Args:
        engine: Computes, and knows what is simulated.
        legs: The ways to the snapshots, in turn.
        last: The snapshot before the first of them; None before birth.
        earlier: What legs with an `earlier_step` start from.
        room: Gives a snapshot to fill.
    """
    n_steps = engine.setup.integration.n_steps
    work = interactions(engine.setup.n_runs, engine.setup.cluster.n_stars, 1) / 1e9
    done = n_steps - sum(leg.n_steps for leg in legs)
    progress = Progress(total=n_steps, done=done, label="simulate", unit="steps", work_per_unit=work, work_unit="Gint")
    with progress:
        for leg in legs:
            now = room()
            if earlier is not None and leg.earlier_step is not None:
                earlier.copy_to(now, leg.earlier_step)
                last = now
            if leg.is_computed:
                for share in engine.next_snapshot(last, now, leg.n_steps):
                    progress.advance(share * leg.n_steps)
            yield now
            last = now
