"""Fit the widths of the Gaussian likelihoods on validation runs and compare all likelihoods there."""

from natal.assessment.likelihood_choice import validation_scores
from natal.campaign import plan
from natal.data.runs import design_digest, read_runs
from natal.emulator.ensemble import load_ensemble
from natal.emulator.held_out import error_of_the_mean, held_out_errors, spread_calibration
from natal.files.formats import write_json
from natal.likelihood.density import DENSITY_COMPONENTS, load_density
from natal.likelihood.kinds import make_likelihood
from natal.likelihood.widths import fit_widths, sigma_budget, widths_to_json
from natal.running.jobs import script
from natal.settings.likelihood import KINDS

with script(snakemake, cpu_devices=1) as log:
    train = read_runs(snakemake.input.train, "train")
    digest = design_digest(train)
    box = plan.box(snakemake.config)
    ensemble = load_ensemble(snakemake.input.ensemble, box=box, design_digest=digest)
    validation = read_runs(snakemake.input.validation, "validation")
    widths, points = fit_widths(ensemble, validation), held_out_errors(ensemble, train, validation)
    densities = {
        kind: load_density(snakemake.input[kind], box=box, design_digest=digest) for kind in DENSITY_COMPONENTS
    }
    tempering = snakemake.config["tempering"]
    likelihoods = {kind: make_likelihood(kind, ensemble, widths, densities, tempering) for kind in KINDS}
    scores = validation_scores(likelihoods, validation, box)
    content = {
        "kind": snakemake.config["likelihood"],
        "tempering": tempering,
        **widths_to_json(widths),
        "sigma_budget": sigma_budget(widths, validation, error_of_the_mean(points)),
        "members_spread": spread_calibration(points),
        "validation": scores,
        "design_digest": digest,
        "n_validation_runs": len(validation),
    }
    write_json(snakemake.output[0], content)
    for kind, score in scores.items():
        log.info("%s: log score %.3f on validation runs", kind, score["log_score"])
