"""Train with every combination of the sweep's settings and rank them."""

import numpy as np

from natal.campaign import plan
from natal.data.runs import read_runs
from natal.figures.save import save_figures
from natal.figures.sweep import sweep_figure
from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running.jobs import script
from natal.settings.emulator import TrainingSettings
from natal.settings.sweep import SweepSettings
from natal.tuning.sweep import sweep

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    base, settings = TrainingSettings(**config["emulator"]), SweepSettings(**config["sweep"])
    train, validation = read_runs(snakemake.input.train, "train"), read_runs(snakemake.input.validation, "validation")
    key, rng = stage_key(config["seed"], "train"), np.random.default_rng(config["seed"])
    table = sweep(key, train, validation, plan.box(config), base, settings, rng)
    write_csv(snakemake.output.table, table)
    save_figures(snakemake.output.figures, {"sweep": sweep_figure(table, settings.folds)})
    shown = [name for name in table.columns if name not in ("epochs", "seconds", "error", "campaign")]
    log.info("the best first:\n%s", table[shown].head(8).to_string(index=False, float_format=lambda v: f"{v:.4g}"))
