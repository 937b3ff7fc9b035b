# Evolution in time: a law of the summaries at (Q0, a, t), learned from a finished campaign's snapshots, and births
# recovered when the age is unknown (docs/studies/evolution.md).
configfile: "config/studies/evolution.yaml"


STUDY = "evolution"


include: "common.smk"


SETS = list(dict.fromkeys([config["coordinates"], *config["compared"]]))
ENSEMBLES = {
    f"{coordinates}_{gap}": RESULTS / "emulators" / f"{coordinates}_{gap}.eqx"
    for coordinates in SETS
    for gap in ["none", *config["gaps"]]
}
CHOSEN = ENSEMBLES[f"{config['coordinates']}_none"]
PRIORS = list(config["age_priors"])
FIGURES = ["tracks", "scaling", "coverage", "coordinates", "posteriors", "widths", "calibration"]


wildcard_constraints:
    prior="[a-z]+",


def tracks_file(wildcards):
    if not Path(config["tracks"]).is_file():
        sys.exit(f"{config['tracks']} is missing: run `make run` first, with the campaign's --configfile if it has one")
    return config["tracks"]


rule all:
    default_target: True
    localrule: True
    input:
        RESULTS / "metrics.json",
        expand(RESULTS / "figures" / "{name}.{kind}", name=FIGURES, kind=["png", "pdf"]),


rule train:
    input:
        tracks=tracks_file,
    output:
        **ENSEMBLES,
        metrics=RESULTS / "metrics" / "training.json",
    log:
        LOGS / "train.log",
    benchmark:
        LOGS / "train.benchmark.tsv"
    params:
        digest=digest("train.py", "seed", "n_stars", "box", "network", "gaps"),
        cache=str(COMPILE_CACHE),
        sets=SETS,
    threads: 2
    message:
        "Train the laws in time, in each set of coordinates, with and without gaps"
    script:
        "../scripts/studies/evolution/train.py"


rule evaluate:
    input:
        **ENSEMBLES,
        tracks=tracks_file,
    output:
        scores=RESULTS / "scores.csv",
        coverage=RESULTS / "coverage.csv",
        pit=RESULTS / "pit.csv",
        metrics=RESULTS / "metrics" / "evaluation.json",
    log:
        LOGS / "evaluate.log",
    benchmark:
        LOGS / "evaluate.benchmark.tsv"
    params:
        digest=digest("evaluate.py", "seed", "n_stars", "box", "coordinates", "gaps", "bands"),
        cache=str(COMPILE_CACHE),
        sets=SETS,
    threads: 2
    message:
        "Compare the laws with clusters that they have not seen"
    script:
        "../scripts/studies/evolution/evaluate.py"


rule recover:
    input:
        ensemble=CHOSEN,
        tracks=tracks_file,
    output:
        table=RESULTS / "recovery" / "{prior}.csv",
        nuts=RESULTS / "recovery" / "{prior}_nuts.csv",
        posteriors=RESULTS / "recovery" / "{prior}_posteriors.nc",
        metrics=RESULTS / "metrics" / "recovery_{prior}.json",
    log:
        LOGS / "recover_{prior}.log",
    benchmark:
        LOGS / "recover_{prior}.benchmark.tsv"
    params:
        digest=digest("recover.py", "seed", "n_stars", "box", "age_priors", "recovery"),
        cache=str(COMPILE_CACHE),
    threads: 2
    message:
        "Recover births under the age prior {wildcards.prior}"
    script:
        "../scripts/studies/evolution/recover.py"


rule figures:
    input:
        ensemble=CHOSEN,
        tracks=tracks_file,
        scores=RESULTS / "scores.csv",
        coverage=RESULTS / "coverage.csv",
        recovery=expand(RESULTS / "recovery" / "{prior}.csv", prior=PRIORS),
        posteriors=RESULTS / "recovery" / f"{PRIORS[0]}_posteriors.nc",
    output:
        expand(RESULTS / "figures" / "{name}.{kind}", name=FIGURES, kind=["png", "pdf"]),
    log:
        LOGS / "figures.log",
    benchmark:
        LOGS / "figures.benchmark.tsv"
    params:
        digest=digest(
            "figures.py",
            "seed",
            "n_stars",
            "star_mass_msun",
            "box",
            "coordinates",
            "bands",
            "age_priors",
        ),
        cache=str(COMPILE_CACHE),
        priors=PRIORS,
    message:
        "Draw the figures of the study"
    script:
        "../scripts/studies/evolution/figures.py"


rule metrics:
    localrule: True
    input:
        training=RESULTS / "metrics" / "training.json",
        evaluation=RESULTS / "metrics" / "evaluation.json",
        recovery=expand(RESULTS / "metrics" / "recovery_{prior}.json", prior=PRIORS),
    output:
        RESULTS / "metrics.json",
    log:
        LOGS / "metrics.log",
    params:
        digest=digest("metrics.py"),
        priors=PRIORS,
    message:
        "Gather every number of the study"
    script:
        "../scripts/studies/evolution/metrics.py"
