"""Many small clusters at once: initial conditions, leapfrog, summaries, in one compiled program.

Clusters are integrated in batches of a size that depends on the number of stars (and the kind of device) only,
so a realization's result does not depend on which others share its job, nor on the number of devices.
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import SingleDeviceSharding

from natal.cost import batch_size, check_memory
from natal.errors import NatalError
from natal.gravity import kinetic_energy, potential_energy
from natal.keys import realization_key
from natal.leapfrog import integrate
from natal.plummer import initial_conditions
from natal.progress import track
from natal.summaries import Summaries, summarise

# LLVM holds AVX-512 code to 256-bit vectors unless told otherwise; square roots and divisions gain most from 512
COMPILER_OPTIONS = {"xla_cpu_prefer_vector_width": 512}


Values = np.ndarray | Sequence[float] | Sequence[int] | float


@dataclass(frozen=True)
class ClusterModel:
    """What a cluster is made of (config section `cluster`)."""

    n_stars: int = 100
    star_mass_msun: float = 1.0
    imf: Literal["equal", "kroupa"] = "equal"
    imf_mass_range_msun: tuple[float, float] = (0.08, 50.0)
    softening_au: float = 2.0
    truncation_radius: float = 10.0

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "ClusterModel":
        """Build from a validated config section (its list becomes a tuple: models are hashable)."""
        low, high = section["imf_mass_range_msun"]
        return cls(**(section | {"imf_mass_range_msun": (low, high)}))


@dataclass(frozen=True)
class Integration:
    """How a cluster is followed (config section `integration`)."""

    t_end_yr: float = 500.0
    dt_yr: float = 0.05
    snapshots: int = 11
    precision: Literal["float64", "float32"] = "float64"
    max_energy_error: float = 1.0e-3

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "Integration":
        """Build from a validated config section."""
        return cls(**section)

    @property
    def steps_per_snapshot(self) -> int:
        """Steps between snapshots; raises `NatalError` unless a whole number of steps fits."""
        steps = self.t_end_yr / (self.snapshots - 1) / self.dt_yr
        if not math.isclose(steps, round(steps), rel_tol=1e-9) or round(steps) < 1:
            raise NatalError(
                f"integration.dt_yr = {self.dt_yr} does not divide the time between snapshots, "
                f"t_end_yr / (snapshots - 1) = {self.t_end_yr / (self.snapshots - 1):g} yr: "
                "choose a dt_yr that fits a whole number of times"
            )
        return round(steps)

    @property
    def n_steps(self) -> int:
        """Steps of a whole run."""
        return self.steps_per_snapshot * (self.snapshots - 1)

    @property
    def time_yr(self) -> np.ndarray:
        """Snapshot times, the first 0, shape (time,)."""
        return np.linspace(0.0, self.t_end_yr, self.snapshots)


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

    Energies are in Msun AU^2 / yr^2; the potential is softened.
    """

    time_yr: np.ndarray  # (time,)
    position_au: np.ndarray  # (cluster, time, star, 3)
    velocity_au_yr: np.ndarray  # (cluster, time, star, 3)
    mass_msun: np.ndarray  # (cluster, star)
    kinetic_energy: np.ndarray  # (cluster, time)
    potential_energy: np.ndarray  # (cluster, time)
    summaries: SummaryTracks
    timing_s: dict[str, float] = field(default_factory=dict)

    @property
    def energy_error(self) -> np.ndarray:
        """|E_T - E_0| / |W_0| of each run, shape (cluster,)."""
        total = self.kinetic_energy + self.potential_energy
        return np.abs(total[:, -1] - total[:, 0]) / np.abs(self.potential_energy[:, 0])

    @property
    def virial_ratio(self) -> np.ndarray:
        """K/|W| of all stars (bound or not) against time, shape (cluster, time)."""
        return self.kinetic_energy / np.abs(self.potential_energy)


class _BatchResult(NamedTuple):
    position_au: jax.Array  # (batch, time, star, 3)
    velocity_au_yr: jax.Array  # (batch, time, star, 3)
    mass_msun: jax.Array  # (batch, star)
    kinetic_energy: jax.Array  # (batch, time)
    potential_energy: jax.Array  # (batch, time)
    summaries: Summaries  # each (batch, time)


