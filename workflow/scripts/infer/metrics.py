"""Gather the numbers of all stages into one file."""

from natal.assessment.metrics import speed_report
from natal.campaign.plan import CHECKS
from natal.files.formats import read_json, write_json
from natal.running.job_costs import campaign_costs
from natal.running.jobs import script

with script(snakemake) as log:
    parts = {name: read_json(path) for name, path in snakemake.input.items()}
    metrics = {}
    for part in ("simulation", "training", "density", "evaluation", "recovery", "calibration", "uncertainty", *CHECKS):
        if part not in parts:
            continue
        timing = parts[part].pop("timing", {})
        metrics |= parts[part]
        metrics["timing"] = metrics.get("timing", {}) | timing
    metrics["sigma_total"] = parts["likelihood"]["sigma_total"]
    metrics["likelihood"] = {key: parts["likelihood"][key] for key in ("kind", "n_validation_runs", "validation")}
    metrics |= {key: parts["likelihood"][key] for key in ("sigma_budget", "members_spread")}
    metrics["timing"]["speed"] = speed_report(parts["speed"], metrics)
    metrics["timing"]["campaign"] = campaign_costs(snakemake.params.benchmarks)
    write_json(snakemake.output[0], metrics)
