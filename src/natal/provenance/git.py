"""The git commit that natal's code is at."""

import subprocess
from functools import cache
from pathlib import Path

TIMEOUT_S = 10
"""How long git may take."""


@cache
def git_commit(file: str | Path = __file__) -> str | None:
    """The commit that is checked out where a file is.

    Args:
        file: A file of the repository.

    Returns:
        The commit's full name, with `-dirty` behind it if tracked files differ from it. None, and never an error, where
        git or the repository is missing, slow or unwilling, or does not know the file.
    """
    file = Path(file)
    # an installed natal may lie within a repository that does not hold its code
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    return _git(file.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    # jobs that run side by side must not wait for each other's lock on the index
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
