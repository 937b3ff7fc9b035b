"""Train the ensemble on training runs; validation runs tell when to stop."""

import h5py
import numpy as np

from natal.campaign import plan
from natal.data.runs import design_digest, read_runs
from natal.emulator.ensemble import save_ensemble
from natal.emulator.perceptron import hidden_layers, layer_sizes, parameter_count
from natal.emulator.training import train_ensemble
from natal.files.atomic import atomic_path
from natal.files.formats import write_json
from natal.provenance.environment import made_by
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import script
from natal.settings.emulator import TrainingSettings

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    train = read_runs(snakemake.input.train, "train")
    validation = read_runs(snakemake.input.validation, "validation")
    log.info("%d training runs, %d validation runs on %s", len(train), len(validation), device.describe())
    ensemble, history = train_ensemble(
        stage_key(config["seed"], "train"), train, validation, plan.box(config), TrainingSettings(**config["emulator"])
    )
    save_ensemble(snakemake.output.ensemble, ensemble, design_digest(train), made_by(snakemake.params.digest))
    with atomic_path(snakemake.output.curves) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(made_by(snakemake.params.digest))
        for name in ("train_loss", "validation_loss", "gradient_norm", "best_epoch"):
            file.create_dataset(name, data=getattr(history, name), fletcher32=True)
    best_loss = np.nanmin(history.validation_loss, axis=1)
    training = {
        "best_epoch": history.best_epoch,
        "epochs": np.isfinite(history.train_loss).sum(1),
        "best_validation_loss": best_loss,
        "layers": layer_sizes(hidden_layers(ensemble.networks)),
        "n_parameters": parameter_count(layer_sizes(hidden_layers(ensemble.networks))),
        "n_train_runs": len(train),
        "n_validation_runs": len(validation),
    }
    timing = {f"{key}_s": seconds for key, seconds in history.timing_s.items()}
    write_json(snakemake.output.metrics, {"training": training, "timing": {"train": timing}})
    log.info("best validation loss %s at epochs %s", np.round(best_loss, 4), history.best_epoch)
