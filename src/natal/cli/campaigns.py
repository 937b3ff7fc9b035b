"""`natal init`, `natal run` and `natal status`: a campaign of one's own, which Snakemake runs."""

import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from natal.campaign import plan
from natal.campaign.config import check_campaign, laid_over, read_config
from natal.campaign.inventory import read_layout
from natal.campaign.status import shard_status, table
from natal.cli.found import project_files
from natal.errors import NatalError

PARTS = ("Snakefile", "workflow", "profiles", "config", "examples")
"""What `natal init` writes beside the configuration."""

OWN = Path("campaign.yaml")
"""The file of a campaign folder that says what differs from the default campaign."""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--name", help="Of the campaign, whose results go to results/<name>.  [default: the folder's]")
def init(folder: str, name: str | None) -> None:
    """Write a campaign folder of one's own: Snakefile, workflow, profiles and a configuration.

    campaign.yaml has the questions that a campaign must answer, with the default campaign's answers. What it leaves out
    is taken from config/config.yaml; config/README.md explains every key.

    \b
    natal init mine
    cd mine && natal run -n
    """
    target, name = Path(folder), name or Path(folder).absolute().name
    default = read_config([project_files() / "config" / "config.yaml"])
    check_campaign(default | {"campaign": name})
    there = [part for part in (*PARTS, OWN) if (target / part).exists()]
    if there:
        raise NatalError(f"{target} holds a {there[0]} already: name another folder")
    for part in PARTS:
        source = project_files() / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / part)
    text = Path(__file__).with_name("campaign.yaml").read_text(encoding="utf-8")
    (target / OWN).write_text(text.replace("campaign: default", f"campaign: {name}"), encoding="utf-8")
    click.echo(f"{target}: answer the questions in {target / OWN}, then `natal run -n` there says what would run")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--profile", help="A folder of profiles/, or a path.  [default: slurm where sbatch is, else local]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE'S ARGUMENTS]...")
def run(profile: str | None, arguments: tuple[str, ...]) -> None:
    """Run the campaign of this folder: print Snakemake's command, and run that.

    Everything but --profile is Snakemake's: -n says what would run, a file of results/ makes just that one. Without
    --configfile, campaign.yaml is read if it is there.

    \b
    natal run -n
    natal run --profile local results/mine/summaries.csv
    natal run --configfile config/smoke.yaml
    """
    if not Path("Snakefile").is_file():
        raise NatalError("there is no Snakefile here: `natal init DIR` writes a campaign folder, run in there")
    if find_spec("snakemake") is None:
        raise NatalError("this needs Snakemake: pip install 'natal[workflow]'")
    name = profile or ("slurm" if shutil.which("sbatch") else "local")
    own = (
        ["--configfile", str(OWN)]
        if OWN.is_file() and not any(one.startswith("--configfile") for one in arguments)
        else []
    )
    folder = name if Path(name).is_dir() else f"profiles/{name}"
    if not Path(folder).is_dir():
        known = ", ".join(sorted(path.name for path in Path("profiles").glob("*")))
        raise NatalError(f"--profile {name}: there is no such folder; profiles/ holds {known}")
    command = ["snakemake", *own, "--profile", folder, *arguments]
    click.echo(f"natal: {shlex.join(command)}", err=True)
    sys.stderr.flush()
    # this process becomes Snakemake: signals reach it, and its exit code is the command's
    os.execv(sys.executable, [sys.executable, "-m", *command])


@click.command()
@click.option("--configfile", multiple=True, metavar="FILE", help="As for snakemake; several may follow.")
@click.option("--config", multiple=True, metavar="KEY=VALUE", help="As for snakemake; several may follow.")
@click.argument("more", nargs=-1, metavar="")
def status(configfile: tuple[str, ...], config: tuple[str, ...], more: tuple[str, ...]) -> None:
    """Say which simulations are done, running (and how long they will take) or failed. Reads files, changes nothing.

    Works while the campaign runs, from any terminal. Without --configfile, campaign.yaml is read if it is there.
    """
    files = [*configfile, *(one for one in more if "=" not in one)]
    pairs = [*config, *(one for one in more if "=" in one)]
    settings = campaign_config(files)
    if pairs:
        from natal.running.snakemake_internals import given_settings

        try:
            settings = laid_over(settings, given_settings(pairs))
        except ValueError as error:
            raise NatalError(str(error)) from error
    check_campaign(settings)
    name = settings["campaign"]
    simulations, logs = Path("results") / name / "simulations", Path("logs") / name / "simulate"
    planned = plan.shards(settings, read_layout(simulations))
    click.echo(table((shard_status(simulations, logs, shard) for shard in planned), name))


def campaign_config(files: list[str]) -> dict[str, Any]:
    """Read the configuration that Snakemake would read in this folder.

    Args:
        files: Configuration files; none: campaign.yaml if it is there.

    Returns:
        They are laid over config/config.yaml.
    """
    folder = Path() if Path("Snakefile").is_file() else project_files()
    own = files or [str(OWN)] * OWN.is_file()
    return read_config([folder / "config" / "config.yaml", *own])
