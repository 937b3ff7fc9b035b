"""Say how far the campaign's posteriors can be trusted, on fresh clusters drawn from the prior."""

import jax
import numpy as np

from natal.assessment.trust import coverage_by_region, trust_report
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.files.formats import write_csv, write_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.grid import answer_cases, make_grid
from natal.running.jobs import script

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, files = snakemake.config, snakemake.input
    likelihood = load_likelihood(files.ensemble, files.likelihood, plan.box(config))
    runs = read_runs(files.runs, "trust")
    grid = make_grid(likelihood, plan.prior_box(config), config["inference"]["grid"])
    wanted = ("summary", "truths")
    found = answer_cases(jax.random.key(0), likelihood, grid, runs.y, None, wanted=wanted, truth=runs.x)
    mean, hpd_level, log_density, entropy = (
        np.asarray(values, float)
        for values in (found.summary.mean, found.truths.hpd_level, found.truths.log_density, found.summary.entropy)
    )
    regions = coverage_by_region(mean, hpd_level)
    report = trust_report(regions, log_density, entropy) | {"n_dissolved": runs.n_dissolved}
    write_csv(snakemake.output.table, regions)
    write_json(snakemake.output.metrics, {"trust": report})
    log.info("shares of truths in joint 50, 68, 90 and 95 % regions:")
    for row in regions.itertuples():
        shares = " ".join(f"{100 * row[k]:6.1f} ± {100 * row[k + 1]:.1f}" for k in range(-8, 0, 2))
        log.info("%-5s %-7s n = %-6d %s", row.by, row.third, row.n, shares)
    for name, goal in report["goals"].items():
        low, high = goal["wanted"]
        wanted = f"{low:g} or more" if high is None else f"{low:g} to {high:g}"
        said = "met" if goal["met"] else "MISSED", name, goal["found"], goal["error"], wanted
        log.info("goal %s: %s = %.4f ± %.4f, wanted %s", *said)
    log.info("%s", report["verdict"]["text"])
