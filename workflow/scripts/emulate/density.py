"""Train the density networks of the heteroscedastic and the mixture likelihood."""

import numpy as np
import pandas as pd

from natal.campaign import plan
from natal.data.outcomes import fewest_bound, final_outcomes, rescaled_outcomes
from natal.data.runs import design_digest, read_runs
from natal.files.formats import write_json
from natal.likelihood.density import DENSITY_COMPONENTS, save_density
from natal.likelihood.density_training import train_density
from natal.likelihood.mixture_density import Counts
from natal.provenance.environment import made_by
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import script
from natal.settings.density import DensitySettings

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    box = plan.box(config)
    tracks = pd.read_csv(snakemake.input.tracks)
    tracks = tracks[tracks.split == "train"]
    n_stars = config["cluster"]["n_stars"]
    counts = Counts(n_stars, fewest_bound(tracks, n_stars))
    t_end_yr = config["integration"]["t_end_yr"]
    train = rescaled_outcomes(tracks, t_end_yr, box["a_au"][1])
    validation = final_outcomes(pd.read_csv(snakemake.input.validation))
    digest = design_digest(read_runs(snakemake.input.train, "train"))
    log.info("%d outcomes, snapshots included, on %s", len(train.x), device.describe())
    metrics = {"n_outcomes": len(train.x)}
    for kind, components in DENSITY_COMPONENTS.items():
        settings = DensitySettings(**config["density"], components=components)
        key = stage_key(config["seed"], f"density {kind}")
        ensemble, history = train_density(key, train, validation, box, counts, settings)
        save_density(snakemake.output[kind], ensemble, digest, made_by(snakemake.params.digest))
        metrics[kind] = {
            "best_step": history.best_step,
            "best_validation_loss": np.nanmin(history.validation_loss, axis=1),
            "seconds": history.seconds,
        }
        log.info("%s: best validation loss %s", kind, np.nanmin(history.validation_loss, axis=1).round(3))
    write_json(snakemake.output.metrics, {"density": metrics})
