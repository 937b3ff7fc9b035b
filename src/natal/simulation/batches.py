"""Takes many small clusters from snapshot to snapshot, in batches, with compiled programs.

On a CPU the size of a batch follows from the number of stars only, so that a realization's result depends neither on
which others share its job nor on the number of devices. On an accelerator, or where `integration.clusters_per_batch`
asks for a size, it also follows from the size of the job if that is smaller, by powers of two.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from natal.compiling import long_running
from natal.nbody.gravity import kinetic_energy, potential_energy
from natal.nbody.leapfrog import start, take_steps
from natal.nbody.plummer import initial_conditions
from natal.nbody.summaries import summarise
from natal.random import realization_key
from natal.settings.cluster import ClusterModel
from natal.simulation.cost import batch_size
from natal.simulation.setup import Setup

# LLVM uses 256-bit vectors on AVX-512 processors unless told otherwise; square roots and divisions gain most from 512
COMPILER_OPTIONS = {"xla_cpu_prefer_vector_width": 512}


class BatchEngine:
    """Takes runs from one snapshot to the next, in batches, on one or more devices. Use it in a `with` block.

    A batch that is not full is filled up with copies of its last cluster, so that every call has one shape.

    Args:
        setup: What is simulated.
        devices: Devices of one kind; those that would have nothing to do are not used.
    """

    def __init__(self, setup: Setup, devices: list[jax.Device]) -> None:
        self.setup = setup
        self.on_cpu = devices[0].platform == "cpu"
        self.batch_size = batch_size(
            setup.cluster.n_stars,
            on_cpu=self.on_cpu,
            n_runs=setup.n_runs,
            clusters_per_batch=setup.integration.clusters_per_batch,
        )
        # a device that would have nothing to do needs no program
        self.devices = devices[: -(-setup.n_runs // self.batch_size)]
        # JAX keeps its precision by thread
        self._double = setup.integration.precision == "float64"
        self._pool = ThreadPoolExecutor(len(self.devices))
        self._idle: SimpleQueue[_Programs] = SimpleQueue()

    def __enter__(self) -> "BatchEngine":
        return self

    def __exit__(self, *_: object) -> None:
        # batches that have not begun are dropped
        self._pool.shutdown(wait=False, cancel_futures=True)

    def compile(self) -> None:
        """Compile the programs; to be done before the first snapshot."""
        # on a CPU a device is only a name for a core, and threads share the programs
        devices = self.devices[:1] if self.on_cpu else self.devices
        programs = list(self._pool.map(partial(_compile, self.setup, self.batch_size), devices))
        for k in range(len(self.devices)):
            self._idle.put(programs[k % len(programs)])

    def next_snapshot(self, before: np.ndarray | None, now: np.ndarray, n_steps: int) -> Iterator[float]:
        """Fill a snapshot of all runs, batch by batch.

        Args:
            before: The snapshot to start from, of shape () and `snapshot_type`; None for the birth.
            now: What to fill; may be `before` itself.
            n_steps: How many steps lie between them.

        Yields:
            Each batch's share of the runs.
        """
        n_runs = self.setup.n_runs
        starts = range(0, n_runs, self.batch_size)
        # taken from the front, so that results do not pile up
        futures = deque(self._pool.submit(self._advance, before, first, n_steps) for first in starts)
        for first in starts:
            future = futures.popleft()
            # a signal that comes just before a wait is seen when the wait ends: no wait is long
            while not wait([future], timeout=1.0).done:
                pass
            last = min(first + self.batch_size, n_runs)
            for name, values in future.result().items():
                now[name][first:last] = values[: last - first]
            yield (last - first) / n_runs

    def _advance(self, before: np.ndarray | None, first: int, n_steps: int) -> dict[str, np.ndarray]:
        chosen = np.minimum(np.arange(first, first + self.batch_size), self.setup.n_runs - 1)
        programs = self._idle.get()
        try:
            with jax.enable_x64(self._double):
                if before is None:
                    stars = programs.birth(*(x[chosen] for x in self.setup.births))
                else:
                    n = _step_count(self._double)(n_steps)
                    stars = programs.advance(n, *(before[name][chosen] for name in _Stars._fields))
                moved: dict[str, np.ndarray] = jax.device_get(stars._asdict() | programs.measure(*stars))
                return moved
        finally:
            self._idle.put(programs)


def _step_count(double: bool) -> type[np.signedinteger]:
    """The widest integer that JAX has in this precision: 32 bits end at two thousand million steps."""
    return np.int64 if double else np.int32


class _Stars(NamedTuple):
    """The state of a batch in the layout of files, star before coordinate."""

    position_au: jax.Array  # (batch, star, 3)
    velocity_au_yr: jax.Array  # (batch, star, 3)
    mass_msun: jax.Array  # (batch, star)


class _Programs(NamedTuple):
    """What is compiled for one device."""

    birth: Callable[..., _Stars]
    advance: Callable[..., _Stars]
    measure: Callable[..., dict[str, jax.Array]]


def _birth(
    seed_key: jax.Array,
    point_id: jax.Array,
    realization: jax.Array,
    q0: jax.Array,
    a_au: jax.Array,
    *,
    cluster: ClusterModel,
) -> _Stars:
    keys = jax.vmap(realization_key, (None, 0, 0))(seed_key, point_id, realization)
    stars = initial_conditions(keys, q0, a_au, **cluster.model_dump())
    return _Stars(_coordinate_last(stars.position_au), _coordinate_last(stars.velocity_au_yr), stars.mass_msun)


def _advance(n_steps: jax.Array, *stars: jax.Array, cluster: ClusterModel, dt_yr: float) -> _Stars:
    position, velocity, mass = stars
    # accelerations are computed anew, so that a run can go on from positions and velocities alone
    state = start(_coordinate_first(position), _coordinate_first(velocity), mass, cluster.softening_au)
    end = take_steps(state, mass, n_steps, dt_yr, cluster.softening_au)
    return _Stars(_coordinate_last(end.position_au), _coordinate_last(end.velocity_au_yr), mass)


def _measure(*stars: jax.Array, cluster: ClusterModel) -> dict[str, jax.Array]:
    position, velocity, mass = _coordinate_first(stars[0]), _coordinate_first(stars[1]), stars[2]
    return {
        "kinetic_energy": kinetic_energy(velocity, mass),
        "potential_energy": potential_energy(position, mass, cluster.softening_au),
        **summarise(position, velocity, mass, cluster.softening_au),
    }


def _coordinate_first(vectors: jax.Array) -> jax.Array:
    return jnp.moveaxis(vectors, -1, 0)


def _coordinate_last(vectors: jax.Array) -> jax.Array:
    return jnp.moveaxis(vectors, 0, -1)


def _compile(setup: Setup, size: int, device: jax.Device) -> _Programs:
    """Compile the programs of one batch for one device.

    They do not depend on the number of devices: a program for several devices would round otherwise.
    """
    cluster, integration = setup.cluster, setup.integration
    with jax.enable_x64(integration.precision == "float64"):
        place = SingleDeviceSharding(device)
        options = long_running(**COMPILER_OPTIONS if device.platform == "cpu" else {})

        def compiled(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
            jitted = jax.jit(function, in_shardings=place, compiler_options=options)
            return jitted.lower(*arguments).compile()

        key = jax.device_put(jax.random.key(setup.seed), place)
        born = [jax.ShapeDtypeStruct((size,), x.dtype) for x in setup.births]
        vectors = jax.ShapeDtypeStruct((size, cluster.n_stars, 3), integration.precision)
        stars = (vectors, vectors, jax.ShapeDtypeStruct((size, cluster.n_stars), integration.precision))
        return _Programs(
            birth=partial(compiled(partial(_birth, cluster=cluster), key, *born), key),
            advance=compiled(
                partial(_advance, cluster=cluster, dt_yr=integration.dt_yr),
                jax.ShapeDtypeStruct((), _step_count(integration.precision == "float64")),
                *stars,
            ),
            measure=compiled(partial(_measure, cluster=cluster), *stars),
        )
