"""Draw the study's figures, as PNG and PDF."""

import pandas as pd

from natal.figures.save import save_figures
from natal.files.formats import read_json
from natal.running.jobs import script
from natal.studies.triples import figures
from natal.studies.triples.names import LABELS, SPLITS

with script(snakemake):
    config = snakemake.config
    tables = {split: pd.read_csv(snakemake.input[split]) for split in SPLITS}
    everything = pd.concat(tables.values(), ignore_index=True)
    by_label = dict(tuple(pd.read_csv(snakemake.input.predictions).groupby("label")))
    predictions, checked = by_label["unstable"], pd.read_csv(snakemake.input.checked)
    drawn = {
        "stability_map": figures.stability_map(everything),
        "inclination": figures.inclination(everything),
        "reliability": figures.reliability_diagrams(predictions, config["evaluation"]["bins"]),
        "roc": figures.roc(predictions, read_json(snakemake.input.metrics)["unstable"]["test"]),
        "energy_errors": figures.energy_errors(everything, checked),
        "checks": figures.checks(checked, config["unstable_change"], config["checks"]["parted"]),
        "training": figures.training(dict(zip(LABELS, map(pd.read_csv, snakemake.input.curves), strict=True))),
        "chaos": figures.chaos(everything, checked, by_label["chaotic"], config["chaotic_megno"]),
    }
    save_figures(snakemake.output, drawn)
