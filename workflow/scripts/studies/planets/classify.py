"""Train classifiers of each depth on training systems, stopped by validation systems; fit the odds of the spacing."""

import numpy as np
import pandas as pd

from natal.files.formats import write_json
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.planets.systems import FEATURES, features, tightest_spacing
from natal.studies.triples.classifier import save_classifier, train_classifier
from natal.studies.triples.criterion import fit_logistic
from natal.studies.triples.settings import ClassifierSettings

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    train, validation = (pd.read_csv(snakemake.input[split]) for split in ("train", "validation"))
    rows = [(features(table), table.unstable.to_numpy()) for table in (train, validation)]
    for depth, path in zip(snakemake.params.depths, snakemake.output.classifiers, strict=True):
        settings = ClassifierSettings(**config["classifier"] | {"depth": depth})
        classifier, history = train_classifier(stage_key(config["seed"], "classify"), *rows, settings, FEATURES)
        save_classifier(path, classifier)
        log.info("%d hidden layers: best epochs %s", depth, history.best_epoch)
    coefficients = fit_logistic(np.log(tightest_spacing(train)), train.unstable.to_numpy())
    write_json(snakemake.output.criterion, {"intercept": coefficients[0], "slope": coefficients[1]})
