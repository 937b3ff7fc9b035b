"""Score classifier and criterion on test triples; compare the labels with those of the checks."""

import numpy as np
import pandas as pd

from natal.files.formats import read_json, write_csv, write_json
from natal.running.jobs import script
from natal.studies.triples import evaluation
from natal.studies.triples.classifier import load_classifier
from natal.studies.triples.criterion import criterion_ratio, logistic
from natal.studies.triples.names import CHECKS, LABELS, SPLITS
from natal.studies.triples.systems import features

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    tables = {split: pd.read_csv(snakemake.input[split]) for split in SPLITS}
    test = tables["test"]
    x, ratio = features(test), criterion_ratio(test)
    tables_of_labels, by_label = [], {}
    for label, file, criterion in zip(LABELS, snakemake.input.classifiers, snakemake.input.criteria, strict=True):
        classifier, fit = load_classifier(file), read_json(criterion)
        predictions = pd.DataFrame(
            {
                "label": label,
                "triple_id": test.triple_id,
                "outcome": test[label],
                "criterion_ratio": ratio,
                "network": classifier(x),
                "network_untempered": classifier(x, calibrated=False),
                "criterion": logistic(np.log(ratio), np.array([fit["intercept"], fit["slope"]])),
            }
        )
        tables_of_labels.append(predictions)
        by_label[label] = {
            "temperature": float(classifier.temperature),
            "criterion_fit": fit,
            "importance": evaluation.importance(
                classifier, x, test[label].to_numpy(), np.random.default_rng(config["seed"])
            ),
            "test": evaluation.score_report(predictions, np.random.default_rng(config["seed"]), **config["evaluation"]),
        }
    write_csv(snakemake.output.predictions, pd.concat(tables_of_labels))
    again = {check: pd.read_csv(path) for check, path in zip(CHECKS, snakemake.input.checks, strict=True)}
    checked = evaluation.checked_labels(tables["train"], again)
    write_csv(snakemake.output.checked, checked)
    everything = pd.concat(tables.values())
    metrics = {
        "sample": {split: evaluation.describe(table) for split, table in tables.items()},
        "labels": evaluation.threshold_report(everything, config["unstable_change"]),
        "chaos": evaluation.compare_labels(everything),
        "checks": evaluation.check_report(checked, config["checks"]["parted"], config["chaotic_megno"]),
        **by_label,
    }
    write_json(snakemake.output.metrics, metrics)
    for label, found in by_label.items():
        areas = [found["test"]["methods"][name]["auc"]["value"] for name in ("network", "criterion")]
        log.info("%s: areas under the ROC curves of test triples: network %.4f, criterion %.4f", label, *areas)
