"""Two CPU devices, natal's signatures checked at run time, and the fixtures that all tests share."""

from pathlib import Path

import jax
import pytest
import yaml
from jaxtyping import install_import_hook
from project import merged

jax.config.update("jax_num_cpu_devices", 2)
install_import_hook("natal", "runtime_types.check")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def float64():
    """Double precision for everything in the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def config():
    """The default configuration, to be changed at will."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture
def smoke_config(config):
    """The smoke configuration: its file holds only differences from the default."""
    return merged(config, yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text()))


@pytest.fixture
def schema():
    """The JSON schema of the configuration."""
    return yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
