"""Draw the study's figures, as PNG and PDF."""

import pandas as pd

from natal.figures.save import save_figures
from natal.running.jobs import script
from natal.studies.potential import figures
from natal.studies.potential.names import field_names
from natal.studies.potential.store import read_tracks
from natal.studies.potential.weighting import swept_tables


def by_field(paths: list[str]) -> dict[str, pd.DataFrame]:
    return dict(zip(fields, map(pd.read_csv, paths), strict=True))


with script(snakemake):
    config, files = snakemake.config, snakemake.input
    fields, terms = field_names(config["softenings_au"]), config["training"]["terms"]
    curves = iter(files.curves)
    drawn = {
        "accuracy": figures.accuracy(by_field(files.accuracy)),
        "profiles": figures.profiles(by_field(files.profiles), config["points"]["radius"]),
        "line": figures.line(by_field(files.line)),
        "curves": figures.curves({f: {t: pd.read_csv(next(curves)) for t in terms} for f in fields}),
        "weights": figures.weights(
            swept_tables(files.sweeps, config["sweep"]["fields"]), config["training"]["weights"]
        ),
        "expansions": figures.expansions(pd.read_csv(files.expansions), pd.read_csv(files.maps)),
    }
    for field, table, tracks in zip(fields, files.orbits, files.tracks, strict=True):
        drawn[f"tracks_{field}"] = figures.tracks(*read_tracks(tracks), field)
        drawn[f"orbits_{field}"] = figures.orbits(pd.read_csv(table), field)
    save_figures(snakemake.output, drawn)
