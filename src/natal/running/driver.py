"""What the process that plans and submits a campaign's jobs does around them: one at a time, from whole files."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from natal.campaign import plan
from natal.campaign.inventory import find_damaged, find_stale, keep_earlier, read_layout, set_aside, write_layout
from natal.campaign.outlook import cost_line, step_lines
from natal.errors import NatalError
from natal.running import snakemake_internals
from natal.running.lock import lock_campaign
from natal.running.slurm import accounting_is_off, cancel_orphans, note_run
from natal.running.slurm_states import Watch


@dataclass
class Driver:
    """Prepares the plan of one campaign's jobs and their start."""

    workflow: Any
    """Snakemake's, still without a plan."""
    config: dict[str, Any]
    results: Path
    """The campaign's folder."""
    shards: Mapping[str, plan.Shard]
    """Its simulate jobs by name."""
    digest: Callable[[str], str]
    """Of a shard's code and settings, by its name."""
    stem: Callable[[str], str]
    """Of what the shard's clusters are, by its name."""

    def __post_init__(self) -> None:
        self._simulations = self.results / "simulations"
        self._damaged: dict[Path, str] = {}
        snakemake_internals.before_planning(self.workflow, self._prepare, self._refuse)

    def start(self) -> None:
        """Before the first job: damaged files out of the way, and jobs of this run to be found by the next one."""
        try:
            set_aside(self._damaged)
            digests, stems = ({name: of(name) for name in self.shards} for of in (self.digest, self.stem))
            keep_earlier(self._simulations, stems, digests)
            if run := snakemake_internals.slurm_run(self.workflow):
                note_run(self.results, run)
                snakemake_internals.mend_slurm_plugin(self.workflow, Watch(has_accounting=not accounting_is_off()))
        except OSError as trouble:
            sys.exit(f"{self.results} cannot be written: {trouble}")

    def _prepare(self) -> None:
        """Before jobs are planned: the campaign locked, nothing left in the queue and every shard checked."""
        try:
            if snakemake_internals.runs_jobs(self.workflow):
                lock_campaign(self.results)
                cancel_orphans(self.results)
                # jobs read it, and must plan the same
                write_layout(self._simulations, plan.layout(self.config, read_layout(self._simulations)))
            self._say_what_it_takes()
            self._find_what_is_not_as_it_should_be()
        except NatalError as mistake:
            sys.exit(str(mistake))
        except OSError as trouble:
            sys.exit(f"{self.results} cannot be checked: {trouble}")

    def _say_what_it_takes(self) -> None:
        cores = snakemake_internals.local_cores(self.workflow)
        for line in (*step_lines(self.config), cost_line(self.config, self.results, self.shards, cores)):
            print(line, file=sys.stderr, flush=True)

    def _find_what_is_not_as_it_should_be(self) -> None:
        """Name shards that are damaged or stale: Snakemake looks at dates and its own records only."""
        self._damaged |= find_damaged(self._simulations, self.shards.values())
        digests = {name: self.digest(name) for name in self.shards}
        lines = find_stale(self._simulations, digests, is_explained=self._is_recorded_as_stale) | self._damaged
        for line in dict.fromkeys(lines.values()):
            print(f"natal: {line}", file=sys.stderr, flush=True)
        # also if what was made from them is there and as new as ever
        snakemake_internals.make_again(self.workflow, lines)

    def _is_recorded_as_stale(self, shard: Path) -> bool:
        """Whether Snakemake gives its own reasons for making a shard again."""
        recorded = snakemake_internals.recorded_params(self.workflow, shard)
        return recorded is not None and repr(self.digest(shard.stem)) not in recorded

    def _refuse(self, unknown_target: str) -> None:
        what = unknown_target.partition(" (if you use")[0]
        sys.exit(f"{what}: with this configuration natal makes the files of {self.results} (README.md lists them) only")
