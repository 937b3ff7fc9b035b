"""The site of `make docs` in a real browser: found by its search, whole on a telephone, quiet, without a network."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from axe import AXE, RULES_MISSING, serious
from chromium import Browser, missing
from project import ROOT

pytestmark = pytest.mark.browser

WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
BROKEN = "[...document.images].filter((i) => !(i.complete && i.naturalWidth > 0)).map((i) => i.src)"
RESULTS = '[...document.querySelectorAll("a.md-search-result__link")].slice(0, 20).map((a) => a.href.split(/[?#]/)[0])'
TELEPHONE = 380
# a page of each kind: text and pictures, commands, a notebook, formulas, generated references, a drawing
READ = (
    "index.html",
    "tutorials/first_cluster.html",
    "tutorials/notebook.html",
    "explanation/formulas.html",
    "reference/api/natal.html",
    "reference/configuration.html",
    "howto/messages.html",
    "architecture.html",
)
PATIENCE_S = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder named by NATAL_SITE, or a site that is built for it."""
    if reason := missing():
        pytest.skip(reason)
    if "NATAL_SITE" in os.environ:
        return Path(os.environ["NATAL_SITE"]).resolve()
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def browser(site):
    """One browser for all pages."""
    with Browser() as browser:
        yield browser


def addresses(site: Path) -> list[Path]:
    """All pages of the site but that for addresses that are not there."""
    return sorted(path for path in site.rglob("*.html") if path.name != "404.html")


def test_every_page_is_whole_on_a_telephone(site, browser):
    """Nothing needs scrolling sideways, pictures show, nothing is fetched from elsewhere or said on the console."""
    browser.resize(TELEPHONE, 800)
    pages = addresses(site)
    assert len(pages) > 50
    wide, broken = [], []
    for page in pages:
        browser.open(page)
        needed, there = browser.evaluate(WIDTHS)
        name = page.relative_to(site).as_posix()
        wide += [(name, needed)] if needed > there else []
        broken += [(name, image) for image in browser.evaluate(BROKEN)]
    assert (wide, broken, browser.console) == ([], [], [])
    assert [url for url in browser.requests if not url.startswith((site.as_uri(), "data:"))] == []


def test_the_search_finds_without_a_server(site, browser):
    """What is typed is among the first results of a page that was opened as a file."""
    browser.resize(1280, 800)
    browser.call("Emulation.setFocusEmulationEnabled", enabled=True)
    for words, page in (
        ("at_edge", "reference/files.html"),
        ("is not a finite number", "howto/messages.html"),
        ("preempted", "howto/slurm.html"),
        ("r_hp_pc", "howto/own_clusters.html"),
        ("add a summary", "howto/extending.html"),
        ("softening_au", "tutorials/change_one_thing.html"),
        ("interrupted", "explanation/staleness.html"),
        ("share a campaign", "howto/sharing.html"),
    ):
        browser.open(site / "index.html")
        browser.evaluate("document.querySelector('input.md-search__input').focus()")
        browser.call("Input.insertText", text=words)
        found, until = [], time.monotonic() + PATIENCE_S
        while not found and time.monotonic() < until:
            time.sleep(0.1)
            found = browser.evaluate(RESULTS)
        assert (site / page).as_uri() in found, words
    assert [url for url in browser.requests if not url.startswith((site.as_uri(), "data:"))] == []


@pytest.mark.skipif(not AXE.is_file(), reason=RULES_MISSING)
@pytest.mark.parametrize(("scheme", "shown", "width"), [("light", "default", 1280), ("dark", "slate", TELEPHONE)])
def test_everybody_can_read_it(site, scheme, shown, width):
    """axe-core finds nothing serious on a page of each kind, in either scheme; it does where something is wrong."""
    # the scheme of the first page that a browser opens is kept
    with Browser() as browser:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.resize(width, 800)
        found = []
        for name in READ:
            browser.open(site / name)
            assert browser.evaluate("document.body.dataset.mdColorScheme") == shown
            found += [(name, *finding) for finding in serious(browser)]
        assert found == []
        browser.evaluate('document.querySelector(".md-content p").style.color = "#8888"')
        assert [rule for rule, *_ in serious(browser)] == ["color-contrast"]
