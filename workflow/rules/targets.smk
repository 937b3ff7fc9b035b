# Targets beside `all`: answers for new observations, and campaigns side by side.


rule observed:
    localrule: True
    input: observations_needed


rule compare:
    localrule: True
    # of all finished campaigns; a function, so that jobs do not look for them
    input: lambda wildcards: sorted(RESULTS.parent.glob("*/metrics.json"))
    output: table=RESULTS.parent / "compare.csv", text=RESULTS.parent / "compare.txt"
    log: LOGS.parent / "compare.log"
    params: digest=digest("targets/compare.py"), results=lambda wildcards, output: str(Path(output.table).parent)
    message: "Tabulate the metrics of all finished campaigns"
    script: "../scripts/targets/compare.py"
