"""Draw the study's figures, as PNG and PDF."""

import pandas as pd

from natal.figures.save import save_figures
from natal.files.formats import read_json
from natal.running.jobs import script
from natal.studies.triples import figures
from natal.studies.triples.names import SPLITS

with script(snakemake):
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
    save_figures(snakemake.output, drawn)
