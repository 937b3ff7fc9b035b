"""Two people of one group work on one campaign, in a folder that hands its group on (setgid)."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from project import TINY, Project, merged

pytestmark = pytest.mark.slow

GROUP, FIRST, SECOND = 61_000, 61_001, 61_002
CONFIG = merged(TINY, {"design": {"train": [4], "calibration": 0}})
SHARD = "results/tiny/simulations/train0_000.h5"
SUMMARIES = "results/tiny/summaries.csv"
# root whom permissions hold: nobody else may be able to run this Python
BOUND = ("setpriv", f"--regid={GROUP}", "--clear-groups", "--inh-caps=-all")
BOUND += ("--bounding-set=-dac_override,-dac_read_search,-fowner", "--")


class Group:
    """A project in a folder of a group, and runs of its members."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder / "project", folder / "cache", CONFIG)
        (self.project.folder / ".cache").unlink()
        for path in self.files():
            os.chown(path, FIRST, GROUP)
            path.chmod(0o2775 if path.is_dir() else 0o664)

    def files(self) -> list[Path]:
        """Everything in the project's folder, and itself."""
        return [self.project.folder, *self.project.folder.rglob("*")]

    def run(self, user: int, umask: int, *arguments: str) -> subprocess.CompletedProcess:
        """Run snakemake as a member of the group: root without powers, to whom the member's files belong meanwhile."""
        self._hand_over(user, 0)
        try:
            command = [*BOUND, *self.project.command("profiles/local", *arguments)]
            environment = self.project.environment
            return subprocess.run(
                command, cwd=self.project.folder, env=environment, capture_output=True, text=True, umask=umask
            )
        finally:
            self._hand_over(0, user)

    def _hand_over(self, owner: int, to: int) -> None:
        for path in self.files():
            if path.lstat().st_uid == owner:
                os.chown(path, to, -1, follow_symlinks=False)

    def owner(self, file: str) -> int:
        """Whose a file is."""
        return (self.project.folder / file).stat().st_uid


@pytest.fixture
def group():
    """Skips where permissions do not hold root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    # not in pytest's folders, which are root's alone
    folder = Path(tempfile.mkdtemp(prefix="natal-group-"))
    try:
        folder.chmod(0o755)
        closed = folder / "closed"
        closed.mkdir(mode=0o755)
        os.chown(closed, FIRST, GROUP)
        if subprocess.run([*BOUND, "touch", closed / "file"], capture_output=True).returncode == 0:
            pytest.skip("permissions do not hold root here")
        yield Group(folder)
    finally:
        shutil.rmtree(folder)


def test_who_may_write_goes_on_where_the_other_stopped(group):
    """With `umask 002`; what is complete stays, whoever made it."""
    done = group.run(FIRST, 0o002, SHARD)
    assert done.returncode == 0, done.stdout + done.stderr
    before = (group.project.folder / SHARD).stat().st_mtime_ns
    done = group.run(SECOND, 0o002, SUMMARIES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (group.owner(SHARD), group.owner(SUMMARIES)) == (FIRST, SECOND)
    assert (group.project.folder / SHARD).stat().st_mtime_ns == before
    done = group.run(FIRST, 0o002, SUMMARIES)
    assert "Nothing to be done" in done.stdout + done.stderr


def test_who_may_not_write_is_told_before_anything_runs(group):
    """With `umask 027` the other one may look and plan; opened in part, the first folder that is closed is named."""
    done = group.run(FIRST, 0o027, SHARD)
    assert done.returncode == 0, done.stdout + done.stderr
    done = group.run(SECOND, 0o027, SUMMARIES, "-n")
    assert done.returncode == 0, done.stdout + done.stderr

    def refused():
        done = group.run(SECOND, 0o027, SUMMARIES)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert "Execute" not in done.stderr
        return done.stderr

    assert "results/tiny/.lock cannot be written (Permission denied)" in refused()
    folder = group.project.folder
    said = f"cannot be written: it belongs to {FIRST}, and jobs would fail there; let its group write"
    opened = {"results": True, "logs/tiny": False, ".snakemake": True, ".cache": True}
    for (name, and_below), closed in zip(
        opened.items(), ("logs/tiny", ".snakemake", ".cache", "logs/tiny/simulate"), strict=True
    ):
        for path in (folder / name, *((folder / name).rglob("*") if and_below else ())):
            path.chmod(path.stat().st_mode | 0o020)
        assert f"{closed} {said}" in refused()
