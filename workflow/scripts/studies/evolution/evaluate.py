"""Score the laws of the study `evolution` on validation and test snapshots, and count what their bands hold."""

import numpy as np
import pandas as pd

from natal.files.formats import write_csv, write_json
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.evolution import network
from natal.studies.evolution.evaluation import coverage_table, predicted_pit, score_rows, whole_tracks
from natal.studies.evolution.tracks import read_tracks, snapshots

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    table = read_tracks(snakemake.input.tracks, config["n_stars"], config["box"])
    ensembles = {
        (coordinates, gap): network.load(snakemake.input[f"{coordinates}_{gap}"])
        for coordinates in snakemake.params.sets
        for gap in ("none", *config["gaps"])
    }
    parts = [score_rows(ensembles, config["gaps"], snapshots(table, split), split) for split in ("validation", "test")]
    scores = pd.concat(parts, ignore_index=True)
    write_csv(snakemake.output.scores, scores)
    key, rng = stage_key(config["seed"], "bands"), np.random.default_rng(config["seed"])
    chosen, n_draws = ensembles[config["coordinates"], "none"], config["bands"]["draws"]
    pit = predicted_pit(key, chosen, snapshots(table, "test"), n_draws, rng)
    write_csv(snakemake.output.pit, pit)
    coverage = coverage_table(pit)
    write_csv(snakemake.output.coverage, coverage)
    overall = coverage[coverage.t_yr.isna()].drop(columns="t_yr")
    metrics = {
        "scores": scores.to_dict("records"),
        "coverage": overall.to_dict("records"),
        "whole_tracks": whole_tracks(pit),
    }
    write_json(snakemake.output.metrics, metrics)
    for row in overall.itertuples():
        log.info("%s: bands of %.0f %% hold %.1f %%", row.output, 100 * row.level, 100 * row.inside)
