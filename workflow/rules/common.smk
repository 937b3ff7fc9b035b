# Names and helpers that every rule file uses; the configuration is checked here, before any rule is read.
import sys
from pathlib import Path

from natal import campaign
from natal.config import load_schema, refuse_repeated_keys, validate
from natal.cost import memory_bytes
from natal.digest import stage_digest
from natal.errors import NatalError

FOLDER = Path(workflow.basedir)
SCRIPTS = FOLDER / "workflow" / "scripts"

try:
    refuse_repeated_keys(workflow.configfiles)
    validate(config, load_schema(FOLDER / "workflow" / "schemas" / "config.schema.yaml"))
except NatalError as mistake:
    sys.exit(str(mistake))

RESULTS = Path("results") / config["campaign"]
LOGS = Path("logs") / config["campaign"]
COMPILE_CACHE = Path(".cache") / "jax"

SHARDS = campaign.shards(config)
OBSERVED_FILES = [RESULTS / "observed.csv", RESULTS / "observed.nc"] if config["observations"] else []


wildcard_constraints:
    shard="[a-z]+[0-9]*_[0-9]+",


def sections(*keys):
    """The parts of the configuration that a stage uses, 'inference.prior' meaning one key of a section."""
    found = {}
    for key in keys:
        value = config
        for part in key.split("."):
            value = value[part]
        found[key] = value
    return found


def digest(script, *keys, **more):
    """One string that changes when a stage's settings or code change: Snakemake compares parameters as a set."""
    return stage_digest(str(SCRIPTS / script), sections(*keys) | more)
