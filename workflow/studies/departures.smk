# Study `departures`: answers from observables for clusters that the campaign's simulations do not know.
configfile: f"{workflow.basedir}/../../config/studies/departures.yaml"


from natal.studies.departures.settings import Departures

STUDY, SETTINGS = "departures", Departures


include: "common.smk"


from natal.studies.departures import names

LAW = of_a_campaign(config["law"])
# clusters of equally many stars share a compiled program; "own": as many as the campaign's
NUMBERS = list(dict.fromkeys(suite if names.OTHER_NUMBER.fullmatch(suite) else "own" for suite in config["suites"]))
FIGURES = pictures(RESULTS / "figures", *names.FIGURES)


wildcard_constraints: stars=r"own|n\d+"


rule all:
    default_target: True
    localrule: True
    input: RESULTS / "table.csv", RESULTS / "laws.csv", FIGURES


rule simulate:
    input: law=LAW
    output: RESULTS / "observed" / "{stars}.csv"
    log: LOGS / "simulate" / "{stars}.log"
    benchmark: LOGS / "simulate" / "{stars}.benchmark.tsv"
    params: digest=digest("simulate.py", "seed", "integration", "sizes", "suites")
    message: "Simulate and observe clusters, stars: {wildcards.stars}"
    script: "../scripts/studies/departures/simulate.py"


rule answer:
    input: law=LAW, observed=[RESULTS / "observed" / f"{stars}.csv" for stars in NUMBERS]
    output: clusters=RESULTS / "clusters.csv", table=RESULTS / "table.csv", laws=RESULTS / "laws.csv"
    log: LOGS / "answer.log"
    benchmark: LOGS / "answer.benchmark.tsv"
    params: digest=digest("answer.py", "seed", "relative_error", "suites")
    threads: 2
    message: "Answer all clusters with the campaign's law"
    script: "../scripts/studies/departures/answer.py"


rule figures:
    localrule: True
    input: table=RESULTS / "table.csv", laws=RESULTS / "laws.csv"
    output: FIGURES
    log: LOGS / "figures.log"
    benchmark: LOGS / "figures.benchmark.tsv"
    params: digest=digest("figures.py")
    message: "Draw the study's figures"
    script: "../scripts/studies/departures/figures.py"


include: "../rules/environment.smk"
