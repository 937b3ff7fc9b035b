"""`natal answer` and `natal predict`: what a campaign's networks say, without Snakemake."""

import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click

import natal
from natal.campaign.own_clusters import read_own_clusters
from natal.cli.found import Asked, asked_of, campaign_folder
from natal.cli.tables import show
from natal.errors import NatalError
from natal.variables import BIRTH

N_SHOWN = 100
"""Most clusters that are printed; the files have all."""

CAMPAIGN = click.option(
    "--campaign",
    default="default",
    show_default=True,
    metavar="DIR",
    help="results/<campaign> of a finished campaign; default: the one that comes with natal.",
)
"""The option that names a campaign."""


@click.command()
@click.argument("table", type=click.Path())
@CAMPAIGN
@click.option("--out", default=".", type=click.Path(file_okay=False), help="Folder for the answer's files.")
@click.option("--nuts", is_flag=True, help="Sample with NUTS, too, as the workflow does (a minute more).")
@click.option("--strict", is_flag=True, help="Refuse the table if one of its rows cannot be answered.")
def answer(table: str, campaign: str, out: str, nuts: bool, strict: bool) -> None:
    """Find the births that explain the clusters in TABLE.

    TABLE is CSV, ECSV, FITS or VOTable, with a name and any subset of observables, in any unit: sigma_los_kms,
    sigma_pm_kms, r_hp_pc, v_out_kms, age_myr, mass_msun, their _err and limits. A CSV file with the columns name,
    f_bound, sigma_v_kms and r_h_au (and _err) alone is answered by the campaign's own likelihood. Each cluster's
    posterior of (Q0, a) is evaluated on a grid; Q0 is K/|W| at birth, 0.5 in virial equilibrium.

    Writes observed.csv (means, standard deviations, quantiles, diagnostics) and observed.nc (draws), the same files as
    `snakemake results/<campaign>/observed.csv --config observations=TABLE`, and prints a summary. A line that begins
    with a warning sign says why not to trust an answer.

    \b
    natal answer examples/clusters.csv
    natal answer mine.csv --campaign results/mine --out answers --nuts
    """
    folder, asked = campaign_folder(campaign), asked_of(campaign_folder(campaign))
    own = read_own_clusters(table)
    outputs = {name: Path(out, f"observed.{name}") for name in ("csv", "nc")}
    if outputs["csv"].exists() and outputs["csv"].samefile(table):
        raise NatalError(f"the answer would replace {table}: name another folder with --out")
    start(len(own.rows))

    from natal.api import ENSEMBLE, JOINT, LIKELIHOOD, load_campaign
    from natal.provenance.environment import made_by

    trained = load_campaign(folder)
    click.echo(f"natal: {what_it_knows(asked.config)}", err=True)
    digest, n_nuts = f"natal-{natal.__version__}", asked.inference.nuts_clusters if nuts else 0
    if strict and own.is_catalogue:
        _refuse_bad_rows(table, trained, asked)
    answered = _of_any if own.is_catalogue else _of_summaries
    found, doubts = answered(table, trained, asked, n_nuts, (outputs["csv"], outputs["nc"]), made_by(digest))
    parts = [ENSEMBLE, JOINT if own.is_catalogue else LIKELIHOOD]
    record("natal answer", [Path(table), *(folder / part for part in parts)], outputs.values(), digest, asked.config)

    heads = [f"{name} ({variable.shown_unit or variable.unit})" for name, variable in BIRTH.items()]
    rows = [_row(row) for _, row in found[:N_SHOWN].iterrows()]
    show(["cluster", *(part for head in heads for part in (head, "sd", "2.5 %", "97.5 %"))], rows, f"Births: {table}")
    for doubt in doubts:
        click.echo(f"! {doubt}")
    left = f", {len(found) - N_SHOWN} more than are shown" if len(found) > N_SHOWN else ""
    click.echo(f"{len(found)} clusters{left}: {outputs['csv']}, {outputs['nc']}")


def record(command: str, read: list[Path], made: Iterable[Path], digest: str, config: dict[str, Any]) -> None:
    """Write beside each file what made it, as jobs do.

    Args:
        command: The command, which takes the place of a rule.
        read: Files that it read.
        made: Files that it made.
        digest: What stands for its code.
        config: The campaign's configuration.
    """
    from natal.provenance.records import write_records

    task = SimpleNamespace(
        rule=command,
        input=[path.absolute() for path in read],
        output=[path.absolute() for path in made],
        wildcards={},
        params=SimpleNamespace(digest=digest),
        config=config,
    )
    write_records(task)


Files = tuple[Path, Path]
"""observed.csv and observed.nc."""


