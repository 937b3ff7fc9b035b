"""The codes that are compared: each runs `steps` leapfrog steps of a batch of clusters on all cores given.

A runner is prepared once (compilation, start-up) and then returns the wall seconds of a call.
"""

import ctypes
import multiprocessing
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from natal.nbody import leapfrog
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.batches import COMPILER_OPTIONS
from natal.simulation.cost import batch_size
from natal.simulation.run import simulate_clusters

Runner = Callable[[], float]

SOFTENING_AU = 2.0
DT_YR = 0.05


def spread(batch: int, parts: int) -> list[int]:
    """Cut a batch into nearly equal parts, leaving out empty ones."""
    return [size for k in range(parts) if (size := (batch + k) // parts)]


def stars(n: int, batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (AU) and velocities (AU/yr), shape (3, batch, n), and masses (batch, n) of cluster-like systems."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, batch, n)) * 100.0, rng.normal(size=(3, batch, n)), np.ones((batch, n))


def natal(n: int, batch: int, steps: int, cores: int, precision: str = "float64") -> Runner:
    """natal's integrator as the simulate job runs it: one program, a thread a core, batches of the size it chooses."""
    size = min(batch_size(n, on_cpu=True, n_runs=batch), -(-batch // cores))
    calls = -(-batch // size)
    integrate = partial(
        leapfrog.integrate, dt_yr=DT_YR, steps_per_snapshot=steps, n_snapshots=2, softening_au=SOFTENING_AU
    )
    with jax.enable_x64(precision == "float64"):
        arrays = [jnp.asarray(a, precision) for a in stars(n, size)]
        run = jax.jit(integrate, compiler_options=COMPILER_OPTIONS).lower(*arrays).compile()

    def call(_: int) -> None:
        # precision is a setting of the thread
        with jax.enable_x64(precision == "float64"):
            jax.block_until_ready(run(*arrays))

    def timed() -> float:
        with ThreadPoolExecutor(cores) as pool:
            started = time.perf_counter()
            list(pool.map(call, range(calls)))
            # the last call may hold clusters that nobody asked for
            return (time.perf_counter() - started) * batch / (size * calls)

    return timed


def natal_job(n: int, batch: int, t_end_yr: float) -> Runner:
    """The call of a simulate job, snapshots, energies and summaries included, without compilation."""
    model, integration = ClusterModel(n_stars=n), Integration(t_end_yr=t_end_yr)

    def timed() -> float:
        run = simulate_clusters(np.full(batch, 0.9), np.full(batch, 100.0), cluster=model, integration=integration)
        return run.timing_s["integrate"]

    return timed


def c_loop(n: int, batch: int, steps: int, cores: int) -> Runner:
    """The C loop of direct_sum.c, one thread a core."""
    library = _compile_c()

    def run(size: int) -> None:
        position, velocity, mass = stars(n, size)
        rows = [*position, *velocity, *np.zeros_like(position), mass]
        state = np.ascontiguousarray(np.stack(rows, axis=1))
        pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        library.leapfrog(pointer, size, n, steps, ctypes.c_double(1e-3), ctypes.c_double(SOFTENING_AU**2))

    def timed() -> float:
        with ThreadPoolExecutor(cores) as pool:
            started = time.perf_counter()
            list(pool.map(run, spread(batch, cores)))
            return time.perf_counter() - started

    return timed


@cache
def _compile_c() -> ctypes.CDLL:
    source = Path(__file__).with_name("direct_sum.c")
    options = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "direct_sum.so"
        subprocess.run(["cc", *options, str(source), "-o", str(target), "-lm"], check=True)
        return ctypes.CDLL(str(target))


class Rebound:
    """REBOUND's leapfrog with direct summation, one process a core, kept for all calls."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.pool = ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn"))
        list(self.pool.map(_rebound, [(8, 1, 1)] * cores))

    def runner(self, n: int, batch: int, steps: int) -> Runner:
        """Times `batch` systems of n stars over all processes, which work at the same time: the slowest one counts."""

        def timed() -> float:
            return max(self.pool.map(_rebound, [(n, size, steps) for size in spread(batch, self.cores)]))

        return timed

    def close(self) -> None:
        self.pool.shutdown()


def _rebound(task: tuple[int, int, int]) -> float:
    """Seconds of the steps alone: particles are added one by one from Python."""
    import rebound

    n, batch, steps = task
    position, velocity, mass = stars(n, batch)
    seconds = 0.0
    for k in range(batch):
        simulation = rebound.Simulation()
        simulation.G = 4 * np.pi**2
        simulation.integrator = "leapfrog"
        simulation.softening = SOFTENING_AU
        simulation.dt = DT_YR
        for i in range(n):
            x, y, z = position[:, k, i]
            vx, vy, vz = velocity[:, k, i]
            simulation.add(m=mass[k, i], x=x, y=y, z=z, vx=vx, vy=vy, vz=vz)
        started = time.perf_counter()
        simulation.steps(steps)
        seconds += time.perf_counter() - started
    return seconds
