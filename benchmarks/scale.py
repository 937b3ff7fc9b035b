"""What a campaign of many shards costs beside its simulations; `make bench-scale`.

Fabricates shards (whole and sealed, of made-up clusters) and prints and writes to benchmarks/results/scale.csv, for
each number of shards and for a hypercube or a `design.table`: seconds, and how many shard files Python opens or looks
at (`stat`), of dry runs before and after the simulations, of one simulate job's own start, and of gathering
summaries.csv. HDF5's own opens are one a shard more when summaries.csv is gathered.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import yaml

from natal.campaign import plan
from natal.campaign.design import make_design
from natal.files.sealed import read_seal, write_seal
from natal.provenance.digests import stage_digest, with_more_settings
from natal.provenance.environment import made_by
from natal.simulation.clusters import SimulatedClusters, SummaryTracks
from natal.simulation.shard_files import write_shard
from natal.simulation.shard_format import SUMMARY_DATASETS
from natal.variables import BIRTH

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
CAMPAIGN = "scale"
SUMMARIES = f"results/{CAMPAIGN}/summaries.csv"
OBSERVABLES = f"results/{CAMPAIGN}/observables.csv"
SIMULATIONS = Path("results", CAMPAIGN, "simulations")

POINTS_PER_SHARD = 4
SMALL: dict[str, Any] = {
    "campaign": CAMPAIGN,
    "cluster": {"n_stars": 8},
    "integration": {"t_end_yr": 20, "snapshots": 3},
    "design": {"realizations": 2, "points_per_job": POINTS_PER_SHARD, "validation": [1], "test": [1], "calibration": 0},
}

COUNTER = """
import atexit, os, sys
opened, looked = 0, 0
def hook(event, arguments):
    global opened
    if event == "open" and "scale" in str(arguments[0]) and "simulations" in str(arguments[0]):
        opened += 1
def looking(look):
    def counted(path, *arguments, **more):
        global looked
        looked += "scale" in str(path) and "simulations" in str(path)
        return look(path, *arguments, **more)
    return counted
sys.addaudithook(hook)
os.stat, os.lstat = looking(os.stat), looking(os.lstat)
def note():
    with open(os.environ["NATAL_COUNTS"], "a", encoding="utf-8") as file:
        file.write(f"{opened} {looked}\\n")
