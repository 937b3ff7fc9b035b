"""A finished tiny campaign, and copies of the project in which Snakemake really runs."""

import shutil

import pytest
from project import Project


@pytest.fixture(scope="session")
def cache(shared):
    """A compile cache for all workflow tests."""
    folder = shared / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def finished(shared, cache, once):
    """A project whose tiny campaign has run to its end. Tests must not change what is in it."""

    def run():
        project = Project(shared / "finished", cache)
        done = project.snakemake()
        assert done.returncode == 0, done.stdout + done.stderr

    once(run, "finished")
    return Project.opened(shared / "finished", is_finished=True)


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What looks at the finished campaign and at plans is quick; a test in which jobs run is one of the long ones."""
    for item in items:
        runs_jobs = {"editable", "fresh"} & set(getattr(item, "fixturenames", ()))
        if "workflow" in item.keywords and item.path.name != "test_mistakes.py" and runs_jobs:
            item.add_marker("slow")
