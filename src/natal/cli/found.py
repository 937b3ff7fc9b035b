"""Where things lie: the trained campaign and the workflow's files inside an installed natal, and campaigns' settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from natal.campaign import plan
from natal.campaign.config import read_config
from natal.errors import NatalError
from natal.provenance.lineage import recorded_config
from natal.settings.inference import Inference
from natal.variables import Box

PACKAGE = Path(__file__).parents[1]

TRAINED = PACKAGE / "trained"
"""Campaigns that come with natal: of each what answering needs, as in its results folder."""


def project_files() -> Path:
    """The folder of Snakefile, workflow, config, profiles and examples: inside the wheel, or the checkout itself."""
    inside = PACKAGE / "project"
    return inside if inside.is_dir() else PACKAGE.parents[1]


def campaign_folder(name: str) -> Path:
    """The folder of a campaign: the one that comes with natal for `default`, else results/<campaign> as given."""
    return TRAINED / name if name == "default" else Path(name)


@dataclass(frozen=True)
class Asked:
    """With what a campaign answers, as its records have it."""

    config: dict[str, Any]
    seed: int
    prior: Box
    inference: Inference


def asked_of(folder: Path) -> Asked:
    """Read a campaign's settings; keys that it did not know yet are the default campaign's.

    Raises:
        NatalError: The folder has no records, or no whole ones.
    """
    recorded, default = recorded_config(folder), read_config([project_files() / "config" / "config.yaml"])
    try:
        inference = {key: recorded["inference"].get(key, value) for key, value in default["inference"].items()}
        return Asked(recorded, recorded["seed"], plan.prior_box(recorded), Inference(**inference))
    except (KeyError, TypeError, AttributeError) as error:
        raise NatalError(f"{folder}: its records hold no whole configuration ({error!r})") from error
