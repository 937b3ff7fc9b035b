# What a person looks at: figures/, drawn by one job a chapter, and report.html.
from natal.provenance.digests import PACKAGE_FOLDER

# chapter -> figures
FIGURES = {
    "Simulations": ["clusters", "energy_errors", "design", "summaries"],
    "Emulator": ["map", "loss_curves", "predicted_vs_true", "residuals", "spread_and_error", "slices", "speed"],
    "Recovery": ["recovered_vs_true", "coverage", "pit", "likelihood_contours", "sampler_health"],
    "Calibration": [f"calibration_{name}" for name in ("coverage", "pit", "sbc", "tarp") if CALIBRATED],
    "Uncertainty methods": ["uncertainty", "uncertainty_widths"],
    "Against the simulator": CHECKED,
}
# the report writes a caption beside each figure but the corner plots
CAPTIONS = {name: RESULTS / "figures" / f"{name}.rst" for names in FIGURES.values() for name in names}
N_CORNERS = config["report"]["corner_cases"]
N_OBSERVED = len(OWN_CLUSTERS)
FIGURES["Recovery"] += [f"corner_{k}" for k in range(N_CORNERS)]
N_SHOWN = min(N_CORNERS, N_OBSERVED)
FIGURES["Own clusters"] = [f"observed_{k}" for k in range(N_SHOWN)]
FIGURES["Own clusters"] += [f"predictive_{k}" for k in range(N_SHOWN) if IS_CATALOGUE]

FIGURES["Population"] = POPULATION_FIGURES if SAYS_POPULATION else []

PNG_FILES = [RESULTS / "figures" / f"{name}.png" for names in FIGURES.values() for name in names]
DRAWN = {
    chapter: [
        *(
            shown(
                RESULTS / "figures" / f"{name}.png",
                chapter,
                CAPTIONS[name].absolute() if name in CAPTIONS else FOLDER / "workflow" / "report" / "corner.rst",
                figure=name.replace("_", " "),
            )
            for name in names
        ),
        *(RESULTS / "figures" / f"{name}.pdf" for name in names),
    ]
    for chapter, names in FIGURES.items()
}

TEMPLATES = (PACKAGE_FOLDER / "report" / "templates").rglob("*")
REPORT_TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES if path.is_file()}


PAGE_LAW = RESULTS / "emulator" / "page.json"


rule draw_simulations:
    input:
        **dataset("test"),
        design=RESULTS / "design.csv",
        # clusters are shown as they were simulated; summaries.csv depends on every shard anyway
        shards=[SIMULATIONS / f"{shard}.h5" for shard in SHARDS if shard.startswith(("test", "table"))],
        summaries=RESULTS / "summaries.csv",
    output: DRAWN["Simulations"]
    log: LOGS / "draw_simulations.log"
    benchmark: LOGS / "draw_simulations.benchmark.tsv"
    params: digest=digest("report/draw_simulations.py", "integration.max_energy_error", box=BOX)
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Draw the simulations"
    script: "../scripts/report/draw_simulations.py"


rule draw_emulator:
    input:
        **LIKELIHOOD,
        **dataset("train", "validation", "test"),
        curves=RESULTS / "emulator" / "training.h5",
        speed=RESULTS / "metrics" / "speed.json",
        joint=list(LAW.values()) if KNOWS_OBSERVABLES else [],
    # and the networks that answer in the report
    output: DRAWN["Emulator"], page=PAGE_LAW
    log: LOGS / "draw_emulator.log"
    benchmark: LOGS / "draw_emulator.benchmark.tsv"
    params: digest=digest("report/draw_emulator.py", box=BOX, observables=KNOWS_OBSERVABLES)
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Draw the emulator"
    script: "../scripts/report/draw_emulator.py"


rule draw_recovery:
    input:
        **LIKELIHOOD,
        **dataset("test"),
        posteriors=RESULTS / "posteriors.nc",
        recovery=RESULTS / "recovery.csv",
        metrics=RESULTS / "metrics" / "recovery.json",
    output: DRAWN["Recovery"]
    log: LOGS / "draw_recovery.log"
    benchmark: LOGS / "draw_recovery.benchmark.tsv"
    params: digest=digest("report/draw_recovery.py", "report", "inference.grid", box=BOX, prior=PRIOR)
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Draw the recovery of test clusters"
    script: "../scripts/report/draw_recovery.py"


