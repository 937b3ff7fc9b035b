# Study `lessons`: small networks on small problems, each of which teaches one thing.
configfile: f"{workflow.basedir}/../../config/studies/lessons.yaml"


from natal.studies.lessons.settings import Lessons

STUDY, SETTINGS = "lessons", Lessons


include: "common.smk"


from natal.studies.lessons import names

REPEATED = {name: RESULTS / f"{name}.csv" for name in ("leakage", "overfitting", "overfitting_curves")}
SINGLE = {
    name: RESULTS / f"{name}.csv"
    for name in (
        "learning_rates", "symmetry", "symmetry_curves", "likelihood", "hinges", "sine_errors", "sine_curves"
    )
}
FIGURES = pictures(RESULTS / "figures", *names.FIGURES)


rule all:
    default_target: True
    localrule: True
    input: RESULTS / "metrics.json", FIGURES


rule repeated:
    output: **REPEATED
    log: LOGS / "repeated.log"
    benchmark: LOGS / "repeated.benchmark.tsv"
    params: digest=digest("repeated.py", "seed", "leakage", "overfitting")
    message: "Leakage and overfitting, on many data sets"
    script: "../scripts/studies/lessons/repeated.py"


rule single:
    output: **SINGLE, metrics=RESULTS / "single.json"
    log: LOGS / "single.log"
    benchmark: LOGS / "single.benchmark.tsv"
    params: digest=digest("single.py", "seed", "learning_rates", "hinges", "trained_hinges", "steps")
    message: "Rates, symmetry, likelihood, hinges and a sine"
    script: "../scripts/studies/lessons/single.py"


rule metrics:
    localrule: True
    input: **REPEATED, single=rules.single.output.metrics
    output: RESULTS / "metrics.json"
    log: LOGS / "metrics.log"
    params: digest=digest("metrics.py")
    message: "Gather the numbers"
    script: "../scripts/studies/lessons/metrics.py"


rule figures:
    input: **REPEATED, **SINGLE
    output: FIGURES
    log: LOGS / "figures.log"
    params: digest=digest("figures.py")
    message: "Draw the figures"
    script: "../scripts/studies/lessons/figures.py"


include: "../rules/environment.smk"
