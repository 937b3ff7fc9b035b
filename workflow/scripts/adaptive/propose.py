"""Propose training points for `design.proposed`, where they teach most by the campaign's criterion."""

import zlib

import numpy as np
import pandas as pd

from natal.adaptive.proposals import disagreement, information, propose_points
from natal.campaign import plan
from natal.data.runs import design_digest, read_runs
from natal.emulator.ensemble import load_ensemble
from natal.files.formats import write_csv
from natal.likelihood.density import load_density
from natal.random import stage_key
from natal.running.jobs import script

with script(snakemake, cpu_devices=1) as log:
    config, output = snakemake.config, snakemake.output[0]
    box = plan.box(config)
    n_points, criterion = config["adaptive"]["points"], config["adaptive"]["criterion"]
    digest = design_digest(read_runs(snakemake.input.train, "train"))
    key = stage_key(config["seed"], "propose")

    def acquisition(x: np.ndarray) -> np.ndarray:
        """The chosen criterion of the campaign's networks."""
        if criterion == "disagreement":
            return disagreement(load_ensemble(snakemake.input.networks, box=box, design_digest=digest), x)
        return information(key, load_density(snakemake.input.networks, box=box, design_digest=digest), x)

    proposal = propose_points(acquisition, box, n_points, [config["seed"], zlib.crc32(b"propose")])
    # the file goes back into the configuration, where q0 follows its convention
    q0 = proposal.x[:, 0] / plan.q0_factor(config)
    write_csv(output, pd.DataFrame({"q0": q0, "a_au": proposal.x[:, 1], "score": proposal.score}))
    log.info("%d points in %s: look at them, then name the file in design.proposed", n_points, output)
