"""`natal export` and `natal load`: a campaign in one archive that another machine can verify and answer from."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import click
import yaml

from natal.errors import Mistakes, NatalError
from natal.files.archives import sha256_of
from natal.provenance.crate import CONFIG, METADATA, WORKFLOW
from natal.provenance.records import FileState

SUFFIXES = (".csv", ".eqx", ".h5", ".html", ".json", ".nc", ".yaml")
"""Ends of the names of an archive's files: tables, networks, simulations, the report, records, draws, the
configuration."""

LEFT_OUT = ("figures", "simulations")
"""Folders that an archive does without: figures are in the report; simulations come only when they are asked for."""

FIGURES = ("design", "summaries", "likelihood", "recovery", "calibration", "observed", "population")
"""Of a paper (`natal.report.paper.DRAWINGS`, whose libraries a command line does not wait for)."""

LICENCE = "Not stated: ask those who made this campaign"
"""What an archive says if nothing is given."""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--out", type=click.Path(), help="The archive, or the paper's folder.  [default: <campaign>.zip, paper]")
@click.option("--simulations", is_flag=True, help="With all simulations: hundreds of MB.")
@click.option("--license", "licence", default=LICENCE, help="Of the data: an SPDX identifier, a URL or a sentence.")
@click.option("--paper", is_flag=True, help="Figures (PDF) and tables (LaTeX) for a paper instead.")
@click.option("--figure", "figures", multiple=True, type=click.Choice(FIGURES), help="Which; may be repeated.")
@click.option("--columns", type=click.IntRange(1, 2), help="Over how many figures go.  [default: as broad as each is]")
@click.option("--journal", type=click.Choice(("aas", "mnras")), help="Whose columns and tables.  [default: aas]")
@click.option("--width", type=click.FloatRange(150, 800), help="Of figures in TeX's points, in place of the journal's.")
def export(folder: str, out: str | None, simulations: bool, licence: str, paper: bool, **asked: Any) -> None:
    """Write a finished campaign, FOLDER = results/<campaign>, into one archive; or, with --paper, for a paper.

    It holds the networks, tables, draws, the report, the configuration and the records of what made each file, as an
    RO-Crate (ro-crate-metadata.json) with the checksum of every file. The same campaign gives the same bytes. Unpacked,
    it is verified by `sha256sum --check manifest-sha256.txt`, too.

    \b
    natal export results/mine
    natal export results/mine --simulations --out mine_with_simulations.zip --license CC-BY-4.0
    natal export results/mine --paper --figure recovery --columns 1 --out figures
    """
    from natal.files.archives import write_archive
    from natal.provenance.crate import crate_metadata, workflow_description
    from natal.provenance.lineage import read_records, recorded_config
    from natal.provenance.records import results_folder

    if not paper and (names := [f"--{name.rstrip('s')}" for name in ("figures",) if asked[name]]):
        raise click.UsageError(f"{names[0]} goes with --paper")
    config, records = recorded_config(folder), read_records(folder)
    campaign = results_folder(config)
    held: dict[str, Path | bytes] = {name: Path(folder, name) for name in _held(Path(folder), simulations)}
    mistakes = Mistakes()
    for record in records:
        name = Path(record.output.path).relative_to(campaign).as_posix()
        if name in held and _is_another(Path(folder, name), record.output.sha256):
            mistakes.add(f"{Path(folder, name)} is no longer the file recorded: its checksum differs")
    mistakes.say()
    if paper:
        _write_paper(Path(folder), out or "paper", **asked)
        return
    held[CONFIG] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode()
    held[WORKFLOW] = _json(workflow_description(records))
    states = {name: _state(name, content) for name, content in sorted(held.items())}
    held[METADATA] = _json(crate_metadata(states, records, campaign.as_posix(), licence))
    archive = Path(out or f"{config['campaign']}.zip")
    write_archive(archive, held)
    size = archive.stat().st_size / 1e6
    click.echo(f"{archive}: {len(held) + 1} files, {size:.1f} MB; `natal load {archive}` on another machine")


def _write_paper(
    folder: Path, out: str, figures: tuple[str, ...], columns: int | None, journal: str | None, width: float | None
) -> None:
    """Write figures and tables, and say which."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise NatalError("figures need matplotlib and corner: pip install 'natal[figures]'") from error
    from natal.cli.answers import start
    from natal.cli.found import asked_of
    from natal.report.paper import JOURNALS, Finished, write_paper

    asked = asked_of(folder)
    start(1)
    chosen = JOURNALS[journal or "aas"]
    if width:
        chosen = chosen._replace(column_pt=width, page_pt=width)
    finished = Finished(folder, asked.config, asked.prior, asked.observed_prior)
    written, missing = write_paper(finished, out, chosen, columns=columns, figures=figures)
    for path in written:
        click.echo(path)
    for name in missing:
        click.echo(f"! this campaign has no files of the figure {name}")


