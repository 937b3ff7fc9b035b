"""A private Slurm for all tests of this folder, and projects that run in it."""

import shutil

import pytest
from private_slurm import PrivateSlurm, missing
from project import Project
from slurm_project import CAMPAIGN, SUMMARIES, SlurmProject


@pytest.fixture(scope="session")
def slurm():
    """A running private Slurm."""
    reason = missing()
    if reason:
        pytest.skip(reason)
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
    """The bytes of summaries.csv of the campaign run on this machine, without Slurm and without faults."""

    def run():
        project = Project(shared / "undisturbed", cache, CAMPAIGN)
        project.run(SUMMARIES)
        return (project.folder / SUMMARIES).read_bytes()

    return once(run, "undisturbed")


@pytest.fixture
def project(slurm, tmp_path, cache):
    """A project in which nothing has run."""
    project = SlurmProject(tmp_path / "project", cache, slurm, CAMPAIGN)
    yield project
    project.stop()
    shutil.rmtree(project.folder, ignore_errors=True)
