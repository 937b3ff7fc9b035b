"""What natal needs of Snakemake beyond its documented language is still there: each piece fails by its own name."""

import asyncio
import inspect
from importlib import import_module
from types import SimpleNamespace

import pytest
from project import ROOT

from natal.errors import NatalError
from natal.running import snakemake_internals


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
    "snakemake.workflow:Workflow.rules",
    "snakemake.workflow:Workflow.scheduler",
    "snakemake.rules:Rule.conda_env",
    "snakemake.dag:DAG.forcefiles",
    "snakemake.persistence:PersistenceBase.params",
    "snakemake.settings.types:ResourceSettings.overwrite_resources",
    "snakemake.scheduling.job_scheduler:JobScheduler._executor",
    "snakemake.cli:parse_config",
    "snakemake.exceptions:MissingRuleException",
    "snakemake.io:IOFile",
    "snakemake_executor_plugin_slurm:Executor.run_uuid",
    "snakemake_executor_plugin_slurm:ExecutorSettings.status_command",
    "snakemake_executor_plugin_slurm:query_job_status",
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
    """`before_planning` replaces `_build_dag`: jobs must be planned by it, before the first one runs."""
    workflow = import_module("snakemake.workflow").Workflow
    source = inspect.getsource(workflow.execute)
    moved = "snakemake plans jobs elsewhere: see before_planning in src/natal/running/snakemake_internals.py"
    assert 0 < source.find("self._build_dag()") < source.find("self._onstart("), moved


def test_a_forced_file_is_a_string_in_a_set():
    """`make_again` adds to it; the plan compares it with outputs."""
    source = inspect.getsource(import_module("snakemake.dag").DAG)
    assert "self.forcefiles.isdisjoint(job.output)" in source, "snakemake moved DAG.forcefiles: see make_again"


def test_the_slurm_plugin_asks_by_the_function_that_is_replaced():
    """By its global name, with its states read to the first word only where they are told."""
    plugin = import_module("snakemake_executor_plugin_slurm")
    source = inspect.getsource(plugin.Executor.check_active_jobs)
    moved = "the Slurm plugin asks otherwise: see mend_slurm_plugin in src/natal/running/snakemake_internals.py"
    assert "await query_job_status(" in source, moved


def test_snakemake_still_runs_scripts_without_quotes():
    """`check_interpreter` refuses what only quotes would let pass."""
    source = inspect.getsource(import_module("snakemake.script").PythonScript.execute_script)
    moved = "snakemake runs scripts otherwise: is check_interpreter in src/natal/running/snakemake_internals.py needed?"
    assert '"{py_exec} {fname:q}"' in source, moved


@pytest.mark.parametrize("sign", [" ", "'", '"', "$", "&", ";", "(", "*", "\\", "\n"])
def test_a_path_that_a_shell_takes_apart_is_refused(sign):
    """In one line, before anything runs; umlauts are letters."""
    path = f"/home/me/My{sign}Files/natal/.venv/bin/python"
    with pytest.raises(NatalError, match="Snakemake cannot run jobs with") as caught:
        snakemake_internals.check_interpreter(path)
    assert repr(sign) in str(caught.value)
    snakemake_internals.check_interpreter("/home/Jürgen_Ré/星団-1.2+3/.venv/bin/python3.11")


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
    snakemake_internals.before_planning(workflow, lambda: calls.append("prepare"), calls.append)
    workflow._build_dag()
    assert calls == ["prepare", "plan"]
    workflow.is_main_process = False
    plan = workflow._build_dag
    snakemake_internals.before_planning(workflow, lambda: calls.append("prepare"), calls.append)
    assert workflow._build_dag is plan


def test_an_unknown_target_is_told(workflow):
    """With Snakemake's words; other errors pass by."""
    error = import_module("snakemake.exceptions").MissingRuleException

    def plan():
        raise error("tiny.csv")

    told = []
    workflow._build_dag = plan
    snakemake_internals.before_planning(workflow, lambda: None, told.append)
    with pytest.raises(error):
        workflow._build_dag()
    assert len(told) == 1
    assert "tiny.csv" in told[0]


@pytest.mark.parametrize(("plugin", "dryrun", "expected"), [(None, False, False), (1, True, False), (1, False, True)])
def test_whether_jobs_run(workflow, plugin, dryrun, expected):
    """Neither for a report nor in a dry run."""
    workflow.executor_plugin, workflow.dryrun = plugin, dryrun
    assert snakemake_internals.runs_jobs(workflow) == expected


@pytest.mark.parametrize(("accounting_off", "expected"), [(True, "squeue"), (False, "sacct")])
def test_the_slurm_plugin_is_mended(workflow, monkeypatch, accounting_off, expected):
    """It asks who has an answer, and a cancelled job is one whoever cancelled it."""
    plugin = import_module("snakemake_executor_plugin_slurm")

    async def answer(command, logger):
        return {"1": "CANCELLED by 1000", "2": "RUNNING"}, 0.1

    monkeypatch.setattr(plugin, "query_job_status", answer)
    workflow.executor_settings = SimpleNamespace(status_command="sacct")
    snakemake_internals.mend_slurm_plugin(workflow, lambda: accounting_off)
    assert workflow.executor_settings.status_command == expected
    states, seconds = asyncio.run(plugin.query_job_status("sacct", None))
    assert (states, seconds) == ({"1": "CANCELLED", "2": "RUNNING"}, 0.1)


def test_the_slurm_plugin_without_an_answer(workflow, monkeypatch):
    """Is asked again by the plugin itself."""
    plugin = import_module("snakemake_executor_plugin_slurm")

    async def no_answer(command, logger):
        return None, None

    monkeypatch.setattr(plugin, "query_job_status", no_answer)
    workflow.executor_settings = SimpleNamespace(status_command="squeue")
    snakemake_internals.mend_slurm_plugin(workflow, lambda: False)
    assert asyncio.run(plugin.query_job_status("squeue", None)) == (None, None)
