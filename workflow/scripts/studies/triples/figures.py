"""Draw the study's figures, as PNG and PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from natal.files.atomic import atomic_path
from natal.files.formats import read_json
from natal.running.jobs import job
from natal.studies.triples import figures
from natal.studies.triples.names import SPLITS

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    config = snakemake.config
    tables = {split: pd.read_csv(snakemake.input[split]) for split in SPLITS}
    everything = pd.concat(tables.values(), ignore_index=True)
    predictions, checked = pd.read_csv(snakemake.input.predictions), pd.read_csv(snakemake.input.checked)
    drawn = {
        "stability_map": figures.stability_map(everything),
        "inclination": figures.inclination(everything),
        "reliability": figures.reliability_diagrams(predictions, config["evaluation"]["bins"]),
        "roc": figures.roc(predictions, read_json(snakemake.input.metrics)["test"]),
        "energy_errors": figures.energy_errors(everything, checked),
        "checks": figures.checks(checked, config["unstable_change"], config["checks"]["parted"]),
        "training": figures.training(pd.read_csv(snakemake.input.curves)),
    }
    for name, figure in drawn.items():
        for kind in ("png", "pdf"):
            with atomic_path(Path(snakemake.output[0]).with_name(f"{name}.{kind}")) as partial:
                figure.savefig(partial, format=kind, dpi=150)
    log.info("%d figures", len(drawn))