atexit.register(note)
"""
"""A `sitecustomize`: each process notes, at its end, how many shard files it opened and looked at (from Python)."""


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` laid over it, key by key."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}


class Campaign:
    """A campaign of fabricated shards in a folder."""

    def __init__(self, folder: Path, n_shards: int, design: str) -> None:
        self.folder = folder
        n_points = n_shards * POINTS_PER_SHARD
        changes: dict[str, Any] = {"train": [n_points - 2 * POINTS_PER_SHARD]}
        if design == "table":
            rng = np.random.default_rng(2)
            table = pd.DataFrame({"q0": rng.uniform(0.5, 1.5, n_points), "a_au": rng.uniform(50, 200, n_points)})
            table["split"] = np.where(np.arange(n_points) < 2, ["validation", "test"] * (n_points // 2), "train")
            table.to_csv(folder / "table.csv", index=False)
            changes = {"table": "table.csv"}
        given = merged(SMALL, {"design": changes})
        (folder / "scale.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
        default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
        self.config = merged(default, given)
        if design == "table":
            # also for who does not run here
            self.config["design"]["table"] = str(folder / "table.csv")
        (folder / "counter").mkdir()
        (folder / "counter" / "sitecustomize.py").write_text(COUNTER, encoding="utf-8")

    def fabricate(self) -> None:
        """Write every shard as its job would: the first of each size, and others as copies with their own values."""
        design = make_design(self.config).set_index("point_id", drop=False)
        recipe = plan.recipes(self.config)
        script = str(ROOT / "workflow" / "scripts" / "simulate" / "simulate.py")
        keys = ("seed", "cluster", "integration")
        shared = stage_digest(script, {key: self.config[key] for key in keys})
        # to look up versions takes as long as to write
        common = made_by("")
        written: dict[tuple[int, int], Path] = {}
        for shard in plan.shards(self.config).values():
            settings = {"points": recipe(shard), "ids": shard.point_ids}
            settings["realizations"] = [shard.first_realization, shard.n_realizations]
            attributes = common | {
                "digest": with_more_settings(shared, settings),
                "stem": "0" * 16,
                "threads": 1,
                "interactions": 1e9,
                "started_unix_s": time.time(),
                **dict.fromkeys(("compile_time_s", "integrate_time_s", "wall_time_s"), 1.0),
            }
            points, path = design.loc[shard.point_ids], self.folder / SIMULATIONS / f"{shard.name}.h5"
            size = shard.n_points, shard.n_realizations
            if size in written:
                self._copy(written[size], path, points, attributes)
            else:
                written[size] = path
                write_shard(path, points, shard.n_realizations, self._clusters(shard), attributes)

    def _copy(self, source: Path, path: Path, points: pd.DataFrame, attributes: dict[str, Any]) -> None:
        shutil.copyfile(source, path)
        rng = np.random.default_rng(int(points.point_id.iloc[0]))
        with h5py.File(path, "r+") as file:
            file.attrs["digest"] = attributes["digest"]
            for name in ("point_id", *BIRTH):
                file[name][:] = points[name].to_numpy()
            dispersion = file[SUMMARY_DATASETS["sigma_v_kms"]]
            dispersion[:] = rng.uniform(0.5, 1.0, dispersion.shape)
        own = {"first_id": int(points.point_id.iloc[0]), "digest": attributes["digest"]}
        write_seal(path, read_seal(source) | own)

    def _clusters(self, shard: plan.Shard) -> SimulatedClusters:
        n_stars, n_times = self.config["cluster"]["n_stars"], self.config["integration"]["snapshots"]
        rng = np.random.default_rng(shard.first_id)
        vectors, each = (shard.n_runs, n_times, n_stars, 3), (shard.n_runs, n_times)
        summaries = {
            "f_bound": np.full(each, 0.75),
            "sigma_v_kms": rng.uniform(0.5, 1.0, each),
            "r_h_au": rng.uniform(100, 200, each),
            "n_bound": np.full(each, 6, np.int32),
            "dissolved": np.zeros(each, bool),
        }
        return SimulatedClusters(
            time_yr=np.linspace(0, self.config["integration"]["t_end_yr"], n_times),
            position_au=rng.normal(size=vectors),
            velocity_au_yr=rng.normal(size=vectors),
            mass_msun=np.ones((shard.n_runs, n_stars)),
            kinetic_energy=np.ones(each),
            potential_energy=np.full(each, -1.0),
            summaries=SummaryTracks(summaries),
        )

    def call(self, what: str, *arguments: str, quiet: tuple[str, ...] = ("--quiet",)) -> dict[str, Any]:
        """Run snakemake; what it took. Snakemake advises quiet dry runs for very large workflows."""
        counts = self.folder / "counts.txt"
        counts.unlink(missing_ok=True)
        # a shard's code and the default profile are this checkout's
        environment = os.environ | {"NATAL_COUNTS": str(counts)}
        environment["PYTHONPATH"] = os.pathsep.join([str(self.folder / "counter"), str(ROOT / "src")])
        command = [
            sys.executable,
            "-m",
            "snakemake",
            *arguments,
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--directory",
            ".",
        ]
        command += ["--profile", str(ROOT / "profiles" / "local"), *quiet]
        started, before = time.perf_counter(), _cpu_s_of_children()
        done = subprocess.run(
            [*command, "--configfile", "scale.yaml"], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - started
        cpu_s = _cpu_s_of_children() - before
        if done.returncode:
            sys.exit(f"{what}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        noted = np.loadtxt(counts, int, ndmin=2)
        opens, stats = noted.sum(axis=0)
        return {"what": what, "s": seconds, "cpu_s": cpu_s, "processes": len(noted), "opens": opens, "stats": stats}


def _cpu_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(n_shards: int, design: str) -> list[dict[str, Any]]:
    """One row for each thing that is done with a campaign of so many shards."""
    with tempfile.TemporaryDirectory() as name:
        campaign = Campaign(Path(name), n_shards, design)
        rows = [campaign.call("dry run, nothing there", SUMMARIES, "-n")]
        rows.append(campaign.call("dry run, nothing there, each job told", SUMMARIES, "-n", quiet=()))
        campaign.fabricate()
        rows.append(campaign.call("dry run, all shards there", SUMMARIES, "-n"))
        rows.append(campaign.call("dry run again", SUMMARIES, "-n"))
        (shard,) = (name for name in list(plan.shards(campaign.config))[:1])
        lone = ["--allowed-rules", "simulate", "--mode", "subprocess", "--target-jobs", f"simulate:shard={shard}"]
        rows.append(campaign.call("a job's own start", *lone, "-n"))
        rows.append(campaign.call("gather", SUMMARIES))
        rows.append(campaign.call("see along three lines of sight", OBSERVABLES))
    return [{"shards": n_shards, "design": design, **row} for row in rows]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, nargs="+", default=[1000, 16000])
    parser.add_argument("--designs", nargs="+", default=["hypercube", "table"])
    given = parser.parse_args()
    rows = []
    for n_shards in given.shards:
        for design in given.designs:
            rows += measure(n_shards, design)
            table = pd.DataFrame(rows)
            print(table.round(1).to_string(index=False), flush=True)
    RESULTS.mkdir(exist_ok=True)
    table.round(2).to_csv(RESULTS / "scale.csv", index=False)


if __name__ == "__main__":
    main()
