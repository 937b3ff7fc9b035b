"""Checks a campaign's configuration, and the tables that it names, before anything runs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from natal.campaign import plan
from natal.campaign.own_clusters import read_own_clusters
from natal.errors import NatalError
from natal.observables.declared import MEASURABLE
from natal.settings.campaign import Campaign
from natal.settings.reading import check, lay_over


def read_config(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Read configuration files, each laid over those before, as `snakemake --configfile` does.

    Args:
        paths: Files, the lowest first.

    Returns:
        The configuration in natal's units.

    Raises:
        NatalError: A file is missing, no YAML, or no mapping, or a key has a wrong unit.
    """
    layers = []
    for path in paths:
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise NatalError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
        except UnicodeDecodeError as error:
            raise NatalError(f"{path} is not YAML in UTF-8 ({error.reason})") from error
        except FileNotFoundError as error:
            raise NatalError(f"there is no file {path}") from error
        if not isinstance(content, dict):
            raise NatalError(f"{path}: must be a mapping of keys, not {content!r}")
        layers.append(content)
    return lay_over(Campaign, layers)


def laid_over(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Change a configuration: mappings merge, all else is replaced.

    Args:
        config: The configuration; it is changed.
        changes: What differs.

    Returns:
        The configuration in natal's units.
    """
    return lay_over(Campaign, [config, changes])


def check_campaign(config: Any) -> None:
    """Check a whole configuration and the tables that it names.

    Args:
        config: As read from YAML; it is rewritten in natal's units.

    Raises:
        NatalError: One line for each mistake: the key, its value and what is allowed.
    """
    check(Campaign, config)
    if config["design"]["table"]:
        plan.read_table(config)
    plan.proposed_blocks(config)
    for name in config["population"]["observable"]:
        if name not in MEASURABLE:
            allowed = f"an observable: {', '.join(MEASURABLE)}"
            raise NatalError(f"config: unknown key population.observable.{name}; it must be {allowed}")
    if config["observations"]:
        read_own_clusters(config["observations"])
