"""Infer the distribution of births behind the user's table of clusters."""

from natal.campaign.catalogues import read_catalogue
from natal.figures.population import clusters_in_its_light, hyperparameters, population_law
from natal.figures.save import save_figures
from natal.files.formats import write_csv, write_json
from natal.likelihood.joint_network import load_joint
from natal.population.inference import answer_population, told
from natal.posterior.catalogue import Law, without_refused
from natal.posterior.tables import write_posteriors
from natal.provenance.environment import made_by
from natal.running.jobs import script
from natal.settings.population import Population

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, path, output = snakemake.config, str(snakemake.input.observations), snakemake.output
    ensemble, reach, _ = load_joint(snakemake.input.law)
    law = Law(ensemble, reach, snakemake.params.prior)
    catalogue = read_catalogue(path)
    clusters, refused = without_refused(law, catalogue.clusters, path, catalogue.refused)
    for line in refused:
        log.warning("left out: %s", line)
    settings = Population(**config["population"])
    answer = answer_population(config["seed"], law, clusters, settings)
    write_csv(output.law, answer.law)
    write_csv(output.clusters, answer.clusters)
    answer.tree.attrs |= made_by(snakemake.params.digest) | {"virial_convention": "K/|W|"}
    write_posteriors(output.draws, answer.tree)
    write_json(output.metrics, {"population": told(answer, settings, refused)})
    figures = {"population_law": population_law(answer.tree), "population_corner": hyperparameters(answer.tree)}
    figures |= {"population_clusters": clusters_in_its_light(answer.clusters)}
    save_figures(output.figures, figures)
    for row in answer.law.itertuples():
        log.info("%s %s: %.4g +- %.2g %s", row.law, row.parameter, row.mean, row.sd, row.unit)
    for remark in answer.remarks:
        log.warning("%s", remark)
