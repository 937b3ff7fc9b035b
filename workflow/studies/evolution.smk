# Evolution in time: a law of the summaries at (Q0, a, t), learned from a finished campaign's snapshots, and births
# recovered when the age is unknown (docs/studies/evolution.md).
configfile: f"{workflow.basedir}/../../config/studies/evolution.yaml"


from natal.studies.evolution.settings import Evolution

STUDY, SETTINGS = "evolution", Evolution


include: "common.smk"


SETS = list(dict.fromkeys([config["coordinates"], *config["compared"]]))
ENSEMBLES = {
    f"{coordinates}_{gap}": RESULTS / "emulators" / f"{coordinates}_{gap}.eqx"
    for coordinates in SETS
    for gap in ["none", *config["gaps"]]
}
CHOSEN = ENSEMBLES[f"{config['coordinates']}_none"]
TRACKS = of_a_campaign(config["tracks"])
PRIORS = list(config["age_priors"])
FIGURES = pictures(
    RESULTS / "figures", "tracks", "scaling", "coverage", "coordinates", "posteriors", "widths", "calibration", "primer"
)


wildcard_constraints: prior="[a-z]+"


rule all:
    default_target: True
    localrule: True
    input: RESULTS / "metrics.json", FIGURES


rule train:
    input: tracks=TRACKS
    output: **ENSEMBLES, metrics=RESULTS / "metrics" / "training.json"
    log: LOGS / "train.log"
    benchmark: LOGS / "train.benchmark.tsv"
    params: digest=digest("train.py", "seed", "n_stars", "box", "network", "gaps"), sets=SETS
    threads: 2
    message: "Train the laws in time, in each set of coordinates, with and without gaps"
    script: "../scripts/studies/evolution/train.py"


rule evaluate:
    input: **ENSEMBLES, tracks=TRACKS
    output:
        scores=RESULTS / "scores.csv",
        coverage=RESULTS / "coverage.csv",
        pit=RESULTS / "pit.csv",
        metrics=RESULTS / "metrics" / "evaluation.json",
    log: LOGS / "evaluate.log"
    benchmark: LOGS / "evaluate.benchmark.tsv"
    params: digest=digest("evaluate.py", "seed", "n_stars", "box", "coordinates", "gaps", "bands"), sets=SETS
    threads: 2
    message: "Compare the laws with clusters that they have not seen"
    script: "../scripts/studies/evolution/evaluate.py"


rule recover:
    input: ensemble=CHOSEN, tracks=TRACKS
    output:
        table=RESULTS / "recovery" / "{prior}.csv",
        nuts=RESULTS / "recovery" / "{prior}_nuts.csv",
        posteriors=RESULTS / "recovery" / "{prior}_posteriors.nc",
        metrics=RESULTS / "metrics" / "recovery_{prior}.json",
    log: LOGS / "recover_{prior}.log"
    benchmark: LOGS / "recover_{prior}.benchmark.tsv"
    params: digest=digest("recover.py", "seed", "n_stars", "box", "age_priors", "recovery")
    threads: 2
    message: "Recover births under the age prior {wildcards.prior}"
    script: "../scripts/studies/evolution/recover.py"


rule primer:
    input: tracks=TRACKS
    output: RESULTS / "primer.csv"
    log: LOGS / "primer.log"
    benchmark: LOGS / "primer.benchmark.tsv"
    params: digest=digest("primer.py", "seed", "n_stars", "box", "primer")
    message: "Train a textbook's network on the same clusters"
    script: "../scripts/studies/evolution/primer.py"


rule figures:
    input:
        primer=RESULTS / "primer.csv",
        ensemble=CHOSEN,
        tracks=TRACKS,
        scores=RESULTS / "scores.csv",
        coverage=RESULTS / "coverage.csv",
        recovery=[RESULTS / "recovery" / f"{prior}.csv" for prior in PRIORS],
        posteriors=RESULTS / "recovery" / f"{PRIORS[0]}_posteriors.nc",
    output: FIGURES
    log: LOGS / "figures.log"
    benchmark: LOGS / "figures.benchmark.tsv"
    params:
        digest=digest(
            "figures.py", "seed", "n_stars", "star_mass_msun", "box", "coordinates", "bands", "age_priors"
        ),
    message: "Draw the figures of the study"
    script: "../scripts/studies/evolution/figures.py"


rule metrics:
    localrule: True
    input:
        primer=RESULTS / "primer.csv",
        training=RESULTS / "metrics" / "training.json",
        evaluation=RESULTS / "metrics" / "evaluation.json",
        recovery=[RESULTS / "metrics" / f"recovery_{prior}.json" for prior in PRIORS],
    output: RESULTS / "metrics.json"
    log: LOGS / "metrics.log"
    params: digest=digest("metrics.py")
    message: "Gather every number of the study"
    script: "../scripts/studies/evolution/metrics.py"


include: "../rules/environment.smk"
