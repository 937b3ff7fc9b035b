"""What natal needs of Snakemake beyond its documented language is still there: each piece fails by its own name."""

import asyncio
import inspect
import io
import logging
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from project import ROOT

from natal.errors import NatalError
from natal.running import snakemake_internals
from natal.running.slurm_states import Watch


@pytest.fixture(scope="module", autouse=True)
def snakemake():
    """Imported before its parts, which import each other, and only where it is looked at."""
    import_module("snakemake.api")


PIECES = [
    "snakemake.workflow:Workflow._build_dag",
    "snakemake.workflow:Workflow.dag",
    "snakemake.workflow:Workflow.dryrun",
    "snakemake.workflow:Workflow.executor_plugin",
    "snakemake.workflow:Workflow.executor_settings",
    "snakemake.workflow:Workflow.is_main_process",
    "snakemake.workflow:Workflow.persistence",
    "snakemake.workflow:Workflow.resource_settings",
    "snakemake.workflow:Workflow.config_settings",
    "snakemake.workflow:Workflow.configfiles",
    "snakemake.workflow:Workflow.local_exec",
    "snakemake.workflow:Workflow.overwrite_configfiles",
    "snakemake.workflow:Workflow.rules",
    "snakemake.common.configfile:load_configfile",
    "snakemake.settings.types:ConfigSettings.config",
    "snakemake.settings.types:ConfigSettings.replace_workflow_config",
    "snakemake.settings.types:ResourceSettings.cores",
    "snakemake.workflow:Workflow.scheduler",
    "snakemake.rules:Rule.conda_env",
    "snakemake.rules:Rule.has_wildcards",
    "snakemake.rules:Rule.output",
    "snakemake.rules:Rule.params",
    "snakemake.dag:DAG.forcefiles",
    "snakemake.dag:DAG.needrun_jobs",
    "snakemake.dag:DAG.targetjobs",
    "snakemake.dag:DAG.update_conda_envs",
    "snakemake.dag:ScriptProcessor.process_job",
    "snakemake.jobs:Job.is_pipe_or_service_input",
    "snakemake.jobs:Job.pipe_or_service_output",
    "snakemake.io:_IOFile.is_checksum_eligible",
    "snakemake.io:_IOFile.is_newer",
    "snakemake.resources:Resource.evaluate",
    "snakemake.workflow:Workflow.deployment_settings",
    "snakemake.persistence:PersistenceBase.params",
    "snakemake.persistence:PersistenceBase.save_iocache",
    "snakemake.settings.types:ResourceSettings.overwrite_resources",
    "snakemake.scheduling.job_scheduler:JobScheduler._executor",
    "snakemake.scheduling.job_scheduler:JobScheduler._user_kill",
    "snakemake.scheduling.job_scheduler:JobScheduler.exit_gracefully",
    "snakemake.logging:ColorizingTextHandler.emit",
    "snakemake.cli:parse_config",
    "snakemake.exceptions:MissingRuleException",
    "snakemake.io:IOFile",
    "snakemake_executor_plugin_slurm:Executor.run_uuid",
    "snakemake_executor_plugin_slurm:Executor._report_job_error_threadsafe",
    "snakemake_executor_plugin_slurm:Executor._submitted_job_clusters",
    "snakemake_executor_plugin_slurm:validate_account",
    "snakemake_executor_plugin_slurm:Executor.cancel_jobs",
    "snakemake_interface_executor_plugins.executors.remote:RemoteExecutor.cancel",
    "snakemake_executor_plugin_slurm:Executor.check_active_jobs",
    "snakemake_executor_plugin_slurm:Executor.run_job",
    "snakemake_executor_plugin_slurm:ExecutorSettings.init_seconds_before_status_checks",
    "snakemake_executor_plugin_slurm:ExecutorSettings.keep_successful_logs",
    "snakemake_interface_executor_plugins.executors.remote:RemoteExecutor._tmpdir",
    "snakemake_interface_executor_plugins.executors.remote:RemoteExecutor.active_jobs",
    "snakemake_interface_executor_plugins.executors.remote:RemoteExecutor.next_seconds_between_status_checks",
    "snakemake_interface_executor_plugins.executors.remote:RemoteExecutor.sleep",
    "snakemake_interface_executor_plugins.executors.remote:RemoteExecutor.wait",
    "snakemake_interface_executor_plugins.executors.base:SubmittedJobInfo",
    "snakemake_interface_common.exceptions:WorkflowError",
]


