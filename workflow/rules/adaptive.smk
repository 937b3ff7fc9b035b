# Where the next points teach most, and what that saves. Targets of their own: nothing else waits for them.

# A file of its own for each round: one that `design.proposed` names is never written again.
PROPOSED = RESULTS / f"proposed{len(config['design']['proposed'])}.csv"
INFORMATION = config["adaptive"]["criterion"] == "information"


rule propose:
    input:
        **dataset("train"),
        # what makes the points of `design.proposed` is not among them: they are parameters of the simulate jobs
        networks=DENSITIES["mixture"] if INFORMATION else LIKELIHOOD["ensemble"],
    output: PROPOSED
    log: LOGS / "propose.log"
    params:
        digest=digest(
            "adaptive/propose.py", "seed", "adaptive.criterion", "adaptive.points", "design.virial_convention", box=BOX
        ),
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Propose training points"
    script: "../scripts/adaptive/propose.py"


rule adaptive_gain:
    input: **dataset("train", "validation"), tracks=RESULTS / "tracks.csv"
    output:
        gain=RESULTS / "adaptive" / "adaptive_gain.csv",
        curves=RESULTS / "adaptive" / "learning_curves.csv",
        figures=pictures(RESULTS / "adaptive", "adaptive_gain"),
    log: LOGS / "adaptive_gain.log"
    benchmark: LOGS / "adaptive_gain.benchmark.tsv"
    params:
        digest=digest(
            "adaptive/adaptive_gain.py",
            "seed",
            "adaptive.criterion",
            "adaptive.gain",
            "density" if INFORMATION else "emulator",
            "integration.t_end_yr",
            "cluster.n_stars",
            box=BOX,
        ),
    threads: 2
    resources: **growing(mem_mb=4000, runtime=120)
    message: "Measure what adaptive points save"
    script: "../scripts/adaptive/adaptive_gain.py"
