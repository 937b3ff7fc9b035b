# Study `planets`: systems of three planets are followed, and networks learn which of them last.
configfile: f"{workflow.basedir}/../../config/studies/planets.yaml"


from natal.studies.planets.settings import Planets

STUDY, SETTINGS = "planets", Planets


include: "common.smk"


from natal.studies.planets import names

DATASET = {split: RESULTS / "dataset" / f"{split}.csv" for split in names.SPLITS}
DEPTHS = list(dict.fromkeys([config["classifier"]["depth"], *config["depths"]]))
FIGURES = pictures(RESULTS / "figures", *names.FIGURES)


rule all:
    default_target: True
    localrule: True
    input: RESULTS / "metrics.json", FIGURES


rule follow:
    output: **DATASET
    log: LOGS / "follow.log"
    benchmark: LOGS / "follow.benchmark.tsv"
    params: digest=digest("follow.py", "seed", "prior", "systems", "integration")
    message: "Draw systems of three planets and follow them"
    script: "../scripts/studies/planets/follow.py"


# nothing before `evaluate` reads test rows
rule classify:
    input: train=DATASET["train"], validation=DATASET["validation"]
    output:
        classifiers=[RESULTS / "classifiers" / f"{depth}_layers.eqx" for depth in DEPTHS],
        criterion=RESULTS / "classifiers" / "spacing.json",
    log: LOGS / "classify.log"
    benchmark: LOGS / "classify.benchmark.tsv"
    params: digest=digest("classify.py", "seed", "classifier"), depths=DEPTHS
    message: "Train classifiers of each depth"
    script: "../scripts/studies/planets/classify.py"


rule evaluate:
    input: **DATASET, classifiers=rules.classify.output.classifiers, criterion=rules.classify.output.criterion
    output: metrics=RESULTS / "metrics.json", predictions=RESULTS / "predictions.csv", depths=RESULTS / "depths.csv"
    log: LOGS / "evaluate.log"
    params: digest=digest("evaluate.py", "seed", "evaluation"), depths=DEPTHS
    message: "Score networks and spacing on test systems"
    script: "../scripts/studies/planets/evaluate.py"


rule figures:
    input: **DATASET, predictions=rules.evaluate.output.predictions, depths=rules.evaluate.output.depths
    output: FIGURES
    log: LOGS / "figures.log"
    params: digest=digest("figures.py")
    message: "Draw the figures"
    script: "../scripts/studies/planets/figures.py"


include: "../rules/environment.smk"
