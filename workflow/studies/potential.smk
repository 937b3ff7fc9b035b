# Study `potential`: networks learn potentials from values, forces and density, and orbits are followed in them.
configfile: "config/studies/potential.yaml"


STUDY = "potential"


include: "common.smk"


from natal.studies.potential.names import TABLES, field_names, figure_names

FIELDS = field_names(config["softenings_au"])
TERMS = config["training"]["terms"]
# which other combinations of terms there are is nothing to a network
TRAINING = {key: value for key, value in config["training"].items() if key != "terms"}
TRAINING_DIGEST = stage_digest(str(SCRIPTS / "train.py"), {"seed": config["seed"], "training": TRAINING})


wildcard_constraints:
    field="|".join(FIELDS),
    terms="|".join(TERMS),


rule all:
    default_target: True
    localrule: True
    input:
        RESULTS / "metrics.json",
        [RESULTS / "figures" / f"{name}.{kind}" for name in figure_names(FIELDS) for kind in ("png", "pdf")],


rule cluster:
    output:
        stars=RESULTS / "cluster.csv",
        run=RESULTS / "cluster.json",
    log:
        LOGS / "cluster.log",
    benchmark:
        LOGS / "cluster.benchmark.tsv"
    params:
        digest=digest("cluster.py", "seed", "cluster"),
        cache=str(COMPILE_CACHE),
    threads: 2
    message:
        "Simulate the cluster"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/potential/cluster.py"


rule fields:
    input:
        stars=rules.cluster.output.stars,
    output:
        samples=RESULTS / "fields.h5",
    log:
        LOGS / "fields.log",
    params:
        digest=digest("fields.py", "seed", "softenings_au", "points"),
        cache=str(COMPILE_CACHE),
    threads: 2
    message:
        "Sample the true fields"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/potential/fields.py"


rule train:
    input:
        samples=rules.fields.output.samples,
    output:
        networks=RESULTS / "networks" / "{field}" / "{terms}.eqx",
        curves=RESULTS / "networks" / "{field}" / "{terms}.csv",
    log:
        LOGS / "train_{field}_{terms}.log",
    benchmark:
        LOGS / "train_{field}_{terms}.benchmark.tsv"
    params:
        digest=TRAINING_DIGEST,
        cache=str(COMPILE_CACHE),
    threads: 1
    message:
        "Train on {wildcards.field}: {wildcards.terms}"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/potential/train.py"


rule evaluate:
    input:
        stars=rules.cluster.output.stars,
        samples=rules.fields.output.samples,
        networks=expand(RESULTS / "networks" / "{{field}}" / "{terms}.eqx", terms=TERMS),
    output:
        **{name: RESULTS / "tables" / "{field}" / f"{name}.csv" for name in TABLES},
        tracks=RESULTS / "tables" / "{field}" / "tracks.h5",
    log:
        LOGS / "evaluate_{field}.log",
    benchmark:
        LOGS / "evaluate_{field}.benchmark.tsv"
    params:
        digest=digest("evaluate.py", "points", "orbits"),
        cache=str(COMPILE_CACHE),
    threads: 1
    message:
        "Accuracy and orbits in {wildcards.field}"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/potential/evaluate.py"


rule metrics:
    localrule: True
    input:
        run=rules.cluster.output.run,
        accuracy=expand(RESULTS / "tables" / "{field}" / "accuracy.csv", field=FIELDS),
        orbits=expand(RESULTS / "tables" / "{field}" / "orbits.csv", field=FIELDS),
        curves=expand(RESULTS / "networks" / "{field}" / "{terms}.csv", field=FIELDS, terms=TERMS),
    output:
        RESULTS / "metrics.json",
    log:
        LOGS / "metrics.log",
    params:
        digest=digest("metrics.py", "softenings_au", "training", "orbits"),
    message:
        "Gather the numbers"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/potential/metrics.py"


rule figures:
    input:
        **{table: expand(RESULTS / "tables" / "{field}" / f"{table}.csv", field=FIELDS) for table in TABLES},
        tracks=expand(RESULTS / "tables" / "{field}" / "tracks.h5", field=FIELDS),
        curves=expand(RESULTS / "networks" / "{field}" / "{terms}.csv", field=FIELDS, terms=TERMS),
    output:
        [RESULTS / "figures" / f"{name}.{kind}" for name in figure_names(FIELDS) for kind in ("png", "pdf")],
    log:
        LOGS / "figures.log",
    params:
        digest=digest("figures.py", "softenings_au", "training", "points"),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    message:
        "Draw the figures"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/studies/potential/figures.py"
