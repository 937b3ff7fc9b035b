"""Answer all clusters with the campaign's law, and say how far answers are off."""

import jax
import pandas as pd

from natal.files.formats import write_csv
from natal.likelihood.joint_network import load_joint
from natal.posterior.catalogue import Law
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.departures.answers import answer, laws, verdicts
from natal.studies.departures.births import draw_births
from natal.studies.departures.names import label
from natal.studies.departures.observing import measured, observed_by

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    ensemble, reach, _ = load_joint(snakemake.input.law)
    law, names = Law(ensemble, reach), observed_by(ensemble.latents.sizes)
    observed = pd.concat(map(pd.read_csv, snakemake.input.observed), ignore_index=True)
    tables = {suite: observed[observed.suite == suite].reset_index(drop=True) for suite in config["suites"]}
    key, answers = stage_key(config["seed"], "departures"), {}
    for k, (suite, table) in enumerate(tables.items()):
        clusters = measured(table, names, reach.mass_msun, config["relative_error"], config["seed"])
        found = answer(jax.random.fold_in(key, k), law, clusters, table[["q0", "a_au"]].to_numpy())
        answers[suite] = table.join(found.drop(columns="row"))
    write_csv(snakemake.output.clusters, pd.concat(answers.values(), ignore_index=True))
    q0, a_au = draw_births(config["seed"], max(config["suites"].values()), reach.q0, reach.a_au)
    table = verdicts(answers, pd.DataFrame({"q0": q0, "a_au": a_au}))
    write_csv(snakemake.output.table, table)
    write_csv(snakemake.output.laws, laws(tables, names, reach.t_end_yr, reach.mass_msun))
    for row in table.itertuples():
        said = label(row.suite), 100 * row.joint_68, 100 * row.joint_95, row.lost, 100 * row.warned
        log.info("%s: regions hold %.0f and %.0f %%, %.2f nats lost, %.0f %% warned", *said)