@pytest.mark.parametrize("piece", PIECES)
def test_snakemake_still_has(piece):
    """As an attribute of a class or module, or one that a class gives its objects."""
    module, _, names = piece.partition(":")
    owner, _, attribute = names.rpartition(".")
    place = import_module(module)
    place = getattr(place, owner) if owner else place
    held = hasattr(place, attribute) or attribute in getattr(place, "__annotations__", {})
    held = held or f"self.{attribute} = " in inspect.getsource(place)
    assert held, f"snakemake moved {piece}: see src/natal/running/snakemake_internals.py"


def test_execute_plans_by_the_method_that_is_replaced():
    """`around_planning` replaces `_build_dag`: jobs must be planned by it, before the first one runs."""
    workflow = import_module("snakemake.workflow").Workflow
    source = inspect.getsource(workflow.execute)
    moved = "snakemake plans jobs elsewhere: see around_planning in src/natal/running/snakemake_internals.py"
    assert 0 < source.find("self._build_dag()") < source.find("self._onstart("), moved


def test_a_forced_file_is_a_string_in_a_set():
    """`make_again` adds to it; the plan compares it with outputs."""
    source = inspect.getsource(import_module("snakemake.dag").DAG)
    assert "self.forcefiles.isdisjoint(job.output)" in source, "snakemake moved DAG.forcefiles: see make_again"


def test_dates_are_compared_by_the_method_that_is_replaced():
    """`judge_inputs` answers in its place, for every input of a job."""
    source = inspect.getsource(import_module("snakemake.dag").DAG.update_needrun)
    assert "for f in job.input" in source, "snakemake compares dates otherwise: see judge_inputs"
    assert "await f.is_newer(output_mintime_)" in source, "snakemake compares dates otherwise: see judge_inputs"


@pytest.fixture
def quick(workflow, monkeypatch):
    """A workflow of one rule with a parameter and a resource, whose planning was hastened."""
    replaced = {"dag:ScriptProcessor": "process_job", "resources:Resource": "evaluate"}
    for place, name in (replaced | {"jobs:Job": "is_pipe_or_service_input"}).items():
        module, _, owner = place.partition(":")
        owner = getattr(import_module(f"snakemake.{module}"), owner)
        monkeypatch.setattr(owner, name, getattr(owner, name))
    resource = import_module("snakemake.resources").Resource("mem_mb", lambda wildcards, attempt: 100 * attempt)
    params = [lambda wildcards, output: str(output), "text"]
    workflow.rules = [SimpleNamespace(name="any", params=params, resources={"mem_mb": resource})]
    workflow.dryrun, workflow.deployment_settings = True, SimpleNamespace(deployment_method=set())
    workflow.dag = SimpleNamespace(update_conda_envs=lambda: print("environments"))
    snakemake_internals.hasten_planning(workflow)
    return workflow


def test_arguments_of_a_rules_functions_are_found_once(quick, monkeypatch):
    """Snakemake still finds the same ones, and does not ask Python for them."""
    common = import_module("snakemake.common")
    (rule,) = quick.rules
    monkeypatch.setattr(common.inspect, "signature", None)
    assert list(common.get_function_params(rule.params[0])) == ["wildcards", "output"]
    assert rule.resources["mem_mb"].evaluate("any", attempt=3, threads=1).value == 300
    assert "kwargs" in common.get_function_params(rule.resources["mem_mb"].evaluate)


def test_a_script_is_looked_for_once(quick, monkeypatch):
    """Of ten thousand jobs of one rule; another rule's is looked for, too."""
    looked = []
    module = import_module("snakemake.dag")
    monkeypatch.setattr(module.script, "get_source", lambda entry, *_: [looked.append(entry), *range(4)])
    processor = module.ScriptProcessor(SimpleNamespace(workflow=SimpleNamespace(sourcecache=Sources())))
    for name in ("a.py", "b.py"):
        rule = SimpleNamespace(name=name, script=name, basedir="")
        for _ in range(3):
            processor.process_job(SimpleNamespace(is_script=True, rule=rule, wildcards=None, params=None))
    assert looked == ["a.py", "b.py"]


