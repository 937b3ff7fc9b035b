# What a person looks at: figures/ and report.html.
from natal.campaign.tables import read_observations

# category on the page of `snakemake --report` -> figures
FIGURES = {
    "1 Simulations": ["clusters", "energy_errors", "design", "summaries", "speed"],
    "2 Emulator": ["map", "loss_curves", "predicted_vs_true", "residuals", "slices"],
    "3 Recovery": ["recovered_vs_true", "coverage", "pit", "sampler_health"],
    "4 Calibration": [f"calibration_{name}" for name in ("coverage", "pit", "sbc", "tarp") if CALIBRATION_TABLE],
    "5 Uncertainty methods": ["uncertainty", "uncertainty_widths"],
    CHECKED: list(CHECK_METRICS),
}
CAPTIONED = [name for names in FIGURES.values() for name in names]
CORNERS = [f"corner_{k}" for k in range(config["report"]["corner_cases"])]
N_OBSERVED_CORNERS = 0
if config["observations"]:
    N_OBSERVED_CORNERS = min(config["report"]["corner_cases"], len(read_observations(config["observations"])))
OBSERVED_CORNERS = [f"observed_{k}" for k in range(N_OBSERVED_CORNERS)]
FIGURE_FILES = expand(RESULTS / "figures" / "{name}.png", name=[*CAPTIONED, *CORNERS, *OBSERVED_CORNERS])
# the report writes a caption beside each figure but the corner plots
CAPTION_FILES = {name: RESULTS / "figures" / f"{name}.rst" for name in CAPTIONED}
SHOWN_FIGURES = [
    shown(
        RESULTS / "figures" / f"{name}.png",
        CAPTION_FILES[name].absolute() if name in CAPTION_FILES else "../report/corner.rst",
        category,
        figure=name.replace("_", " "),
    )
    for category, names in [*FIGURES.items(), ("3 Recovery", CORNERS), ("7 Own clusters", OBSERVED_CORNERS)]
    for name in names
]

# clusters are shown as they were simulated; summaries.csv, an input too, depends on every shard anyway
TEST_SHARDS = [name for name in SHARDS if name.startswith(("test", "table"))]

REPORT_TEMPLATES = {
    path.name: path.read_text() for path in (FOLDER / "src" / "natal" / "report" / "templates").rglob("*") if path.is_file()
}

# What jobs took is a record, not a result: no input, so that a lost log never makes anything run again.
STAGES = ["train", "density", "likelihood", "evaluate", "speed", "recover", "uncertainty", "figures"]
STAGES += ["calibrate"] if CALIBRATION_TABLE else []
STAGES += ["brute_force_runs", "brute_force"] if "brute_force" in CHECK_METRICS else []
STAGES += ["posterior_predictive"] if "posterior_predictive" in CHECK_METRICS else []
STAGES += ["observe"] if OBSERVED_FILES else []
BENCHMARKS = {"simulate": [str(LOGS / "simulate" / f"{name}.benchmark.tsv") for name in SHARDS]}
BENCHMARKS |= {stage: [str(LOGS / f"{stage}.benchmark.tsv")] for stage in STAGES}


rule figures:
    input:
        design=RESULTS / "design.csv",
        shards=expand(RESULTS / "simulations" / "{shard}.h5", shard=TEST_SHARDS),
        summaries=RESULTS / "summaries.csv",
        train=RESULTS / "dataset" / "train.csv",
        test=RESULTS / "dataset" / "test.csv",
        ensemble=RESULTS / "emulator" / "ensemble.eqx",
        curves=RESULTS / "emulator" / "training.h5",
        likelihood=RESULTS / "emulator" / "likelihood.json",
        posteriors=RESULTS / "posteriors.nc",
        recovery=RESULTS / "recovery.csv",
        metrics=RESULTS / "metrics.json",
        observed=OBSERVED_FILES,
        calibration=CALIBRATION_TABLE,
        uncertainty=RESULTS / "uncertainty" / "comparison.csv",
        widths=RESULTS / "uncertainty" / "widths.csv",
        brute_force=CHECK_FILES.get("brute_force", []),
        posterior_predictive=CHECK_FILES.get("posterior_predictive", []),
    output:
        SHOWN_FIGURES,
        [str(Path(file).with_suffix(".pdf")) for file in FIGURE_FILES],
    log:
        LOGS / "figures.log",
    benchmark:
        LOGS / "figures.benchmark.tsv"
    params:
        digest=digest(
            "report/figures.py",
            "report",
            "integration.max_energy_error",
            "inference.grid",
            box=plan.box(config),
            prior=plan.prior_box(config),
        ),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
        cache=str(COMPILE_CACHE),
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    message:
        "Draw the figures"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/report/figures.py"


rule report:
    localrule: True
    input:
        metrics=RESULTS / "metrics.json",
        recovery=RESULTS / "recovery.csv",
        observed=OBSERVED_FILES[:1],
        figures=FIGURE_FILES,
    output:
        shown(RESULTS / "report.html", "../report/report.rst", "0 Summary", file="report"),
        captions=list(CAPTION_FILES.values()),
    log:
        LOGS / "report.log",
    params:
        digest=digest("report/report.py", *config, templates=REPORT_TEMPLATES),
        benchmarks=BENCHMARKS,
    message:
        "Write the report"
    conda:
        "../envs/natal.yaml"
    script:
        "../scripts/report/report.py"
