"""Writes what is generated from the settings' classes: the JSON schemas for editors, the tables of config/README.md."""

import re
from pathlib import Path

import yaml

from natal.settings.base import Section
from natal.settings.campaign import Campaign
from natal.settings.documents import editor_schema, key_table
from natal.studies.departures.settings import Departures
from natal.studies.evolution.settings import Evolution
from natal.studies.lessons.settings import Lessons
from natal.studies.planets.settings import Planets
from natal.studies.potential.settings import Potential
from natal.studies.triples.settings import Triples

ROOT = Path(__file__).parents[2]
SCHEMAS: dict[str, type[Section]] = {
    "config": Campaign,
    "studies/departures": Departures,
    "studies/evolution": Evolution,
    "studies/lessons": Lessons,
    "studies/planets": Planets,
    "studies/potential": Potential,
    "studies/triples": Triples,
}


def documents() -> dict[Path, str]:
    """Text of each file that is generated, wholly or in part."""
    texts = {ROOT / "workflow" / "schemas" / f"{name}.schema.yaml": editor_schema(s) for name, s in SCHEMAS.items()}
    readme = ROOT / "config" / "README.md"
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    between = re.compile(r"(?<=<!-- keys, written by `make schema` -->\n).*?(?=<!-- end of keys -->)", re.DOTALL)
    table = key_table(Campaign, default)
    return texts | {readme: between.sub(lambda _: f"\n{table}\n", readme.read_text(encoding="utf-8"))}


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
