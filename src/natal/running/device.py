"""Sets JAX up for a job: devices, cache of compiled programs. To be called before the first computation."""

import hashlib
import logging
import os
import platform
from pathlib import Path
from typing import Any

import jax

from natal.compiling import optimise_little
from natal.errors import NatalError

log = logging.getLogger("natal")

COMPILE_CACHE = Path(".cache") / "jax"
"""Compiled programs of all jobs that run in a folder."""

SETTLED: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_enable_custom_prng": False,
    "jax_legacy_prng_key": "allow",
    "jax_softmax_custom_jvp": False,
    "jax_default_device": None,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_check_tracer_leaks": False,
    "jax_transfer_guard": None,
}
"""Settings of JAX that results depend on, or that end a job which is in order: JAX's defaults, whatever a user has
set."""


def set_up(
    *,
    threads: int,
    cpu_devices: int = 1,
    cache_folder: str | Path | None = COMPILE_CACHE,
    gpu: bool = False,
    allow_cpu: bool = True,
) -> None:
    """Hold JAX to some threads, split into CPU devices, and give it a cache of what it compiles.

    Work that splits into independent parts runs best with one device a core, a single program with one device and all
    threads; accelerators are not affected. Each type of processor has a cache of its own, since compiled code holds its
    instructions. Settings of JAX that results depend on are JAX's defaults: the log names those of the user's
    environment that are not followed.

    Args:
        threads: That computations may use.
        cpu_devices: Devices that the CPU is split into.
        cache_folder: Of compiled programs; None for none.
        gpu: Whether to compute on a GPU if there is one. A user's own `JAX_PLATFORMS` is followed in any case.
        allow_cpu: Whether a job that was given a GPU may compute without one.

    Raises:
        NatalError: JAX finds no device, or no GPU where Slurm gave one.
    """
    logging.getLogger("jax").setLevel(logging.WARNING)
    # XLA sizes its thread pool by this variable when it starts; jobs side by side must not use each other's cores
    os.environ["NPROC"] = str(threads)
    # by itself JAX takes three quarters of a GPU's memory when it starts; jobs side by side share the GPU
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    optimise_little()
    jax.config.update("jax_num_cpu_devices", cpu_devices)
    if not gpu and not os.environ.get("JAX_PLATFORMS"):
        jax.config.update("jax_platforms", "cpu")
        if _slurm_gave_gpu():
            log.info("Slurm gave this job a GPU, which it does not use: only jobs that simulate do")
    if cache_folder is not None:
        folder = Path(cache_folder).absolute() / processor()
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        # natal.posterior.programs reads it, which jobs know nothing of; a user's own value stays
        os.environ.setdefault("NATAL_PROGRAMS", str(folder / "traced"))
    _settle()
    _check_devices(allow_cpu=allow_cpu or not gpu)


def _settle() -> None:
    for name, value in SETTLED.items():
        found = getattr(jax.config, name, value)
        # some settings are enumerations
        if getattr(found, "value", found) != value:
            log.warning(
                "%s=%s is not followed: results depend on it (natal computes with %s)", name.upper(), found, value
            )
            jax.config.update(name, value)


def _check_devices(*, allow_cpu: bool) -> None:
    node = platform.node()
    try:
        devices = jax.local_devices()
    except (RuntimeError, AssertionError) as error:
        # JAX's message is empty if a platform is not there at all
        said = " ".join(str(error).split()) or "nothing there that computes"
        kinds = os.environ.get("JAX_PLATFORMS", "")
        raise NatalError(
            f"node {node}: JAX finds no device with JAX_PLATFORMS={kinds!r} ({said}); unset JAX_PLATFORMS, or look at "
            "nvidia-smi there"
        ) from None
    if devices[0].platform == "cpu" and _slurm_gave_gpu() and not allow_cpu:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise NatalError(
            f"node {node}: Slurm gave this job a GPU, but JAX found {describe()} only (CUDA_VISIBLE_DEVICES: "
            f"{visible}); look at nvidia-smi there (driver 525 or newer) and at the environment (make env-cuda12), or "
            "set resources.allow_cpu: true to compute on CPUs"
        )


def _slurm_gave_gpu() -> bool:
    """Whether Slurm gave this job step a GPU: by the number of GPUs, or, if that is not set, by their indices."""
    given = [os.environ.get(f"SLURM_{name}", "") for name in ("GPUS_ON_NODE", "STEP_GPUS", "JOB_GPUS")]
    return given[0] != "0" and any(given)


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
    """A short name for this type of processor: architecture and a digest of its model and instruction sets."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else [platform.processor()]
    kind = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    text = "\n".join(dict.fromkeys(kind)) or "\n".join(lines)
    return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
