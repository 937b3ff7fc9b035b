"""Draw the user's own clusters that have any observables: posteriors, and observables beside what these predict."""

from natal.figures.observables import own_clusters
from natal.figures.save import save_figures
from natal.files.formats import read_csv
from natal.posterior.catalogue import load_law
from natal.running.jobs import script

with script(snakemake, cpu_devices=1):
    files, config = snakemake.input, snakemake.config
    law = load_law(files.law, snakemake.params.prior)
    n_shown = config["report"]["corner_cases"]
    figures = own_clusters(config["seed"], law, read_csv(files.observed), files.posteriors, n_shown)
    save_figures(snakemake.output, figures)
