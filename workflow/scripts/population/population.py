"""Infer the distribution of births behind the user's table of clusters."""

from natal.campaign.catalogues import read_catalogue
from natal.figures.population import clusters_in_its_light, hyperparameters, population_law
from natal.figures.save import save_figures
from natal.files.formats import write_json
from natal.population.inference import answer_to_files, told
from natal.posterior.catalogue import load_law
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.settings.population import Population

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, path, output = snakemake.config, str(snakemake.input.observations), snakemake.output
    law, settings = load_law(snakemake.input.law, snakemake.params.prior), Population(**config["population"])
    table, files = read_catalogue(path), (output.law, output.clusters, output.draws)
    answer, left_out = answer_to_files(
        config["seed"], law, table.clusters, table.refused, path, settings, files, made_by(snakemake.params.digest)
    )
    write_json(output.metrics, {"population": told(answer, settings, left_out)})
    figures = {"population_law": population_law(answer.tree), "population_corner": hyperparameters(answer.tree)}
    figures |= {"population_clusters": clusters_in_its_light(answer.clusters)}
    save_figures(output.figures, figures)
    for row in answer.law.itertuples():
        log.info("%s %s: %.4g +- %.2g %s", row.law, row.parameter, row.mean, row.sd, row.unit)
    for remark in [*table.remarks(path), *(f"left out: {line}" for line in left_out), *answer.remarks]:
        log.warning("%s", remark)
