"""Train the ensembles of the study `evolution`: each set of coordinates, on all stored times and without some."""

import numpy as np

from natal.data.outcomes import fewest_bound
from natal.files.formats import write_json
from natal.likelihood.mixture_density import Counts
from natal.random import stage_key
from natal.running.jobs import script
from natal.settings.density import DensitySettings
from natal.studies.evolution import network
from natal.studies.evolution.tracks import outcomes, read_tracks, refuse_gaps, snapshots, time_range

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    table = read_tracks(snakemake.input.tracks, config["n_stars"], config["box"])
    refuse_gaps(config["gaps"], table)
    q0, a_au = (tuple(map(float, config["box"][name])) for name in ("q0", "a_au"))
    box = (q0, a_au, time_range(table))
    counts = Counts(config["n_stars"], fewest_bound(table, config["n_stars"]))
    settings = DensitySettings(**config["network"])
    metrics: dict[str, dict] = {}
    for coordinates in snakemake.params.sets:
        for gap, left_out in {"none": [], **config["gaps"]}.items():
            kept = table[~table.t_yr.isin(left_out)]
            train, validation = (outcomes(snapshots(kept, split)) for split in ("train", "validation"))
            log.info("%s, times left out: %s; %d snapshots", coordinates, left_out or "none", len(train.x))
            # the same first weights and batches with and without a gap
            ensemble, history = network.train(
                stage_key(config["seed"], coordinates), train, validation, counts, box, coordinates, settings
            )
            name = f"{coordinates}_{gap}"
            network.save(snakemake.output[name], ensemble, snakemake.params.digest)
            metrics[name] = {
                "n_snapshots": len(train.x),
                "best_step": history.best_step,
                "best_validation_loss": np.nanmin(history.validation_loss, axis=1),
                "seconds": history.seconds,
            }
            log.info("best validation loss %s", np.nanmin(history.validation_loss, axis=1).round(3))
    write_json(snakemake.output.metrics, metrics)
