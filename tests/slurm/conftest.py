"""A private Slurm for all tests of this folder, and projects that run in it."""

import shutil

import pytest
from private_slurm import PrivateSlurm, missing
from project import Project
from slurm_project import CAMPAIGN, SUMMARIES, SlurmProject


@pytest.fixture(scope="session")
def can_run():
    """Skips where no private Slurm can run."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def slurm(can_run):
    """A running private Slurm."""
    with PrivateSlurm() as running:
        yield running


@pytest.fixture(scope="session")
def cache(shared):
    """A compile cache for all projects."""
    folder = shared / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def undisturbed(shared, cache, once):
    """The results of the campaign run on this machine, without Slurm and without faults."""

    def run():
        project = Project(shared / "undisturbed", cache, CAMPAIGN)
        project.run(SUMMARIES)
        return project.results()

    return once(run, "undisturbed")


@pytest.fixture
def project(slurm, tmp_path, cache):
    """A project in which nothing has run."""
    project = SlurmProject(tmp_path / "project", cache, slurm, CAMPAIGN)
    yield project
    project.stop()
    shutil.rmtree(project.folder, ignore_errors=True)