class Sources:
    """A cache of source files that has all of them."""

    def exists(self, _):
        return True


def test_pipes_among_inputs_are_looked_for_once(quick):
    """As Snakemake finds them, but each job before is asked once for all inputs."""
    job_class, asked = import_module("snakemake.jobs").Job, []

    class Before:
        def __init__(self, *piped):
            self._piped = set(piped)

        @property
        def pipe_or_service_output(self):
            asked.append(self)
            return self._piped

    job = Hashable(dag=SimpleNamespace())
    job.dag.dependencies = {job: {Before("a"): {"a"}, Before(): {"b", "c"}}}
    assert [job_class.is_pipe_or_service_input(job, file) for file in "abcd"] == [True, False, False, False]
    assert len(asked) == 2


class Hashable(SimpleNamespace):
    """One that may be a key, as jobs are."""

    __hash__ = object.__hash__


def test_a_dry_run_needs_no_environments(quick, capsys):
    """Unless conda is asked for."""
    quick.dag.update_conda_envs()
    assert not capsys.readouterr().out
    conda = import_module("snakemake.settings.types").DeploymentMethod.CONDA
    quick.dag.update_conda_envs = lambda: print("environments")
    quick.deployment_settings.deployment_method = {conda}
    snakemake_internals.hasten_planning(quick)
    quick.dag.update_conda_envs()
    assert capsys.readouterr().out


def test_a_run_with_errors_ends_with_onerror():
    """Where a damaged shard lets the call begin anew."""
    source = inspect.getsource(import_module("snakemake.workflow").Workflow.execute)
    assert "self._onerror(" in source


def test_the_slurm_plugin_works_by_the_methods_that_are_replaced():
    """Looked up in its object when they are needed, and refusals told in words that natal reads."""
    plugin = import_module("snakemake_executor_plugin_slurm")
    remote = import_module("snakemake_interface_executor_plugins.executors.remote")
    moved = "the Slurm plugin works otherwise: see mend_slurm_plugin in src/natal/running/snakemake_internals.py"
    assert "_job_submission_executor.submit(self.run_job, job)" in inspect.getsource(plugin.Executor._submit_job), moved
    submission = inspect.getsource(plugin.Executor.run_job)
    assert "self._report_job_error_threadsafe(" in submission, moved
    assert "= validate_account(account, " in inspect.getsource(plugin.Executor.get_account_arg), moved
    assert """f"The error message was '{e.output.strip()}'.\\n\"""" in submission, moved
    assert '"slurm_logfile": slurm_logfile' in submission, moved
    rounds = inspect.getsource(remote.RemoteExecutor._wait_for_jobs)
    assert "self.check_active_jobs(active_jobs)" in rounds, moved
    assert "await self.sleep()" in rounds, moved


def test_snakemake_still_runs_scripts_without_quotes():
    """`check_interpreter` gives it one with quotes, by the name that it reads when a job runs."""
    source = inspect.getsource(import_module("snakemake.script").PythonScript.execute_script)
    moved = "snakemake runs scripts otherwise: is check_interpreter in src/natal/running/snakemake_internals.py needed?"
    assert '"{py_exec} {fname:q}"' in source, moved
    assert "py_exec = sys.executable" in source, moved


@pytest.mark.parametrize("sign", ["'", '"', "$", "&", ";", "(", "*", "\\", "\n"])
def test_a_path_that_a_shell_takes_apart_is_refused(monkeypatch, sign):
    """In one line, before anything runs; umlauts are letters."""
    monkeypatch.setattr(sys, "executable", f"/home/me/My{sign}Files/natal/.venv/bin/python")
    with pytest.raises(NatalError, match="Snakemake cannot run jobs with") as caught:
        snakemake_internals.check_interpreter()
    assert repr(sign) in str(caught.value)
    python = "/home/Jürgen_Ré/星団-1.2+3/.venv/bin/python3.11"
    monkeypatch.setattr(sys, "executable", python)
    snakemake_internals.check_interpreter()
    assert sys.executable == python


