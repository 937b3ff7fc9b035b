"""Loads fitted likelihoods from their files: emulator, widths and density networks."""

from collections.abc import Iterable
from pathlib import Path

from natal.emulator.ensemble import load_ensemble
from natal.files.formats import read_json
from natal.likelihood.density import DENSITY_COMPONENTS, load_density
from natal.likelihood.kinds import make_likelihood
from natal.likelihood.protocols import Likelihood
from natal.likelihood.widths import widths_from_json
from natal.variables import Box


def load_likelihood(ensemble: str | Path, fitted: str | Path, box: Box) -> Likelihood:
    """Load an emulator and the likelihood that was chosen for it.

    Args:
        ensemble: The emulator's file, `ensemble.eqx`.
        fitted: The fit, `likelihood.json`; density networks lie beside it.
        box: The ranges of birth conditions that the campaign has now.

    Raises:
        NatalError: If a network was trained on another box or on other points than the fit.
    """
    kind = read_json(fitted)["kind"]
    return load_likelihoods(ensemble, fitted, box, [kind])[kind]


def load_likelihoods(ensemble: str | Path, fitted: str | Path, box: Box, kinds: Iterable[str]) -> dict[str, Likelihood]:
    """Load an emulator and several likelihoods that were fitted to it.

    Args:
        ensemble: The emulator's file, `ensemble.eqx`.
        fitted: The fit, `likelihood.json`; density networks lie beside it.
        box: The ranges of birth conditions that the campaign has now.
        kinds: Names of the likelihoods.

    Returns:
        The likelihoods by name.

    Raises:
        NatalError: If a network was trained on another box or on other points than the fit.
    """
    parameters = read_json(fitted)
    digest, widths = parameters["design_digest"], widths_from_json(parameters)
    # fits of earlier versions have none
    tempering = parameters.get("tempering", 0.0)
    network = load_ensemble(ensemble, box=box, design_digest=digest)
    likelihoods = {}
    for kind in kinds:
        densities = {}
        if kind in DENSITY_COMPONENTS:
            densities[kind] = load_density(Path(fitted).parent / f"{kind}.eqx", box=box, design_digest=digest)
        likelihoods[kind] = make_likelihood(kind, network, widths, densities, tempering)
    return likelihoods
