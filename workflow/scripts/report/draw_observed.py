"""Draw the posteriors of the user's own clusters."""

from natal.campaign import plan
from natal.figures.corners import corner_plots
from natal.figures.save import save_figures
from natal.files.formats import read_csv
from natal.likelihood.loading import load_likelihood
from natal.posterior.grid import make_grid
from natal.running.jobs import script

with script(snakemake, cpu_devices=1):
    config, files = snakemake.config, snakemake.input
    prior, observed = plan.prior_box(config), read_csv(files.observed)
    likelihood = load_likelihood(files.ensemble, files.likelihood, plan.box(config))
    grid = make_grid(likelihood, prior, tuple(config["inference"]["grid"]))
    shown = range(min(len(observed), config["report"]["corner_cases"]))
    corners = corner_plots(files.posteriors, observed, shown, grid, prior)
    save_figures(snakemake.output, {f"observed_{k}": figure for k, figure in enumerate(corners)})
