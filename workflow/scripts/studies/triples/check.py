"""Follow the first triples again, with a finer step or beside where they were born."""

from typing import TYPE_CHECKING

import pandas as pd

from natal.files.formats import write_csv
from natal.running import device
from natal.running.jobs import job
from natal.studies.triples.follow import follow

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    device.set_up(threads=snakemake.threads)
    settings, checks = snakemake.config["integration"], snakemake.config["checks"]
    finer = snakemake.wildcards.check == "finer_step"
    table = pd.read_csv(snakemake.input.systems).iloc[: checks["triples"]]
    found = follow(
        table,
        eta=settings["eta"] * (checks["step_factor"] if finer else 1.0),
        n_orbits=settings["n_orbits"],
        unstable_change=snakemake.config["unstable_change"],
        slots=settings["slots"],
        shift=0.0 if finer else checks["shift"],
    )
    found.insert(0, "triple_id", table.triple_id)
    write_csv(snakemake.output[0], found)
    log.info("%d of %d triples are unstable", found.t_change_orbits.notna().sum(), len(found))
