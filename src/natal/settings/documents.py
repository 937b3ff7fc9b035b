"""What people and editors read of settings: tables of keys in Markdown, JSON schemas in YAML.

Meanings are the texts below the fields of the settings' classes.
"""

import ast
import inspect
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from natal.settings.base import Section
from natal.settings.mistakes import Node, allowed, resolved
from natal.settings.quantities import other_spellings

WIDTH = 10**6
"""Characters of a line of YAML: no line is broken."""

LONGEST = 60
"""Most characters of a default in a table; for a longer one the table refers to the file."""


class _WithMeanings(GenerateJsonSchema):
    """Describes fields by their docstrings. Pydantic can do that, but would read the source in every job."""

    def model_schema(self, schema: Any) -> Node:
        node = super().model_schema(schema)
        for name, meaning in _meanings(schema["cls"]).items():
            if name in node["properties"]:
                node["properties"][name]["description"] = meaning
        return node


def _meanings(section: type[Section]) -> dict[str, str]:
    """The docstrings of a class's fields and of those that it inherits."""
    found: dict[str, str] = {}
    for part in reversed(section.__mro__[: section.__mro__.index(Section)]):
        # classes made by `create_model` have no source
        with suppress(OSError):
            found |= _docstrings(ast.parse(inspect.getsource(part)).body[0])
    return found


def _docstrings(section: Any) -> dict[str, str]:
    found = {}
    for field, text in pairwise(section.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(said))):
                found[name] = inspect.cleandoc(said)
    return found


def key_table(settings: type[Section], values: dict[str, Any]) -> str:
    """A Markdown table of all keys: default, what is allowed, meaning.

    Args:
        settings: Class of the whole configuration.
        values: The default configuration.

    Returns:
        The table's lines.
    """
    schema = settings.model_json_schema(schema_generator=_WithMeanings)
    rows = ["| key | default | allowed | meaning |", "|---|---|---|---|"]
    for key, node, value in _keys(schema, schema, values, ""):
        given = _in_one_line(value)
        default = f"`{given}`" if len(given) <= LONGEST else "see `config.yaml`"
        cells = f"`{key}`", default, allowed(schema, node, (key,)), _meaning(node)
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _keys(schema: Node, node: Node, values: dict[str, Any], prefix: str) -> Iterator[tuple[str, Node, Any]]:
    for name, child in node["properties"].items():
        child = resolved(schema, child)
        if "properties" in child and "allowed" not in child:
            yield from _keys(schema, child, values[name], f"{prefix}{name}.")
        else:
            yield prefix + name, child, values[name]


def _meaning(node: Node) -> str:
    return " ".join(node.get("description", "").split())


def editor_schema(settings: type[Section]) -> str:
    """A JSON schema, written as YAML, for editors: each description says what a key means and what is allowed.

    No key is required, as a user's file holds only what differs from the default configuration.

    Args:
        settings: Class of the whole configuration.

    Returns:
        The schema's text.
    """
    schema = settings.model_json_schema(schema_generator=_WithMeanings)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
    for section in [schema, *schema.get("$defs", {}).values()]:
        for name, node in section.get("properties", {}).items():
            full = resolved(schema, node)
            said = "" if "properties" in full and "allowed" not in full else allowed(schema, node, (name,))
            node["description"] = ". Allowed: ".join(part for part in (_meaning(full), said) if part)
        _allow_units(section)
    for node in _all_nodes(schema):
        for key in ("title", "allowed", "required", "default"):
            node.pop(key, None)
    written = ["# Written by `make schema` from the settings' classes: a section a line."]
    for name, value in schema.items():
        if name in ("$defs", "properties"):
            written += [f"{name}:", *(f"  {key}: {_in_one_line(inner)}" for key, inner in value.items())]
        else:
            written.append(f"{name}: {_in_one_line(value)}")
    return "\n".join(written) + "\n"


def _allow_units(section: Node) -> None:
    """Allow keys that end in a unit to end in another one, and their numbers to be text with a unit."""
    for name, node in list(section.get("properties", {}).items()):
        if spellings := other_spellings(name):
            key, text = spellings
            section["properties"][name] = _or_text(node, text)
            section.setdefault("patternProperties", {})[key] = _or_text(node, text)


def _or_text(node: Any, pattern: str) -> Any:
    """A node that allows, for its numbers, text of a pattern, too."""
    if isinstance(node, list):
        return [_or_text(part, pattern) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") in ("number", "integer"):
        described = {"description": node["description"]} if "description" in node else {}
        number = {key: value for key, value in node.items() if key != "description"}
        return {"anyOf": [number, {"type": "string", "pattern": pattern}]} | described
    return {
        key: _or_text(value, pattern) if key in ("anyOf", "items", "prefixItems") else value
        for key, value in node.items()
    }


def _in_one_line(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=WIDTH)
    return text.removesuffix("\n...\n").strip()


def _all_nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, dict):
        # a mapping of keys is none: a key may have the name of something that is left out
        yield from [value] if "type" in value or "anyOf" in value or "$ref" in value or "const" in value else []
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        yield from _all_nodes(inner)
