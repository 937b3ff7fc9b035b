"""What natal asks of Snakemake 9.27 beyond its documented language, all in one place.

Snakemake's objects come as arguments or are looked up when needed: natal works without it. If an upgrade moves
something, `tests/workflow/test_snakemake_internals.py` says what.
"""

import asyncio
import gc
import inspect
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from natal.errors import NatalError
from natal.running.slurm import advice, advice_on_step, cancel_run, is_refused_for_now
from natal.running.slurm_states import COMPLETED, GONE, TELL_EVERY_S, Watch

EXECUTOR = "snakemake_executor_plugin_slurm"
"""The Slurm plugin's module."""
LONGEST_PAUSE_S = 120
"""Longest time between two looks at Slurm's jobs: shorter than Slurm remembers ended ones (MinJobAge, 300 s by
default)."""
LOOKS_PER_JOB = 30
"""Looks at Slurm's jobs in the time that one takes: who waited for an hour can wait for two minutes more."""


def check_interpreter() -> None:
    """Make sure that Snakemake can run jobs, although it gives this Python's path to shells as it is.

    A path with blanks gets quotes that also work for Slurm, which puts a job's command into double ones.

    Raises:
        NatalError: The path holds a character against which quotes do not help.
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
    """Run every rule read so far in one conda environment: Snakemake has no default for its `conda:`.

    Args:
        workflow: Snakemake's workflow.
        path: File that describes the environment.
    """
    for rule in workflow.rules:
        rule.conda_env = str(path)


def asks_for_gpu(workflow: Any, rule: str) -> bool:
    """Whether the profile or the command line gives a rule's jobs GPUs: `gpu: 1`, or in Slurm's words `gres: gpu:1`.

    Args:
        workflow: Snakemake's workflow.
        rule: Name of the rule.

    Returns:
        False if nothing is said.
    """
    asked = workflow.resource_settings.overwrite_resources.get(rule, {})
    amounts = {name: asked[name].raw for name in ("gpu", "gres") if name in asked}
    return bool(amounts.get("gpu")) or str(amounts.get("gres", "")).startswith("gpu")


def given_settings(pairs: list[str]) -> dict[str, Any]:
    """Read settings of the command line.

    Args:
        pairs: What follows `--config`, as KEY=VALUE.

    Returns:
        The configuration that they stand for.
    """
    settings: dict[str, Any] = import_module("snakemake.cli").parse_config(pairs)
    return settings


def config_layers(workflow: Any) -> list[dict[str, Any]]:
    """The configurations that Snakemake has merged, each by itself.

    Args:
        workflow: Snakemake's workflow.

    Returns:
        That of the workflow, those of files given, and that of `--config`, the lowest first.
    """
    settings = workflow.config_settings
    given = [Path(path) for path in workflow.overwrite_configfiles]
    own = [] if settings.replace_workflow_config else [path for path in workflow.configfiles if Path(path) not in given]
    load = import_module("snakemake.common.configfile").load_configfile
    return [*map(load, own), *map(load, given), dict(settings.config)]


def runs_jobs(workflow: Any) -> bool:
    """Whether jobs are about to run: not in a dry run, nor for --report and the like.

    Args:
        workflow: Snakemake's workflow.
    """
    return workflow.executor_plugin is not None and not workflow.dryrun


def local_cores(workflow: Any) -> int | None:
    """Cores that jobs share on this machine.

    Args:
        workflow: Snakemake's workflow.

    Returns:
        None if jobs go elsewhere.
    """
    cores: int | None = workflow.resource_settings.cores
    return cores if workflow.local_exec or workflow.dryrun else None


def is_job(workflow: Any) -> bool:
    """Whether this process runs one job for another process that planned it.

    Args:
        workflow: Snakemake's workflow.
    """
    return not workflow.is_main_process


def around_planning(
    workflow: Any, prepare: Callable[[], None], check: Callable[[], None], on_unknown_target: Callable[[str], None]
) -> None:
    """Have functions called before and after Snakemake plans jobs, only in the process that a person started.

    Snakemake has no hook there. While it reads a Snakefile it does not yet know whether this is a dry run; and
    `onstart` comes when jobs are planned already, perhaps from files that another process was still writing.

    Args:
        workflow: Snakemake's workflow.
        prepare: Called before planning.
        check: Called after planning.
        on_unknown_target: Called with Snakemake's words on a file or rule that no rule makes; may end the process.
    """
    if is_job(workflow):
        return
    plan = workflow._build_dag
    unknown_target = import_module("snakemake.exceptions").MissingRuleException

    def prepare_and_plan() -> None:
        prepare()
        # of all that planning makes hardly anything is garbage: to look for it takes a fifth of the time
        gc.disable()
        try:
            plan()
        except unknown_target as error:
            on_unknown_target(str(error))
            raise
        finally:
            gc.enable()
            gc.freeze()
        check()

    workflow._build_dag = prepare_and_plan


def outputs(workflow: Any) -> dict[str, tuple[str | None, list[Path]]]:
    """What rules without wildcards make.

    Args:
        workflow: Snakemake's workflow.

    Returns:
        By name of the rule: its parameter `digest`, and its files.
    """
    return {
        rule.name: (getattr(rule.params, "digest", None), [Path(str(file)) for file in rule.output])
        for rule in workflow.rules
        if rule.output and not rule.has_wildcards()
    }


def plan_without_cache(workflow: Any) -> None:
    """Let planning do without Snakemake's cache of dates where it cannot be written: who may only look may plan.

    Args:
        workflow: Snakemake's workflow, before planning.
    """
    persistence = workflow.persistence
    save = persistence.save_iocache

    def save_if_possible() -> None:
        with suppress(OSError):
            save()

    persistence.save_iocache = save_if_possible


def hasten_planning(workflow: Any) -> None:
    """Spare what Snakemake works out for each job although it is the same for all jobs of a rule.

    That is half of the planning of ten thousand jobs: the arguments of the rule's functions, whether its script is
    there, and in a dry run its environment. And for each input of a job, whether it is a pipe: Snakemake looks through
    all jobs before it, which is quadratic where ten thousand files are gathered.

    Args:
        workflow: Snakemake's workflow, before planning.
    """
    resource = import_module("snakemake.resources").Resource
    functions: list[Any] = [resource("any", None).evaluate]
    for rule in workflow.rules:
        functions += [getattr(value, "_evaluator", None) for value in rule.resources.values()]
        functions += list(rule.params)
    for function in filter(callable, functions):
        # where Snakemake looks first
        owner: Any = getattr(function, "__func__", function)
        owner._overwrite_params = inspect.signature(function).parameters

    processor = import_module("snakemake.dag").ScriptProcessor
    look, seen = processor.process_job, set()

    def look_once(self: Any, job: Any) -> None:
        # no script's name has wildcards
        if (type(self), job.rule.name) not in seen:
            look(self, job)
            seen.add((type(self), job.rule.name))

    processor.process_job = look_once
    job_class: Any = import_module("snakemake.jobs").Job

    @cache
    def piped(job: Any) -> set[Any]:
        return {file for before in job.dag.dependencies[job] for file in before.pipe_or_service_output}

    job_class.is_pipe_or_service_input = lambda job, file: file in piped(job)
    method = import_module("snakemake.settings.types").DeploymentMethod.CONDA
    if workflow.dryrun and method not in workflow.deployment_settings.deployment_method:
        # environments are recorded where jobs run
        workflow.dag.update_conda_envs = lambda: None


def judge_inputs(is_same: Callable[[str, Path], bool | None], is_known: Callable[[Path], bool]) -> None:
    """Let a function decide, in place of dates, whether a rule's outputs were made from an input as it is now.

    Args:
        is_same: Gets the rule's name and the input; returns None to leave it to dates.
        is_known: Whether natal has an input's checksum, so that Snakemake need not find its own: it would look at ten
            thousand shards seven times for each file that is made from them.
    """
    file_class: Any = import_module("snakemake.io")._IOFile
    is_newer, is_eligible = file_class.is_newer, file_class.is_checksum_eligible

    async def is_other(file: Any, time: float) -> bool:
        same = is_same(file.rule.name, Path(str(file))) if file.rule else None
        return bool(await is_newer(file, time)) if same is None else not same

    async def needs_checksum(file: Any, threshold: int) -> bool:
        return not is_known(Path(str(file))) and bool(await is_eligible(file, threshold))

    file_class.is_newer, file_class.is_checksum_eligible = is_other, needs_checksum


def planned(workflow: Any) -> tuple[set[str], list[str]]:
    """What was planned.

    Args:
        workflow: Snakemake's workflow, after planning.

    Returns:
        Names of the rules that were asked for, and of those of all jobs that would run.
    """
    asked = {job.rule.name for job in workflow.dag.targetjobs}
    return asked, [job.rule.name for job in workflow.dag.needrun_jobs()]


def run_again() -> None:
    """Replace this process by the same call of Snakemake. Does nothing if it was not called from a command line."""
    if Path(sys.argv[0]).name in ("snakemake", "__main__.py"):
        sys.stdout.flush()
        python = sys.executable.strip("'")
        os.execv(python, [python, "-m", "snakemake", *sys.argv[1:]])


def make_again(workflow: Any, files: Iterable[Path]) -> None:
    """Have files made again if they are part of what is asked for, and what depends on them, whatever their dates.

    Args:
        workflow: Snakemake's workflow.
        files: The files.
    """
    workflow.dag.forcefiles.update(map(str, files))


def recorded_params(workflow: Any, file: Path) -> list[str] | None:
    """The parameters that a file was made with, as Snakemake recorded them.

    Args:
        workflow: Snakemake's workflow.
        file: The file.

    Returns:
        None if there is no record.
    """
    recorded: list[str] | None = workflow.persistence.params(import_module("snakemake.io").IOFile(str(file), rule=None))
    return recorded


def mend_signals(workflow: Any) -> None:
    """See to it that SIGINT (Ctrl-C) and SIGTERM end a run whenever they come.

    Snakemake loses a SIGINT that comes while it prints a line, and waits for ever if a SIGTERM comes while it notes
    which jobs have ended: its handler asks for a lock that its own thread holds.

    Args:
        workflow: Snakemake's workflow, after planning.
    """
    printer: Any = import_module("snakemake.logging").ColorizingTextHandler
    emit = printer.emit

    def emit_and_end(handler: Any, record: Any) -> None:
        # signals come to the main thread only; another handler than Python's own does not raise
        end = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or end is not signal.default_int_handler:
            emit(handler, record)
            return
        interrupts: list[int] = []

        def note_and_end(number: int, frame: Any) -> None:
            interrupts.append(number)
            signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, note_and_end)
        try:
            emit(handler, record)
        finally:
            signal.signal(signal.SIGINT, end)
        if interrupts:
            raise KeyboardInterrupt

    printer.emit = emit_and_end

    # such a queue takes no lock that the interrupted thread may hold
    asked: SimpleQueue[int] = SimpleQueue()
    end_in_order = workflow.scheduler.exit_gracefully
    threading.Thread(target=lambda: end_in_order(asked.get()), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda number, _: asked.put(number))


def slurm_run(workflow: Any) -> str | None:
    """The name that all Slurm jobs of this run will have.

    Args:
        workflow: Snakemake's workflow.

    Returns:
        None if jobs do not go to Slurm.
    """
    run: str | None = getattr(workflow.scheduler._executor, "run_uuid", None)
    return run


def mend_slurm_plugin(workflow: Any, watch: Watch) -> None:
    """Have natal follow the jobs of the Slurm plugin 2.8.0, and submit again what Slurm refuses for now.

    The plugin asks sacct for a window of time, and waits for ever for jobs of whose end it does not hear or does not
    know. Before each job it asks the database whether the account exists: once is enough.

    Args:
        workflow: Snakemake's workflow.
        watch: Follows the jobs.
    """
    plugin: Any = import_module(EXECUTOR)
    plugin.validate_account = _once_each(plugin.validate_account)
    _SlurmJobs(workflow, workflow.scheduler._executor, watch)


def _once_each(validate: Callable[[str, Any], str]) -> Callable[[str, Any], str]:
    """A check of accounts that asks about each once: an answer is kept, an error is not."""
    known: dict[str, str] = {}

    def validate_once(account: str, logger: Any) -> str:
        if account not in known:
            known[account] = validate(account, logger)
        return known[account]

    return validate_once


class _SlurmJobs:
    """Replaces some of the plugin's methods, under their names there."""

    def __init__(self, workflow: Any, executor: Any, watch: Watch) -> None:
        self._workflow, self._executor, self._watch = workflow, executor, watch
        self._submit, self._report_error = executor.run_job, executor._report_job_error_threadsafe
        self._cancel, self._cancel_all = executor.cancel_jobs, executor.cancel
        self._is_over = False
        self._refused: deque[Any] = deque()
        self._reason = ""
        self._told: set[str] = set()
        self._watched: dict[str, Any] = {}
        self._before: dict[Any, list[object]] = {}
        self._since: dict[Any, float] = {}
        executor.run_job, executor._report_job_error_threadsafe = self.run_job, self.report_submission_error
        executor.check_active_jobs, executor.cancel_jobs = self.check_active_jobs, self.cancel_jobs
        executor.sleep, executor.cancel = self.sleep, self.cancel

    def run_job(self, job: Any) -> None:
        """Submit a job, behind those that wait to be submitted again."""
        if self._is_over:
            return
        if self._refused:
            self._refused.append(job)
        else:
            self._before[job], self._since[job] = _states(job.output), self._watch.clock()
            self._submit(job)

    def report_submission_error(self, info: Any, message: str) -> None:
        """Called by the plugin when sbatch refuses a job: one for now waits, at no cost to its retries."""
        said = re.search(r"error message was '(.*?)'\.$", message, re.S | re.M)
        if said is None or not is_refused_for_now(said[1], others_are_queued=self._has_jobs()):
            if said and (line := advice(said[1])):
                self._tell_once(line)
            self._report_error(info, message)
            return
        self._refused.appendleft(info.job)
        self._reason = said[1].partition("\n")[0].removeprefix("sbatch: error: ")
        what = "the others wait and are submitted again, which does not count as a retry"
        self._tell_once(f"Slurm takes no more jobs for now ({self._reason}): {what}")

    async def check_active_jobs(self, active: list[Any]) -> AsyncIterator[Any]:
        """Report jobs that ended and yield the others; called again and again by Snakemake, in a thread of its own."""
        self._watched = {info.external_jobid: info for info in active}
        self._end_without_folder()
        made = {job_id: partial(self._is_made, info.job) for job_id, info in self._watched.items()}
        ended = self._watch.ended(made, all_clusters=bool(self._executor._submitted_job_clusters)) if made else {}
        took_s = []
        for job_id, info in list(self._watched.items()):
            if state := ended.get(job_id):
                del self._watched[job_id]
                took_s.append(self._watch.clock() - self._since[info.job])
                self._report(info, state)
            else:
                yield info
        self._submit_again()
        self._set_pause(took_s)

    def _report(self, info: Any, state: str) -> None:
        """Tell Snakemake, which looks at the job's files, that a job has ended; remove its log if all is well."""
        log = info.aux["slurm_logfile"]
        if state == COMPLETED:
            self._executor.report_job_success(info)
            if not self._workflow.executor_settings.keep_successful_logs:
                with suppress(OSError):
                    log.unlink()
            return
        if state == GONE:
            # if it is there all the same, it must not run beside the next attempt
            self._cancel_quietly([info])
        elif line := advice_on_step(_last_words(log)):
            self._tell_once(line)
        what = "is not known to Slurm any more, and left no result" if state == GONE else f"ended as {state}"
        self._executor.report_job_error(info, msg=f"Slurm job {info.external_jobid} {what}. ", aux_logs=[str(log)])

    def _submit_again(self) -> None:
        """Submit what was refused, in its order, until something is refused again."""
        waiting, self._refused = self._refused, deque()
        if self._workflow.scheduler._user_kill:
            # told to end when the running jobs have ended: jobs that wait are not submitted
            info = import_module("snakemake_interface_executor_plugins.executors.base").SubmittedJobInfo
            for job in waiting:
                self._report_error(info(job), "Slurm did not take this job before the run was told to end. ")
            return
        while waiting and not self._refused:
            self.run_job(waiting.popleft())
        self._refused.extend(waiting)
        if self._refused and not self._has_jobs():
            self._watch.tell_at_times(f"{len(self._refused)} jobs wait to be submitted: {self._reason}")

    def _end_without_folder(self) -> None:
        """End if Snakemake's own files are gone: no job can start or be recorded any more."""
        folder = self._executor._tmpdir
        try:
            if folder:
                Path(folder).stat()
        except FileNotFoundError:
            self._cancel_quietly(list(self._watched.values()))
            error = import_module("snakemake_interface_common.exceptions").WorkflowError
            raise error(".snakemake/ was removed while jobs ran: they are cancelled; run again to go on") from None
        except OSError:
            # a file system may not answer for a moment
            return

    def _is_made(self, job: Any) -> bool:
        """Whether all files of a job are there, and have changed since the job was submitted."""
        now = _states(job.output)
        return all(new is not None and new != old for new, old in zip(now, self._before[job], strict=True))

    def _set_pause(self, took_s: list[float]) -> None:
        """Set the time until Slurm is asked next: it grows while nothing happens, unless something is amiss.

        When jobs ended, it is as short as the shortest of them deserves (seconds from its submission on).
        """
        least = self._workflow.executor_settings.init_seconds_before_status_checks
        longest = TELL_EVERY_S if self._watch.is_silent or self._refused else LONGEST_PAUSE_S
        # never more than a quarter of the time that was waited already
        pause = max(1, 1.25 * self._executor.next_seconds_between_status_checks)
        if took_s:
            pause = min(took_s) / LOOKS_PER_JOB
        self._executor.next_seconds_between_status_checks = max(least, min(pause, longest))

    async def sleep(self) -> None:
        """As long as was set, but not once Snakemake ends."""
        until = time.monotonic() + self._executor.next_seconds_between_status_checks
        while self._executor.wait and time.monotonic() < until:
            await asyncio.sleep(0.5)

    def cancel_jobs(self, active: list[Any]) -> None:
        """Also those that Slurm is just asked for, which Snakemake has off its list."""
        self._cancel(list({info.external_jobid: info for info in [*self._watched.values(), *active]}.values()))

    def cancel(self) -> None:
        """End, with all jobs: those that the plugin is about to submit, in threads, are not submitted any more."""
        self._is_over = True
        self._cancel_all()
        # what Slurm took meanwhile
        cancel_run(self._executor.run_uuid)

    def _cancel_quietly(self, infos: list[Any]) -> None:
        with suppress(Exception):
            self._cancel(infos)

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._watch.tell(line)

    def _has_jobs(self) -> bool:
        return bool(self._watched or self._executor.active_jobs)


def _last_words(log: Path) -> str:
    """The end of what Slurm kept of a job's output; empty if there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 10_000))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _states(paths: Iterable[Any]) -> list[object]:
    """What tells a file from one made anew, for each path; None for a file that is not there."""
    states: list[object] = []
    for path in paths:
        try:
            found = os.stat(path)
            states.append((found.st_ino, found.st_size, found.st_mtime_ns))
        except OSError:
            states.append(None)
    return states
