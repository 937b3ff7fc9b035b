"""Recover (Q0, a) of the user's own clusters, whatever is known of each."""

from natal.campaign.catalogues import read_catalogue
from natal.files.formats import write_csv
from natal.likelihood.joint_network import load_joint
from natal.posterior.catalogue import Law, answer_catalogue, without_refused
from natal.posterior.tables import write_posteriors
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.settings.inference import Inference

# most clusters that get a line each in the log
N_LOGGED = 100

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, path = snakemake.config, str(snakemake.input.observations)
    inference = Inference(**config["inference"])
    ensemble, reach, _ = load_joint(snakemake.input.law)
    law = Law(ensemble, reach, snakemake.params.prior)
    catalogue = read_catalogue(path)
    if catalogue.ignored:
        log.warning("%s", catalogue.unknown_columns(path))
    clusters, refused = without_refused(law, catalogue.clusters, path, catalogue.refused)
    for line in refused:
        log.warning("left out: %s", line)
    n_nuts = config["observables"]["nuts_clusters"]
    table, tree = answer_catalogue(config["seed"], law, clusters, inference, n_nuts)
    write_csv(snakemake.output.table, table)
    tree.attrs |= made_by(snakemake.params.digest) | {"likelihood": "joint", "virial_convention": "K/|W|"}
    write_posteriors(snakemake.output.posteriors, tree)
    for row in table[:N_LOGGED].itertuples():
        log.info("%s: Q0 %.3f +- %.3f, a %.4g +- %.2g AU", row.case, row.q0_mean, row.q0_sd, row.a_au_mean, row.a_au_sd)
        if row.remarks:
            log.warning("%s: %s", row.case, row.remarks)
    log.info("%d clusters answered, %d rows left out", len(table), len(refused))
