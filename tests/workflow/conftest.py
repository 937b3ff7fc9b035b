"""A finished tiny campaign, and copies of the project in which Snakemake really runs."""

import fcntl
import shutil

import pytest
from project import Project


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder that all processes of this test session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "workflow"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def cache(shared):
    """A compile cache for all workflow tests."""
    folder = shared / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def finished(shared, cache):
    """A project whose tiny campaign has run to its end. Tests must not change what is in it."""
    folder = shared / "finished"
    with open(shared / "lock", "w") as lock:
        # the process that comes first runs it, on all cores, the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (shared / "done").exists():
            return Project.opened(folder)
        project = Project(folder, cache)
        done = project.snakemake()
        assert done.returncode == 0, done.stdout + done.stderr
        (shared / "done").touch()
    return project


@pytest.fixture
def fresh(tmp_path, cache):
    """A project in which nothing has run."""
    return Project(tmp_path / "fresh", cache)


@pytest.fixture
def editable(finished, tmp_path, cache):
    """A copy of the finished project, results and Snakemake's records included, to be edited."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Project.opened(folder)
