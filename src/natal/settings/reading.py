"""Reads and checks configurations as they come from YAML before anything runs, with one line for each mistake."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from natal.errors import NatalError
from natal.settings.base import Section
from natal.settings.mistakes import lines
from natal.settings.quantities import in_natal_units, merged

Settings = TypeVar("Settings", bound=Section)


BASE_60_OR_8 = re.compile(r"[-+]?(?:0[0-7_]+|[0-9][0-9_]*(?::[0-9_.]+)+)")
"""Numbers of YAML 1.1 that nobody means: 1:30 is read as 90, and 010 as 8."""


def lay_over(settings: type[Section], layers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Lay configurations over each other, each in the units that it is written in.

    Args:
        settings: Class of the whole configuration.
        layers: Configurations, the lowest first.

    Returns:
        The configuration in natal's units.

    Raises:
        NatalError: One line for each key in two units, or in a wrong one (`natal.settings.quantities`).
    """
    config, said = merged(settings, layers)
    if said:
        raise NatalError("\n".join(f"config: {line}" for line in said))
    return config


def check(settings: type[Settings], config: Any) -> Settings:
    """Check a whole configuration, and rewrite it in natal's units. Every key must be there.

    Args:
        settings: Class of the whole configuration.
        config: As YAML has it.

    Returns:
        The settings.

    Raises:
        NatalError: One line for each mistake: the key, its value and what is allowed.
    """
    if not isinstance(config, dict):
        raise NatalError(f"config: must be a mapping with the keys {', '.join(settings.model_fields)}, not {config!r}")
    said = list(in_natal_units(settings, config))
    if said:
        raise NatalError("\n".join(f"config: {line}" for line in said))
    said = [f"key {key} is missing" for key in _missing(settings, config)]
    try:
        checked = settings.model_validate(config)
    except ValidationError as error:
        said = [*lines(settings, config, error), *said]
    if said:
        raise NatalError("\n".join(f"config: {line}" for line in dict.fromkeys(said)))
    return checked


def _missing(settings: type[Section], config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys that are not there, although the class may have defaults: those are for users of Python."""
    for name, field in settings.model_fields.items():
        inner = field.annotation
        if name not in config:
            yield f"{prefix}{name}"
        elif isinstance(inner, type) and issubclass(inner, Section) and isinstance(config[name], dict):
            yield from _missing(inner, config[name], f"{prefix}{name}.")


def check_files(paths: Iterable[str | Path]) -> None:
    """Check for what YAML would silently read as something else: a key given twice, a number to base 60 or 8.

    Args:
        paths: Configuration files.

    Raises:
        NatalError: One line for each, naming file and line.
    """
    said: list[str] = []
    for path in paths:
        waiting = [yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, yaml.ScalarNode):
                said += _not_meant(node, f"{path}, line {node.start_mark.line + 1}")
            elif isinstance(node, yaml.SequenceNode):
                waiting += node.value
            elif isinstance(node, yaml.MappingNode):
                seen = set()
                for key, value in node.value:
                    if key.value in seen:
                        said.append(f"{path}, line {key.start_mark.line + 1}: the key {key.value} is given twice")
                    seen.add(key.value)
                    waiting.append(value)
    if said:
        raise NatalError("\n".join(said))


def _not_meant(node: yaml.ScalarNode, where: str) -> Iterator[str]:
    if node.tag.endswith((":int", ":float")) and BASE_60_OR_8.fullmatch(node.value):
        read_as = yaml.safe_load(node.value)
        yield f"{where}: YAML reads {node.value} as {read_as}: write the number that you mean, or put text in quotes"


def key_lines(path: str | Path) -> dict[str, int]:
    """The line that each key of a configuration file stands on.

    Args:
        path: The file.

    Returns:
        Lines from 1, by the key's dotted name; keys in lists are left out.
    """
    found: dict[str, int] = {}
    waiting = [("", yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader))]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[f"{prefix}{key.value}"] = key.start_mark.line + 1
                waiting.append((f"{prefix}{key.value}.", value))
    return found