def _of_summaries(
    table: str, trained: Any, asked: Asked, n_nuts: int, files: Files, made_by: dict[str, str]
) -> tuple[Any, list[str]]:
    """Answer a table of the campaign's summaries: rows of observed.csv, and remarks."""
    import pandas as pd

    from natal.posterior.flags import reasons_for_doubt
    from natal.posterior.observed import recover_observed
    from natal.posterior.tables import write_answers

    rows, settings = pd.DataFrame(read_own_clusters(table).rows), asked.inference
    found, tree = recover_observed(asked.seed, trained.likelihood, asked.prior, rows, settings, settings.grid, n_nuts)
    write_answers(*files, found, tree, made_by | {"likelihood": asked.config["likelihood"]})
    return found, [doubt for row in found.itertuples() for doubt in reasons_for_doubt(row, asked.prior)]


def _of_any(
    table: str, trained: Any, asked: Asked, n_nuts: int, files: Files, made_by: dict[str, str]
) -> tuple[Any, list[str]]:
    """Answer a table of any observables: rows of observed.csv, and remarks."""
    from dataclasses import replace

    from natal.campaign.catalogues import read_catalogue
    from natal.posterior.catalogue import answer_to_files

    law, catalogue = replace(trained.observables, prior=asked.observed_prior), read_catalogue(table)
    found, refused = answer_to_files(
        asked.seed, law, catalogue.clusters, catalogue.refused, table, asked.inference, n_nuts, files, made_by
    )
    doubts = [*catalogue.remarks(table), *(f"left out: {line}" for line in refused)]
    doubts += [f"{row['case']}: {row['remarks']}" for _, row in found.iterrows() if row["remarks"]]
    return found, doubts


def _refuse_bad_rows(table: str, trained: Any, asked: Asked) -> None:
    """Raise `NatalError` for the first row without an answer; tables of summaries are never answered in part."""
    from dataclasses import replace

    from natal.campaign.catalogues import read_catalogue
    from natal.posterior.catalogue import without_refused

    law = replace(trained.observables, prior=asked.observed_prior)
    _, said = without_refused(law, read_catalogue(table, strict=True).clusters, table, [])
    if said:
        raise NatalError(f"{said[0]} (--strict)")


def what_it_knows(config: dict[str, Any]) -> str:
    """Say which clusters a campaign's answers are about.

    Args:
        config: The campaign's configuration.

    Returns:
        Words for a line.
    """
    cluster = config["cluster"]
    masses = "of Kroupa's masses" if cluster["imf"] == "kroupa" else f"of {cluster['star_mass_msun']:g} Msun"
    age = f"{config['integration']['t_end_yr']:g} yr after birth"
    return f"campaign {config['campaign']}: clusters of {cluster['n_stars']} stars {masses}, {age}"


def _row(row: Any) -> list[str]:
    """A cluster's cells."""
    cells = [str(row["case"])]
    for name in BIRTH:
        digits = 3 if row[f"{name}_mean"] < 10 else 1
        cells += [f"{row[f'{name}_{part}']:.{digits}f}" for part in ("mean", "sd", "q02.5", "q97.5")]
    return cells


def start(n_cases: int) -> None:
    """Set JAX up, with a cache of compiled programs for this user; report progress as lines where there is no terminal.

    Args:
        n_cases: Clusters to answer for, which CPU devices share.
    """
    from natal.running import device

    if not sys.stderr.isatty():
        logging.basicConfig(format="natal: %(message)s", level=logging.WARNING)
        logging.getLogger("natal").setLevel(logging.INFO)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "natal", "jax")
    device.set_up(threads=cores, cpu_devices=min(cores, n_cases, 8), cache_folder=cache)


def _births(command: Any) -> Any:
    """An option for each birth condition: by its name, and without its unit."""
    for name, variable in reversed(list(BIRTH.items())):
        short = name.removesuffix(f"_{variable.unit.lower()}")
        flags = dict.fromkeys((f"--{short}", f"--{name.replace('_', '-')}"))
        text = f"{variable.meaning.capitalize()} ({variable.unit})."
        command = click.option(*flags, name, type=float, required=True, help=text)(command)
    return command


@click.command()
@_births
@CAMPAIGN
@click.option("--extrapolate", is_flag=True, help="Answer outside the campaign's box, too.")
def predict(campaign: str, extrapolate: bool, **birth: Any) -> None:
    """Predict what one cluster of a known birth looks like: mean, scatter and quantiles of each summary.

    sd is the scatter of single clusters; it includes emulator_sd, the error of the networks' mean.

    \b
    natal predict --q0 0.9 --a 100
    """
    folder = campaign_folder(campaign)
    asked = asked_of(folder)
    start(1)
    from natal.api import load_campaign

    found = load_campaign(folder).predict(**birth, extrapolate=extrapolate)
    click.echo(f"natal: {what_it_knows(asked.config)}", err=True)
    numbers = ["mean", "sd", "q02.5", "q16", "q50", "q84", "q97.5", "emulator_sd"]
    rows = [[row["output"], row["unit"], *(f"{row[name]:.4g}" for name in numbers)] for _, row in found.iterrows()]
    show(["summary", "unit", *numbers], rows, ", ".join(f"{name} = {value:g}" for name, value in birth.items()))
