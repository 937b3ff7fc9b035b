"""Check the posteriors of clusters that were drawn from the prior: simulation-based calibration."""

import numpy as np

from natal.assessment.sbc import MIN_CASES, calibration_table, posterior_draws, sbc_report, thinned_settings
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.errors import NatalError
from natal.files.formats import write_csv, write_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.recovery import recover
from natal.random import stage_key
from natal.running import device
from natal.running.jobs import script
from natal.settings.inference import Inference

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config = snakemake.config
    inference = Inference(**config["inference"])
    likelihood = load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, plan.box(config))
    prior, seed, n_draws = plan.prior_box(config), config["seed"], inference.calibration_draws
    drawn = read_runs(snakemake.input.calibration, plan.CALIBRATION)
    # a prior narrower than the design makes no statement on clusters born outside it
    runs = drawn.within(prior)
    if len(runs) < MIN_CASES:
        raise NatalError(
            f"inference.prior holds {len(runs)} of the calibration clusters, {MIN_CASES} are needed: widen it, raise "
            "design.calibration, or set that to 0"
        )
    log.info("%d calibration clusters on %s", len(runs), device.describe())
    key, no_error, thinned = stage_key(seed, "calibrate"), np.zeros_like(runs.y), thinned_settings(inference, n_draws)
    n_nuts = inference.calibration_nuts
    recovered = recover(key, likelihood, prior, runs.y, no_error, thinned, inference.grid, runs.x, n_nuts)
    truths = recovered.truths
    draws = posterior_draws(recovered, n_draws)
    key = stage_key(seed, "calibration checks")
    table = calibration_table(key, runs.point_id, runs.x, recovered, truths, draws, prior)
    write_csv(snakemake.output.table, table)
    report = sbc_report(table, n_draws) | {
        "n_drawn": len(drawn) + drawn.n_dissolved,
        "n_dissolved": drawn.n_dissolved,
        "n_outside_prior": len(drawn) - len(runs),
        "divergences": int(recovered.nuts.diverging.sum()),
        "median_ess_bulk": np.median(recovered.ess_bulk.min(1)),
    }
    timing = {"calibrate": {f"{key}_s": seconds for key, seconds in recovered.timing_s.items()}}
    write_json(snakemake.output.metrics, {"calibration": report, "timing": timing})
    failed = f": {', '.join(report['failed'])}" if report["failed"] else ""
    log.info("%d of %d checks fail%s", len(report["failed"]), len(report["verdicts"]), failed)
    log.info("%s", report["verdict"]["text"])
