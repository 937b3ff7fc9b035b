"""Recover (Q0, a) of the user's own clusters."""

import pandas as pd

from natal.campaign import plan
from natal.campaign.tables import read_observations
from natal.files.formats import write_csv
from natal.likelihood.loading import load_likelihood
from natal.posterior.flags import reasons_for_doubt
from natal.posterior.observed import measurements, recover_observed
from natal.posterior.tables import posterior_tree, write_posteriors
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.settings.inference import Inference

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    inference = Inference(**config["inference"])
    likelihood = load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, plan.box(config))
    observed = pd.DataFrame(read_observations(snakemake.input.observations))
    prior = plan.prior_box(config)
    table, recovered = recover_observed(config["seed"], likelihood, prior, observed, inference, inference.grid)
    write_csv(snakemake.output.table, table)
    attributes = made_by(snakemake.params.digest) | {"likelihood": config["likelihood"], "virial_convention": "K/|W|"}
    tree = posterior_tree(table.case.tolist(), recovered, *measurements(observed), None, attributes)
    write_posteriors(snakemake.output.posteriors, tree)
    for row in table.itertuples():
        log.info("%s: Q0 %.3f +- %.3f, a %.1f +- %.1f AU", row.case, row.q0_mean, row.q0_sd, row.a_au_mean, row.a_au_sd)
        for doubt in reasons_for_doubt(row, prior):
            log.warning("%s", doubt)
