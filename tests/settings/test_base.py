"""Settings made in Python: the same limits and lines as in a configuration."""

import subprocess
import sys

import pytest

import natal
from natal.errors import NatalError
from natal.settings.campaign import Campaign
from natal.settings.inference import Inference, NutsSettings
from natal.settings.uncertainty import UncertaintySettings

METHODS = {"methods": ["mixture"], "dropout_rate": 0.1, "masks": 4, "nuts_cases": 0}


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: natal.ClusterModel(n_stars=4), "cluster.n_stars = 4 is not allowed: a whole number from 5 up"),
        (
            lambda: natal.ClusterModel(n_star=9),
            "unknown key cluster.n_star (did you mean n_stars?); allowed: n_stars, star_mass_msun, imf, "
            "imf_mass_range_msun, softening_au, truncation_radius",
        ),
        (
            lambda: natal.ClusterModel(imf="kroupa", imf_mass_range_msun=(0.6, 10.0)),
            "cluster.imf_mass_range_msun = (0.6, 10.0) is not allowed: the range of a Kroupa mass function must "
            "contain its break at 0.5 Msun",
        ),
        (
            lambda: natal.Integration(snapshots=8),
            "integration.dt_yr = 0.05 is not allowed: it must fit a whole number of times between snapshots, "
            "t_end_yr / (snapshots - 1) = 71.4286 yr",
        ),
        (
            lambda: UncertaintySettings(bayesian={"hidden": -1}, **METHODS),
            "uncertainty.bayesian.hidden = -1 is not allowed: a whole number from 0 up",
        ),
        (lambda: UncertaintySettings(**METHODS), "key uncertainty.bayesian is missing"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_section(make, line):
    """Whatever section is within another."""
    with pytest.raises(NatalError) as caught:
        make()
    assert str(caught.value) == line


def test_settings_are_values():
    """Whole numbers will do where numbers are wanted, lists become tuples; equal ones have one hash, none changes."""
    given = natal.ClusterModel(softening_au=2, imf_mass_range_msun=[0.08, 50])
    assert given == natal.ClusterModel()
    assert hash(given) == hash(natal.ClusterModel())
    assert isinstance(given.softening_au, float)
    with pytest.raises(ValueError, match="frozen"):
        given.n_stars = 3


def test_the_sections_settings_are_the_samplers(config):
    """What samples takes a whole section `inference`."""
    inference = Inference(**config["inference"])
    assert isinstance(inference, NutsSettings)
    assert inference.grid == (256, 256)


def test_defaults_are_those_of_the_default_configuration(config):
    """Wherever a class has a default, config/config.yaml says the same, at any depth."""

    def check(settings, values):
        n = 0
        for name, field in settings.model_fields.items():
            if isinstance(values[name], dict) and hasattr(field.annotation, "model_fields"):
                n += check(field.annotation, values[name])
            elif not field.is_required():
                found = values[name]
                assert field.get_default(call_default_factory=True) == (
                    tuple(found) if isinstance(found, list) else found
                ), name
                n += 1
        return n

    assert check(Campaign, config) > 40


def test_planning_needs_no_jax():
    """Every Snakemake call reads all sections: importing them starts nothing heavy."""
    heavy = "{'jax', 'equinox', 'numpy', 'pandas', 'jsonschema'}"
    code = f"import sys, natal.campaign.config; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
