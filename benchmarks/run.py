"""Throughput of natal's integrator against a C loop and REBOUND, and cost against time; `make bench`.

Writes CSV files and a figure to benchmarks/results/. Codes take turns within every round, and ratios are medians over
rounds, since machines are shared and noisy.
"""

import argparse
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("NPROC", str(len(os.sched_getaffinity(0))))

import codes
import jax
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.cost import batch_size
from natal.simulation.run import simulate_clusters

RESULTS = Path(__file__).with_name("results")
SIZES = (50, 100, 256, 512, 1024, 2048, 4096)
BATCHES = (16, 64, 256)
ROUNDS = 5
TARGET_INTERACTIONS = 1.0e9
# a call of natal's program is to be long against its dispatch, as it is in a job
CALL_INTERACTIONS = 1.0e8
COLOURS = {"natal float64": "#0072B2", "natal float32": "#56B4E9", "C loop": "#000000", "REBOUND": "#D55E00"}


def measure_throughput(sizes: tuple[int, ...], batches: tuple[int, ...], rounds: int, cores: int) -> pd.DataFrame:
    """Gint/s (1e9 pair interactions a second, all N^2 counted) of every code, by N, batch and round."""
    rebound = codes.Rebound(cores)
    rows = []
    for n in sizes:
        # large clusters come in small numbers
        for batch in batches if n <= 256 else batches[:1]:
            # natal starts with a force of its own: it makes one more than it takes steps
            steps = max(2, round(TARGET_INTERACTIONS / (batch * n**2)))
            natal_steps = max(steps, round(CALL_INTERACTIONS / (batch_size(n, on_cpu=True, n_runs=batch) * n**2)))
            # REBOUND is slower and adds its particles one by one: fewer systems, more steps
            few = 2 * cores
            rebound_steps = max(2, round(0.3 * TARGET_INTERACTIONS / (few * n**2)))
            runners = {
                "natal float64": (codes.natal(n, batch, natal_steps, cores), batch, natal_steps + 1),
                "natal float32": (codes.natal(n, batch, natal_steps, cores, "float32"), batch, natal_steps + 1),
                "C loop": (codes.c_loop(n, batch, steps, cores), batch, steps),
                "REBOUND": (rebound.runner(n, few, rebound_steps), few, rebound_steps),
            }
            for timed, _, _ in runners.values():
                timed()
            for turn in range(rounds):
                for name, (timed, systems, n_steps) in runners.items():
                    rate = systems * n**2 * n_steps / timed() / 1e9
                    rows.append({"n_stars": n, "batch": batch, "round": turn, "code": name, "gint_per_s": rate})
            latest = pd.DataFrame(rows).query("n_stars == @n and batch == @batch").groupby("code").gint_per_s.median()
            print(f"N = {n}, batch {batch}: " + ", ".join(f"{k} {v:.2f}" for k, v in latest.items()), flush=True)
    rebound.close()
    return pd.DataFrame(rows)


def measure_job(
    sizes: tuple[int, ...], batches: tuple[int, ...], t_end_yr: float, rounds: int, cores: int
) -> pd.DataFrame:
    """The simulate job's own call, birth, energies and summaries included, against the bare loops.

    Every batch size is followed for the same number of interactions, that of 64 clusters over `t_end_yr`.
    """
    rebound = codes.Rebound(cores)
    rows = []
    for n in sizes:
        for batch in batches:
            length_yr = t_end_yr * 64 / batch
            steps = Integration(t_end_yr=length_yr).n_steps
            few_steps = max(2, round(TARGET_INTERACTIONS / (batch * n**2)))
            rebound_steps = max(2, round(0.3 * TARGET_INTERACTIONS / (2 * cores * n**2)))
            runners = {
                "natal job": (codes.natal_job(n, batch, length_yr), batch, steps),
                "C loop": (codes.c_loop(n, batch, few_steps, cores), batch, few_steps),
                "REBOUND": (rebound.runner(n, 2 * cores, rebound_steps), 2 * cores, rebound_steps),
            }
            for turn in range(rounds):
                for name, (timed, systems, n_steps) in runners.items():
                    rate = systems * n**2 * n_steps / timed() / 1e9
                    rows.append({"n_stars": n, "batch": batch, "round": turn, "code": name, "gint_per_s": rate})
            latest = pd.DataFrame(rows).query("n_stars == @n and batch == @batch").groupby("code").gint_per_s.median()
            speeds = ", ".join(f"{k} {v:.2f}" for k, v in latest.items())
            print(f"N = {n}, batch {batch}, {length_yr:g} yr: {speeds}", flush=True)
    rebound.close()
    return pd.DataFrame(rows)


