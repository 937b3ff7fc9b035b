"""Train the ensemble again with the same key, note what goes on inside, and check the training's health."""

from collections import Counter
from dataclasses import asdict

import numpy as np

from natal.campaign import plan
from natal.data.runs import read_runs
from natal.emulator.training import normalised, train_ensemble
from natal.figures.diagnostics import extrapolation, judged_curves, layer_curves, normalised_columns
from natal.figures.save import save_figures
from natal.files.formats import write_csv, write_json
from natal.random import stage_key
from natal.running.jobs import script
from natal.settings.emulator import TrainingSettings
from natal.tuning.diagnostics.extrapolation import extrapolation_table
from natal.tuning.diagnostics.health import curve_verdicts, health_table, loss_limits, ten_examples
from natal.tuning.diagnostics.layers import layer_table, record_layers

EPOCHS_APART = 10

with script(snakemake, cpu_devices=1) as log:
    config, files = snakemake.config, snakemake.input
    box, settings = plan.box(config), TrainingSettings(**config["emulator"])
    key = stage_key(config["seed"], "train")
    train, validation = read_runs(files.train, "train"), read_runs(files.validation, "validation")
    ensemble, history = train_ensemble(key, train, validation, box, settings, record=record_layers, must_train=False)
    normaliser = ensemble.normaliser
    ten = ten_examples(key, train, box, settings)
    floor, ignorant = loss_limits(train, validation, normaliser, settings)
    verdicts = curve_verdicts(history, floor, ignorant, settings)
    table = health_table(history, verdicts, ten, train, normaliser, settings)
    layers = layer_table(history, EPOCHS_APART)
    outside = extrapolation_table(key, train, validation, box, settings)
    write_csv(snakemake.output.extrapolation, outside)
    write_csv(snakemake.output.checks, table)
    write_csv(snakemake.output.layers, layers)
    members = [asdict(verdict) | {"advice": verdict.advice} for verdict in verdicts]
    summary = {
        "checks": table.to_dict("records"),
        "members": members,
        "scatter_floor": floor,
        "timing": history.timing_s,
    }
    write_json(snakemake.output.summary, summary)

    names = [verdict.name for verdict in verdicts]
    seen = [np.hstack(normalised(runs, normaliser)) for runs in (train, validation)]
    drawn = {
        "extrapolation": extrapolation(outside),
        "layers": layer_curves(layers),
        "loss_curves": judged_curves(history.train_loss, history.validation_loss, history.best_epoch, floor, names),
        "normalisation": normalised_columns(*seen, normaliser.log10),
    }
    save_figures(snakemake.output.figures, drawn)
    for row in table[table.verdict != "fine"].itertuples():
        log.info("%s, %s: %.4g (usual: %s): %s", row.check, row.subject, row.value, row.usual, row.advice)
    log.info("loss curves: %s", ", ".join(f"{n} {name}" for name, n in Counter(names).items()))
