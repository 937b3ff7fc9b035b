"""Print where a campaign's simulations stand: `make status ARGS="--configfile FILE"`. Changes nothing."""

import argparse
import sys
from pathlib import Path

import yaml

from natal.campaign import plan
from natal.campaign.config import check_campaign
from natal.campaign.inventory import read_layout
from natal.campaign.status import shard_status, table
from natal.errors import NatalError
from natal.running.snakemake_internals import given_settings
from natal.settings.campaign import Campaign
from natal.settings.reading import lay_over

FOLDER = Path(__file__).parents[2]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--configfile", nargs="+", default=[], help="as for snakemake", metavar="FILE")
parser.add_argument("--config", nargs="+", default=[], help="as for snakemake", metavar="KEY=VALUE")
arguments = parser.parse_args()
try:
    layers = []
    for path in [FOLDER / "config" / "config.yaml", *arguments.configfile]:
        layers.append(yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    config = lay_over(Campaign, [*layers, given_settings(arguments.config)])
    check_campaign(config)
    name = config["campaign"]
    simulations, logs = Path("results") / name / "simulations", Path("logs") / name / "simulate"
    planned = plan.shards(config, read_layout(simulations))
    print(table((shard_status(simulations, logs, shard) for shard in planned), name))
except yaml.YAMLError as mistake:
    sys.exit(f"natal: {path} is not YAML: {' '.join(str(mistake).split())}")
except (OSError, ValueError, NatalError) as mistake:
    sys.exit(f"natal: {mistake}")
