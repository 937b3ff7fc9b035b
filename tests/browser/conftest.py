"""A browser, and a report of a real campaign to open in it."""

import os
from pathlib import Path

import pytest
from chromium import Browser, missing
from project import TINY, Project

OBSERVATIONS = "name,f_bound,sigma_v_kms,r_h_au,sigma_v_kms_err\nOrion,0.9,4.0,150,0.5\nOther,0.99,6.0,90,\n"


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The report named by NATAL_REPORT, or that of a tiny campaign that is run for it, own observations included."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    if "NATAL_REPORT" in os.environ:
        return Path(os.environ["NATAL_REPORT"])
    folder, cache = (tmp_path_factory.mktemp(name) for name in ("project", "cache"))
    own = {"observations": "mine.csv", "observables": {"in_report": True}, "report": {"corner_cases": 3}}
    project = Project(folder, cache, TINY | own)
    (folder / "mine.csv").write_text(OBSERVATIONS)
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return project.results() / "report.html"


@pytest.fixture
def browser():
    """A browser with a window 1280 pixels wide."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Browser() as browser:
        yield browser


@pytest.fixture
def page(browser, report):
    """The browser with the report in it."""
    browser.open(report)
    return browser
