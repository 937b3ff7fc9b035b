"""Where the trained campaign and the workflow's files lie inside natal, and with which settings a campaign answers."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from natal.campaign import plan
from natal.campaign.config import read_config
from natal.errors import NatalError
from natal.files.formats import read_json
from natal.provenance.lineage import recorded_config
from natal.provenance.records import record_path
from natal.settings.inference import Inference
from natal.settings.population import Population
from natal.variables import Box

PACKAGE = Path(__file__).parents[1]

TRAINED = PACKAGE / "trained"
"""Campaigns that come with natal; of each, what answering needs, as in its results folder."""


def project_files() -> Path:
    """The folder of Snakefile, workflow, config, profiles and examples: inside the wheel, or the checkout itself."""
    inside = PACKAGE / "project"
    return inside if inside.is_dir() else PACKAGE.parents[1]


def campaign_folder(name: str) -> Path:
    """The folder of a campaign.

    Args:
        name: `results/<campaign>`, or `default` for the campaign that comes with natal.

    Returns:
        Its path.
    """
    return TRAINED / name if name == "default" else Path(name)


def replace_trained(folder: str | Path) -> None:
    """Put a finished default campaign in the place of the one that comes with natal (`make trained`).

    Copied is what answering needs: the ensemble, the fitted likelihood, the network of its kind and the law of
    observables if it has them, and their records.

    Args:
        folder: The finished campaign's results.
    """
    source, target = Path(folder), TRAINED / "default"
    emulator = source / "emulator"
    kind = read_json(emulator / "likelihood.json")["kind"]
    optional = [name for name in (f"{kind}.eqx", "joint.eqx") if (emulator / name).is_file()]
    names = ["ensemble.eqx", "likelihood.json", *optional]
    shutil.rmtree(target, ignore_errors=True)
    for path in [emulator / name for name in names]:
        for one in (path, record_path(path, source)):
            copy = target / one.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one, copy)


@dataclass(frozen=True)
class Asked:
    """With which settings a campaign answers, as its records have them."""

    config: dict[str, Any]
    """The whole configuration."""
    seed: int
    """Of chains and draws."""
    prior: Box
    """Of clusters that the campaign's likelihood answers, q0 as K/|W|."""
    inference: Inference
    """Grid and sampler."""
    observed_prior: Box | None
    """Of clusters that the law of observables answers; None: it follows from the campaign's."""
    population: Population
    """Of `natal population`."""


def asked_of(folder: Path) -> Asked:
    """Read a campaign's settings; keys that did not exist yet are the default campaign's.

    Args:
        folder: The campaign's results.

    Returns:
        The settings.

    Raises:
        NatalError: The folder has no records, or no whole ones.
    """
    recorded, default = recorded_config(folder), read_config([project_files() / "config" / "config.yaml"])
    try:
        inference = {key: recorded["inference"].get(key, value) for key, value in default["inference"].items()}
        given = recorded.get("observables", {}).get("prior")
        observed = plan.prior_box(recorded | {"inference": {"prior": given}}) if given else None
        population = Population(**default["population"] | recorded.get("population", {}))
        return Asked(recorded, recorded["seed"], plan.prior_box(recorded), Inference(**inference), observed, population)
    except (KeyError, TypeError, AttributeError) as error:
        raise NatalError(f"{folder}: its records hold no whole configuration ({error!r})") from error