def test_a_path_with_blanks_reaches_shells_in_quotes(tmp_path, monkeypatch):
    """Once, however often it is looked at; a real Python runs by it, also in double quotes."""
    python = tmp_path / "My  own files" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    for _ in range(2):
        snakemake_internals.check_interpreter()
        assert sys.executable == f"'{python}'"
    for command in (f"{sys.executable} -c 'print(1)'", f"sh -c \"{sys.executable} -c 'print(1)'\""):
        assert subprocess.check_output(command, shell=True) == b"1\n"


@pytest.mark.parametrize("folder", ["rules", "studies"])
def test_campaigns_and_studies_look_at_the_path(folder):
    """While they are read, which is before anything is planned."""
    assert "check_interpreter()" in (ROOT / "workflow" / folder / "common.smk").read_text(encoding="utf-8")


@pytest.fixture
def workflow():
    """What natal sees of Snakemake's workflow."""
    return SimpleNamespace(is_main_process=True, executor_plugin=object(), dryrun=False)


def test_planning_is_prepared_in_the_first_process_only(workflow):
    """Jobs read the same files and plan as they are told."""
    calls = []
    workflow._build_dag = lambda: calls.append("plan")
    snakemake_internals.around_planning(
        workflow, *(partial(calls.append, name) for name in ("prepare", "check")), print
    )
    workflow._build_dag()
    assert calls == ["prepare", "plan", "check"]
    workflow.is_main_process = False
    plan = workflow._build_dag
    snakemake_internals.around_planning(workflow, print, print, print)
    assert workflow._build_dag is plan


def test_an_unknown_target_is_told(workflow):
    """With Snakemake's words; other errors pass by."""
    error = import_module("snakemake.exceptions").MissingRuleException

    def plan():
        raise error("tiny.csv")

    told = []
    workflow._build_dag = plan
    snakemake_internals.around_planning(workflow, lambda: None, lambda: None, told.append)
    with pytest.raises(error):
        workflow._build_dag()
    assert len(told) == 1
    assert "tiny.csv" in told[0]


@pytest.mark.parametrize(("plugin", "dryrun", "expected"), [(None, False, False), (1, True, False), (1, False, True)])
def test_whether_jobs_run(workflow, plugin, dryrun, expected):
    """Neither for a report nor in a dry run."""
    workflow.executor_plugin, workflow.dryrun = plugin, dryrun
    assert snakemake_internals.runs_jobs(workflow) == expected


class Executor:
    """What natal takes hold of in the Slurm plugin."""

    def __init__(self, refusals=0, error="sbatch: error: QOSGrpSubmitJobsLimit\nsbatch: error: no"):
        self.refusals, self.error = refusals, error
        self.active_jobs, self.wait, self._tmpdir, self._submitted_job_clusters = [], True, None, set()
        self.run_uuid = "a-run"
        self.next_seconds_between_status_checks = 10
        self.submitted, self.cancelled, self.succeeded, self.failed, self.calls = [], [], [], {}, 0

    def run_job(self, job):
        self.calls += 1
        if self.refusals:
            self.refusals -= 1
            message = f"SLURM sbatch failed. The error message was '{self.error}'.\n    sbatch call:\n  sbatch 'x'.\n"
            self._report_job_error_threadsafe(SimpleNamespace(job=job), message)
        else:
            self.submitted.append(job)

    def _report_job_error_threadsafe(self, info, message):
        self.failed[info.job] = message

    def cancel_jobs(self, active):
        self.cancelled += [info.external_jobid for info in active]

    def cancel(self):
        self.cancel_jobs(self.active_jobs)

    def report_job_success(self, info):
        self.succeeded.append(info.external_jobid)

    def report_job_error(self, info, msg, aux_logs):
        self.failed[info.external_jobid] = msg


class StubWatch(Watch):
    """Knows how jobs ended, and keeps what is said."""

    is_silent = False

    def __init__(self, **ended):
        self.states, self.lines, self.asked, self.now = ended, [], [], 0.0
        self.clock = lambda: self.now
        self.tell = self.tell_at_times = self.lines.append

    def ended(self, jobs, *, all_clusters=False):
        self.asked.append({name: is_made() for name, is_made in jobs.items()})
        return {name: state for name, state in self.states.items() if name in jobs}


