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
def cache(tmp_path_factory):
    """A compile cache for all projects."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, cache):
    """The bytes of summaries.csv of the campaign run on this machine, without Slurm and without faults."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), cache, CAMPAIGN)
    done = project.snakemake(SUMMARIES)
    assert done.returncode == 0, done.stdout + done.stderr
    return (project.folder / SUMMARIES).read_bytes()


@pytest.fixture
def project(slurm, tmp_path, cache):
    """A project in which nothing has run."""
    project = SlurmProject(tmp_path / "project", cache, slurm, CAMPAIGN)
    yield project
    project.stop()
    shutil.rmtree(project.folder, ignore_errors=True)
