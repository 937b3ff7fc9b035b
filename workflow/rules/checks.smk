# Posteriors against the simulator itself: checks/. Both simulate clusters of their own.
CHECKS = RESULTS / "checks"

if "brute_force" in CHECKED:
    BRUTE_FORCE = config["checks"]["brute_force"]

    rule brute_force_runs:
        output: CHECKS / "brute_force_runs.csv"
        log: LOGS / "brute_force_runs.log"
        benchmark: LOGS / "brute_force_runs.benchmark.tsv"
        params:
            digest=digest(
                "checks/brute_force_runs.py",
                "seed",
                "cluster",
                "integration",
                "checks.brute_force.grid",
                "checks.brute_force.realizations",
                prior=PRIOR,
            ),
        threads: all_cores
        resources: **simulating(BRUTE_FORCE["grid"][0] * BRUTE_FORCE["grid"][1] * BRUTE_FORCE["realizations"])
        message: "Simulate a grid over the prior, for posteriors without an emulator"
        script: "../scripts/checks/brute_force_runs.py"

    rule brute_force:
        input:
            **LIKELIHOOD,
            **dataset("test"),
            runs=CHECKS / "brute_force_runs.csv",
        output:
            table=shown(CHECKS / "brute_force.csv", "Against the simulator", table="brute force"),
            posteriors=CHECKS / "brute_force.h5",
            metrics=RESULTS / "metrics" / "brute_force.json",
        log: LOGS / "brute_force.log"
        benchmark: LOGS / "brute_force.benchmark.tsv"
        params:
            digest=digest(
                "checks/brute_force.py",
                "likelihood",
                "cluster.n_stars",
                "checks.brute_force.cases",
                box=BOX,
                prior=PRIOR,
            ),
        threads: 2
        resources: **growing(mem_mb=4000, runtime=30)
        message: "Compare posteriors with those from simulations alone"
        script: "../scripts/checks/brute_force.py"


if "posterior_predictive" in CHECKED:
    PREDICTIVE = config["checks"]["posterior_predictive"]

    rule posterior_predictive:
        input: **dataset("test"), posteriors=RESULTS / "posteriors.nc"
        output:
            table=shown(CHECKS / "posterior_predictive.csv", "Against the simulator", table="posterior predictive"),
            metrics=RESULTS / "metrics" / "posterior_predictive.json",
        log: LOGS / "posterior_predictive.log"
        benchmark: LOGS / "posterior_predictive.benchmark.tsv"
        params:
            digest=digest(
                "checks/posterior_predictive.py", "seed", "cluster", "integration", "checks.posterior_predictive"
            ),
        threads: all_cores
        resources: **simulating(PREDICTIVE["cases"] * PREDICTIVE["draws"])
        message: "Simulate clusters born as posteriors say and compare them with the observed ones"
        script: "../scripts/checks/posterior_predictive.py"
