"""Recover (Q0, a) of the user's own clusters."""

import pandas as pd

from natal.campaign import plan
from natal.campaign.tables import read_observations
from natal.likelihood.loading import load_likelihood
from natal.posterior.flags import reasons_for_doubt
from natal.posterior.observed import recover_observed
from natal.posterior.tables import write_answers
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.settings.inference import Inference

# most clusters that get a line each in the log
N_LOGGED = 100

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    inference = Inference(**config["inference"])
    likelihood = load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, plan.box(config))
    observed = pd.DataFrame(read_observations(snakemake.input.observations))
    prior = plan.prior_box(config)
    n_nuts = inference.nuts_clusters
    table, tree = recover_observed(config["seed"], likelihood, prior, observed, inference, inference.grid, n_nuts)
    making = made_by(snakemake.params.digest) | {"likelihood": config["likelihood"]}
    write_answers(snakemake.output.table, snakemake.output.posteriors, table, tree, making)
    for row in table[:N_LOGGED].itertuples():
        log.info("%s: Q0 %.3f +- %.3f, a %.1f +- %.1f AU", row.case, row.q0_mean, row.q0_sd, row.a_au_mean, row.a_au_sd)
        for doubt in reasons_for_doubt(row, prior):
            log.warning("%s", doubt)
    if len(table) > n_nuts:
        log.info("NUTS sampled the first %d of %d clusters (inference.nuts_clusters)", n_nuts, len(table))
    if len(table) > N_LOGGED:
        doubted = sum(bool(reasons_for_doubt(row, prior)) for row in table.itertuples())
        log.info("%d clusters in all, %d with doubts; the first %d are named above", len(table), doubted, N_LOGGED)
