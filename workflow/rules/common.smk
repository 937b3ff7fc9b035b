# Names and helpers that every rule file uses; the configuration is checked here, before any rule is read.
import sys
from functools import cache
from hashlib import sha256
from math import ceil
from pathlib import Path

from natal import campaign
from natal.config import load_schema, refuse_repeated_keys, validate
from natal.cost import GPU_HOST_BYTES, WORKFLOW_BYTES, memory_bytes, runtime_minutes
from natal.digest import stage_digest
from natal.errors import NatalError
from natal.shards import DEFAULT_GINT_PER_S, measured_gint_per_s, read_layout

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

SIMULATIONS = RESULTS / "simulations"
# as the simulations that are there were cut, so that more realizations leave them alone
SHARDS = campaign.shards(config, read_layout(SIMULATIONS))
# absent with `design.calibration: 0`
CALIBRATION_TABLE = [RESULTS / "calibration.csv"] if config["design"]["calibration"] else []
CALIBRATION_RUNS = {"calibration": RESULTS / "dataset" / "calibration.csv"} if config["design"]["calibration"] else {}
OBSERVED_FILES = [RESULTS / "observed.csv", RESULTS / "observed.nc"] if config["observations"] else []


wildcard_constraints:
    shard="[a-z]+[0-9]*_[0-9]+(_r[0-9]+)?",


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
    """One string for a stage's code and each of its settings, by name: Snakemake's reasons quote it."""
    return stage_digest(str(SCRIPTS / script), sections(*keys) | more)


def growing(amount):
    """A resource that grows with every attempt: what was too little is not asked for again."""
    return lambda wildcards, attempt: amount * attempt
