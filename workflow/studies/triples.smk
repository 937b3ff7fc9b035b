# Study `triples`: hierarchical triple stars are followed, and networks learn which of them fall apart, and which are chaotic.
configfile: f"{workflow.basedir}/../../config/studies/triples.yaml"


from natal.studies.triples.settings import Triples

STUDY, SETTINGS = "triples", Triples


include: "common.smk"


from natal.studies.triples import names

SHARDS = range(config["integration"]["shards"])
DATASET = {split: RESULTS / "dataset" / f"{split}.csv" for split in names.SPLITS}
FIGURES = pictures(RESULTS / "figures", *names.FIGURES)


wildcard_constraints: shard=r"\d+", check="|".join(names.CHECKS), label="|".join(names.LABELS)


rule all:
    default_target: True
    localrule: True
    input: RESULTS / "metrics.json", FIGURES


rule systems:
    localrule: True
    output: RESULTS / "systems.csv"
    log: LOGS / "systems.log"
    params: digest=digest("systems.py", "seed", "prior", "triples")
    message: "Draw triples from the prior"
    script: "../scripts/studies/triples/systems.py"


rule follow:
    input: systems=RESULTS / "systems.csv"
    output: RESULTS / "followed" / "{shard}.csv"
    log: LOGS / "follow" / "{shard}.log"
    benchmark: LOGS / "follow" / "{shard}.benchmark.tsv"
    params: digest=digest("follow.py", "integration", "unstable_change")
    message: "Follow triples, shard {wildcards.shard}"
    script: "../scripts/studies/triples/follow.py"


rule check:
    input: systems=RESULTS / "systems.csv"
    output: RESULTS / "checks" / "{check}.csv"
    log: LOGS / "checks" / "{check}.log"
    benchmark: LOGS / "checks" / "{check}.benchmark.tsv"
    params: digest=digest("check.py", "integration", "unstable_change", "checks")
    message: "Follow some triples again: {wildcards.check}"
    script: "../scripts/studies/triples/check.py"


rule dataset:
    localrule: True
    input: systems=RESULTS / "systems.csv", followed=[RESULTS / "followed" / f"{shard}.csv" for shard in SHARDS]
    output: **DATASET
    log: LOGS / "dataset.log"
    params: digest=digest("dataset.py", "chaotic_megno")
    message: "Cut the triples into training, validation and test"
    script: "../scripts/studies/triples/dataset.py"


# nothing before `evaluate` reads test rows
rule classify:
    input: train=DATASET["train"], validation=DATASET["validation"]
    output:
        classifier=RESULTS / "classifiers" / "{label}.eqx",
        criterion=RESULTS / "classifiers" / "{label}_criterion.json",
        curves=RESULTS / "classifiers" / "{label}_training.csv",
    log: LOGS / "classify_{label}.log"
    benchmark: LOGS / "classify_{label}.benchmark.tsv"
    params: digest=digest("classify.py", "seed", "classifier")
    threads: 2
    message: "Train the classifier: {wildcards.label}"
    script: "../scripts/studies/triples/classify.py"


rule evaluate:
    input:
        **DATASET,
        classifiers=expand(rules.classify.output.classifier, label=names.LABELS),
        criteria=expand(rules.classify.output.criterion, label=names.LABELS),
        checks=[RESULTS / "checks" / f"{check}.csv" for check in names.CHECKS],
    output:
        metrics=RESULTS / "metrics.json",
        predictions=RESULTS / "predictions.csv",
        checked=RESULTS / "checked.csv",
    log: LOGS / "evaluate.log"
    params: digest=digest("evaluate.py", "seed", "evaluation", "checks", "unstable_change", "chaotic_megno")
    message: "Score the classifiers and the criterion on test triples"
    script: "../scripts/studies/triples/evaluate.py"


rule figures:
    input:
        **DATASET,
        curves=expand(rules.classify.output.curves, label=names.LABELS),
        metrics=RESULTS / "metrics.json",
        predictions=RESULTS / "predictions.csv",
        checked=RESULTS / "checked.csv",
    output: FIGURES
    log: LOGS / "figures.log"
    params: digest=digest("figures.py", "evaluation", "checks", "unstable_change", "chaotic_megno")
    message: "Draw the figures"
    script: "../scripts/studies/triples/figures.py"


include: "../rules/environment.smk"
