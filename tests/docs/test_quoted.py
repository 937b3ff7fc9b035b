"""Numbers of the default campaign in README and docs are its own; others say when and how they were measured."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from project import ROOT

from natal.files.formats import read_json

SPEC = importlib.util.spec_from_file_location("quoted", ROOT / "docs" / "quoted.py")
assert SPEC is not None
assert SPEC.loader is not None
quoted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(quoted)

DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b|\b\d{1,2} [A-Z][a-z]+ 20\d\d\b")
REMADE = re.compile(r"\b[Rr]emade\b|\bremake|No command")
RESULT = re.compile(r"\d %|\d\.\d")
OF_RESULTS = re.compile(r"\b(hold|cover|score|fail|pass|R-hat|contraction|trust)", re.IGNORECASE)
# what is no result
ASIDE = re.compile(r"`[^`]*`|\$[^$]*\$|\(\S+\.md\)")
TABLE = re.compile(r"^\| ?-{3}", re.MULTILINE)
OF_CODE = "staleness.md"  # an architect's page


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    return read_json(quoted.METRICS)


def pages(folder: str) -> list[Path]:
    return [page for page in sorted((ROOT / "docs" / folder).glob("*.md")) if page.name != OF_CODE]


def shown(page: Path) -> str:
    """The page without blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_pages_say_what_the_campaign_says(metrics):
    outdated = [str(page.relative_to(ROOT)) for page, _ in quoted.outdated(metrics)]
    assert not outdated, f"{', '.join(outdated)}: python docs/quoted.py writes their numbers anew"


def test_a_number_that_differs_is_seen(metrics):
    """A coverage that is off by a tenth of a point, an altered block, a changed sign."""
    text = "95.0<!--= 100 calibration.coverage.95.joint --> and 2.64<!--= calibration.log_score -->"
    joint, score = metrics["calibration"]["coverage"]["95"]["joint"], metrics["calibration"]["log_score"]
    expected = f"{100 * joint:.1f}<!--= 100 calibration.coverage.95.joint --> and \N{MINUS SIGN}{-score:.2f}"
    assert quoted.written(text, metrics) == f"{expected}<!--= calibration.log_score -->"
    block = "<!-- begin verdict -->\n> All is well.\n<!-- end verdict -->"
    assert metrics["calibration"]["verdict"]["text"][:30] in quoted.written(block, metrics)


@pytest.mark.parametrize("page", quoted.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_mark_belongs_to_a_number(page):
    """A mark that stands after a word, or names no block, would never be compared."""
    text = page.read_text(encoding="utf-8")
    assert text.count("<!--=") == len(quoted.NUMBER.findall(text))
    blocks = [found["name"] for found in quoted.BLOCK.finditer(text)]
    assert text.count("<!-- begin ") == len(blocks)
    assert set(blocks) <= set(quoted.BLOCKS)


@pytest.mark.parametrize("page", quoted.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_said_of_the_default_campaign_is_marked_or_dated(page):
    if page.is_relative_to(ROOT / "docs" / "measurements"):
        return  # dated by section, below
    wrong = []
    for paragraph in re.split(r"\n\s*\n|\n(?=[-*|] |#)", shown(page)):
        plain = ASIDE.sub("", paragraph)
        result = "default campaign" in " ".join(plain.split()) and RESULT.search(plain) and OF_RESULTS.search(plain)
        wrong += [paragraph] if result and not quoted.NUMBER.search(paragraph) and not DATE.search(paragraph) else []
    assert not wrong, f"mark these numbers (docs/quoted.py), or say when they were measured: {wrong}"


@pytest.mark.parametrize("page", pages("measurements"), ids=lambda page: page.name)
def test_measurements_say_when_and_how(page):
    top, *sections = re.split(r"^## ", shown(page), flags=re.MULTILINE)
    top = quoted.written(top, read_json(quoted.METRICS))
    for section in sections:
        if TABLE.search(section) and page.name != "index.md":
            name = section.splitlines()[0]
            assert DATE.search(section) or DATE.search(top), f"{name}: when was this measured?"
            assert REMADE.search(section) or REMADE.search(top), f"{name}: what remakes it?"


@pytest.mark.parametrize("page", pages("studies"), ids=lambda page: page.name)
def test_studies_say_when_and_how(page):
    assert page.name == "index.md" or (DATE.search(shown(page)) and f"make study STUDY={page.stem}" in page.read_text())


@pytest.mark.parametrize("folder", ["explanation", "measurements"])
def test_pages_are_short(folder):
    for page in pages(folder):
        lines = page.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 250, page
        # rows of measured tables may be longer
        assert all(len(line) <= 120 for line in lines if folder == "explanation" or not line.startswith("|")), page
        if folder == "explanation" and page.name not in ("index.md", "sources.md"):
            assert "\n## What can go wrong\n" in "\n".join(lines), page
