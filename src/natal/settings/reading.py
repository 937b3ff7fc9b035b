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
        waiting = [yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, yaml.MappingNode):
                continue
            seen = set()
            for key, value in node.value:
                if key.value in seen:
                    said.append(f"{path}, line {key.start_mark.line + 1}: the key {key.value} is given twice")
                seen.add(key.value)
                waiting.append(value)
    if said:
        raise NatalError("\n".join(said))
