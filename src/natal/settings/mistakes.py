"""What is said of a mistake in settings: the key, its value and what is allowed, as the class's JSON schema has it."""

import datetime
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pydantic import BaseModel, ValidationError

RULE = "rule"
"""Type of errors that say what is allowed by themselves."""

UNITS = {"au": "AU", "yr": "yr", "msun": "Msun", "gb": "GB", "min": "min"}
"""Units by the end of a key."""

WORDS = {2: "two", 3: "three"}

READ_AS = {bool: "true or false", int: "a number", float: "a number", datetime.date: "a date"}
"""What YAML may read in place of text, by Python's type; the narrower type comes first."""

Node = dict[str, Any]
"""A part of a JSON schema."""
Path = tuple[str | int, ...]
"""Keys, and places in lists, that lead to a value."""


@dataclass(frozen=True)
class Allowed:
    """Annotates a type with what is allowed, in words."""

    text: str
    """The words; {} stands for what follows from the type."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> Node:
        return {**handler(core_schema), "allowed": self.text}


def lines(settings: type[BaseModel], given: Any, error: ValidationError, section: str = "") -> Iterator[str]:
    """Describe the mistakes that Pydantic found, one line each.

    Args:
        settings: Class of the section or of the whole configuration.
        given: The values that were checked.
        error: What Pydantic says.
        section: Dotted name of the section; empty for the whole configuration.

    Returns:
        The lines, none twice.
    """
    schema = settings.model_json_schema()
    found = error.errors(include_url=False)
    # Pydantic says of a list with a wrong item that it is too short, too
    outer = {one["loc"][:end] for one in found for end in range(len(one["loc"]))}
    return iter(dict.fromkeys(_line(schema, given, one, section) for one in found if one["loc"] not in outer))


def _line(schema: Node, given: Any, error: Any, section: str) -> str:
    location: Path = error["loc"]
    full = _dotted(section, location)
    if error["type"] == RULE:
        return f"{full} = {_shown(_value(given, location, error['input']))} is not allowed: {error['msg']}"
    path, node, value = _follow(schema, given, location)
    known = list(node.get("properties", ()))
    if known and error["type"] in ("extra_forbidden", "invalid_key"):
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"unknown key {full}{hint}; allowed: {', '.join(known)}"
    if known and error["type"] == "missing":
        return f"key {full} is missing"
    wanted = allowed(schema, node, path)
    hint = _in_quotes(value) if error["type"] == "string_type" else ""
    return f"{_dotted(section, path)} = {_shown(value)} is not allowed: {wanted}{hint}"


def _shown(value: Any) -> str:
    """A value as a message shows it; a date as YAML writes it."""
    return str(value) if isinstance(value, datetime.date) else repr(value)


def _dotted(section: str, path: Path) -> str:
    return ".".join(map(str, (section, *path) if section else path))


def _follow(schema: Node, given: Any, location: Path) -> tuple[Path, Node, Any]:
    """Go down to the node that a mistake is about: of alternatives, to the node that has all of them."""
    node, path = resolved(schema, schema), 0
    for key in location:
        following = _child(node, key)
        if following is None:
            break
        try:
            given = given[key]
        except (LookupError, TypeError):
            break
        node, path = resolved(schema, following), path + 1
    return location[:path], node, given


def _value(given: Any, location: Path, default: Any) -> Any:
    """The value as the user wrote it; the default if it was not given."""
    try:
        return reduce(lambda value, key: value[key], location, given)
    except (LookupError, TypeError):
        return default


def resolved(schema: Node, node: Node) -> Node:
    """Follow a node's reference.

    Args:
        schema: The whole schema.
        node: A part of it.

    Returns:
        The node, with what it refers to.
    """
    if "$ref" in node:
        return {**resolved(schema, schema["$defs"][node["$ref"].rpartition("/")[2]]), **node}
    return node


def _child(node: Node, key: str | int) -> Node | None:
    if isinstance(key, int):
        return node["prefixItems"][key] if key < len(node.get("prefixItems", ())) else node.get("items")
    if key in node.get("properties", ()):
        return node["properties"][key]  # type: ignore[no-any-return]
    return node.get("additionalProperties") or None


def allowed(schema: Node, node: Node, path: Path) -> str:
    """What a value may be, in words.

    Args:
        schema: The whole schema.
        node: The value's part of it.
        path: Keys that lead to the value; the last name among them tells its unit.

    Returns:
        As in `a whole number from 5 up`.
    """
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    return _words(schema, node, key)


def _words(schema: Node, node: Node, key: str, many: bool = False) -> str:
    node = resolved(schema, node)
    said: str = node.get("allowed", "{}")
    return said.replace("{}", _generated(schema, node, key, many)) if "{}" in said else said


def _generated(schema: Node, node: Node, key: str, many: bool) -> str:
    if "anyOf" in node:
        parts = sorted(node["anyOf"], key=lambda part: part.get("type") != "null")
        return ", or ".join(_words(schema, part, key) for part in parts)
    names = [str(name) for name in node.get("enum", [node["const"]] if "const" in node else [])]
    if names:
        if many:
            return f"ones of {', '.join(names)}"
        return " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"
    if "prefixItems" in node:
        items = node["prefixItems"]
        return f"{WORDS[len(items)]} {_words(schema, items[0], key, many=True)}"
    match node.get("type"):
        case "integer" | "number":
            return _number(node, many) + (f" ({UNITS[unit]})" if (unit := key.rpartition("_")[2]) in UNITS else "")
        case "array":
            different = "different " if node.get("uniqueItems") else ""
            return f"a list of {different}{_words(schema, node['items'], key, many=True)}"
        case "object":
            return f"a mapping of {key} settings"
    return {"boolean": "true or false", "null": "null"}.get(str(node.get("type")), "text")


def _number(node: Node, many: bool) -> str:
    noun = ("whole number" if node["type"] == "integer" else "number") + ("s" if many else "")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    low, high = node.get("minimum"), node.get("maximum")
    article = "" if many else "a "
    if low is not None and low == high:
        return f"{low}"
    if above == 0 and below is None and high is None:
        return f"{article}positive {noun}"
    if None not in (above, below):
        limits = f" between {above:g} and {below:g}"
    elif None not in (low, high):
        limits = f" from {low} to {high}"
    else:
        parts = [
            f"from {low} up" if low is not None else "",
            f"above {above:g}" if above is not None else "",
            f"below {below:g}" if below is not None else "",
            f"at most {high}" if high is not None else "",
        ]
        limits = " " + " and ".join(part for part in parts if part) if any(parts) else ""
    multiple = f", a multiple of {node['multipleOf']}" if "multipleOf" in node else ""
    return f"{article}{noun}{limits}{multiple}"


def _in_quotes(value: Any) -> str:
    """What to do where text is wanted and YAML reads something else, as with 2024_01, which becomes 202401."""
    for kind, read in READ_AS.items():
        if isinstance(value, kind):
            return f" (YAML reads this as {read}: put it in quotes)"
    return ""