@dataclass(frozen=True)
class Job:
    """Of Snakemake's, its files."""

    output: tuple = ()


@pytest.fixture
def mended(workflow):
    """An executor with natal's hands on it, and what it is asked of Slurm."""

    def mended(executor, **ended):
        settings = SimpleNamespace(init_seconds_before_status_checks=1, keep_successful_logs=False)
        workflow.executor_settings, workflow.scheduler = settings, SimpleNamespace(_executor=executor, _user_kill=None)
        watch = StubWatch(**ended)
        snakemake_internals.mend_slurm_plugin(workflow, watch)
        return watch

    return mended


def submitted(executor, job_id, folder, job=None):
    """A job that Slurm took."""
    job = job or Job((str(folder / job_id),))
    executor.run_job(job)
    (folder / f"{job_id}.log").touch()
    return SimpleNamespace(job=job, external_jobid=job_id, aux={"slurm_logfile": folder / f"{job_id}.log"})


def look(executor, *active):
    """One round of Snakemake's looks at its jobs: those that go on."""

    async def go_on():
        return [info.external_jobid async for info in executor.check_active_jobs(list(active))]

    return asyncio.run(go_on())


def test_jobs_end_as_natal_hears_of_it(mended, tmp_path):
    """Those that ended well leave no log of Slurm's; every other end is told to Snakemake, which tries again."""
    executor = Executor()
    mended(executor, a="COMPLETED", b="PREEMPTED", c="GONE")
    infos = [submitted(executor, name, tmp_path) for name in "abcd"]
    assert look(executor, *infos) == ["d"]
    assert executor.succeeded == ["a"]
    assert not (tmp_path / "a.log").exists()
    assert "Slurm job b ended as PREEMPTED" in executor.failed["b"]
    assert "Slurm job c is not known to Slurm any more" in executor.failed["c"]
    # it must not work beside the next attempt
    assert executor.cancelled == ["c"]


def test_a_step_that_is_refused_a_gpu_is_explained_once(mended, tmp_path):
    """By what its job printed; a log that is not there yet explains nothing."""
    executor = Executor()
    watch = mended(executor, a="FAILED", b="FAILED", c="FAILED")
    infos = [submitted(executor, name, tmp_path) for name in "abc"]
    refused = "srun: error: Unable to create step for job 1: Invalid generic resource (gres) specification\n"
    for info in infos[:2]:
        info.aux["slurm_logfile"].write_text(refused + "x" * 5000)
    infos[2].aux["slurm_logfile"].unlink()
    look(executor, *infos)
    assert len(watch.lines) == 1
    assert "`gpu: 0`" in watch.lines[0]
    assert len(executor.failed) == 3


def test_files_of_before_are_no_result(mended, tmp_path):
    """A job has made its files if all are there and none is as it was when the job was submitted."""
    executor = Executor()
    watch = mended(executor)
    (tmp_path / "old").write_text("1")
    info = submitted(executor, "1", tmp_path, Job((str(tmp_path / "old"), str(tmp_path / "new"))))
    look(executor, info)
    (tmp_path / "new").write_text("1")
    look(executor, info)
    (tmp_path / "old").write_text("12")
    look(executor, info)
    assert watch.asked == [{"1": False}, {"1": False}, {"1": True}]


def test_a_refusal_for_now_waits_at_no_cost(mended, tmp_path):
    """One line says so; each round tries the first in turn, and the others once that was taken."""
    executor = Executor(refusals=3)
    watch = mended(executor)
    executor.active_jobs.append("one of this run's")
    jobs = [Job((str(k),)) for k in range(4)]
    for job in jobs:
        executor.run_job(job)
    assert executor.calls == 1
    assert look(executor) == look(executor) == []
    assert (executor.calls, executor.submitted, executor.failed) == (3, [], {})
    look(executor)
    assert (executor.calls, executor.submitted) == (7, jobs)
    assert len(watch.lines) == 1
    assert watch.lines[0].startswith("Slurm takes no more jobs for now (QOSGrpSubmitJobsLimit): ")


