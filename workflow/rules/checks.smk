# Posteriors against the simulator itself: checks/. All simulate clusters of their own; check_trust and numerical
# are targets of their own, for which nothing else waits.
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
        threads: one_or_all
        # on one core it is long, and should not be the last; on all it should not keep everything else waiting
        priority: int(has_few_cores())
        resources: **simulating("brute_force_runs", BRUTE_FORCE["grid"][0] * BRUTE_FORCE["grid"][1] * BRUTE_FORCE["realizations"])
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
        threads: 1
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
        threads: one_or_all
        resources: **simulating("posterior_predictive", PREDICTIVE["cases"] * PREDICTIVE["draws"])
        message: "Simulate clusters born as posteriors say and compare them with the observed ones"
        script: "../scripts/checks/posterior_predictive.py"


rule trust_runs:
    output: CHECKS / "trust_runs.csv"
    log: LOGS / "trust_runs.log"
    benchmark: LOGS / "trust_runs.benchmark.tsv"
    params:
        digest=digest("checks/trust_runs.py", "seed", "cluster", "integration", "checks.trust.draws", prior=PRIOR)
    threads: all_cores
    resources: **simulating("trust_runs", config["checks"]["trust"]["draws"])
    message: "Simulate fresh clusters drawn from the prior"
    script: "../scripts/checks/trust_runs.py"


rule check_trust:
    input: **LIKELIHOOD, runs=CHECKS / "trust_runs.csv"
    output: table=CHECKS / "trust.csv", metrics=RESULTS / "metrics" / "trust.json"
    log: LOGS / "check_trust.log"
    benchmark: LOGS / "check_trust.benchmark.tsv"
    params: digest=digest("checks/check_trust.py", "likelihood", "inference.grid", box=BOX, prior=PRIOR)
    threads: 2
    resources: **growing(mem_mb=8000, runtime=60)
    message: "Say how far posteriors can be trusted"
    script: "../scripts/checks/check_trust.py"


rule numerical_runs:
    output: CHECKS / "numerical_runs.csv"
    log: LOGS / "numerical_runs.log"
    benchmark: LOGS / "numerical_runs.benchmark.tsv"
    params:
        digest=digest(
            "checks/numerical_runs.py", "seed", "cluster", "integration", "checks.numerical.draws", prior=PRIOR
        ),
    threads: all_cores
    # as many steps as five times the clusters have
    resources: **simulating("numerical_runs", 5 * config["checks"]["numerical"]["draws"])
    message: "Follow the same clusters with the campaign's step and softening, and with half of them"
    script: "../scripts/checks/numerical_runs.py"


rule numerical:
    input: **LIKELIHOOD, **dataset("train"), runs=CHECKS / "numerical_runs.csv"
    output: table=CHECKS / "numerical.csv", metrics=RESULTS / "metrics" / "numerical.json"
    log: LOGS / "numerical.log"
    benchmark: LOGS / "numerical.benchmark.tsv"
    params: digest=digest("checks/numerical.py", "likelihood", "inference.grid", box=BOX, prior=PRIOR)
    threads: 2
    resources: **growing(mem_mb=8000, runtime=60)
    message: "Say what step and softening do to summaries and posteriors"
    script: "../scripts/checks/numerical.py"
