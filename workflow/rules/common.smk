# Names and helpers that every rule file uses; the configuration is checked here, before any rule is read.
from functools import cache
from hashlib import sha256
from pathlib import Path

from natal.campaign import plan
from natal.campaign.config import check_campaign
from natal.campaign.inventory import read_layout
from natal.campaign.own_clusters import OwnClusters, read_own_clusters
from natal.errors import NatalError
from natal.provenance.digests import with_more_settings
from natal.running.snakemake_internals import check_interpreter, config_layers
from natal.running.surroundings import check_packages
from natal.settings.campaign import Campaign
from natal.settings.reading import check_files, lay_over
from natal.variables import CALIBRATION, SPLITS

FOLDER = Path(workflow.basedir)
SCRIPTS = FOLDER / "workflow" / "scripts"


include: "stages.smk"
include: "resources.smk"


try:
    check_packages()
    check_interpreter()
    check_files(workflow.configfiles)
    # in natal's units; jobs' scripts get this very mapping
    config |= lay_over(Campaign, config_layers(workflow))
    check_campaign(config)
except NatalError as mistake:
    sys.exit(str(mistake))


RESULTS = Path("results") / config["campaign"]
LOGS = Path("logs") / config["campaign"]

BOX = plan.box(config)
PRIOR = plan.prior_box(config)
OBSERVED_PRIOR = config["observables"]["prior"] and plan.prior_box(config | {"inference": config["observables"]})
SIMULATIONS = RESULTS / "simulations"
# as the simulations that are there were cut, so that more realizations leave them alone
SHARDS = plan.shards(config, read_layout(SIMULATIONS), runs_in_time)
RECIPE = plan.recipes(config)
# of what all shards share
SIMULATE = digest("simulate/simulate.py", "seed", "cluster", "integration")
STEM = digest(
    "simulate/simulate.py",
    "seed",
    "cluster",
    *(f"integration.{key}" for key in ("dt_yr", "precision", "clusters_per_batch")),
)

# files that several rules read, by the names they have there
LIKELIHOOD = {name.split(".")[0]: RESULTS / "emulator" / name for name in ("ensemble.eqx", "likelihood.json")}
LAW = {"law": RESULTS / "emulator" / "joint.eqx"}
SNAPSHOTS = RESULTS / "observables.h5"
POPULATION = RESULTS / "population.csv"
POPULATION_FIGURES = ["population_law", "population_corner", "population_clusters"]
DENSITIES = {name: RESULTS / "emulator" / f"{name}.eqx" for name in ("heteroscedastic", "mixture")}

# what the configuration may leave out
CALIBRATED = [CALIBRATION] if config["design"]["calibration"] else []
CHECKED = [name for name, part in config["checks"].items() if part.get("cases")]
OBSERVED = [RESULTS / "observed.csv", RESULTS / "observed.nc"] if config["observations"] else []
SAYS_POPULATION = bool(OBSERVED) and config["population"]["in_report"]
IS_CATALOGUE, OWN_CLUSTERS = read_own_clusters(config["observations"]) if OBSERVED else OwnClusters(False, [])
KNOWS_OBSERVABLES = IS_CATALOGUE or config["observables"]["in_report"]

# What jobs took is a record, not a result: no input, so that a lost log never makes anything run again.
STAGES = {
    **dict.fromkeys(["train", "density", "likelihood", "evaluate", "speed", "recover", "uncertainty"], True),
    "calibrate": CALIBRATED,
    "brute_force_runs": "brute_force" in CHECKED,
    "brute_force": "brute_force" in CHECKED,
    "posterior_predictive": "posterior_predictive" in CHECKED,
    "observe": OBSERVED,
    "observables": KNOWS_OBSERVABLES,
    "joint": KNOWS_OBSERVABLES,
}
COSTS = {"simulate": [f"simulate/{name}" for name in SHARDS], **{name: [name] for name, runs in STAGES.items() if runs}}
COSTS["figures"] = [
    f"draw_{chapter}"
    for chapter in ("simulations", "emulator", "recovery", "calibration", "uncertainty", "checks", "observed")
]
BENCHMARKS = {stage: [str(LOGS / f"{job}.benchmark.tsv") for job in jobs] for stage, jobs in COSTS.items()}

SAMPLER_KEYS = ["chains", "warmup", "step_size", "max_tree_depth", "cases_per_batch"]
CALIBRATE_KEYS = ["seed", "likelihood", "inference.grid", *(f"inference.{key}" for key in SAMPLER_KEYS)]
INFERENCE_KEYS = [*CALIBRATE_KEYS, "inference.draws"]
OBSERVE_KEYS = [*INFERENCE_KEYS, "inference.nuts_clusters"]
CATALOGUE_KEYS = ["seed", "inference.draws", "observables.nuts_clusters", *(f"inference.{key}" for key in SAMPLER_KEYS)]

# of the report and of the page of `snakemake --report`
CHAPTERS = [
    "Summary",
    "Simulations",
    "Emulator",
    "Recovery",
    "Calibration",
    "Uncertainty methods",
    "Against the simulator",
    "Own clusters",
    "Population",
]


wildcard_constraints: shard="[a-z]+[0-9]*_[0-9]+(_r[0-9]+)?"


def dataset(*splits):
    """The files of runs of some splits, by split."""
    return {split: RESULTS / "dataset" / f"{split}.csv" for split in splits}


def shown(path, chapter, caption=None, **label):
    """An output that `snakemake --report` shows, with a caption of workflow/report or one made by the report."""
    (name,) = label.values()
    caption = caption or FOLDER / "workflow" / "report" / f"{name.replace(' ', '_')}.rst"
    return report(str(path), caption=str(caption), category=f"{CHAPTERS.index(chapter)} {chapter}", labels=label)


@cache
def shard_digest(name):
    # The shard's own points, not the whole design: another block or an edited row leaves this shard alone. They are
    # parameters, not a file: Snakemake 9.27 does not look at a job behind an `ancient` input that is to be remade.
    return with_more_settings(SIMULATE, shard_runs(name))


@cache
def shard_stem(name):
    """What the clusters are, and how they are followed, but not until when: shards of one stem share their beginning."""
    # short: a seal has room for few bytes
    return sha256(with_more_settings(STEM, shard_runs(name)).encode()).hexdigest()[:16]


def shard_runs(name):
    shard = SHARDS[name]
    points, realizations = RECIPE(shard), [shard.first_realization, shard.n_realizations]
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
        sys.exit("config key observations: null leaves nothing to answer; give a table (docs/howto/own_clusters.md)")
    return config["observations"]


def observations_needed(wildcards):
    observations_file(wildcards)
    return OBSERVED
