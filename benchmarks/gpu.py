"""What a GPU does of natal's N-body work, against the same machine's processor; `make bench-gpu`.

Prints the tables of docs/measurements/speed_gpu.md and writes them to benchmarks/results/gpu.csv: the bare integrator
by number of stars, precision and clusters of a batch (`integration.clusters_per_batch`), around the size that a job
takes by itself; then a whole job of the default campaign's size, in batches of three sizes.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from natal.nbody import leapfrog
from natal.settings.integration import Integration
from natal.simulation.cost import ACCELERATOR_STARS_PER_BATCH, batch_size, interactions
from natal.simulation.run import simulate, simulate_clusters
from natal.simulation.setup import Setup

RESULTS = Path(__file__).with_name("results")
SIZES = (100, 256, 1024, 4096)
# of a batch, in those that a full job takes by itself
SHARES = (1 / 16, 1 / 4, 1 / 2, 1, 2)
DT_YR, SOFTENING_AU = 0.05, 2.0
# clusters of the default campaign
N_DEFAULT = 3672


def integrator(n_stars: int, precision: str, batch: int, at_least_s: float) -> dict[str, float]:
    """Gint/s (1e9 pair interactions a second, all N^2 counted) of steps of one full batch, compiling left out."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(precision == "float64"):
        position, velocity, mass = (
            jnp.asarray(values, precision)
            for values in (
                100 * rng.normal(size=(3, batch, n_stars)),
                rng.normal(size=(3, batch, n_stars)),
                np.ones((batch, n_stars)),
            )
        )

        @jax.jit
        def run(n_steps: jax.Array) -> jax.Array:
            state = leapfrog.start(position, velocity, mass, SOFTENING_AU)
            return leapfrog.take_steps(state, mass, n_steps, DT_YR, SOFTENING_AU).position_au

        n_steps, seconds = 1, 0.0
        jax.block_until_ready(run(n_steps))
        while seconds < at_least_s:
            n_steps *= 2
            started = time.perf_counter()
            jax.block_until_ready(run(n_steps))
            seconds = time.perf_counter() - started
    return {
        "n_stars": n_stars,
        "precision": precision,
        "clusters_per_batch": batch,
        "gint_per_s": batch * n_stars**2 * (n_steps + 1) / seconds / 1e9,
        "us_per_step": 1e6 * seconds / (n_steps + 1),
    }


def whole_job(n_clusters: int, integration: Integration) -> str:
    """A simulate job without its file: birth, steps, energies, summaries; and whether it conserves energy."""
    rng = np.random.default_rng(1)
    q0, a_au = rng.uniform(0.5, 1.5, n_clusters), rng.uniform(50, 200, n_clusters)
    started = time.perf_counter()
    clusters = simulate_clusters(q0, a_au, integration=integration)
    seconds = time.perf_counter() - started - clusters.timing_s["compile"]
    work = interactions(n_clusters, clusters.mass_msun.shape[-1], integration.n_steps)
    return (
        f"{n_clusters} clusters to {integration.t_end_yr:g} yr in {integration.precision}, "
        f"clusters_per_batch {integration.clusters_per_batch or 'null'}: compiled in "
        f"{clusters.timing_s['compile']:.1f} s, simulated in {seconds:.1f} s ({work / seconds / 1e9:.0f} Gint/s), "
        f"largest energy error {clusters.energy_error.max():.1e}"
    )


def against_the_processor(n_clusters: int) -> float:
    """Largest distance (AU) after 5 yr between the same clusters' stars on the GPU and on the CPU."""
    q0, a_au = np.linspace(0.5, 1.5, n_clusters), np.linspace(50, 200, n_clusters)
    integration = Integration(t_end_yr=5.0, snapshots=2)
    here = simulate_clusters(q0, a_au, integration=integration)
    with jax.default_device(jax.devices("cpu")[0]):
        there = simulate(Setup.of(q0, a_au, integration=integration), devices=jax.devices("cpu"))
    return float(np.abs(np.asarray(here.position_au) - np.asarray(there.position_au)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a look: small batches, few steps")
    short = parser.parse_args().short
    device = jax.local_devices()[0]
    print(f"{device.device_kind} ({device.platform}), jax {jax.__version__}", flush=True)
    stars = 2**12 if short else ACCELERATOR_STARS_PER_BATCH
    rows = []
    for precision in ("float64", "float32"):
        for n_stars in SIZES[:2] if short else SIZES:
            sizes = {max(1, int(share * stars) // n_stars) for share in (SHARES[-2:] if short else SHARES)}
            for batch in sorted(sizes):
                rows.append(integrator(n_stars, precision, batch, 0.05 if short else 0.5))
                said = "N = {n_stars} {precision}, {clusters_per_batch} clusters a batch: {gint_per_s:.0f} Gint/s"
                print(said.format(**rows[-1]), flush=True)
    table = pd.DataFrame(rows)
    RESULTS.mkdir(exist_ok=True)
    table.round(1).to_csv(RESULTS / "gpu.csv", index=False)
    print(table.round(1).to_string(index=False))
    n_clusters = 8 if short else N_DEFAULT
    chosen = batch_size(100, on_cpu=device.platform == "cpu", n_runs=n_clusters)
    for precision in ("float64", "float32"):
        for batch in (None, chosen // 4, chosen // 2) if precision == "float64" else (None,):
            followed = Integration(t_end_yr=1.0 if short else 500.0, precision=precision, clusters_per_batch=batch)
            print(whole_job(n_clusters, followed), flush=True)
    print(f"the same 64 clusters on the CPU after 5 yr: within {against_the_processor(4 if short else 64):.1e} AU")


if __name__ == "__main__":
    main()
