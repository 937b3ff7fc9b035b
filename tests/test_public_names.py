"""`import natal` is free, and its names are there when asked for."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import natal

HEAVY = ("jax", "numpy", "pandas", "xarray", "matplotlib", "arviz", "equinox", "yaml")
PROGRAM = f"""
import json, sys
import natal
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_importing_natal_loads_nothing_heavy():
    """Snakemake parses the workflow for every job."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", natal.__all__)
def test_every_public_name_resolves(name):
    """And is listed for completion."""
    assert getattr(natal, name) is not None
    assert name in dir(natal)


def test_type_checkers_see_the_same_names():
    """The stub is what mypy and editors read."""
    stub = ast.parse(Path(natal.__file__).with_suffix(".pyi").read_text())
    named = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named | {"__version__"} == set(natal.__all__)
    modules = {
        alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert modules == {name: f"natal.{module}" for name, module in natal._LAZY.items()}


def test_an_unknown_name_is_an_attribute_error():
    """As with any module."""
    with pytest.raises(AttributeError, match="module 'natal' has no attribute 'simulate'"):
        natal.simulate  # noqa: B018
    assert not hasattr(natal, "simulate")
