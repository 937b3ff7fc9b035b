# Where the next points teach most, and what that saves. Targets of their own: nothing else waits for them.

# A file of its own for each round: one that `design.proposed` names is never written again.
PROPOSED = RESULTS / f"proposed{len(config['design']['proposed'])}.csv"
INFORMATION = config["adaptive"]["criterion"] == "information"


rule propose:
    input:
        # what makes the points of `design.proposed` is not among them: they are parameters of the simulate jobs
        networks=RESULTS / "emulator" / ("mixture.eqx" if INFORMATION else "ensemble.eqx"),
        train=RESULTS / "dataset" / "train.csv",
    output:
        PROPOSED,
    log:
        LOGS / "propose.log",
    params:
        digest=digest(
            "adaptive/propose.py",
            "seed",
            "adaptive.criterion",
            "adaptive.points",
            "design.virial_convention",
            box=plan.box(config),
        ),
        cache=str(COMPILE_CACHE),
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Propose training points"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/adaptive/propose.py"


rule adaptive_gain:
    input:
        tracks=RESULTS / "tracks.csv",
        train=RESULTS / "dataset" / "train.csv",
        validation=RESULTS / "dataset" / "validation.csv",
    output:
        gain=RESULTS / "adaptive" / "adaptive_gain.csv",
        curves=RESULTS / "adaptive" / "learning_curves.csv",
        figure=expand(RESULTS / "adaptive" / "adaptive_gain.{kind}", kind=["png", "pdf"]),
    log:
        LOGS / "adaptive_gain.log",
    benchmark:
        LOGS / "adaptive_gain.benchmark.tsv"
    params:
        digest=digest(
            "adaptive/adaptive_gain.py",
            "seed",
            "adaptive.criterion",
            "adaptive.gain",
            "density" if INFORMATION else "emulator",
            "integration.t_end_yr",
            "cluster.n_stars",
            box=plan.box(config),
        ),
        cache=str(COMPILE_CACHE),
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    message:
        "Measure what adaptive points save"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/adaptive/adaptive_gain.py"
