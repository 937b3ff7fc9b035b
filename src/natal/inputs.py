"""What the inference jobs share: the fitted likelihood and the sampler's settings, from files and configuration."""

from pathlib import Path

from natal.campaign import Config
from natal.emulator import load_ensemble
from natal.files import read_json
from natal.likelihood import Likelihood, make_likelihood
from natal.nuts import NutsSettings


def load_likelihood(ensemble: str | Path, fitted: str | Path, box: dict[str, tuple[float, float]]) -> Likelihood:
    """Load an ensemble and the likelihood fitted to it.

    Raises `NatalError` if the ensemble was trained on another box or on other points than the fit.
    """
    parameters = read_json(fitted)
    network = load_ensemble(ensemble, box=box, design_digest=parameters["design_digest"])
    return make_likelihood(parameters["kind"], network, parameters)


def nuts_settings(config: Config) -> NutsSettings:
    """The sampler's part of config section `inference`."""
    section = config["inference"]
    return NutsSettings(**{name: section[name] for name in NutsSettings.__dataclass_fields__})