def test_who_ends_the_run_does_not_wait_for_refused_jobs(mended, workflow):
    """SIGTERM lets running jobs end, and these never ran."""
    executor = Executor(refusals=1)
    mended(executor)
    jobs = [Job((str(k),)) for k in range(2)]
    for job in jobs:
        executor.run_job(job)
    workflow.scheduler._user_kill = "graceful"
    look(executor)
    assert executor.calls == 1
    assert list(executor.failed) == jobs


def test_a_refusal_that_stays_is_a_failure(mended):
    """In the plugin's words; natal adds what to do, once, where it knows it."""
    error = "sbatch: error: Requested GRES option unsupported by configured SelectType plugin"
    executor = Executor(refusals=2, error=error)
    watch = mended(executor)
    for k in range(2):
        executor.run_job(Job((str(k),)))
    assert len(executor.failed) == 2
    assert len(watch.lines) == 1
    assert "docs/howto/slurm.md" in watch.lines[0]


def test_without_snakemakes_folder_the_run_ends(mended, tmp_path):
    """It is said, and jobs are cancelled, which nobody would hear of."""
    executor = Executor()
    mended(executor)
    executor._tmpdir = tmp_path / ".snakemake" / "tmp.x"
    info = submitted(executor, "1", tmp_path)
    error = import_module("snakemake_interface_common.exceptions").WorkflowError
    with pytest.raises(error, match="removed while jobs ran"):
        look(executor, info)
    assert executor.cancelled == ["1"]


def test_pauses_grow_while_nothing_happens(mended, tmp_path):
    """Up to two minutes, and to one where something is amiss; a job's end makes them short."""
    executor = Executor()
    watch = mended(executor)
    info = submitted(executor, "1", tmp_path)
    for _ in range(30):
        look(executor, info)
    assert executor.next_seconds_between_status_checks == 120
    watch.is_silent = True
    look(executor, info)
    assert executor.next_seconds_between_status_checks == 60
    watch.states["1"] = "FAILED"
    look(executor, info)
    assert executor.next_seconds_between_status_checks == 1


@pytest.mark.parametrize("took_s", [3, 20, 100, 400])
def test_nobody_waits_much_longer_than_jobs_take(mended, tmp_path, took_s):
    """The end of a job is seen after a quarter of its time at most, and a second."""
    executor = Executor()
    watch = mended(executor)
    executor.next_seconds_between_status_checks = 1
    info = submitted(executor, "1", tmp_path)
    while not executor.succeeded:
        watch.now += executor.next_seconds_between_status_checks
        watch.states = {"1": "COMPLETED"} if watch.now >= took_s else {}
        look(executor, info)
    assert watch.now <= 1.25 * took_s + 1


@pytest.mark.parametrize("side_by_side", [57, 10])
def test_an_hour_of_long_jobs_takes_some_thirty_looks(mended, workflow, tmp_path, side_by_side):
    """A million clusters in 57 jobs of an hour, which end at any time: with their submissions fewer than 100 calls."""
    executor = Executor()
    watch = mended(executor)
    # the plugin's default
    workflow.executor_settings.init_seconds_before_status_checks = executor.next_seconds_between_status_checks = 40
    rng, looks = np.random.default_rng(1), []
    waiting, running, ends = [str(k) for k in range(57)], [], {}
    while waiting or running:
        while waiting and len(running) < side_by_side:
            name = waiting.pop()
            running.append(submitted(executor, name, tmp_path))
            ends[name] = watch.now + rng.uniform(3000, 3600)
        watch.states = {name: "COMPLETED" for name, end in ends.items() if end <= watch.now}
        going_on = look(executor, *running)
        running = [info for info in running if info.external_jobid in going_on]
        looks.append(watch.now)
        watch.now += executor.next_seconds_between_status_checks
    assert len(executor.succeeded) == 57
    an_hour = max(sum(start <= look < start + 3600 for look in looks) for start in looks)
    # the first looks come sooner, as long as nobody knows that jobs are long
    assert an_hour <= 36


