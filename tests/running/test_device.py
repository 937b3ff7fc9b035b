"""Setting JAX up: as many CPU devices as asked for, and a compile cache that no other processor reads."""

import os
import platform
import subprocess
import sys

import jax
import pytest

from natal.errors import NatalError
from natal.running import device

PROGRAM = """
import os, sys
import jax, jax.numpy as jnp
from natal.running import device
device.set_up(threads=2, cpu_devices=int(sys.argv[1]), cache_folder=sys.argv[2] if len(sys.argv) > 2 else None)
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((8, 8))).block_until_ready()
print(len(jax.local_devices()), os.environ["NPROC"], device.describe(), os.environ.get("NATAL_PROGRAMS"), sep="|")
"""


def run(*arguments, **environment):
    """Run the program above in a fresh process; its answers."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    own = {name: value for name, value in os.environ.items() if name != "NATAL_PROGRAMS"} | environment
    return subprocess.run(command, env=own, check=True, capture_output=True, text=True).stdout.strip().split("|")


@pytest.mark.parametrize("n", [1, 3])
def test_as_many_devices_as_asked_for(n):
    """And the thread pool of XLA is held to the job's threads."""
    devices, threads, described, programs = run(n)
    assert (devices, threads, programs) == (str(n), "2", "None")
    assert described.startswith(f"{n} x ")


def test_the_compile_cache_fills_and_serves(tmp_path):
    """Small programs are kept, too; the next process finds them and adds none."""
    folder = tmp_path / "cache"
    *_, programs = run(1, folder)
    (processor,) = folder.iterdir()
    # traced ones have a place there, too
    assert programs == str(processor / "traced")
    assert processor.name == device.processor()

    def kept():
        return sorted(file.name for file in processor.iterdir() if file.name.endswith("-cache"))

    first = kept()
    assert first
    *_, programs = run(1, folder, NATAL_PROGRAMS="elsewhere")
    assert programs == "elsewhere"
    assert kept() == first


@pytest.mark.parametrize(
    ("gpu", "wanted", "expected"),
    [(False, None, "cpu"), (False, "", "cpu"), (True, None, None), (False, "cpu,cuda", None), (True, "cpu", None)],
)
def test_only_a_job_that_simulates_looks_for_a_gpu(monkeypatch, no_trace, gpu, wanted, expected):
    """Unless its user says where to compute: then JAX does what it is told."""
    if wanted is None:
        monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    else:
        monkeypatch.setenv("JAX_PLATFORMS", wanted)
    changes = {}
    monkeypatch.setattr(device.jax.config, "update", changes.__setitem__)
    device.set_up(threads=2, gpu=gpu, cache_folder=None)
    assert changes.get("jax_platforms") == expected


@pytest.mark.parametrize(("given", "expected"), [(None, "false"), ("true", "true")])
def test_a_job_leaves_memory_of_the_gpu_to_others(monkeypatch, no_trace, given, expected):
    """Unless its user says otherwise."""
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    if given:
        monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", given)
    monkeypatch.setattr(device.jax.config, "update", lambda *_: None)
    device.set_up(threads=2, cache_folder=None)
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == expected


INTEL = "processor\t: 0\nmodel name\t: Xeon 8480\nflags\t\t: fpu avx2 avx512f\ncpu MHz\t\t: 2000.0\n"


@pytest.fixture
def name_of(tmp_path, monkeypatch):
    """The cache folder's name on a machine with a given description of its processors."""

    def name_of(cpuinfo):
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        monkeypatch.setattr(device, "Path", lambda _: tmp_path / "cpuinfo")
        return device.processor()

    return name_of


def test_another_processor_has_another_cache(name_of):
    """Compiled code holds a processor's instructions: another model or instruction set is kept apart."""
    names = {name_of(INTEL), name_of(INTEL.replace("8480", "6248")), name_of(INTEL.replace(" avx512f", ""))}
    names.add(name_of("processor\t: 0\nFeatures\t: fp asimd sve\nCPU part\t: 0xd40\n"))
    assert len(names) == 4


def test_the_same_processor_has_the_same_cache(name_of):
    """However many cores it has, and at whatever clock they run."""
    assert name_of(INTEL) == name_of(INTEL + INTEL.replace("processor\t: 0", "processor\t: 1"))
    assert name_of(INTEL) == name_of(INTEL.replace("2000.0", "3800.0"))


