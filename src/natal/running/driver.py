"""What the process that plans and submits a campaign's jobs does around them.

It sees to it that only one such process works on a campaign, and that it starts from whole files.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from natal.campaign import plan
from natal.campaign.inventory import (
    Seal,
    find_stale,
    inspect_shards,
    keep_earlier,
    read_layout,
    set_aside,
    write_layout,
)
from natal.campaign.outlook import cost_line, step_lines
from natal.errors import NatalError
from natal.provenance.comparing import Recorded
from natal.running import snakemake_internals
from natal.running.lock import lock_campaign
from natal.running.slurm import accounting_is_off, cancel_orphans, note_run
from natal.running.slurm_states import Watch

ANSWERS = {"catalogue", "observe", "observed"}
"""Rules that answer for a user's own clusters."""

SNAKEMAKE = Path(".snakemake")
"""Snakemake's own files, where it runs."""

CLOCK_S = 60
"""Seconds that clocks of machines may differ without a warning."""

MENDED = "NATAL_MENDED"
"""Environment variable of a call that began anew because a shard was found to be damaged."""


@dataclass
class Driver:
    """Prepares the plan of one campaign's jobs and their start."""

    workflow: Any
    """Snakemake's, still without a plan."""
    config: dict[str, Any]
    """The campaign's configuration, checked."""
    results: Path
    """The campaign's folder."""
    shards: Mapping[str, plan.Shard]
    """Its simulate jobs by name."""
    digest: Callable[[str], str]
    """Digest of a shard's code and settings, by its name."""
    stem: Callable[[str], str]
    """Digest of what the shard's clusters are, by its name."""
    emulator: list[Path]
    """What an answer for own clusters is made from."""
    runs_in_time: Callable[[], int]
    """How many clusters a job of `design.job_minutes` simulates."""

    def __post_init__(self) -> None:
        self._simulations = self.results / "simulations"
        self._seals: dict[str, Seal] = {}
        self._damaged: dict[Path, str] = {}
        self._aside: set[Path] = set()
        snakemake_internals.around_planning(self.workflow, self._prepare, self._check_answers, self._refuse)

    def start(self) -> None:
        """Move damaged files out of the way, and note this run so that the next one can find its jobs.

        Call it before the first job.
        """
        snakemake_internals.mend_signals(self.workflow)
        try:
            set_aside(self._damaged)
            self._aside = self._set_aside()
            keep_earlier(self._simulations, self._seals, self.stem, self.digest)
            if run := snakemake_internals.slurm_run(self.workflow):
                note_run(self.results, run)
                snakemake_internals.mend_slurm_plugin(self.workflow, Watch(has_accounting=not accounting_is_off()))
        except OSError as trouble:
            sys.exit(f"{self.results} cannot be written: {trouble}")

    def fail(self) -> None:
        """After a run with errors: begin anew, once, if a shard that had looked whole was found to be damaged."""
        found = sorted(path.name for path in self._set_aside() - self._aside)
        if found and MENDED not in os.environ:
            print(f"natal: starting again without these damaged files: {', '.join(found)}", file=sys.stderr, flush=True)
            os.environ[MENDED] = "1"
            snakemake_internals.run_again()

    def _set_aside(self) -> set[Path]:
        return set(self._simulations.glob("*.h5.set-aside*"))

    def _prepare(self) -> None:
        """Before jobs are planned: lock the campaign, empty the queue of earlier runs, check every file."""
        snakemake_internals.plan_without_cache(self.workflow)
        snakemake_internals.hasten_planning(self.workflow)
        try:
            runs = snakemake_internals.runs_jobs(self.workflow)
            if runs:
                lock_campaign(self.results)
                self._check_writable()
                cancel_orphans(self.results)
                # jobs read the layout, so that they plan the same
                write_layout(
                    self._simulations, plan.layout(self.config, read_layout(self._simulations), self.runs_in_time)
                )
            made = snakemake_internals.outputs(self.workflow)
            shards = (self._simulations / f"{name}.h5" for name in self.shards)
            self._mend_dates([*shards, *(file for _, files in made.values() for file in files)], runs)
            self._seals, self._damaged = inspect_shards(self._simulations, self.shards.values())
            self._say_what_it_takes()
            self._find_what_is_not_as_it_should_be(made)
        except NatalError as mistake:
            sys.exit(str(mistake))
        except OSError as trouble:
            sys.exit(f"{self.results} cannot be checked: {trouble}")

    def _say_what_it_takes(self) -> None:
        cores = snakemake_internals.local_cores(self.workflow)
        for line in (*step_lines(self.config), cost_line(self.config, self.results, self.shards, cores)):
            print(line, file=sys.stderr, flush=True)

    def _check_writable(self) -> None:
        """Raise `NatalError` naming the first folder in which jobs could write nothing, such as a colleague's."""
        logs = Path("logs") / self.results.name
        made = [self._simulations, self.results / "emulator", self.results, logs, SNAKEMAKE, Path(".cache")]
        there = [Path(folder) for top in (self.results, logs) for folder, *_ in os.walk(top)]
        there += [path for path in SNAKEMAKE.glob("*") if path.is_dir()]
        for path in (next(path for path in (folder, *folder.parents) if path.exists()) for folder in (*made, *there)):
            if not os.access(path, os.W_OK | os.X_OK):
                said = f"{path} cannot be written: it belongs to {_owner(path)}, and jobs would fail there"
                raise NatalError(f"{said}; let its group write (docs/howto/slurm.md, two people)")

    def _find_what_is_not_as_it_should_be(self, made: Mapping[str, tuple[str | None, list[Path]]]) -> None:
        """Name files that are damaged or stale: Snakemake looks at dates and its own records only."""
        lines = find_stale(self._simulations, self._seals, self.digest, is_explained=self._is_recorded_as_stale)
        lines |= self._damaged
        sealed = {self._simulations / f"{name}.h5": str(seal["sha256"]) for name, seal in self._seals.items()}
        recorded = Recorded(self.results, sealed)
        for digest, files in made.values():
            for file in files:
                if digest and file.is_relative_to(self.results) and (line := self._line(recorded, file, digest)):
                    lines[file] = line
        for line in dict.fromkeys(lines.values()):
            print(f"natal: {line}", file=sys.stderr, flush=True)
        # also if what was made from them is there and up to date
        snakemake_internals.make_again(self.workflow, lines)
        recorded.keep_checksums()

        # if the simulations are gone, their emulator is not trained again because of a date
        alone = None if (self.results / "summaries.csv").exists() else True

        def is_same(rule: str, file: Path) -> bool | None:
            same = recorded.is_made_from(made[rule][1], file) if rule in made else None
            return alone if same is None else same

        def is_known(file: Path) -> bool:
            return file.parent == self._simulations

        snakemake_internals.judge_inputs(is_same, is_known)

    def _line(self, recorded: Recorded, file: Path, digest: str) -> str | None:
        """What is wrong with an output, if its record tells it and Snakemake does not see it."""
        whole = recorded.describes(file)
        if whole is False:
            return f"{file} is not as it was written: it is made again"
        if whole is None or (changed := recorded.difference(file, digest)) is None:
            return None
        if snakemake_internals.recorded_params(self.workflow, file) is not None:
            return None
        return f"{file} was made with other settings or code ({', '.join(changed)}): it is made again"

    def _mend_dates(self, files: list[Path], runs: bool) -> None:
        """Set dates in the future to now: Snakemake would take all that is made from such a file for older than it."""
        latest, ahead = time.time() + CLOCK_S, {}
        for file in files:
            try:
                date = file.stat().st_mtime
            except OSError:
                continue
            if date > latest:
                ahead[file] = date
        if not ahead:
            return
        first = next(iter(ahead))
        said = f"{first} is dated {datetime.fromtimestamp(ahead[first]):%Y-%m-%d %H:%M}, in the future"
        others = f", and so are {len(ahead) - 1} more files" if len(ahead) > 1 else ""
        done = "; set to now" if runs else "; a run sets that to now"
        print(f"natal: {said}{others}: the clock of this machine or of the disk is wrong{done}", file=sys.stderr)
        if runs:
            for file in ahead:
                os.utime(file)

    def _is_recorded_as_stale(self, shard: Path) -> bool:
        """Whether Snakemake gives its own reasons for making a shard again."""
        recorded = snakemake_internals.recorded_params(self.workflow, shard)
        return recorded is not None and repr(self.digest(shard.stem)) not in recorded

    def _check_answers(self) -> None:
        """Stop if answers for own clusters would need new simulations: who asks for answers does not expect that."""
        asked, planned = snakemake_internals.planned(self.workflow)
        n_shards = planned.count("simulate")
        if n_shards and asked <= ANSWERS and all(map(Path.exists, self.emulator)):
            said = f"the emulator in {self.emulator[0].parent} was made with another configuration or code"
            sys.exit(f"{said}: to answer with a new one takes {n_shards} simulate jobs; run the whole campaign first")

    def _refuse(self, unknown_target: str) -> None:
        what = unknown_target.partition(" (if you use")[0]
        sys.exit(
            f"{what}: with this configuration natal only makes the files of {self.results} (docs/reference/files.md)"
        )


def _owner(path: Path) -> str:
    """Name or number of who owns a file."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)
