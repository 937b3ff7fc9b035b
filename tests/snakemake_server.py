"""Runs snakemake in forks of one process that has imported it already: imports are half the time of a dry run.

Each line on standard input is a call in JSON, each line on standard output its exit code. With a project's folder as
argument it has imported and digested that project's code, too, which must then stay as it is.
"""

import json
import os
import signal
import sys
from pathlib import Path

from snakemake.cli import main


def warm_up(folder: str) -> None:
    """What a rule file imports and digests."""
    sys.path.insert(0, f"{folder}/src")
    import natal.campaign.config
    import natal.campaign.inventory  # noqa: F401
    from natal.provenance.digests import code_digest

    for script in Path(folder, "workflow", "scripts").rglob("*.py"):
        code_digest(script)


def run(arguments: list[str], cwd: str, environment: dict[str, str], stdout: str, stderr: str, timeout_s: int) -> None:
    """Be `python -m snakemake`."""
    signal.alarm(timeout_s)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [cwd, *environment["PYTHONPATH"].split(os.pathsep)]
    for path, flags, descriptor in (
        (os.devnull, os.O_RDONLY, 0),
        (stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 1),
        (stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 2),
    ):
        os.dup2(os.open(path, flags), descriptor)
    sys.argv = ["snakemake", *arguments]
    main(arguments)


if len(sys.argv) > 1:
    warm_up(sys.argv[1])
while line := sys.stdin.readline():
    child = os.fork()
    if child == 0:
        # it ends by SystemExit
        run(**json.loads(line))
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