def test_a_machine_without_a_description_still_has_a_name(monkeypatch, tmp_path):
    """As on systems without /proc."""
    monkeypatch.setattr(device, "Path", lambda _: tmp_path / "not there")
    assert device.processor()


def trouble_of(monkeypatch, *, gpu=True, allow_cpu=False, **environment):
    """What a job says that is set up on this machine without GPUs, None if it goes on."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        device.set_up(threads=2, cpu_devices=2, cache_folder=None, gpu=gpu, allow_cpu=allow_cpu)
    except NatalError as error:
        return str(error)


@pytest.fixture
def no_trace(monkeypatch):
    """What a job changes in its own process."""
    for name in ("NPROC", "XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(device, "optimise_little", lambda: None)
    platforms = jax.config.jax_platforms
    yield
    jax.config.update("jax_platforms", platforms)


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize("given", [{"SLURM_GPUS_ON_NODE": "1"}, {"SLURM_STEP_GPUS": "0"}, {"SLURM_JOB_GPUS": "2,3"}])
def test_a_job_that_was_given_a_gpu_does_not_compute_without(monkeypatch, given):
    """Unless that is what its user wants; one line names the node, what was found, and what to look at."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    line = trouble_of(monkeypatch, **given)
    assert line.startswith(f"node {platform.node()}: Slurm gave this job a GPU, but JAX found 2 x cpu (cpu) only")
    assert "CUDA_VISIBLE_DEVICES: 0" in line
    assert "nvidia-smi" in line
    assert "resources.allow_cpu: true" in line
    assert trouble_of(monkeypatch, allow_cpu=True, **given) is None
    # one that does not use it says so
    said = []
    monkeypatch.setattr(device.log, "info", said.append)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert trouble_of(monkeypatch, gpu=False, **given) is None
    assert "does not use" in "".join(said)


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize(
    "given", [{}, {"SLURM_GPUS_ON_NODE": "0", "SLURM_JOB_GPUS": ""}, {"CUDA_VISIBLE_DEVICES": "0"}]
)
def test_a_job_without_a_gpu_computes_on_processors(monkeypatch, given):
    """What a login node's environment says of its own GPUs is no gift of Slurm's."""
    assert trouble_of(monkeypatch, **given) is None


@pytest.mark.usefixtures("no_trace")
@pytest.mark.parametrize(
    ("error", "said"), [(AssertionError(), "nothing there"), (RuntimeError("no\n cuda"), "no cuda")]
)
def test_no_device_at_all_is_one_line(monkeypatch, error, said):
    """JAX_PLATFORMS=cuda where there is none ends in an assertion of JAX's."""

    def refuse():
        raise error

    monkeypatch.setattr(device.jax, "local_devices", refuse)
    line = trouble_of(monkeypatch, JAX_PLATFORMS="cuda")
    assert f"JAX finds no device with JAX_PLATFORMS='cuda' ({said}" in line
    assert "\n" not in line


SETTLED = """
import natal.posterior.recovery, natal.likelihood.density, natal.emulator.training
from natal.errors import NatalError
from natal.running import device
import logging, jax, jax.numpy as jnp
logging.basicConfig(format="%(message)s", level="WARNING")
device.set_up(threads=1, cache_folder=None)
print(jnp.ones(1).dtype, jnp.ones(2, "int32") + jnp.ones(2, "float32"), jnp.log(-jnp.ones(1)), jax.random.key(0))
"""


@pytest.mark.slow
def test_a_users_settings_of_jax_change_no_result():
    """Each that is not followed is named; and natal's modules can be imported all the same."""
    given = {"JAX_ENABLE_X64": "1", "JAX_DEBUG_NANS": "1", "JAX_NUMPY_DTYPE_PROMOTION": "strict"}
    given |= {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_RANDOM_SEED_OFFSET": "5"}
    answers = []
    for more in ({}, given):
        command = [sys.executable, "-c", SETTLED]
        done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=True)
        answers.append(done.stdout)
        assert {line.partition("=")[0] for line in done.stderr.splitlines() if "not followed" in line} == set(more)
    assert answers[0] == answers[1]
