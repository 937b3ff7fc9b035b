"""Draw the recovery of test clusters: all of them in four figures, a few as corner plots."""

from natal.assessment.cases import cases_along_q0, cold_to_hot
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.figures.corners import corner_plots
from natal.figures.recovery import campaign_coverage, pit_histograms, recovered_vs_true, sampler_health
from natal.figures.save import save_figures
from natal.figures.single_summaries import likelihood_contours
from natal.files.formats import read_csv, read_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.grid import make_grid
from natal.posterior.single_summaries import single_summaries
from natal.running.jobs import script

with script(snakemake, cpu_devices=1):
    config, files = snakemake.config, snakemake.input
    prior, recovery = plan.prior_box(config), read_csv(files.recovery)
    likelihood = load_likelihood(files.ensemble, files.likelihood, plan.box(config))
    grid = make_grid(likelihood, prior, tuple(config["inference"]["grid"]))
    shown = cases_along_q0(recovery.q0_true.to_numpy(), config["report"]["corner_cases"])
    corners = corner_plots(files.posteriors, recovery, shown, grid, prior)
    test = read_runs(files.test, "test")
    chosen = cold_to_hot(test.x[:, 0])
    drawn = {
        "recovered_vs_true": recovered_vs_true(recovery),
        "coverage": campaign_coverage(read_json(files.metrics)["recovery"]),
        "pit": pit_histograms(recovery[["q0_pit", "a_au_pit"]].to_numpy()),
        "likelihood_contours": likelihood_contours(single_summaries(likelihood, prior, test.y[chosen]), test.x[chosen]),
        "sampler_health": sampler_health(recovery),
        **{f"corner_{k}": figure for k, figure in enumerate(corners)},
    }
    save_figures(snakemake.output, drawn)
