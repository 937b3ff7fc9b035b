"""Sets JAX up for a job: devices, compile cache. Call before the first computation."""

import hashlib
import logging
import os
import platform
from pathlib import Path

import jax

from natal.compiling import optimise_little

COMPILE_CACHE = Path(".cache") / "jax"
"""Compiled programs of all jobs that run in a folder."""


def set_up(*, threads: int, cpu_devices: int = 1, cache_folder: str | Path | None = COMPILE_CACHE) -> None:
    """Hold JAX to `threads` threads, split into `cpu_devices` CPU devices, and give it a cache of what it compiles.

    Work that splits into independent parts runs best with one device a core, a single program with one device and
    all threads; accelerators are not affected. The cache is kept apart for every processor type, since compiled
    code holds its instructions.
    """
    logging.getLogger("jax").setLevel(logging.WARNING)
    # XLA sizes its thread pool by this variable when it starts; jobs side by side must not use each other's cores
    os.environ["NPROC"] = str(threads)
    optimise_little()
    jax.config.update("jax_num_cpu_devices", cpu_devices)
    if cache_folder is not None:
        folder = Path(cache_folder).absolute() / processor()
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def on_cpu() -> bool:
    """Whether computations run on a CPU."""
    platform: str = jax.local_devices()[0].platform
    return platform == "cpu"


def describe() -> str:
    """One line on the devices in use."""
    devices = jax.local_devices()
    return f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"


def kind() -> str:
    """The kind of processor that computes: results are the same bit for bit on one kind."""
    device = jax.local_devices()[0]
    return processor() if device.platform == "cpu" else device.device_kind


def processor() -> str:
    """A short name for this processor type: architecture and a digest of its model and instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else [platform.processor()]
    kind = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    text = "\n".join(dict.fromkeys(kind)) or "\n".join(lines)
    return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
