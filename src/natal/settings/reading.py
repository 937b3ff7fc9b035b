"""Checks configurations as read from YAML before anything runs, with one line for each mistake."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from natal.errors import NatalError
from natal.settings.base import Section
from natal.settings.mistakes import lines

Settings = TypeVar("Settings", bound=Section)


def check(settings: type[Settings], config: Any) -> Settings:
    """Check a whole configuration: every key must be there.

    Raises:
        NatalError: One line for each mistake: the key, its value and what is allowed.
    """
    if not isinstance(config, dict):
        raise NatalError(f"config: must be a mapping with the keys {', '.join(settings.model_fields)}, not {config!r}")
    said = [f"key {key} is missing" for key in _missing(settings, config)]
    try:
        checked = settings.model_validate(config)
    except ValidationError as error:
        said = [*lines(settings, config, error), *said]
    if said:
        raise NatalError("\n".join(f"config: {line}" for line in dict.fromkeys(said)))
    return checked


def _missing(settings: type[Section], config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Keys that are not there; the defaults are for those who use a class in Python."""
    for name, field in settings.model_fields.items():
        inner = field.annotation
        if name not in config:
            yield f"{prefix}{name}"
        elif isinstance(inner, type) and issubclass(inner, Section) and isinstance(config[name], dict):
            yield from _missing(inner, config[name], f"{prefix}{name}.")


def check_repeated_keys(paths: Iterable[str | Path]) -> None:
    """Check that no configuration file gives a key twice: YAML would silently take the last one.

    Raises:
        NatalError: One line for each, naming file, line and key.
    """
    said = []
    for path in paths:
        seen = set()
        for key, line in _keys(path):
            if key in seen:
                said.append(f"{path}, line {line}: the key {key.rpartition('.')[2]} is given twice")
            seen.add(key)
    if said:
        raise NatalError("\n".join(said))


def key_lines(path: str | Path) -> dict[str, int]:
    """The line that each key of a configuration file stands on, by its dotted name."""
    return dict(_keys(path))


def _keys(path: str | Path) -> Iterator[tuple[str, int]]:
    """Dotted names and lines of all keys in mappings of mappings, those of lists left out."""
    waiting = [("", yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader))]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                yield f"{prefix}{key.value}", key.start_mark.line + 1
                waiting.append((f"{prefix}{key.value}.", value))
