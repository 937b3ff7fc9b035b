"""Follow the first triples again, with a finer step or beside where they were born."""

import pandas as pd

from natal.files.formats import write_csv
from natal.running.jobs import script
from natal.studies.triples.follow import follow

with script(snakemake, cpu_devices=1) as log:
    settings, checks = snakemake.config["integration"], snakemake.config["checks"]
    finer = snakemake.wildcards.check == "finer_step"
    table = pd.read_csv(snakemake.input.systems).iloc[: checks["triples"]]
    options = {name: settings[name] for name in ("eta", "n_orbits", "slots")}
    options |= {"eta": settings["eta"] * checks["step_factor"]} if finer else {"shift": checks["shift"]}
    found = follow(table, unstable_change=snakemake.config["unstable_change"], **options)
    found.insert(0, "triple_id", table.triple_id)
    write_csv(snakemake.output[0], found)
    log.info("%d of %d triples are unstable", found.t_change_orbits.notna().sum(), len(found))