def ratios(throughput: pd.DataFrame, ours: str, index: list[str]) -> pd.DataFrame:
    """Median over rounds of the throughput of `ours` over each other code's, by N (and batch)."""
    wide = throughput.pivot_table(index=[*index, "round"], columns="code", values="gint_per_s")
    found = pd.DataFrame({f"{ours} / {name}": wide[ours] / wide[name] for name in wide if name != ours})
    return found.groupby(index).median().reset_index()


def measure_time_scaling(ends_yr: tuple[float, ...]) -> pd.DataFrame:
    """Seconds of `simulate_clusters` for 64 clusters of 100 stars against the length of the run."""
    rows = []
    for t_end in ends_yr:
        integration = Integration(t_end_yr=t_end)
        run = simulate_clusters(np.full(64, 0.9), np.full(64, 100.0), integration=integration)
        seconds = run.timing_s["integrate"]
        rate = 64 * integration.n_steps * ClusterModel().n_stars ** 2 / seconds / 1e9
        rows.append({"t_end_yr": t_end, "steps": integration.n_steps, "seconds": seconds, "gint_per_s": rate})
        print(f"T = {t_end:g} yr: {seconds:.2f} s, {rate:.2f} Gint/s", flush=True)
    return pd.DataFrame(rows)


def draw(throughput: pd.DataFrame, scaling: pd.DataFrame) -> Figure:
    """Throughput against N (medians; one marker a batch size) and cost against T."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    median = throughput.groupby(["code", "batch", "n_stars"]).gint_per_s.median().reset_index()
    for (name, batch), part in median.groupby(["code", "batch"]):
        marker = {16: "o", 64: "s", 256: "^"}.get(batch, "d")
        label = f"{name}, batch {batch}" if name != "REBOUND" else (name if batch == median.batch.min() else None)
        left.plot(part.n_stars, part.gint_per_s, marker=marker, color=COLOURS[name], lw=1, label=label)
    left.set(xscale="log", yscale="log", xlabel="stars N", ylabel="throughput on all cores [Gint/s]")
    left.legend(fontsize=8, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    right.plot(scaling.t_end_yr, scaling.seconds, "o-", color=COLOURS["natal float64"])
    proportional = scaling.seconds.iloc[-1] * scaling.t_end_yr / scaling.t_end_yr.iloc[-1]
    right.plot(scaling.t_end_yr, proportional, "k--", lw=1, label="proportional to T")
    right.legend(fontsize=8, frameon=False)
    right.set(xscale="log", yscale="log", xlabel="length of the run T [yr]", ylabel="64 clusters of 100 stars [s]")
    return figure


def describe_machine(cores: int) -> str:
    """Processor, caches, vector instructions, and versions of what is compared; a line each."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    vectors = [flag for flag in ("avx2", "avx512f", "sve") if flag in facts.get("flags", "").split()]
    caches = [
        f"L{(index / 'level').read_text().strip()} {(index / 'size').read_text().strip()}"
        for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    ]
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "numpy", "rebound"))
    return (
        f"{facts.get('model name', platform.processor())}, {cores} cores, {', '.join(vectors)}\n"
        f"caches: {', '.join(caches)}\n"
        f"{compiler}; Python {platform.python_version()}, {versions}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="two sizes, two rounds")
    short = parser.parse_args().short
    cores = len(os.sched_getaffinity(0))
    jax.config.update("jax_num_cpu_devices", cores)
    started = time.perf_counter()
    sizes, batches, rounds = ((100, 256), (16, 64), 2) if short else (SIZES, BATCHES, ROUNDS)
    throughput = measure_throughput(sizes, batches, rounds, cores)
    # a shorter run at N = 256, where a step is seven times the work
    job = pd.concat(
        measure_job((n,), (64,) if short else BATCHES, t_end_yr, min(rounds, 3), cores)
        for n, t_end_yr in ((100, 25.0 if short else 500.0), (256, 5.0 if short else 100.0))
    )
    scaling = measure_time_scaling((5.0, 50.0) if short else (5.0, 25.0, 50.0, 125.0, 250.0, 500.0))
    kernel_ratios = ratios(throughput, "natal float64", ["n_stars", "batch"])
    job_ratios = ratios(job, "natal job", ["n_stars", "batch"])
    for table in (kernel_ratios, job_ratios):
        print(table.round(2).to_string(index=False))
    if short:
        return
    RESULTS.mkdir(exist_ok=True)
    throughput.round(4).to_csv(RESULTS / "throughput.csv", index=False)
    kernel_ratios.round(3).to_csv(RESULTS / "ratios.csv", index=False)
    job.round(4).to_csv(RESULTS / "job.csv", index=False)
    job_ratios.round(3).to_csv(RESULTS / "job_ratios.csv", index=False)
    scaling.round(4).to_csv(RESULTS / "time_scaling.csv", index=False)
    draw(throughput, scaling).savefig(RESULTS / "throughput.png", dpi=130)
    (RESULTS / "machine.txt").write_text(describe_machine(cores))
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
