# design.csv: which points are simulated.


rule design:
    localrule: True
    output:
        RESULTS / "design.csv",
    log:
        LOGS / "design.log",
    params:
        digest=digest(
            "design.py",
            "seed",
            "design",
            table=campaign.read_table(config) if config["design"]["table"] else None,
            proposed=[points for _, points in campaign.proposed_blocks(config)],
        ),
    message:
        "Draw the design"
    script:
        "../scripts/design.py"
