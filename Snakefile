# natal: from a design in (Q0, a) to recovered birth conditions. The stages are in workflow/rules, in this order.
from snakemake.utils import min_version

min_version("9.14")


# results are made where snakemake runs (--directory), the configuration is always the one beside this file
configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/driver.smk"
include: "workflow/rules/design.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/emulate.smk"
include: "workflow/rules/observables.smk"
include: "workflow/rules/population.smk"
include: "workflow/rules/adaptive.smk"
include: "workflow/rules/diagnostics.smk"
include: "workflow/rules/infer.smk"
include: "workflow/rules/uncertainty.smk"
include: "workflow/rules/checks.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/environment.smk"


rule all:
    default_target: True
    localrule: True
    input:
        RESULTS / "report.html",
        RESULTS / "metrics.json",
        RESULTS / "posteriors.nc",
        RESULTS / "recovery.csv",
        [RESULTS / "calibration.csv"] if CALIBRATED else [],
        OBSERVED,
        [POPULATION] if SAYS_POPULATION else [],
