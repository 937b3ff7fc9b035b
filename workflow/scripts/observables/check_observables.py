"""Say what observables are worth, and whether answers from them can be trusted, on calibration clusters."""

import numpy as np
import pandas as pd

from natal.assessment.observables import trust_in_observables
from natal.figures.observables import worth
from natal.figures.save import save_figures
from natal.files.formats import write_csv, write_json
from natal.posterior.catalogue import load_law
from natal.random import stage_key
from natal.running.jobs import script
from natal.simulation.lines_of_sight import read_lines_of_sight
from natal.variables import CALIBRATION

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, files = snakemake.config, snakemake.input
    split = pd.read_csv(files.summaries).groupby("point_id").split.first()
    seen = read_lines_of_sight(files.snapshots)
    seen = seen.at(split.loc[seen.point_id].to_numpy() == CALIBRATION)
    key, n_mocks = stage_key(config["seed"], "check observables"), config["observables"]["mocks"]
    found = trust_in_observables(key, load_law(files.law), seen, n_mocks, config["seed"])
    write_csv(snakemake.output.worth, found["worth"])
    write_csv(snakemake.output.mocks, found["located"])
    write_json(snakemake.output.metrics, {"observables": {"mocks": found["mocks"]}})
    save_figures(snakemake.output.figure, {"observables_worth": worth(found["worth"])})
    for row in found["worth"].itertuples():
        numbers = row.contraction_q0, row.contraction_a_au, row.log_score, row.log_score_se
        log.info("%-40s contraction %.2f in Q0, %.2f in a; log score %.2f +- %.2f", row.subset, *numbers)
    said = ", ".join(f"{name} {value:.3f}" for name, value in found["mocks"].items() if np.isfinite(value))
    log.info("mock clusters: %s", said)
