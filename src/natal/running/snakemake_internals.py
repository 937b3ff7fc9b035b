"""What natal asks of Snakemake 9.27 beyond its documented language, all in one place.

Snakemake's objects come as arguments or are looked up when needed: natal works without it. What an upgrade has moved,
`tests/workflow/test_snakemake_internals.py` names.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from natal.errors import NatalError


def check_interpreter() -> None:
    """See to it that Snakemake can run jobs: it gives the path of this Python to shells as it is.

    A path with blanks gets quotes, also for Slurm, which puts a job's command into double ones.

    Raises:
        NatalError: The path holds what quotes do not help against.
    """
    sys.executable = _for_shells(sys.executable)


def _for_shells(path: str) -> str:
    path = path.strip("'")
    if found := re.search(r"[^\w@%+=:,./~ -]", path):
        raise NatalError(
            f"Snakemake cannot run jobs with {path}: its path holds {found[0]!r}, which a shell reads; move the "
            "folder to a path of letters, digits, points, dashes and blanks, remove its .venv there and run make env"
        )
    return shlex.quote(path) if " " in path else path


def give_environment(workflow: Any, path: Path) -> None:
    """Run every rule read so far in one conda environment: Snakemake has no default for its `conda:`."""
    for rule in workflow.rules:
        rule.conda_env = str(path)


def asks_for(workflow: Any, rule: str, resource: str) -> bool:
    """Whether the profile or the command line gives a rule's jobs some of a resource."""
    asked = workflow.resource_settings.overwrite_resources.get(rule, {}).get(resource)
    return asked is not None and asked.raw != 0


def given_settings(pairs: list[str]) -> dict[str, Any]:
    """What `--config KEY=VALUE ...` on the command line stands for."""
    settings: dict[str, Any] = import_module("snakemake.cli").parse_config(pairs)
    return settings


def runs_jobs(workflow: Any) -> bool:
    """Whether jobs are about to run: not in a dry run, nor for --report and the like."""
    return workflow.executor_plugin is not None and not workflow.dryrun


def is_job(workflow: Any) -> bool:
    """Whether this process runs one job for another one that planned it."""
    return not workflow.is_main_process


def around_planning(
    workflow: Any, prepare: Callable[[], None], check: Callable[[], None], on_unknown_target: Callable[[str], None]
) -> None:
    """Have functions called before and after Snakemake plans jobs, in the process that a person started only.

    Snakemake has no hook there. While it reads a Snakefile it cannot tell a dry run, and `onstart` comes after jobs
    were planned: from files that another process was still at work on.

    Args:
        workflow: Snakemake's workflow.
        prepare: What comes first.
        check: What comes after.
        on_unknown_target: Called with Snakemake's words on a file or rule that no rule makes; may end the process.
    """
    if is_job(workflow):
        return
    plan = workflow._build_dag
    unknown_target = import_module("snakemake.exceptions").MissingRuleException

    def prepare_and_plan() -> None:
        prepare()
        try:
            plan()
        except unknown_target as error:
            on_unknown_target(str(error))
            raise
        check()

    workflow._build_dag = prepare_and_plan


def outputs(workflow: Any) -> dict[str, tuple[str | None, list[Path]]]:
    """What rules without wildcards make, by name of the rule: their parameter `digest`, and their files."""
    return {
        rule.name: (getattr(rule.params, "digest", None), [Path(str(file)) for file in rule.output])
        for rule in workflow.rules
        if rule.output and not rule.has_wildcards()
    }


def judge_inputs(is_same: Callable[[str, Path], bool | None]) -> None:
    """Have a function say whether a rule's outputs were made from an input as it is now, in place of dates.

    Args:
        is_same: Gets the rule's name and the input; None leaves it to dates.
    """
    file_class: Any = import_module("snakemake.io")._IOFile
    is_newer = file_class.is_newer

    async def is_other(file: Any, time: float) -> bool:
        same = is_same(file.rule.name, Path(str(file))) if file.rule else None
        return bool(await is_newer(file, time)) if same is None else not same

    file_class.is_newer = is_other


def planned(workflow: Any) -> tuple[set[str], list[str]]:
    """Names of the rules that were asked for, and of those of all jobs that would run, after planning."""
    asked = {job.rule.name for job in workflow.dag.targetjobs}
    return asked, [job.rule.name for job in workflow.dag.needrun_jobs()]


def run_again() -> None:
    """Replace this process by the same call of Snakemake; does nothing if it was not called from a command line."""
    if Path(sys.argv[0]).name in ("snakemake", "__main__.py"):
        sys.stdout.flush()
        python = sys.executable.strip("'")
        os.execv(python, [python, "-m", "snakemake", *sys.argv[1:]])


def make_again(workflow: Any, files: Iterable[Path]) -> None:
    """Have files made again if they are part of what is asked for, and what depends on them, whatever their dates."""
    workflow.dag.forcefiles.update(map(str, files))


def recorded_params(workflow: Any, file: Path) -> list[str] | None:
    """The parameters that a file was made with, as Snakemake recorded them, None if it has no record."""
    recorded: list[str] | None = workflow.persistence.params(import_module("snakemake.io").IOFile(str(file), rule=None))
    return recorded


def slurm_run(workflow: Any) -> str | None:
    """The name that all Slurm jobs of this run will have, None if jobs do not go to Slurm."""
    run: str | None = getattr(workflow.scheduler._executor, "run_uuid", None)
    return run


def mend_slurm_plugin(workflow: Any, accounting_is_off: Callable[[], bool]) -> None:
    """Mend two things of the Slurm plugin 2.8.0 that leave Snakemake waiting for ever."""
    # it asks sacct wherever that is installed, with nothing to say if accounting is off
    if workflow.executor_settings.status_command == "sacct" and accounting_is_off():
        workflow.executor_settings.status_command = "squeue"

    # it does not know sacct's state of a cancelled job, "CANCELLED by 1000"
    plugin: Any = import_module("snakemake_executor_plugin_slurm")
    query_job_status = plugin.query_job_status

    async def query_first_words(*arguments: Any) -> tuple[dict[str, str] | None, float | None]:
        states, seconds = await query_job_status(*arguments)
        return states and {job: state.partition(" ")[0] for job, state in states.items()}, seconds

    plugin.query_job_status = query_first_words