def _simulate_batch(
    seed_key: jax.Array,
    point_id: jax.Array,
    realization: jax.Array,
    q0: jax.Array,
    a_au: jax.Array,
    *,
    cluster: ClusterModel,
    integration: Integration,
) -> _BatchResult:
    keys = jax.vmap(realization_key, (None, 0, 0))(seed_key, point_id, realization)
    stars = initial_conditions(
        keys,
        q0,
        a_au,
        n_stars=cluster.n_stars,
        star_mass_msun=cluster.star_mass_msun,
        imf=cluster.imf,
        imf_mass_range_msun=cluster.imf_mass_range_msun,
        softening_au=cluster.softening_au,
        truncation_radius=cluster.truncation_radius,
    )
    track = integrate(
        *stars,
        dt_yr=integration.dt_yr,
        steps_per_snapshot=integration.steps_per_snapshot,
        n_snapshots=integration.snapshots,
        softening_au=cluster.softening_au,
    )

    def measure(snapshot: tuple[jax.Array, jax.Array]) -> tuple:
        position, velocity = snapshot
        return (
            kinetic_energy(velocity, stars.mass_msun),
            potential_energy(position, stars.mass_msun, cluster.softening_au),
            summarise(position, velocity, stars.mass_msun, cluster.softening_au),
        )

    # one snapshot after the other: pair arrays of all of them together would not fit
    kinetic, potential, summaries = lax.map(measure, tuple(track))
    batch_first = partial(jax.tree.map, lambda x: jnp.swapaxes(x, 0, 1))
    return _BatchResult(
        position_au=jnp.transpose(track.position_au, (2, 0, 3, 1)),
        velocity_au_yr=jnp.transpose(track.velocity_au_yr, (2, 0, 3, 1)),
        mass_msun=stars.mass_msun,
        kinetic_energy=batch_first(kinetic),
        potential_energy=batch_first(potential),
        summaries=batch_first(summaries),
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
) -> SimulatedClusters:
    """Simulate one cluster for each entry of `q0` and `a_au`, shape (cluster,) each or scalars.

    `q0` is K/|W| at the start (0.5 is equilibrium), `a_au` the Plummer scale radius. The random stars of a run
    follow from (`seed`, `point_id`, `realization`) alone; by default point_id counts the runs and realization
    is 0. Work is spread over `devices` (default: all local ones). Raises `NatalError` if the time step does not
    fit the snapshot times, or the runs `max_memory_gb`.

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

    if max_memory_gb is not None:
        check_memory(n, cluster.n_stars, integration.snapshots, dtype.itemsize, max_memory_gb)
    on_cpu = devices[0].platform == "cpu"
    size = batch_size(cluster.n_stars, on_cpu=on_cpu)
    # no program for a device that would have nothing to do
    devices = devices[: -(-n // size)]
    inputs = (*(i.astype(np.uint32) for i in ids), q0_values.astype(dtype), a_values.astype(dtype))
    double = integration.precision == "float64"

    started = time.perf_counter()
    with ThreadPoolExecutor(len(devices)) as pool:
        compile_for = partial(_compile, seed, inputs, cluster, integration, size)
        idle: SimpleQueue = SimpleQueue()
        # threads share one program on a CPU, where a device is but a name for a core
        programs = list(pool.map(compile_for, devices[:1] if on_cpu else devices))
        for k in range(len(devices)):
            idle.put(programs[k % len(programs)])
        compiled = time.perf_counter()

        def run(first: int) -> _BatchResult:
            # the last batch is filled up with copies of its last cluster, so that every call has one shape
            chosen = np.minimum(np.arange(first, first + size), n - 1)
            program = idle.get()
            try:
                # precision is a setting of the thread
                with jax.enable_x64(double):
                    return jax.device_get(program(*(x[chosen] for x in inputs)))
            finally:
                idle.put(program)

        starts = range(0, n, size)
        joined: Any = None
        batches = track(pool.map(run, starts), total=len(starts), label="simulate", unit="batches")
        for first, batch in zip(starts, batches, strict=True):
            if joined is None:
                joined = jax.tree.map(lambda part: np.empty((n, *part.shape[1:]), part.dtype), batch)
            # into place as they come, or a job would hold all its snapshots twice
            jax.tree.map(partial(_fill, first), joined, batch)
    finished = time.perf_counter()

    return SimulatedClusters(
        time_yr=integration.time_yr,
        **(joined._asdict() | {"summaries": SummaryTracks(*joined.summaries)}),
        timing_s={"compile": compiled - started, "integrate": finished - compiled},
    )


def _fill(first: int, whole: np.ndarray, part: np.ndarray) -> None:
    """Put a batch in its place, without the copies that fill up the last one."""
    last = min(first + len(part), len(whole))
    whole[first:last] = part[: last - first]


def _compile(
    seed: int,
    inputs: tuple[np.ndarray, ...],
    cluster: ClusterModel,
    integration: Integration,
    size: int,
    device: jax.Device,
) -> Callable[..., _BatchResult]:
    """Compile the program of one batch for one device.

    The program does not depend on how many devices there are; one cut over several would be compiled to other
    roundings.
    """
    with jax.enable_x64(integration.precision == "float64"):
        place = SingleDeviceSharding(device)
        jitted = jax.jit(
            partial(_simulate_batch, cluster=cluster, integration=integration),
            in_shardings=place,
            compiler_options=COMPILER_OPTIONS if device.platform == "cpu" else None,
        )
        key = jax.device_put(jax.random.key(seed), place)
        shapes = [jax.ShapeDtypeStruct((size,), x.dtype) for x in inputs]
        return partial(jitted.lower(key, *shapes).compile(), key)
