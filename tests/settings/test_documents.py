"""What is generated from the settings' classes is that of the classes as they are."""

import runpy

import pytest
import yaml
from project import ROOT


@pytest.fixture(scope="module")
def documents():
    """Text of each generated file."""
    return runpy.run_path(str(ROOT / "workflow" / "schemas" / "write.py"))["documents"]()


def test_generated_files_are_up_to_date(documents):
    """The tables of keys and the schemas for editors; `make schema` writes them."""
    assert len(documents) == 8
    assert [path for path, text in documents.items() if path.read_text() != text] == [], "out of date: make schema"


def test_the_schema_has_every_key(config, documents):
    """An editor is told what each key means and what is allowed."""
    schema = yaml.safe_load(documents[ROOT / "workflow" / "schemas" / "config.schema.yaml"])
    assert set(schema["properties"]) == set(config)
    cluster = schema["$defs"]["ClusterModel"]["properties"]
    assert set(cluster) == set(config["cluster"])
    said = "stars in a cluster; cost grows with its square. Allowed: a whole number from 5 up"
    assert cluster["n_stars"] == {"description": said, "type": "integer", "minimum": 5}
    assert set(schema["$defs"]["Varied"]["properties"]) == set(config["emulator"])


def test_the_table_has_every_key(config, documents):
    """One row each, with the default, what is allowed and what it means."""
    text = documents[ROOT / "config" / "README.md"]
    for section, values in config.items():
        for key in values if isinstance(values, dict) else [None]:
            assert f"| `{section}.{key}" in text if key else f"| `{section}` |" in text
    assert "| `integration.dt_yr` | `0.05` | a positive number (yr) | leapfrog step; must fit" in text
