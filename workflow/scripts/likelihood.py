"""Fit the likelihood's width on validation runs."""

from typing import TYPE_CHECKING

from natal import campaign, device
from natal.dataset import design_digest, read_runs
from natal.emulator import load_ensemble
from natal.files import write_json
from natal.jobs import job
from natal.likelihood import fit_sigma_total
from natal.summaries import OUTPUTS

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0]) as log:
    device.set_up(threads=snakemake.threads, cache_folder=snakemake.params.cache)
    digest = design_digest(read_runs(snakemake.input.train, "train"))
    box = campaign.box(snakemake.config)
    ensemble = load_ensemble(snakemake.input.ensemble, box=box, design_digest=digest)
    validation = read_runs(snakemake.input.validation, "validation")
    sigma_total = fit_sigma_total(ensemble, validation)
    content = {
        "kind": snakemake.config["likelihood"],
        "sigma_total": dict(zip(OUTPUTS, sigma_total, strict=True)),
        "design_digest": digest,
        "n_validation_runs": len(validation),
    }
    write_json(snakemake.output[0], content)
    log.info("sigma_total: %s", ", ".join(f"{n} {s:.3g}" for n, s in zip(OUTPUTS, sigma_total, strict=True)))
