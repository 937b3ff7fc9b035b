# Study `potential`: networks learn potentials from values, forces and density, and orbits are followed in them.
configfile: f"{workflow.basedir}/../../config/studies/potential.yaml"


from natal.studies.potential.settings import Potential

STUDY, SETTINGS = "potential", Potential


include: "common.smk"


from natal.studies.potential.names import ALL, CLUMPS, TABLES, WEIGHTS, field_names, figure_names

FIELDS = field_names(config["softenings_au"])
TERMS = config["training"]["terms"]
FIGURES = pictures(RESULTS / "figures", *figure_names(FIELDS))
NETWORKS = RESULTS / "networks" / "{field}" / "{terms}.eqx"
CURVES = RESULTS / "networks" / "{field}" / "{terms}.csv"
TRACKS = RESULTS / "tables" / "{field}" / "tracks.h5"
SWEPT = config["sweep"]["fields"]
SWEEPS = RESULTS / "tables" / "{field}" / "weights_{weight}.csv"
TABLE_FILES = {name: RESULTS / "tables" / "{field}" / f"{name}.csv" for name in TABLES}


wildcard_constraints: field="|".join([*FIELDS, CLUMPS]), terms="[a-z_]+", weight="|".join(WEIGHTS)


rule all:
    default_target: True
    localrule: True
    input: RESULTS / "metrics.json", FIGURES


rule cluster:
    output: stars=RESULTS / "cluster.csv", run=RESULTS / "cluster.json"
    log: LOGS / "cluster.log"
    benchmark: LOGS / "cluster.benchmark.tsv"
    params: digest=digest("cluster.py", "seed", "cluster")
    threads: 2
    message: "Simulate the cluster"
    script: "../scripts/studies/potential/cluster.py"


rule fields:
    input: stars=rules.cluster.output.stars
    output: samples=RESULTS / "fields.h5"
    log: LOGS / "fields.log"
    params: digest=digest("fields.py", "seed", "softenings_au", "points", "clumps")
    threads: 2
    message: "Sample the true fields"
    script: "../scripts/studies/potential/fields.py"


rule train:
    input: samples=rules.fields.output.samples
    output: networks=NETWORKS, curves=CURVES
    log: LOGS / "train_{field}_{terms}.log"
    benchmark: LOGS / "train_{field}_{terms}.benchmark.tsv"
    params:
        digest=digest(
            "train.py",
            "seed",
            # which other combinations of terms there are is nothing to a network
            training={key: value for key, value in config["training"].items() if key != "terms"},
        ),
    message: "Train on {wildcards.field}: {wildcards.terms}"
    script: "../scripts/studies/potential/train.py"


rule evaluate:
    input:
        stars=rules.cluster.output.stars,
        samples=rules.fields.output.samples,
        networks=expand(NETWORKS, terms=TERMS, allow_missing=True),
    output: **TABLE_FILES, tracks=TRACKS
    log: LOGS / "evaluate_{field}.log"
    benchmark: LOGS / "evaluate_{field}.benchmark.tsv"
    params: digest=digest("evaluate.py", "points", "orbits")
    message: "Accuracy and orbits in {wildcards.field}"
    script: "../scripts/studies/potential/evaluate.py"


rule sweep:
    input:
        samples=rules.fields.output.samples,
        networks=expand(NETWORKS, terms=ALL, allow_missing=True),
    output: SWEEPS
    log: LOGS / "sweep_{field}_{weight}.log"
    benchmark: LOGS / "sweep_{field}_{weight}.benchmark.tsv"
    params:
        digest=digest(
            "sweep.py",
            "seed",
            "points",
            "sweep.factors",
            "sweep.seeds",
            training={key: value for key, value in config["training"].items() if key != "terms"},
        ),
    message: "Train on {wildcards.field} with other weights {wildcards.weight}"
    script: "../scripts/studies/potential/sweep.py"


rule expansions:
    input:
        samples=rules.fields.output.samples,
        networks=expand(NETWORKS, field=CLUMPS, terms=config["expansions"]["terms"]),
    output:
        table=RESULTS / "tables" / CLUMPS / "expansions.csv",
        maps=RESULTS / "tables" / CLUMPS / "maps.csv",
    log: LOGS / "expansions.log"
    benchmark: LOGS / "expansions.benchmark.tsv"
    params: digest=digest("expansions.py", "seed", "points", "clumps", "expansions", "training.weights")
    message: "Fit expansions to the clumps' field"
    script: "../scripts/studies/potential/expansions.py"


rule metrics:
    localrule: True
    input:
        run=rules.cluster.output.run,
        accuracy=expand(TABLE_FILES["accuracy"], field=FIELDS),
        orbits=expand(TABLE_FILES["orbits"], field=FIELDS),
        curves=expand(CURVES, field=FIELDS, terms=TERMS),
        sweeps=expand(SWEEPS, field=SWEPT, weight=config["sweep"]["weights"]),
        expansions=rules.expansions.output.table,
    output: RESULTS / "metrics.json"
    log: LOGS / "metrics.log"
    params: digest=digest("metrics.py", "softenings_au", "training", "orbits", "sweep")
    message: "Gather the numbers"
    script: "../scripts/studies/potential/metrics.py"


rule figures:
    input:
        **{name: expand(file, field=FIELDS) for name, file in TABLE_FILES.items()},
        tracks=expand(TRACKS, field=FIELDS),
        curves=expand(CURVES, field=FIELDS, terms=TERMS),
        sweeps=expand(SWEEPS, field=SWEPT, weight=config["sweep"]["weights"]),
        expansions=rules.expansions.output.table,
        maps=rules.expansions.output.maps,
    output: FIGURES
    log: LOGS / "figures.log"
    params: digest=digest("figures.py", "softenings_au", "training", "points", "sweep")
    message: "Draw the figures"
    script: "../scripts/studies/potential/figures.py"


include: "../rules/environment.smk"
