"""Every command in the documentation is one that natal, make or Snakemake know; nothing is run here."""

import re
import shlex
from pathlib import Path

import click
import pytest
from project import ROOT
from snakemake.cli import get_argument_parser

from natal.cli.command import main

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config" / "README.md", *(ROOT / "docs").rglob("*.md")]
BLOCK = re.compile(r"^```\n(.*?)^```", re.DOTALL | re.MULTILINE)
IN_TEXT = re.compile(r"(?<!`)`(?:\.venv/bin/)?((?:make|natal|snakemake) [^`\n…<.]+)`")
KNOWN = ("make", "natal", "snakemake")
# files and campaigns of the reader
THEIRS = re.compile(r"(mine|my|campaign|points|clusters)\.(yaml|csv|zip)$|^results/|^report\.(html|zip)$")


def commands(text: str) -> list[str]:
    """Commands of a page: lines of its blocks, and what stands in its sentences."""
    lines = [line.removeprefix(".venv/bin/") for block in BLOCK.findall(text) for line in block.splitlines()]
    # prose in a block is a log line, not a command
    lines = [line for line in lines if line.startswith(tuple(f"{word} " for word in KNOWN)) and ". " not in line]
    parts = [part.strip() for line in [*lines, *IN_TEXT.findall(text)] for part in line.split("&&")]
    return [part for part in parts if part.startswith(tuple(f"{word} " for word in KNOWN))]


@pytest.fixture(scope="module")
def make_targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.fixture(scope="module")
def snakemake_targets() -> set[str]:
    files = [*(ROOT / "workflow").rglob("*.smk"), ROOT / "Snakefile"]
    return {name for path in files for name in re.findall(r"^\s*rule (\w+):", path.read_text(), re.M)}


@pytest.fixture(scope="module")
def snakemake_options():
    return get_argument_parser()


def unknown_to_snakemake(arguments: list[str], parser, targets: set[str]) -> list[str]:
    """Options that there are not, targets that are no rule, configurations that are no file."""
    try:
        found, unknown = parser.parse_known_args(arguments)
    except SystemExit:
        return arguments
    wrong = [str(option) for option in unknown]
    wrong += [target for target in found.targets if target not in targets | {"TARGET"} and not THEIRS.search(target)]
    files = [str(file) for file in found.configfile or []]
    return wrong + [file for file in files if not THEIRS.search(file) and not (ROOT / file).exists()]


def unknown_to_natal(arguments: list[str]) -> list[str]:
    """Commands and options that there are not."""
    name, *more = arguments
    if name.startswith("-"):
        return [] if name in ("--help", "--version", "-h") else [name]
    if name not in main.commands:
        # `natal COMMAND --help`
        return [] if name.isupper() else [name]
    command = main.commands[name]
    try:
        command.make_parser(click.Context(command, **command.context_settings)).parse_args(list(more))
    except click.UsageError as error:
        return [error.format_message()]
    return []


def wrong(command: str, make_targets, snakemake_options, snakemake_targets) -> list[str]:
    """What in a command is not known."""
    word, *arguments = shlex.split(command, comments=True)
    if not arguments:
        return []
    if word == "natal":
        return unknown_to_natal(arguments)
    if word == "snakemake":
        return unknown_to_snakemake(arguments, snakemake_options, snakemake_targets)
    variables = dict(part.split("=", 1) for part in arguments if "=" in part)
    found = [target for target in arguments if "=" not in target and target not in make_targets]
    found += [name for name in variables.keys() - {"ARGS", "FILE", "STUDY", "CAMPAIGN", "PYTHON"}]
    if "run" in arguments or "study" in arguments or "check-trust" in arguments:
        given = shlex.split(variables.get("ARGS", ""))
        if "FILE" not in given:
            found += unknown_to_snakemake(given, snakemake_options, snakemake_targets)
    study = variables.get("STUDY")
    return found + ([study] if study and not (ROOT / "workflow" / "studies" / f"{study}.smk").exists() else [])


def test_every_command_is_known(make_targets, snakemake_options, snakemake_targets):
    """Of every page; what is not known is named with its page."""
    found = {
        (page.relative_to(ROOT).as_posix(), command): wrong(command, make_targets, snakemake_options, snakemake_targets)
        for page in PAGES
        for command in commands(page.read_text(encoding="utf-8"))
    }
    assert len(found) > 100
    assert {where: bad for where, bad in found.items() if bad} == {}


@pytest.mark.parametrize(
    "command",
    [
        "make runs",
        "make run ARGS='--configfle config/smoke.yaml'",
        "make run ARGS='--configfile config/smokes.yaml'",
        "make study STUDY=quadruples",
        "natal answers mine.csv",
        "natal answer mine.csv --campaigns results/mine",
        "snakemake --profile profiles/local obsrved",
    ],
)
def test_a_slip_is_noticed(command, make_targets, snakemake_options, snakemake_targets):
    """What the test above can find."""
    assert wrong(command, make_targets, snakemake_options, snakemake_targets)


def test_pages_name_files_that_are_there():
    """Of the repository, by their paths."""
    named = re.compile(r"`((?:config|src|tests|workflow|profiles|examples|requirements|benchmarks)/[\w/.-]+\.\w+)`")
    gone = [
        (page.relative_to(ROOT).as_posix(), name)
        for page in PAGES
        for name in named.findall(page.read_text(encoding="utf-8"))
        if not Path(ROOT / name).exists() and "results/" not in name
    ]
    assert gone == []
