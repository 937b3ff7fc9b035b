# Names and helpers of the studies. A study's Snakefile sets STUDY and SETTINGS, and reads its configuration, before this.
from pathlib import Path

from natal.errors import NatalError
from natal.running.snakemake_internals import check_interpreter, config_layers
from natal.running.surroundings import check_packages
from natal.settings.reading import check, check_files, lay_over

FOLDER = Path(workflow.basedir).parents[1]
SCRIPTS = FOLDER / "workflow" / "scripts" / "studies" / STUDY


include: "../rules/stages.smk"


try:
    check_packages()
    check_interpreter()
    check_files(workflow.configfiles)
    config |= lay_over(SETTINGS, config_layers(workflow))
    check(SETTINGS, config)
except NatalError as mistake:
    sys.exit(str(mistake))

RESULTS = Path("results") / "studies" / config["name"]
LOGS = Path("logs") / "studies" / config["name"]


def of_a_campaign(file):
    """An input that a campaign makes, not the study."""

    def found(wildcards):
        if not Path(file).is_file():
            sys.exit(f"{file} is missing: run `make run` first, with the campaign's --configfile if it has one")
        return file

    return found
