"""Recover (Q0, a) for every surviving test run and say how far the posteriors can be believed."""

import numpy as np
import pandas as pd

from natal.assessment.coverage import calibration_report, contraction
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.errors import NatalError
from natal.files.formats import write_csv, write_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.recovery import recover
from natal.posterior.tables import nuts_report, posterior_tree, recovery_table, write_posteriors
from natal.provenance.environment import made_by
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import script
from natal.settings.inference import Inference

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    inference = Inference(**config["inference"])
    likelihood = load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, plan.box(config))
    test = read_runs(snakemake.input.test, "test")
    prior = plan.prior_box(config)
    if not any(all(low <= v <= high for v, (low, high) in zip(x, prior.values(), strict=True)) for x in test.x):
        raise NatalError("inference.prior holds none of the test clusters' true Q0 and a: widen it")
    log.info("%d test clusters on %s", len(test), device.describe())
    no_error = np.zeros_like(test.y)
    key = stage_key(config["seed"], "recover")
    recovered = recover(key, likelihood, prior, test.y, no_error, inference, inference.grid, test.x)
    truths = recovered.truths

    names = [f"{point}-{realization:02d}" for point, realization in zip(test.point_id, test.realization, strict=True)]
    cases = pd.DataFrame(
        {
            "case": names,
            "point_id": test.point_id,
            "realization": test.realization,
            "q0_true": test.x[:, 0],
            "a_au_true": test.x[:, 1],
        }
    )
    write_csv(snakemake.output.table, recovery_table(cases, recovered, truths))
    attributes = made_by(snakemake.params.digest) | {"likelihood": config["likelihood"], "virial_convention": "K/|W|"}
    tree = posterior_tree(names, recovered, test.y, no_error, test.x, attributes)
    write_posteriors(snakemake.output.posteriors, tree)
    # a prior narrower than the design makes no statement on clusters born outside it
    inside = np.isfinite(truths.log_density)
    shrunk = contraction(np.asarray(recovered.grid_summary.sd, float), prior)
    arrays = (test.x, test.point_id, truths.pit, truths.hpd_level, truths.log_density, shrunk)
    calibration = calibration_report(*(values[inside] for values in arrays))
    report = {
        "recovery": calibration | {"n_outside_prior": int((~inside).sum())},
        "nuts": nuts_report(recovered),
        "timing": {"recover": {f"{key}_s": seconds for key, seconds in recovered.timing_s.items()}},
    }
    write_json(snakemake.output.metrics, report)
    sampler, held = report["nuts"], 100 * calibration["coverage"]["95"]["joint"]
    log.info("max R-hat %.4f, %d divergences", sampler["max_rhat"], sampler["divergences"])
    log.info("log score %.3f, joint 95 %% regions hold %.1f %% of truths", calibration["log_score"], held)
