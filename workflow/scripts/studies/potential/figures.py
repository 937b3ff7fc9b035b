"""Draw the study's figures, as PNG and PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from natal.progress import Progress
from natal.running.jobs import job
from natal.studies.potential import figures
from natal.studies.potential.names import field_names
from natal.studies.potential.store import read_tracks

if TYPE_CHECKING:
    from snakemake.script import snakemake


def save(figure: Figure, name: str) -> None:
    for kind in ("png", "pdf"):
        # no creation date: the same data give the same file
        dated = {"CreationDate": None} if kind == "pdf" else None
        figure.savefig(Path(snakemake.params.folder) / f"{name}.{kind}", dpi=150, metadata=dated)
    progress.advance()


def by_field(paths: list[str]) -> dict[str, pd.DataFrame]:
    return dict(zip(fields, map(pd.read_csv, paths), strict=True))


with (
    job(snakemake.log[0], snakemake) as log,
    Progress(total=len(snakemake.output) // 2, label="draw", unit="figures") as progress,
):
    config, files = snakemake.config, snakemake.input
    fields, terms = field_names(config["softenings_au"]), config["training"]["terms"]
    save(figures.accuracy(by_field(files.accuracy)), "accuracy")
    save(figures.profiles(by_field(files.profiles), config["points"]["radius"]), "profiles")
    save(figures.line(by_field(files.line)), "line")
    curves = iter(files.curves)
    save(figures.curves({f: {t: pd.read_csv(next(curves)) for t in terms} for f in fields}), "curves")
    for field, table, tracks in zip(fields, files.orbits, files.tracks, strict=True):
        save(figures.tracks(*read_tracks(tracks), field), f"tracks_{field}")
        save(figures.orbits(pd.read_csv(table), field), f"orbits_{field}")
    log.info("figures in %s", snakemake.params.folder)
