# Targets beside `all`: answers for new observations, and campaigns side by side.
from natal.compare import finished_campaigns


def observations_needed(wildcards):
    if not OBSERVED_FILES:
        sys.exit("config key observations: null leaves nothing to answer; give a CSV file (config/README.md)")
    return OBSERVED_FILES


rule observed:
    localrule: True
    input:
        observations_needed,


rule compare:
    localrule: True
    input:
        [RESULTS.parent / name / "metrics.json" for name in finished_campaigns(RESULTS.parent)],
    output:
        table=RESULTS.parent / "compare.csv",
        text=RESULTS.parent / "compare.txt",
    log:
        LOGS.parent / "compare.log",
    params:
        digest=digest("compare.py"),
        results=str(RESULTS.parent),
    message:
        "Tabulate the metrics of all finished campaigns"
    script:
        "../scripts/compare.py"