@click.command()
@click.argument("archive", type=click.Path(dir_okay=False))
@click.option("--to", type=click.Path(), help="A folder that is not there yet.  [default: results/<campaign>]")
def load(archive: str, to: str | None) -> None:
    """Unpack a campaign that `natal export` wrote, after a check of every byte.

    Refused: an archive that is damaged, a path that leads elsewhere, a link, and anything but data. Networks are arrays
    behind a line of JSON, never pickles; of scripts the report may hold natal's own only; no file refers to another.

    \b
    natal load mine.zip
    natal answer clusters.csv --campaign results/mine
    """
    from natal.campaign.config import check_campaign, read_config
    from natal.cli.found import project_files
    from natal.files.archives import unpack_archive

    beside = Path(to).absolute().parent if to else Path("results")
    beside.mkdir(parents=True, exist_ok=True)
    staged = Path(mkdtemp(prefix=".natal-load-", dir=beside))
    try:
        unpack_archive(archive, staged, SUFFIXES)
        for path in sorted(staged.rglob("*")):
            if path.is_file():
                _check_content(path)
        name = str(read_config([staged / CONFIG]).get("campaign"))
        # the name becomes a path
        check_campaign(read_config([project_files() / "config" / "config.yaml"]) | {"campaign": name})
        target = Path(to) if to else beside / name
        if target.exists():
            raise NatalError(f"{target} is there already: name another folder with --to")
        _check_that_it_answers(staged)
        # mkdtemp's folder is for its owner only
        staged.chmod(0o755)
        staged.rename(target)
    except NatalError as error:
        raise NatalError(str(error).replace(f"{staged}/", f"{archive}: ").replace(str(staged), archive)) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    click.echo(f"{target}: as it was exported; `natal answer TABLE --campaign {target}`")


def _held(folder: Path, simulations: bool) -> Iterator[str]:
    """Names of the files that belong into a campaign's archive; hidden files are notes of natal's own."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_left_out = name.parts[0] in LEFT_OUT and not (simulations and name.parts[0] == "simulations")
        is_hidden = any(part.startswith(".") for part in name.parts)
        # a campaign that came from an archive has these already: they are written anew
        is_new = name.as_posix() in (CONFIG, WORKFLOW, METADATA)
        if path.is_file() and path.suffix in SUFFIXES and not (is_left_out or is_hidden or is_new):
            yield name.as_posix()


def _is_another(path: Path, sha256: str) -> bool:
    """Whether a file differs from the one that was recorded."""
    from natal.files.sealed import check_seal, read_seal
    from natal.provenance.records import file_state

    if file_state(path).sha256 != sha256:
        return True
    if path.suffix == ".h5":
        try:
            seal = read_seal(path)
        except NatalError:
            return False
        check_seal(path, seal["format"])
    return False


def _state(name: str, content: Path | bytes) -> FileState:
    """Size and checksum of all bytes."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return FileState(name, size, sha256_of(content))


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _check_content(path: Path) -> None:
    """Raise `NatalError` if a file is not what its name says."""
    from natal.files.only_data import check_arrays, check_hdf5, check_json, check_text, check_yaml
    from natal.report.only_known_scripts import check_report

    checks = {
        ".csv": check_text,
        ".txt": check_text,
        ".json": check_json,
        ".yaml": check_yaml,
        ".h5": check_hdf5,
        ".nc": check_hdf5,
        ".eqx": check_arrays,
        ".html": check_report,
    }
    checks[path.suffix](path)


def _check_that_it_answers(folder: Path) -> None:
    """Raise `NatalError` if this natal cannot read the networks."""
    from natal.api import load_campaign
    from natal.cli.found import asked_of

    asked_of(folder)
    load_campaign(folder)
