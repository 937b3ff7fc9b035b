"""Score classifier and criterion on test triples; compare the labels with those of the checks."""

import numpy as np
import pandas as pd

from natal.files.formats import read_json, write_csv, write_json
from natal.running.jobs import script
from natal.studies.triples import evaluation
from natal.studies.triples.classifier import load_classifier
from natal.studies.triples.criterion import criterion_ratio, logistic
from natal.studies.triples.names import CHECKS, SPLITS
from natal.studies.triples.systems import features

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    tables = {split: pd.read_csv(snakemake.input[split]) for split in SPLITS}
    test = tables["test"]
    classifier, fit = load_classifier(snakemake.input.classifier), read_json(snakemake.input.criterion)
    ratio = criterion_ratio(test)
    predictions = pd.DataFrame(
        {
            "triple_id": test.triple_id,
            "unstable": test.unstable,
            "criterion_ratio": ratio,
            "network": classifier(features(test)),
            "network_untempered": classifier(features(test), calibrated=False),
            "criterion": logistic(np.log(ratio), np.array([fit["intercept"], fit["slope"]])),
        }
    )
    write_csv(snakemake.output.predictions, predictions)
    again = {check: pd.read_csv(path) for check, path in zip(CHECKS, snakemake.input.checks, strict=True)}
    checked = evaluation.checked_labels(tables["train"], again)
    write_csv(snakemake.output.checked, checked)
    metrics = {
        "sample": {split: evaluation.describe(table) for split, table in tables.items()},
        "labels": evaluation.threshold_report(pd.concat(tables.values()), config["unstable_change"]),
        "checks": evaluation.check_report(checked, config["checks"]["parted"]),
        "temperature": float(classifier.temperature),
        "criterion_fit": fit,
        "importance": evaluation.importance(
            classifier, features(test), test.unstable.to_numpy(), np.random.default_rng(config["seed"])
        ),
        "test": evaluation.score_report(predictions, np.random.default_rng(config["seed"]), **config["evaluation"]),
    }
    write_json(snakemake.output.metrics, metrics)
    areas = {name: metrics["test"]["methods"][name]["auc"]["value"] for name in ("network", "criterion")}
    log.info("areas under the ROC curves of test triples: network %(network).4f, criterion %(criterion).4f", areas)
