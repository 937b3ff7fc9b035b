# Names and helpers that every rule file uses; the configuration is checked here, before any rule is read.
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path

from natal.campaign import plan
from natal.campaign.config import load_schema, refuse_repeated_keys, validate
from natal.provenance.digests import stage_digest
from natal.errors import NatalError
from natal.campaign.inventory import read_layout

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
SHARDS = plan.shards(config, read_layout(SIMULATIONS))
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


def shown(path, caption, category, **labels):
    """An output that `snakemake --report` shows, with a caption of workflow/report or one made by the report."""
    return report(str(path), caption=str(caption), category=category, labels=labels)


@cache
def shard_digest(name):
    # The shard's own points, not the whole design: another block or an edited row leaves this shard alone. They are
    # parameters, not a file: Snakemake 9.27 does not look at a job behind an `ancient` input that is to be remade.
    return digest("simulate/simulate.py", "seed", "cluster", "integration", **shard_runs(name))


@cache
def shard_stem(name):
    """What the clusters are, and how they are followed, but not until when: shards of one stem share their beginning."""
    keys = "seed", "cluster", "integration.dt_yr", "integration.precision"
    # short: a seal has room for few bytes
    return sha256(digest("simulate/simulate.py", *keys, **shard_runs(name)).encode()).hexdigest()[:16]


def shard_runs(name):
    shard = SHARDS[name]
    points, realizations = plan.shard_recipe(config, shard), [shard.first_realization, shard.n_realizations]
    return {"points": points, "ids": shard.point_ids, "realizations": realizations}


def splits_needed(wildcards):
    if not plan.has_splits(config):
        sys.exit(
            f"{config['design']['table']}: column split must name train, validation and test points to train an "
            "emulator; without it only files up to summaries.csv can be made"
        )
    return RESULTS / "summaries.csv"


def observations_file(wildcards):
    if not config["observations"]:
        sys.exit("config key observations: null leaves nothing to answer; give a CSV file (config/README.md)")
    return config["observations"]


def observations_needed(wildcards):
    observations_file(wildcards)
    return OBSERVED_FILES
