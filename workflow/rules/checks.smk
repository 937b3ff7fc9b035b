# Posteriors against the simulator itself: checks/. Both simulate clusters of their own.

CHECK_FILES = {
    "brute_force": [RESULTS / "checks" / f"brute_force.{kind}" for kind in ("csv", "h5")],
    "posterior_predictive": [RESULTS / "checks" / "posterior_predictive.csv"],
}
CHECK_FILES = {name: files for name, files in CHECK_FILES.items() if name in CHECK_METRICS}


CHECKED = "6 Against the simulator"

if "brute_force" in CHECK_METRICS:
    BRUTE_FORCE = config["checks"]["brute_force"]
    N_BRUTE_FORCE_RUNS = BRUTE_FORCE["grid"][0] * BRUTE_FORCE["grid"][1] * BRUTE_FORCE["realizations"]

    rule brute_force_runs:
        output:
            RESULTS / "checks" / "brute_force_runs.csv",
        log:
            LOGS / "brute_force_runs.log",
        benchmark:
            LOGS / "brute_force_runs.benchmark.tsv"
        params:
            digest=digest(
                "checks/brute_force_runs.py",
                "seed",
                "cluster",
                "integration",
                "checks.brute_force.grid",
                "checks.brute_force.realizations",
                prior=plan.prior_box(config),
            ),
            cache=str(COMPILE_CACHE),
        threads: lambda wildcards: workflow.cores
        resources:
            mem_mb=check_memory_mb(N_BRUTE_FORCE_RUNS),
            runtime=check_runtime_min(N_BRUTE_FORCE_RUNS),
        message:
            "Simulate a grid over the prior, for posteriors without an emulator"
        conda:
            "../envs/natal.yaml"
        script:
            "../scripts/checks/brute_force_runs.py"

    rule brute_force:
        input:
            runs=RESULTS / "checks" / "brute_force_runs.csv",
            ensemble=RESULTS / "emulator" / "ensemble.eqx",
            likelihood=RESULTS / "emulator" / "likelihood.json",
            test=RESULTS / "dataset" / "test.csv",
        output:
            table=shown(CHECK_FILES["brute_force"][0], "../report/brute_force.rst", CHECKED, table="brute force"),
            posteriors=CHECK_FILES["brute_force"][1],
            metrics=CHECK_METRICS["brute_force"],
        log:
            LOGS / "brute_force.log",
        benchmark:
            LOGS / "brute_force.benchmark.tsv"
        params:
            digest=digest(
                "checks/brute_force.py",
                "likelihood",
                "cluster.n_stars",
                "checks.brute_force.cases",
                box=plan.box(config),
                prior=plan.prior_box(config),
            ),
            cache=str(COMPILE_CACHE),
        threads: 2
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        message:
            "Compare posteriors with those from simulations alone"
        conda:
            "../envs/natal.yaml"
        script:
            "../scripts/checks/brute_force.py"


if "posterior_predictive" in CHECK_METRICS:
    PREDICTIVE = config["checks"]["posterior_predictive"]

    rule posterior_predictive:
        input:
            posteriors=RESULTS / "posteriors.nc",
            test=RESULTS / "dataset" / "test.csv",
        output:
            table=shown(
                CHECK_FILES["posterior_predictive"][0],
                "../report/posterior_predictive.rst",
                CHECKED,
                table="posterior predictive",
            ),
            metrics=CHECK_METRICS["posterior_predictive"],
        log:
            LOGS / "posterior_predictive.log",
        benchmark:
            LOGS / "posterior_predictive.benchmark.tsv"
        params:
            digest=digest(
                "checks/posterior_predictive.py", "seed", "cluster", "integration", "checks.posterior_predictive"
            ),
            cache=str(COMPILE_CACHE),
        threads: lambda wildcards: workflow.cores
        resources:
            mem_mb=check_memory_mb(PREDICTIVE["cases"] * PREDICTIVE["draws"]),
            runtime=check_runtime_min(PREDICTIVE["cases"] * PREDICTIVE["draws"]),
        message:
            "Simulate clusters born as posteriors say and compare them with the observed ones"
        conda:
            "../envs/natal.yaml"
        script:
            "../scripts/checks/posterior_predictive.py"
