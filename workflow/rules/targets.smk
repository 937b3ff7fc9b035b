# Targets beside `all`: answers for new observations, and campaigns side by side.
from natal.report.compare import finished_campaigns


rule observed:
    localrule: True
    input: observations_needed


rule compare:
    localrule: True
    input: [RESULTS.parent / name / "metrics.json" for name in finished_campaigns(RESULTS.parent)]
    output: table=RESULTS.parent / "compare.csv", text=RESULTS.parent / "compare.txt"
    log: LOGS.parent / "compare.log"
    params: digest=digest("targets/compare.py"), results=lambda wildcards, output: str(Path(output.table).parent)
    message: "Tabulate the metrics of all finished campaigns"
    script: "../scripts/targets/compare.py"
