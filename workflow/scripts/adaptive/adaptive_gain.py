"""Draw learning curves with adaptive and with space-filling points, and say how many points the first save."""

import numpy as np
import pandas as pd

from natal.adaptive.gain import fit_laws, fit_means, learning_curves, savings
from natal.campaign import plan
from natal.data.outcomes import fewest_bound, final_outcomes
from natal.data.runs import read_runs
from natal.figures.adaptive import gain_figure
from natal.figures.save import save_figures
from natal.files.formats import write_csv
from natal.likelihood.mixture_density import Counts
from natal.random import stage_key
from natal.running.jobs import script
from natal.settings.adaptive import GainSettings
from natal.settings.density import DensitySettings
from natal.settings.emulator import TrainingSettings
from natal.variables import BIRTH

with script(snakemake, cpu_devices=1) as log:
    config, files = snakemake.config, snakemake.input
    box, criterion = plan.box(config), config["adaptive"]["criterion"]
    settings = GainSettings(**config["adaptive"]["gain"])
    table = pd.read_csv(files.train).groupby("point_id")[list(BIRTH)].first()
    points, x = table.index.to_numpy(), table.to_numpy()
    low, high = np.array([box[name] for name in BIRTH]).T
    if criterion == "disagreement":
        train, validation = read_runs(files.train, "train"), read_runs(files.validation, "validation")
        fit = fit_means(train, validation, points, x, box, TrainingSettings(**config["emulator"]))
    else:
        tracks, validation = pd.read_csv(files.tracks), final_outcomes(pd.read_csv(files.validation))
        t_end_yr, n_stars = config["integration"]["t_end_yr"], config["cluster"]["n_stars"]
        density = DensitySettings(**config["density"])
        fit = fit_laws(
            tracks, t_end_yr, validation, points, x, box, Counts(n_stars, fewest_bound(tracks, n_stars)), density
        )
    curves = learning_curves(stage_key(config["seed"], "adaptive gain"), (x - low) / (high - low), fit, settings)
    gain = savings(curves, np.random.default_rng(config["seed"]))
    write_csv(snakemake.output.curves, curves)
    write_csv(snakemake.output.gain, gain)
    save_figures(snakemake.output.figures, {"adaptive_gain": gain_figure(curves, criterion)})
    for row in gain.to_dict("records"):
        said = "error %(target_error).4f: %(n_points)d points that fill the box, %(n_adaptive).0f adaptive ones, "
        log.info(said + "%(saved)+.0f saved (%(saved_low).0f to %(saved_high).0f)", row)
