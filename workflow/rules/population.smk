# The distribution of births behind the table of clusters, and whether such answers can be trusted. Nothing of the main
# campaign waits for these, unless its report shall show the first.

# what a law of a population depends on
POPULATION_KEYS = ["seed", *(f"population.{key}" for key in config["population"] if key not in ("in_report", "check"))]


rule population:
    input: **LAW, observations=observations_file
    output:
        law=POPULATION,
        clusters=RESULTS / "population_clusters.csv",
        draws=RESULTS / "population.nc",
        metrics=RESULTS / "metrics" / "population.json",
        figures=pictures(RESULTS / "figures", *POPULATION_FIGURES),
    log: LOGS / "population.log"
    benchmark: LOGS / "population.benchmark.tsv"
    params:
        digest=digest("population/population.py", *POPULATION_KEYS, prior=OBSERVED_PRIOR, clusters=OWN_CLUSTERS),
        prior=OBSERVED_PRIOR,
    threads: 2
    resources: **growing(mem_mb=6000, runtime=60)
    message: "Infer the distribution of births behind the table of clusters"
    script: "../scripts/population/population.py"


if CALIBRATED:

    rule check_population:
        input: **LAW, snapshots=SNAPSHOTS, summaries=splits_needed
        output:
            coverage=RESULTS / "checks" / "population.csv",
            violations=RESULTS / "checks" / "population_violations.csv",
            metrics=RESULTS / "metrics" / "population_check.json",
            figures=pictures(RESULTS / "figures", "population_ranks", "population_violations"),
        log: LOGS / "check_population.log"
        benchmark: LOGS / "check_population.benchmark.tsv"
        params: digest=digest("population/check_population.py", *POPULATION_KEYS, "population.check")
        threads: 2
        resources: **growing(mem_mb=6000, runtime=240)
        message: "Answer synthetic populations, and say whether the true parameters are where they should be"
        script: "../scripts/population/check_population.py"
