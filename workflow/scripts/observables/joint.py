"""Train the joint law of all summaries and observables."""

import numpy as np
import pandas as pd

from natal.data.outcomes import fewest_bound
from natal.files.formats import write_json
from natal.likelihood.joint_network import Reach, save_joint
from natal.likelihood.joint_training import joint_outcomes, reach_of, train_joint
from natal.likelihood.mixture_density import Counts
from natal.provenance.environment import made_by
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import script
from natal.settings.density import DensitySettings
from natal.simulation.lines_of_sight import read_lines_of_sight

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    seen = read_lines_of_sight(snakemake.input.snapshots)
    summaries = pd.read_csv(snakemake.input.summaries)
    split = summaries.groupby("point_id").split.first().loc[seen.point_id].to_numpy()
    n_stars = config["cluster"]["n_stars"]
    counts = Counts(n_stars, fewest_bound(summaries[summaries.split == "train"], n_stars))
    (train, latents), (validation, _) = (joint_outcomes(seen.at(split == k), counts) for k in ("train", "validation"))
    q0, log_tau = reach_of(train)
    log.info("%d outcomes of %s, on %s", len(train.x), ", ".join(latents.names), device.describe())
    settings = DensitySettings(**config["density"])
    ensemble, history = train_joint(
        stage_key(config["seed"], "joint"), train, validation, latents, (q0, log_tau), settings
    )
    own = {"t_end_yr": float(seen.time_yr[-1]), "mass_msun": float(seen.mass_msun.mean())}
    reach = Reach(tuple(snakemake.params.box["q0"]), log_tau, tuple(snakemake.params.box["a_au"]), **own)
    aperture = config["observables"]["aperture"]
    save_joint(snakemake.output.law, ensemble, reach, aperture, made_by(snakemake.params.digest))
    best = np.nanmin(history.validation_loss, axis=1)
    metrics = {
        "n_outcomes": len(train.x),
        "best_step": history.best_step,
        "best_validation_loss": best,
        "seconds": history.seconds,
    }
    write_json(snakemake.output.metrics, {"joint": metrics})
    log.info("best validation loss %s", best.round(3))
