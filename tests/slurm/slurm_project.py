"""Projects whose jobs go to a private Slurm, and what tests ask of them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import h5py
import numpy as np
from private_slurm import PrivateSlurm
from project import TIMEOUT_S, Project

from natal.simulation.checkpoint import HEADER_BYTES

# shards of some four seconds, with a snapshot every fifth of a second
CAMPAIGN = {
    "campaign": "faults",
    "integration": {"t_end_yr": 500, "dt_yr": 0.02, "snapshots": 21},
    "design": {"realizations": 4, "points_per_job": 4, "train": [4], "validation": [4], "test": [4], "calibration": 0},
    # the private Slurm's GPUs are made of air
    "resources": {"allow_cpu": True},
}
SHARDS = ("train0_000", "validation0_000", "test0_000")
VICTIM = SHARDS[0]
HALFWAY = 8  # of 21 snapshots
SUMMARIES = "results/faults/summaries.csv"


class Driver(subprocess.Popen):
    """A running snakemake, for which nobody waits for ever."""

    def wait(self, timeout: float | None = TIMEOUT_S) -> int:
        """Its exit code."""
        return super().wait(timeout)


class SlurmProject(Project):
    """A copy of the project whose jobs go to a private Slurm, by the shipped profile."""

    def __init__(self, folder: Path, cache: Path, slurm: PrivateSlurm, config: dict) -> None:
        super().__init__(folder, cache, config)
        self.slurm = slurm
        self._fill_in_account()
        self._drivers: list[Driver] = []

    def _fill_in_account(self) -> None:
        """What docs/howto/slurm.md asks every user to do: account and partition."""
        profile = self.folder / "profiles" / "slurm" / "config.yaml"
        text = profile.read_text()
        for old, new in (
            ("# default-resources:", "default-resources:"),
            ("#   slurm_account: my_account", "  slurm_account: test"),
            ("#   slurm_partition: cpu ", "  slurm_partition: main "),
        ):
            assert old in text
            text = text.replace(old, new)
        profile.write_text(text)

    def start(
        self,
        *arguments: str,
        changes: dict | None = None,
        around: Sequence[str] = (),
        more_environment: dict[str, str] | None = None,
    ) -> Driver:
        """Start snakemake in the background, by a program around it if told; its output is in driver.log."""
        more = ("--slurm-init-seconds-before-status-checks", "1")
        command = [*around, *self.command("profiles/slurm", *arguments, *more, changes=changes)]
        with open(self.folder / "driver.log", "a") as log:
            driver = Driver(
                command,
                cwd=self.folder,
                env=self.environment | self.slurm.environment | (more_environment or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._drivers.append(driver)
        return driver

    def finish(self, *arguments: str, changes: dict | None = None) -> str:
        """Run snakemake until it ends well; returns what it printed."""
        before = len(self.output)
        assert self.start(*arguments, changes=changes).wait() == 0, self.output[before:]
        return self.output[before:]

    @property
    def output(self) -> str:
        """Everything that snakemake printed so far."""
        log = self.folder / "driver.log"
        return log.read_text() if log.exists() else ""

    def log(self, shard: str) -> str:
        """The log of a shard's simulate job."""
        path = self.folder / "logs" / self.campaign / "simulate" / f"{shard}.log"
        return path.read_text() if path.exists() else ""

    def checkpoint(self, shard: str) -> Path:
        """A shard's checkpoint file."""
        return self.results() / "simulations" / f"{shard}.checkpoint"

    def shard(self, shard: str) -> Path:
        """A shard's file."""
        return self.results() / "simulations" / f"{shard}.h5"

    def wait_for_snapshots(self, shard: str, n: int) -> int:
        """Wait until a job has written `n` snapshots; returns its process id."""
        self.wait_for(lambda: self.snapshots()[shard] >= n, f"{n} snapshots of {shard}")
        return self.process_of(self.checkpoint(shard))

    def wait_for_first(self, shards: Collection[str], n: int) -> tuple[str, int]:
        """Wait until one of several shards has `n` snapshots; returns its name and its job's process id."""
        reached: list[str] = []

        def is_one_there() -> bool:
            snapshots = self.snapshots()
            reached[:] = [shard for shard in shards if snapshots[shard] >= n]
            return bool(reached)

        self.wait_for(is_one_there, f"{n} snapshots of one of {shards}")
        return reached[0], self.process_of(self.checkpoint(reached[0]))

    def assert_as_undisturbed(self, undisturbed: Path) -> None:
        """The table is the undisturbed one, byte for byte, and every checkpoint is gone."""
        assert (self.folder / SUMMARIES).read_bytes() == (undisturbed / "summaries.csv").read_bytes()
        left = sorted(path.name for path in (self.results() / "simulations").iterdir())
        left = [name for name in left if not name.endswith((".set-aside", ".json"))]
        assert left == sorted(f"{shard}.h5" for shard in SHARDS)

    def assert_shards_as_undisturbed(self, undisturbed: Path, *shards: str) -> None:
        """Every array of some shards is the undisturbed one, bit for bit; there are no other shards."""
        for shard in shards:
            found, expected = _arrays(self.shard(shard)), _arrays(undisturbed / "simulations" / f"{shard}.h5")
            assert len(expected) > 3
            assert found == expected
        assert {path.stem for path in (self.results() / "simulations").glob("*.h5")} == set(shards)

    def snapshots(self) -> dict[str, int]:
        """How many snapshots are in each shard's checkpoint."""
        paths = {shard: self.checkpoint(shard) for shard in SHARDS}
        return {shard: _n_snapshots(path) if path.exists() else 0 for shard, path in paths.items()}

    def n_jobs(self) -> dict[str, int]:
        """How many jobs each shard has had."""
        return {shard: len(self.jobs_of(shard)) for shard in SHARDS}

    def wait_for(self, condition, what: str, timeout_s: float = 180) -> None:
        """Poll a condition."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what}:\n{self.output[-3000:]}"
            time.sleep(0.1)

    @staticmethod
    def process_of(path: Path) -> int:
        """The process that has a file open."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if any(os.readlink(link) == str(path) for link in (folder / "fd").iterdir()):
                    return int(folder.name)
            except OSError:
                continue
        raise AssertionError(f"no process has {path} open")

    def resumed_from(self, shard: str) -> int:
        """The snapshot that a shard's last job says it went on from; 0 if it began anew."""
        found = re.search(r"resuming from snapshot (\d+) of", self.log(shard))
        return int(found.group(1)) if found else 0

    def slurm_log(self, shard: str, job_id: str) -> str:
        """What a failed job printed."""
        return (self.folder / "logs" / "slurm" / "rule_simulate" / shard / f"{job_id}.log").read_text()

    def status(self) -> str:
        """What `make status` prints."""
        command = [sys.executable, "-m", "natal.cli", "status", "--configfile", "tiny.yaml"]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self, *, duplicates: bool = False) -> list[dict[str, str]]:
        """What accounting says of this project's jobs."""
        mine = set(re.findall(r"submitted with SLURM jobid (\d+)", self.output))
        return [job for job in self.slurm.jobs(duplicates=duplicates) if job["JobID"] in mine]

    def jobs_of(self, shard: str, *, duplicates: bool = False) -> list[dict[str, str]]:
        """What accounting says of a shard's jobs."""
        comment = f"rule_simulate_wildcards_{shard}"
        return [job for job in self.jobs(duplicates=duplicates) if job["Comment"] == comment]

    def stop(self) -> None:
        """End what a failed test left running."""
        for driver in self._drivers:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
                driver.wait()
        self.slurm.run("scancel", "--user=root", check=False)
        self.slurm.wait_until_idle()


def _arrays(path: Path) -> dict[str, tuple[str, bytes]]:
    """Type and bytes of all arrays of an HDF5 file."""
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: (str(item.dtype), np.asarray(item).tobytes())})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return arrays


def _n_snapshots(path: Path) -> int:
    # 16 runs of 100 stars, seven numbers each, and a little
    return max(0, path.stat().st_size - HEADER_BYTES) // (16 * 100 * 7 * 8)
