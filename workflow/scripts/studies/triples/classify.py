"""Train a label's classifier on training rows, stop and calibrate it on validation rows; fit the criterion's odds."""

import numpy as np
import pandas as pd

from natal.files.formats import write_csv, write_json
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.triples.classifier import ClassifierSettings, save_classifier, train_classifier
from natal.studies.triples.criterion import criterion_ratio, fit_logistic
from natal.studies.triples.systems import FEATURES, features

with script(snakemake, cpu_devices=1) as log:
    config = snakemake.config
    train, validation = (pd.read_csv(snakemake.input[split]) for split in ("train", "validation"))
    label = snakemake.wildcards.label
    classifier, history = train_classifier(
        stage_key(config["seed"], "classify"),
        (features(train), train[label].to_numpy()),
        (features(validation), validation[label].to_numpy()),
        ClassifierSettings(**config["classifier"]),
        FEATURES,
    )
    save_classifier(snakemake.output.classifier, classifier)
    member, epoch = np.nonzero(np.isfinite(history.train_loss))
    losses = {name: getattr(history, name)[member, epoch] for name in ("train_loss", "validation_loss")}
    write_csv(snakemake.output.curves, pd.DataFrame({"member": member, "epoch": epoch, **losses}))
    coefficients = fit_logistic(np.log(criterion_ratio(train)), train[label].to_numpy())
    write_json(snakemake.output.criterion, {"intercept": coefficients[0], "slope": coefficients[1]})
    log.info("%s: best epochs %s, temperature %.3f", label, history.best_epoch, classifier.temperature)
