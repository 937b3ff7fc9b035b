"""Tiny campaigns, planned and finished, and copies of the project in which Snakemake really runs."""

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
def planned(shared, cache, once):
    """A project whose tiny campaign is simulated; Snakemake holds the rest, empty files, for made by today's jobs.

    That is all a plan looks at, for a tenth of the time. Tests must not change what is in it.
    """

    def run():
        project = Project(shared / "planned", cache)
        project.run("results/tiny/summaries.csv")
        listed = project.run("--summary").stdout.splitlines()[1:]
        for path in (project.folder / line.partition("\t")[0] for line in listed):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        project.run("--touch", "--forceall")
        # a plan notes the shards' new dates: the next one then writes nothing
        project.run("-n")

    once(run, "planned")
    return Project.opened(shared / "planned", is_finished=True)


@pytest.fixture(scope="session")
def finished(shared, cache, once):
    """A project whose tiny campaign has run to its end. Tests must not change what is in it."""

    def run():
        Project(shared / "finished", cache).run()

    once(run, "finished")
    return Project.opened(shared / "finished", is_finished=True)


@pytest.fixture
def fresh(tmp_path, cache):
    """A project in which nothing has run."""
    return Project(tmp_path / "fresh", cache)


@pytest.fixture
def editable(planned, tmp_path):
    """A copy of the planned project, results and Snakemake's records included, to be edited."""
    return copied(planned, tmp_path)


@pytest.fixture
def complete(finished, tmp_path):
    """A copy of the finished project, to be edited."""
    return copied(finished, tmp_path)


def copied(project, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder, symlinks=True)
    return Project.opened(folder)
