"""Setting JAX up: as many CPU devices as asked for, and a compile cache that no other processor reads."""

import subprocess
import sys

import pytest

from natal.running import device

PROGRAM = """
import os, sys
import jax, jax.numpy as jnp
from natal.running import device
device.set_up(threads=2, cpu_devices=int(sys.argv[1]), cache_folder=sys.argv[2] if len(sys.argv) > 2 else None)
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((8, 8))).block_until_ready()
print(len(jax.local_devices()), os.environ["NPROC"], device.describe(), sep="|")
"""


def run(*arguments):
    """Run the program above in a fresh process; its answers."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().split("|")


@pytest.mark.parametrize("n", [1, 3])
def test_as_many_devices_as_asked_for(n):
    """And the thread pool of XLA is held to the job's threads."""
    devices, threads, described = run(n)
    assert (devices, threads) == (str(n), "2")
    assert described.startswith(f"{n} x ")


def test_the_compile_cache_fills_and_serves(tmp_path):
    """Small programs are kept, too; the next process finds them and adds none."""
    folder = tmp_path / "cache"
    run(1, folder)
    (processor,) = folder.iterdir()
    assert processor.name == device.processor()

    def kept():
        return sorted(file.name for file in processor.iterdir() if file.name.endswith("-cache"))

    first = kept()
    assert first
    run(1, folder)
    assert kept() == first


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
