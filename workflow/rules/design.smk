# design.csv: which points are simulated.


rule design:
    localrule: True
    output: shown(RESULTS / "design.csv", "Simulations", table="design")
    log: LOGS / "design.log"
    params:
        digest=digest(
            "design/design.py",
            "seed",
            # how jobs are cut moves no point
            design={key: value for key, value in config["design"].items() if key != "job_minutes"},
            table=plan.read_table(config) if config["design"]["table"] else None,
            proposed=[points for _, points in plan.proposed_blocks(config)],
        ),
    message: "Draw the design"
    script: "../scripts/design/design.py"
