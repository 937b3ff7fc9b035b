"""`natal population`: the distribution of births behind a table of clusters, without Snakemake."""

from dataclasses import replace
from pathlib import Path

import click

import natal
from natal.cli.answers import CAMPAIGN, record, start, what_it_knows
from natal.cli.found import asked_of, campaign_folder
from natal.cli.tables import show
from natal.errors import NatalError


@click.command()
@click.argument("table", type=click.Path())
@CAMPAIGN
@click.option("--out", default=".", type=click.Path(file_okay=False), help="Folder for the answer's files.")
def population(table: str, campaign: str, out: str) -> None:
    """Find how births are distributed behind the clusters in TABLE.

    TABLE is as for `natal answer`. Clusters that dissolved are missing from every table: the answer accounts for them.
    Two laws are sampled by NUTS: `normal` has normal laws of Q0 and ln a within the box, `binned` assumes no shape of
    Q0. Sections `observables` and `population` of the campaign's configuration say with which prior.

    Writes population.csv (parameters), population_clusters.csv (each cluster alone and in the light of all others, and
    why some are left out) and population.nc (draws), and prints a summary.

    \b
    natal population mine.csv
    """
    folder = campaign_folder(campaign)
    asked = asked_of(folder)
    names = ("population.csv", "population_clusters.csv", "population.nc")
    outputs = {name: Path(out, name) for name in names}
    from natal.campaign.catalogues import read_catalogue

    catalogue = read_catalogue(table)
    for path in outputs.values():
        if path.exists() and path.samefile(table):
            raise NatalError(f"the answer would replace {table}: name another folder with --out")
    start(len(catalogue.clusters))
    from natal.api import JOINT, load_campaign
    from natal.population.inference import answer_to_files
    from natal.provenance.environment import made_by

    law = replace(load_campaign(folder).observables, prior=asked.observed_prior)
    click.echo(f"natal: {what_it_knows(asked.config)}", err=True)
    digest = f"natal-{natal.__version__}"
    first, second, third = outputs.values()
    answer, refused = answer_to_files(
        asked.seed,
        law,
        catalogue.clusters,
        catalogue.refused,
        table,
        asked.population,
        (first, second, third),
        made_by(digest),
    )
    record("natal population", [Path(table), folder / JOINT], outputs.values(), digest, asked.config)

    columns = ["law", "parameter", "unit", "mean", "sd", "2.5 %", "97.5 %", "R-hat", "ESS"]
    numbers = ("mean", "sd", "q02.5", "q97.5", "rhat", "ess_bulk")
    texts = ("law", "parameter", "unit")
    rows = [
        [*(row[name] for name in texts), *(f"{row[name]:.4g}" for name in numbers)] for _, row in answer.law.iterrows()
    ]
    show(columns, rows, f"Population: {table}")
    for doubt in [*catalogue.remarks(table), *(f"left out: {line}" for line in refused), *answer.remarks]:
        click.echo(f"! {doubt}")
    n_used = (answer.clusters.left_out == "").sum()
    click.echo(f"{n_used} of {len(answer.clusters)} clusters: {', '.join(map(str, outputs.values()))}")
