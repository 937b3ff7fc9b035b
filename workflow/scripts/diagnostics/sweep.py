"""Train with every combination of the sweep's settings and rank them."""

from typing import TYPE_CHECKING

import numpy as np

from natal.campaign import plan
from natal.data.runs import read_runs
from natal.figures.save import save_figures
from natal.figures.sweep import sweep_figure
from natal.files.formats import write_csv
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import job
from natal.settings.emulator import TrainingSettings
from natal.settings.sweep import SweepSettings
from natal.tuning.sweep import sweep

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    device.set_up(threads=snakemake.threads)
    config = snakemake.config
    base, settings = TrainingSettings(**config["emulator"]), SweepSettings(**config["sweep"])
    train, validation = read_runs(snakemake.input.train, "train"), read_runs(snakemake.input.validation, "validation")
    key, rng = stage_key(config["seed"], "train"), np.random.default_rng(config["seed"])
    table = sweep(key, train, validation, plan.box(config), base, settings, rng)
    write_csv(snakemake.output.table, table)
    save_figures(snakemake.output.figures, {"sweep": sweep_figure(table, settings.folds)})
    shown = [name for name in table.columns if name not in ("epochs", "seconds", "error", "campaign")]
    log.info("the best first:\n%s", table[shown].head(8).to_string(index=False, float_format=lambda v: f"{v:.4g}"))
