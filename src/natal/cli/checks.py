"""`natal check` and `natal provenance`: whether tables and settings are right, and where a file comes from."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from natal.campaign.config import check_campaign
from natal.campaign.tables import has_summaries_alone, lines_of_rows, read_observations
from natal.cli.campaigns import campaign_config
from natal.errors import ManyMistakes, Mistakes, NatalError, lines_of
from natal.provenance.describe import describe
from natal.provenance.lineage import read_origin
from natal.settings.reading import check_files, key_lines


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="CONFIG|TABLE...")
def check(files: tuple[str, ...]) -> None:
    """Find all mistakes in configurations and in tables of observed clusters, with the lines that they are on.

    YAML files are laid over the default configuration, in this order, and checked together, with the tables that they
    name; any other file is read as a table for `natal answer` and the key `observations`. Ends with 1 if anything is
    wrong.

    \b
    natal check campaign.yaml
    natal check clusters.csv
    """
    configurations = [file for file in files if Path(file).suffix in (".yaml", ".yml")]
    mistakes = Mistakes()
    if configurations:
        with mistakes.gathered():
            _check_configurations(configurations)
    for file in files:
        if file not in configurations:
            with mistakes.gathered():
                _check_table(file)
    mistakes.say()
    click.echo(f"no mistakes in {', '.join(files)}")


def _check_configurations(files: list[str]) -> None:
    config, mistakes = campaign_config(files), Mistakes()
    with mistakes.gathered():
        check_files(files)
    lines = {key: f"{file}, line {line}" for file in files for key, line in key_lines(file).items()}
    try:
        check_campaign(config)
    except NatalError as error:
        for said in lines_of(error):
            mistakes.add(_with_line(said, lines))
    mistakes.say()


def _with_line(said: str, lines: dict[str, str]) -> str:
    """What is said of a key, with the file and line of the key or of the section around it."""
    subject = re.match(r"config: (?:unknown key |key )?(\S+)", said)
    for key in _key_and_sections(subject[1].rstrip(";") if subject else ""):
        if key in lines:
            return f"{lines[key]}: {said.removeprefix('config: ')}"
    return said


def _key_and_sections(key: str) -> Iterator[str]:
    while key:
        yield key
        key = key.rpartition(".")[0]


def _check_table(file: str) -> None:
    try:
        if has_summaries_alone(file):
            read_observations(file)
        else:
            # astropy takes a second to start
            from natal.campaign.catalogues import read_catalogue

            catalogue = read_catalogue(file)
            for remark in catalogue.remarks(file):
                click.echo(f"! {remark}")
            if catalogue.refused:
                raise ManyMistakes(catalogue.refused)
    except NatalError as error:
        # messages count rows, editors count lines, of which FITS has none
        lines = lines_of_rows(file) if f"{file}, row " in str(error) and file.endswith(".csv") else {}

        def with_line(row: re.Match[str]) -> str:
            line = lines.get(int(row[0]))
            return row[0] if line is None else f"{row[0]} (line {line})"

        said = [re.sub(r"(?<=, row )\d+", with_line, one, count=1) for one in lines_of(error)]
        raise ManyMistakes(said) from error


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
def provenance(files: tuple[str, ...]) -> None:
    """Say what made a file of a campaign, and whether it is still that file.

    Settings, seed, code, commit, versions, every input with its checksum, and every step before it. A line that begins
    with ! says what does not fit together.

    \b
    natal provenance results/default/recovery.csv
    """
    click.echo("\n\n".join(describe(read_origin(path)) for path in files))
