"""Answer synthetic populations of calibration clusters, and say whether such answers can be trusted."""

import pandas as pd

from natal.assessment.population import check_populations, score_populations
from natal.figures.population import population_ranks, population_violations
from natal.figures.save import save_figures
from natal.files.formats import write_csv, write_json
from natal.posterior.catalogue import load_law
from natal.random import stage_key
from natal.running.jobs import script
from natal.settings.population import Population
from natal.simulation.lines_of_sight import read_lines_of_sight
from natal.variables import CALIBRATION

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, files, output = snakemake.config, snakemake.input, snakemake.output
    split = pd.read_csv(files.summaries).groupby("point_id").split.first()
    seen = read_lines_of_sight(files.snapshots)
    seen = seen.at(split.loc[seen.point_id].to_numpy() == CALIBRATION)
    key, settings = stage_key(config["seed"], "check population"), Population(**config["population"])
    found = check_populations(key, config["seed"], load_law(files.law), seen, settings)
    scores = score_populations(found["coverage"])
    write_csv(output.coverage, found["coverage"])
    write_csv(output.violations, found["violations"])
    write_json(output.metrics, {"population_check": scores})
    figures = {"population_ranks": population_ranks(found["coverage"])}
    figures |= {"population_violations": population_violations(found["violations"])}
    save_figures(output.figures, figures)
    for table, of_parameters in scores.items():
        for name, score in of_parameters.items():
            numbers = 100 * score["inside_90"], 100 * score["stacked_inside_90"], score["ranks"]["p_value"]
            log.info(
                "%s, %s: 90 %% intervals hold %.1f %% (of means alone %.1f %%), ranks p = %.3f", table, name, *numbers
            )
