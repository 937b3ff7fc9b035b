"""Score the networks and the spacing in Hill radii on test systems."""

import numpy as np
import pandas as pd

from natal.files.formats import read_json, write_csv, write_json
from natal.running.jobs import script
from natal.studies.planets.evaluation import depth_table, predict
from natal.studies.planets.names import SPLITS
from natal.studies.planets.systems import FEATURES, features
from natal.studies.triples.classifier import load_classifier
from natal.studies.triples.evaluation import importance, score_report, share

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    tables = {split: pd.read_csv(snakemake.input[split]) for split in SPLITS}
    test = tables["test"]
    by_depth = dict(zip(snakemake.params.depths, map(load_classifier, snakemake.input.classifiers), strict=True))
    chosen, rng = next(iter(by_depth.values())), np.random.default_rng(config["seed"])
    predictions = predict(chosen, read_json(snakemake.input.criterion), test)
    write_csv(snakemake.output.predictions, predictions)
    depths = depth_table(by_depth, tables["validation"], test)
    write_csv(snakemake.output.depths, depths)
    report = score_report(predictions, rng, **config["evaluation"])
    metrics = {
        "unstable": {name: share(int(table.unstable.sum()), len(table)) for name, table in tables.items()},
        "depths": depths.to_dict("records"),
        "importance": importance(chosen, features(test), test.unstable.to_numpy(), rng, FEATURES),
        "test": report,
    }
    write_json(snakemake.output.metrics, metrics)
    areas = [report["methods"][name]["auc"]["value"] for name in ("network", "criterion")]
    log.info("areas under the ROC curves of test systems: network %.4f, spacing %.4f", *areas)
