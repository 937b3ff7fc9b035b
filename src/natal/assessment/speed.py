"""Measures what one evaluation costs: of a simulation, of the emulator, and of the likelihood with its gradient."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from natal.compiling import long_running
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.nbody.leapfrog import integrate
from natal.nbody.plummer import initial_conditions
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.batches import COMPILER_OPTIONS
from natal.variables import BIRTH, Box

BATCH = 1024


def seconds_per_call(function: Callable[..., Any], *arguments: Any, at_least_s: float = 0.3) -> float:
    """Median wall time of calls of a compiled function.

    Args:
        function: The function.
        arguments: What it is called with.
        at_least_s: Calls are repeated for this long, and five times at least.
    """
    jax.block_until_ready(function(*arguments))
    times: list[float] = []
    while len(times) < 5 or sum(times) < at_least_s:
        started = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def time_simulation(cluster: ClusterModel, integration: Integration, q0: float, a_au: float, batch: int = 1) -> float:
    """Seconds to simulate a cluster, without compilation.

    Every step costs the same: a tenth of the steps is measured, and scaled up.

    Args:
        cluster: Stars and softening.
        integration: Time step, number of steps and precision.
        q0: Q0 of the cluster.
        a_au: Its scale radius.
        batch: Clusters that are simulated together.

    Returns:
        Seconds per cluster.
    """
    with jax.enable_x64(integration.precision == "float64"):
        birth = partial(initial_conditions, n_stars=cluster.n_stars, softening_au=cluster.softening_au)
        # one program in place of one for every operation
        keys = jax.random.split(jax.random.key(0), batch)
        stars = jax.jit(birth)(keys, jnp.full(batch, q0), jnp.full(batch, a_au))
        steps = max(1, integration.n_steps // 10)
        run = partial(
            integrate,
            dt_yr=integration.dt_yr,
            steps_per_snapshot=steps,
            n_snapshots=2,
            softening_au=cluster.softening_au,
        )
        on_cpu = jax.local_devices()[0].platform == "cpu"
        compiled = jax.jit(run, compiler_options=long_running(**COMPILER_OPTIONS if on_cpu else {}))
        return seconds_per_call(compiled, *stars) * integration.n_steps / steps / batch


def time_emulator(likelihood: Likelihood, box: Box) -> dict[str, float]:
    """Seconds for the ensemble's mean, and for the log likelihood with its gradient.

    Args:
        likelihood: The likelihood with its ensemble.
        box: Ranges of the births that are asked for.

    Returns:
        'alone': for one call with one point, the call's overhead included. 'batched': per point in a batch of 1024.
    """
    rng = np.random.default_rng(0)
    low, high = np.array([box[name] for name in BIRTH]).T
    points = jnp.asarray(low + (high - low) * rng.random((BATCH, len(BIRTH))), DTYPE)
    y = likelihood.ensemble.mean(points[0])

    def log_likelihood(x: jax.Array) -> jax.Array:
        log_density: jax.Array = likelihood.conditional(x).observed().log_prob(y)
        return log_density

    def value(x: jax.Array) -> jax.Array:
        return likelihood.ensemble.mean(x)

    gradient = jax.value_and_grad(log_likelihood)
    return {
        "emulator_alone_s": seconds_per_call(jax.jit(value), points[0]),
        "emulator_batched_s": seconds_per_call(jax.jit(jax.vmap(value)), points) / BATCH,
        "gradient_alone_s": seconds_per_call(jax.jit(gradient), points[0]),
        "gradient_batched_s": seconds_per_call(jax.jit(jax.vmap(gradient)), points) / BATCH,
    }