def test_an_account_is_checked_once():
    """Before each job the plugin asks the database whether it exists; a failure is no answer."""
    asked = []

    def validate(account, logger):
        asked.append(account)
        if len(asked) == 1:
            raise ValueError("no answer")
        return account.lower()

    once = snakemake_internals._once_each(validate)
    with pytest.raises(ValueError, match="no answer"):
        once("A", None)
    assert [once(account, None) for account in ("A", "A", "B", "A")] == ["a", "a", "b", "a"]
    assert asked == ["A", "A", "B"]


def test_nobody_waits_for_a_pause_at_the_end(mended):
    """Snakemake joins the thread that sleeps."""
    executor = Executor()
    mended(executor)
    executor.wait, executor.next_seconds_between_status_checks = False, 1000
    asyncio.run(executor.sleep())


def test_jobs_are_cancelled_while_slurm_is_asked_for_them(mended, tmp_path):
    """Snakemake has them off its list then."""
    executor = Executor()
    watch = mended(executor)
    infos = [submitted(executor, name, tmp_path) for name in "abc"]
    watch.ended = lambda jobs, all_clusters: executor.cancel_jobs([infos[2]]) or {}
    look(executor, *infos[:2])
    assert executor.cancelled == ["a", "b", "c"]


def test_the_end_cancels_what_slurm_took_meanwhile_and_submits_nothing(mended, monkeypatch):
    """The plugin submits in threads, and ends when they have: what they have not begun is left."""
    executor, cancelled = Executor(), []
    mended(executor)
    monkeypatch.setattr(snakemake_internals, "cancel_run", cancelled.append)
    executor.run_job(Job(("1",)))
    executor.cancel()
    executor.run_job(Job(("2",)))
    assert executor.submitted == [Job(("1",))]
    assert cancelled == ["a-run"]


@pytest.fixture
def signals(monkeypatch):
    """Handlers and Snakemake's printer are as before when the test ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    printer = import_module("snakemake.logging").ColorizingTextHandler
    monkeypatch.setattr(printer, "emit", printer.emit)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield printer
    for number, handler in before.items():
        signal.signal(number, handler)


class Interrupted(io.StringIO):
    """Ctrl-C comes while a line is written to it."""

    def write(self, text):
        signal.raise_signal(signal.SIGINT)
        return len(text)


def test_an_interrupt_while_snakemake_prints_a_line_is_not_lost(signals, workflow):
    """Snakemake alone prints the line and goes on for ever."""
    printer = signals(nocolor=True, stream=Interrupted())
    line = logging.LogRecord("snakemake", logging.INFO, "", 0, "Select jobs to execute...", None, None)
    printer.emit(line)
    workflow.scheduler = SimpleNamespace(exit_gracefully=print)
    snakemake_internals.mend_signals(workflow)
    with pytest.raises(KeyboardInterrupt):
        printer.emit(line)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # others' lines and quiet ones are printed as before
    out = io.StringIO()
    signals(nocolor=True, stream=out).emit(line)
    assert out.getvalue() == "Select jobs to execute...\n"


def test_sigterm_while_snakemake_holds_its_lock_ends_the_run(signals, workflow):
    """Its own handler would ask for a lock that the interrupted thread holds, and never return."""
    scheduler = object.__new__(import_module("snakemake.scheduling.job_scheduler").JobScheduler)
    scheduler._lock, scheduler._open_jobs, scheduler._user_kill = threading.Lock(), threading.Semaphore(0), None
    workflow.scheduler = scheduler
    snakemake_internals.mend_signals(workflow)
    with scheduler._lock:
        signal.raise_signal(signal.SIGTERM)
        assert scheduler._user_kill is None
    assert scheduler._open_jobs.acquire(timeout=60)
    assert scheduler._user_kill == "graceful"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, False), ({"gpu": 0}, False), ({"gpu": 1}, True), ({"gres": "gpu:1"}, True), ({"gres": "ssd:1"}, False)],
)
def test_whether_a_rule_asks_for_gpus(workflow, asked, expected):
    """In either of Slurm's ways."""
    resources = {name: SimpleNamespace(raw=amount) for name, amount in asked.items()}
    workflow.resource_settings = SimpleNamespace(overwrite_resources={"simulate": resources})
    assert snakemake_internals.asks_for_gpu(workflow, "simulate") == expected
