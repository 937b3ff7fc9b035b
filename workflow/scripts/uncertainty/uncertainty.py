"""Fit the other uncertainty methods on training and validation runs, and compare all methods on the test runs."""

import time

from natal.assessment.uncertainty.comparison import compare, comparison_table, nuts_check, widths_along_q0
from natal.assessment.uncertainty.conformal import Calibrated
from natal.assessment.uncertainty.fitting import fit_methods
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.files.formats import read_json, write_csv, write_json
from natal.likelihood.density import DENSITY_COMPONENTS
from natal.likelihood.loading import load_likelihoods
from natal.random import stage_key
from natal.running.jobs import script
from natal.settings.emulator import TrainingSettings
from natal.settings.inference import Inference
from natal.settings.uncertainty import UncertaintySettings

# draws of each chain: enough to tell whether NUTS can be used with a method
CHECK_DRAWS = 1000

with script(snakemake, cpu_devices=snakemake.threads) as log:
    # the chains of the Bayesian network are spread over the threads
    config, files = snakemake.config, snakemake.input
    box, prior = plan.box(config), plan.prior_box(config)
    key = stage_key(config["seed"], "uncertainty")
    settings = UncertaintySettings(**config["uncertainty"])
    likelihoods = load_likelihoods(files.ensemble, files.likelihood, box, settings.likelihoods(config["likelihood"]))
    train, validation = read_runs(files.train, "train"), read_runs(files.validation, "validation")
    started = time.perf_counter()
    ensemble, training = likelihoods[config["likelihood"]].ensemble, TrainingSettings(**config["emulator"])
    fitted = fit_methods(key, ensemble, train, validation, box, training, settings)
    methods = likelihoods | {name: method.predictor for name, method in fitted.items()}
    fitting_s = time.perf_counter() - started

    # nothing above has seen the test runs
    test = read_runs(files.test, "test")
    sampler = Inference(**config["inference"])
    reports = compare(key, methods, test, prior, sampler.grid)
    training_s = dict.fromkeys(likelihoods, sum(read_json(files.training)["timing"]["train"].values()))
    density = read_json(files.density)["density"]
    training_s |= {kind: density[kind]["seconds"] for kind in DENSITY_COMPONENTS if kind in likelihoods}
    training_s |= {name: method.seconds for name, method in fitted.items()}
    for name, report in reports.items():
        report["training_s"] = training_s[name]
        report |= fitted[name].health if name in fitted else {}
    sampler = sampler.model_copy(update={"draws": min(sampler.draws, CHECK_DRAWS)})
    for name, method in methods.items():
        # the recovery samples the campaign's own likelihood
        if name != config["likelihood"] and not isinstance(method, Calibrated) and settings.nuts_cases:
            log.info("NUTS with %s", name)
            reports[name]["nuts"] = nuts_check(key, method, prior, test, settings.nuts_cases, sampler, sampler.grid)
    table = comparison_table(reports)
    write_csv(snakemake.output.table, table)
    write_csv(snakemake.output.widths, widths_along_q0(methods, box))
    timing = {"fit_s": fitting_s, "compare_s": time.perf_counter() - started - fitting_s}
    write_json(snakemake.output.metrics, {"uncertainty": reports, "timing": {"uncertainty": timing}})
    for row in table.itertuples():
        said = row.method, 100 * row.coverage_95_joint, 100 * row.area_95, row.log_score
        log.info("%s: joint 95 %% regions hold %.1f %% of truths in %.1f %% of the box, log score %.3f", *said)