if CALIBRATED:

    rule draw_calibration:
        localrule: True
        input: calibration=RESULTS / "calibration.csv", metrics=RESULTS / "metrics" / "calibration.json"
        output: DRAWN["Calibration"]
        log: LOGS / "draw_calibration.log"
        benchmark: LOGS / "draw_calibration.benchmark.tsv"
        params: digest=digest("report/draw_calibration.py")
        message: "Draw the calibration of posteriors"
        script: "../scripts/report/draw_calibration.py"


rule draw_uncertainty:
    input:
        **dataset("test"),
        ensemble=LIKELIHOOD["ensemble"],
        comparison=RESULTS / "uncertainty" / "comparison.csv",
        widths=RESULTS / "uncertainty" / "widths.csv",
    output: DRAWN["Uncertainty methods"]
    log: LOGS / "draw_uncertainty.log"
    benchmark: LOGS / "draw_uncertainty.benchmark.tsv"
    params: digest=digest("report/draw_uncertainty.py", box=BOX)
    resources: **growing(mem_mb=4000, runtime=30)
    message: "Draw the uncertainty methods"
    script: "../scripts/report/draw_uncertainty.py"


if CHECKED:

    rule draw_checks:
        localrule: True
        input:
            **{name: RESULTS / "checks" / f"{name}.csv" for name in CHECKED},
            **({"posteriors": RESULTS / "checks" / "brute_force.h5"} if "brute_force" in CHECKED else {}),
        output: DRAWN["Against the simulator"]
        log: LOGS / "draw_checks.log"
        benchmark: LOGS / "draw_checks.benchmark.tsv"
        params: digest=digest("report/draw_checks.py")
        message: "Draw the checks against the simulator"
        script: "../scripts/report/draw_checks.py"


if FIGURES["Own clusters"] and not IS_CATALOGUE:

    rule draw_observed:
        input:
            **LIKELIHOOD,
            posteriors=RESULTS / "observed.nc",
            observed=RESULTS / "observed.csv",
        output: DRAWN["Own clusters"]
        log: LOGS / "draw_observed.log"
        benchmark: LOGS / "draw_observed.benchmark.tsv"
        params: digest=digest("report/draw_observed.py", "report", "inference.grid", box=BOX, prior=PRIOR)
        resources: **growing(mem_mb=4000, runtime=30)
        message: "Draw your own clusters"
        script: "../scripts/report/draw_observed.py"


if IS_CATALOGUE:

    rule draw_catalogue:
        input: **LAW, posteriors=RESULTS / "observed.nc", observed=RESULTS / "observed.csv"
        output: DRAWN["Own clusters"]
        log: LOGS / "draw_observed.log"
        benchmark: LOGS / "draw_observed.benchmark.tsv"
        params: digest=digest("report/draw_catalogue.py", "report", "seed", prior=OBSERVED_PRIOR), prior=OBSERVED_PRIOR
        resources: **growing(mem_mb=4000, runtime=30)
        message: "Draw your own clusters and what they predict"
        script: "../scripts/report/draw_catalogue.py"


rule report:
    localrule: True
    input:
        metrics=RESULTS / "metrics.json",
        recovery=RESULTS / "recovery.csv",
        observed=OBSERVED[:1],
        population=[POPULATION, RESULTS / "metrics" / "population.json"] if SAYS_POPULATION else [],
        law=PAGE_LAW,
        figures=PNG_FILES,
    output: shown(RESULTS / "report.html", "Summary", file="report"), captions=list(CAPTIONS.values())
    log: LOGS / "report.log"
    params:
        digest=digest("report/report.py", *config, templates=REPORT_TEMPLATES),
        benchmarks=BENCHMARKS,
    message: "Write the report"
    script: "../scripts/report/report.py"
