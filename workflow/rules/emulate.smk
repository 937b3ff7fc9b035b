# From runs to a fitted likelihood: dataset/, emulator/. Nothing here reads test rows except the cut itself.


rule dataset:
    localrule: True
    input: splits_needed
    output: **dataset(*SPLITS, *CALIBRATED)
    log: LOGS / "dataset.log"
    params: digest=digest("emulate/dataset.py")
    message: "Cut the runs into training, validation and test"
    script: "../scripts/emulate/dataset.py"


rule train:
    input: **dataset("train", "validation")
    output:
        ensemble=LIKELIHOOD["ensemble"],
        curves=RESULTS / "emulator" / "training.h5",
        metrics=RESULTS / "metrics" / "training.json",
    log: LOGS / "train.log"
    benchmark: LOGS / "train.benchmark.tsv"
    params: digest=digest("emulate/train.py", "seed", "emulator", box=BOX)
    threads: 2
    # on two cores best before `density` and `joint`, which take one each; if `joint` is ready first, after them
    priority: 2
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Train the ensemble"
    script: "../scripts/emulate/train.py"


rule density:
    input: **dataset("train", "validation"), tracks=RESULTS / "tracks.csv"
    output: **DENSITIES, metrics=RESULTS / "metrics" / "density.json"
    log: LOGS / "density.log"
    benchmark: LOGS / "density.benchmark.tsv"
    params: digest=digest("emulate/density.py", "seed", "density", "integration.t_end_yr", "cluster.n_stars", box=BOX)
    # one core is all that it keeps busy: the law of observables is trained beside it
    threads: 1
    priority: 1
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Train the density networks"
    script: "../scripts/emulate/density.py"


rule likelihood:
    input:
        **dataset("train", "validation"),
        **DENSITIES,
        ensemble=LIKELIHOOD["ensemble"],
    output: LIKELIHOOD["likelihood"]
    log: LOGS / "likelihood.log"
    benchmark: LOGS / "likelihood.benchmark.tsv"
    params: digest=digest("emulate/likelihood.py", "likelihood", "tempering", box=BOX)
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Fit the likelihoods' widths on validation runs and compare them"
    script: "../scripts/emulate/likelihood.py"
