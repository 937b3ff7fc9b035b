# Study `triples`: hierarchical triple stars are followed, and a network learns which of them fall apart.
configfile: "config/studies/triples.yaml"


STUDY = "triples"


include: "common.smk"


from natal.studies.triples.names import CHECKS, FIGURES, SPLITS, mistakes

if lines := mistakes(config):
    sys.exit("\n".join(lines))

SHARDS = range(config["integration"]["shards"])


wildcard_constraints:
    shard=r"\d+",
    check="|".join(CHECKS),


rule all:
    default_target: True
    localrule: True
    input:
        RESULTS / "metrics.json",
        [RESULTS / "figures" / f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")],


rule systems:
    localrule: True
    output:
        RESULTS / "systems.csv",
    log:
        LOGS / "systems.log",
    params:
        digest=digest("systems.py", "seed", "prior", "triples"),
    message:
        "Draw triples from the prior"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/systems.py"


rule follow:
    input:
        systems=RESULTS / "systems.csv",
    output:
        RESULTS / "followed" / "{shard}.csv",
    log:
        LOGS / "follow" / "{shard}.log",
    benchmark:
        LOGS / "follow" / "{shard}.benchmark.tsv"
    params:
        digest=digest("follow.py", "integration", "unstable_change"),
        cache=str(COMPILE_CACHE),
    threads: 1
    message:
        "Follow triples, shard {wildcards.shard}"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/follow.py"


rule check:
    input:
        systems=RESULTS / "systems.csv",
    output:
        RESULTS / "checks" / "{check}.csv",
    log:
        LOGS / "checks" / "{check}.log",
    benchmark:
        LOGS / "checks" / "{check}.benchmark.tsv"
    params:
        digest=digest("check.py", "integration", "unstable_change", "checks"),
        cache=str(COMPILE_CACHE),
    threads: 1
    message:
        "Follow some triples again: {wildcards.check}"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/check.py"


rule dataset:
    localrule: True
    input:
        systems=RESULTS / "systems.csv",
        followed=[RESULTS / "followed" / f"{shard}.csv" for shard in SHARDS],
    output:
        **{split: RESULTS / "dataset" / f"{split}.csv" for split in SPLITS},
    log:
        LOGS / "dataset.log",
    params:
        digest=digest("dataset.py"),
    message:
        "Cut the triples into training, validation and test"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/dataset.py"


# nothing before `evaluate` reads test rows
rule classify:
    input:
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
    output:
        classifier=RESULTS / "classifier.eqx",
        criterion=RESULTS / "criterion.json",
        curves=RESULTS / "training.csv",
    log:
        LOGS / "classify.log",
    benchmark:
        LOGS / "classify.benchmark.tsv"
    params:
        digest=digest("classify.py", "seed", "classifier"),
        cache=str(COMPILE_CACHE),
    threads: 2
    message:
        "Train the classifier"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/classify.py"


rule evaluate:
    input:
        **{split: RESULTS / "dataset" / f"{split}.csv" for split in SPLITS},
        classifier=RESULTS / "classifier.eqx",
        criterion=RESULTS / "criterion.json",
        checks=[RESULTS / "checks" / f"{check}.csv" for check in CHECKS],
    output:
        metrics=RESULTS / "metrics.json",
        predictions=RESULTS / "predictions.csv",
        checked=RESULTS / "checked.csv",
    log:
        LOGS / "evaluate.log",
    params:
        digest=digest("evaluate.py", "seed", "evaluation", "checks", "unstable_change"),
        cache=str(COMPILE_CACHE),
    threads: 1
    message:
        "Score the classifier and the criterion on test triples"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/evaluate.py"


rule figures:
    input:
        **{split: RESULTS / "dataset" / f"{split}.csv" for split in SPLITS},
        curves=RESULTS / "training.csv",
        metrics=RESULTS / "metrics.json",
        predictions=RESULTS / "predictions.csv",
        checked=RESULTS / "checked.csv",
    output:
        [RESULTS / "figures" / f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")],
    log:
        LOGS / "figures.log",
    params:
        digest=digest("figures.py", "evaluation", "checks", "unstable_change"),
    message:
        "Draw the figures"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/triples/figures.py"
