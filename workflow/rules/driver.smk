# What the process that plans and submits jobs does by itself; jobs read this file, too, but skip it.
from snakemake.exceptions import MissingRuleException
from snakemake.io import IOFile

from natal.running.slurm import accounting_is_off, cancel_orphans, note_run
from natal.running.lock import lock_campaign
from natal.campaign.inventory import find_damaged, find_stale, keep_earlier, set_aside, write_layout

DAMAGED = {}


def plan_again():
    """Have Snakemake make the shards again that are not what they should be: it looks at dates and its own records."""
    DAMAGED.update(find_damaged(SIMULATIONS, SHARDS.values()))
    digests = {name: shard_digest(name) for name in SHARDS}
    lines = find_stale(SIMULATIONS, digests, is_explained=seen_by_snakemake) | DAMAGED
    for line in dict.fromkeys(lines.values()):
        print(f"natal: {line}", file=sys.stderr, flush=True)
    # forced, since what was made from them may be there and as new as ever
    workflow.dag.forcefiles.update(map(str, lines))


def seen_by_snakemake(path):
    """Whether Snakemake's record of a shard says that other settings or code made it."""
    recorded = workflow.persistence.params(IOFile(str(path), rule=None))
    return recorded is not None and repr(shard_digest(path.stem)) not in recorded


def build_dag():
    """Plan jobs, with the campaign locked, nothing left in the queue and every shard checked."""
    runs = workflow.executor_plugin is not None and not workflow.dryrun
    try:
        if runs:
            lock_campaign(RESULTS)
            cancel_orphans(RESULTS)
            # jobs read it, and must plan the same
            write_layout(SIMULATIONS, plan.layout(config, read_layout(SIMULATIONS)))
        plan_again()
    except NatalError as mistake:
        sys.exit(str(mistake))
    except OSError as trouble:
        sys.exit(f"{RESULTS} cannot be checked: {trouble}")
    try:
        snakemake_builds_dag()
    except MissingRuleException as unknown:
        what = str(unknown).partition(" (if you use")[0]
        sys.exit(f"{what}: with this configuration natal makes the files of {RESULTS} (README.md lists them) only")


if workflow.is_main_process:
    # Snakemake has no hook here. While it reads this file it cannot tell a dry run, which must not wait for a lock, and
    # `onstart` comes after jobs were planned: from files that another process was still at work on.
    snakemake_builds_dag = workflow._build_dag
    workflow._build_dag = build_dag


onstart:
    try:
        set_aside(DAMAGED)
        digests = {name: shard_digest(name) for name in SHARDS}
        keep_earlier(SIMULATIONS, {name: shard_stem(name) for name in SHARDS}, digests)
        if hasattr(workflow.scheduler._executor, "run_uuid"):
            prepare_slurm()
    except OSError as trouble:
        sys.exit(f"{RESULTS} cannot be written: {trouble}")


def prepare_slurm():
    """Note the run's name, and mend two things of the Slurm plugin 2.8.0 that leave Snakemake waiting for ever."""
    import snakemake_executor_plugin_slurm as plugin

    note_run(RESULTS, workflow.scheduler._executor.run_uuid)

    # it asks sacct wherever that is installed, with nothing to say if accounting is off
    if workflow.executor_settings.status_command == "sacct" and accounting_is_off():
        workflow.executor_settings.status_command = "squeue"

    # it does not know sacct's state of a cancelled job, "CANCELLED by 1000"
    query_job_status = plugin.query_job_status

    async def query_first_words(*arguments):
        states, seconds = await query_job_status(*arguments)
        return states and {job: state.partition(" ")[0] for job, state in states.items()}, seconds

    plugin.query_job_status = query_first_words
