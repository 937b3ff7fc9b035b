# Names and helpers of the studies. A study's Snakefile sets STUDY and reads its configuration before it includes this.
import sys
from pathlib import Path

from natal.campaign.config import check_schema, load_schema, refuse_repeated_keys
from natal.provenance.digests import stage_digest
from natal.errors import NatalError

FOLDER = Path(workflow.basedir).parents[1]
SCRIPTS = FOLDER / "workflow" / "scripts" / "studies" / STUDY

try:
    refuse_repeated_keys(workflow.configfiles)
    check_schema(config, load_schema(FOLDER / "workflow" / "schemas" / "studies" / f"{STUDY}.schema.yaml"))
except NatalError as mistake:
    sys.exit(str(mistake))

RESULTS = Path("results") / "studies" / config["name"]
LOGS = Path("logs") / "studies" / config["name"]
COMPILE_CACHE = Path(".cache") / "jax"


def digest(script, *keys):
    """One string for a stage's code and each section of the configuration that it reads."""
    return stage_digest(str(SCRIPTS / script), {key: config[key] for key in keys})
