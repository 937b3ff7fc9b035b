"""Recover (Q0, a) of the user's own clusters, whatever is known of each."""

from natal.campaign.catalogues import read_catalogue
from natal.posterior.catalogue import answer_to_files, load_law
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.settings.inference import Inference

# clusters with lines of their own in the log
N_LOGGED = 100

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, path, output = snakemake.config, str(snakemake.input.observations), snakemake.output
    law, inference = load_law(snakemake.input.law, snakemake.params.prior), Inference(**config["inference"])
    catalogue, files, n_nuts = (
        read_catalogue(path),
        (output.table, output.posteriors),
        config["observables"]["nuts_clusters"],
    )
    making = made_by(snakemake.params.digest)
    table, refused = answer_to_files(
        config["seed"], law, catalogue.clusters, catalogue.refused, path, inference, n_nuts, files, making
    )
    for line in [*catalogue.remarks(path), *(f"left out: {line}" for line in refused)]:
        log.warning("%s", line)
    for row in table[:N_LOGGED].itertuples():
        log.info("%s: Q0 %.3f +- %.3f, a %.4g +- %.2g AU", row.case, row.q0_mean, row.q0_sd, row.a_au_mean, row.a_au_sd)
        if row.remarks:
            log.warning("%s: %s", row.case, row.remarks)
    log.info("%d clusters answered, %d rows left out", len(table), len(refused))
