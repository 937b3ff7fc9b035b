"""Checks a campaign's configuration, and the tables that it names, before anything runs."""

from typing import Any

from natal.campaign import plan
from natal.campaign.own_clusters import read_own_clusters
from natal.settings.campaign import Campaign
from natal.settings.reading import check


def check_campaign(config: Any) -> None:
    """Check the configuration as read from YAML.

    Raises:
        NatalError: One line for each mistake: the key, its value and what is allowed.
    """
    check(Campaign, config)
    if config["design"]["table"]:
        plan.read_table(config)
    plan.proposed_blocks(config)
    if config["observations"]:
        read_own_clusters(config["observations"])
