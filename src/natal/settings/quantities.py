"""Reads lengths and times of a configuration in the units that a user has, as numbers in natal's own (`natal.units`).

A key that ends in a unit, such as `a_au`, may end in another one of its kind (`a_pc`), and its value may be text with a
unit ("0.3 pc"). Text such as 1e6, which YAML 1.1 does not take for a number, is read as one.
"""

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, get_args, get_origin

from natal.settings.base import Section

PC_AU = 648_000.0 / math.pi
"""A parsec in AU (IAU 2015 Resolution B2); not in `natal.units`, since an edit there makes all simulations stale."""

SIZES: dict[str, dict[str, Fraction | float]] = {
    "length": {"AU": Fraction(1), "pc": PC_AU},
    "time": {
        "yr": Fraction(1),
        "kyr": Fraction(10**3),
        "Myr": Fraction(10**6),
        "Gyr": Fraction(10**9),
        "d": Fraction(4, 1461),
        "h": Fraction(1, 8766),
        "min": Fraction(1, 525_960),
    },
    "mass": {"Msun": Fraction(1)},
}
"""Units by kind, each in AU, Julian years or solar masses. Whole ratios are exact: 0.05 kyr is 50 yr."""

LARGEST_WHOLE = 2**53
"""Up to here every whole number is also a floating-point number, and is written without a point."""

_KINDS = {unit.lower(): (kind, unit) for kind, sizes in SIZES.items() for unit in sizes}
_OF_KEYS = ("au", "yr", "msun", "min")
"""What natal's own keys end in."""

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*([A-Za-z][\w/^]*)")
_POWER_OF_TEN = re.compile(rf"(?=[^eE]*[eE]){_NUMBER}")


def in_natal_units(settings: type[Section], given: dict[str, Any], section: str = "") -> Iterator[str]:
    """Rewrite the values of a configuration, or of a part of one, in place: natal's keys, natal's units.

    What is in natal's units stays as it is. So does what is no quantity: the settings refuse it.

    Args:
        settings: Class of the sections that `given` has, or has some of.
        given: Values as YAML has them.
        section: Dotted name of the section, for what is said of a mistake.

    Yields:
        A line for each mistake: a key in two units, a unit of another kind or of none.

    Examples:
        >>> from natal.settings.integration import Integration
        >>> given = {"t_end": "0.5 kyr", "dt_d": 18.2625}
        >>> list(in_natal_units(Integration, given)), given
        ([], {'t_end_yr': 500, 'dt_yr': 0.05})
        >>> list(in_natal_units(Integration, {"t_end": "0.5 pc"}))
        ["t_end = '0.5 pc' is not allowed: t_end is a time, in yr, kyr, Myr, Gyr, d, h or min"]
    """
    for key in list(given):
        name = _known_name(settings, key, given[key])
        if name is None:
            continue
        where = f"{section}.{key}" if section else key
        if name != key and name in given:
            yield f"{where} and {name} are the same in two units: give one of them"
            continue
        annotation = settings.model_fields[name].annotation
        wanted = _own_unit(name)
        unit = _written_unit(key, wanted) if wanted else ""
        if wanted and unit not in SIZES[_KINDS[wanted][0]]:
            yield f"{where} is not allowed: {_stem(name)} is {allowed_units(wanted)}"
            continue
        try:
            value = _converted(given[key], wanted, unit, is_text=_holds(annotation, str))
        except ValueError as mistake:
            yield f"{where} = {given[key]!r} is not allowed: {_stem(name)} is {mistake}"
            continue
        if name != key:
            del given[key]
        given[name] = value
        for inner in _sections(annotation):
            is_named = isinstance(value, dict) and get_origin(annotation) is dict
            for part in value.values() if is_named else value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    yield from in_natal_units(inner, part, where)


def allowed_units(unit: str) -> str:
    """The kind of a unit, and the units that may be given in its place.

    Args:
        unit: End of one of natal's keys: `au`, `yr`, `msun` or `min`.

    Returns:
        Words for a message.

    Examples:
        >>> allowed_units("au")
        'a length, in AU or pc'
    """
    kind, _ = _KINDS[unit]
    *some, last = SIZES[kind]
    return f"a {kind}, in " + (f"{', '.join(some)} or {last}" if some else last)


def other_spellings(name: str) -> tuple[str, str] | None:
    """Patterns (ECMA 262) for a key in other units than natal's.

    Args:
        name: natal's key.

    Returns:
        A pattern of the key and one of a value with a unit; None if the key has no unit.
    """
    if not (unit := _own_unit(name)):
        return None
    units = sorted({spelled for shown in SIZES[_KINDS[unit][0]] for spelled in (shown, shown.lower())})
    keys = "|".join(other for other in units if other != unit)
    return rf"^{_stem(name)}(_({keys}))?$", rf"^{_NUMBER}\s*({'|'.join(units)})$"


def merged(settings: type[Section], layers: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Lay configurations over each other, each read in the units that it is written in.

    Mappings merge, other values replace. A number that is whole loses its point unless the layer below says the same,
    so that digests see one number, whichever way it is written.

    Args:
        settings: Class of the whole configuration.
        layers: Configurations, the lowest first; that one is changed.

    Returns:
        The configuration in natal's units, and a line for each mistake.
    """
    config, *above = layers
    lines = list(in_natal_units(settings, config))
    for layer in above:
        lines += in_natal_units(settings, layer)
        _lay(settings, config, layer)
    return config, lines


def _lay(settings: type[Section] | None, below: dict[str, Any], above: dict[str, Any]) -> None:
    for key, value in above.items():
        field = settings.model_fields.get(key) if settings else None
        annotation = field.annotation if field else None
        if isinstance(value, dict):
            if not isinstance(below.get(key), dict):
                below[key] = {}
            _lay(next(_sections(annotation), None), below[key], value)
        elif not _holds(annotation, float):
            below[key] = value
        elif key not in below or below[key] != value or isinstance(value, bool):
            below[key] = _whole(value)


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return _plain(value) if isinstance(value, float) and math.isfinite(value) else value


def _known_name(settings: type[Section], key: Any, value: Any) -> str | None:
    """natal's name of a key that may end in another unit, or in no unit if its value has one."""
    fields = settings.model_fields
    if key in fields or not isinstance(key, str):
        return key if key in fields else None
    stem, _, unit = key.rpartition("_")
    if unit.lower() in _KINDS:
        return next((name for own in _OF_KEYS if (name := f"{stem}_{own}") in fields), None)
    parts = value if isinstance(value, list) else [value]
    if parts and all(isinstance(part, str) and _QUANTITY.fullmatch(part.strip()) for part in parts):
        return next((name for own in _OF_KEYS if (name := f"{key}_{own}") in fields), None)
    return None


def _own_unit(name: str) -> str:
    """The unit that one of natal's keys ends in, in lower case; empty if it has none."""
    unit = name.rpartition("_")[2]
    return unit if unit in _OF_KEYS else ""


def _written_unit(key: str, own: str) -> str:
    """The unit that a key was given in: the one that it ends in, or natal's own."""
    return _KINDS.get(key.rpartition("_")[2].lower() if "_" in key else own, _KINDS[own])[1]


def _stem(name: str) -> str:
    return name.rpartition("_")[0]


def _converted(value: Any, wanted: str, unit: str, *, is_text: bool) -> Any:
    """A value in the unit of natal's key; `ValueError` says what a wrong unit should be."""
    if isinstance(value, list):
        return [_converted(item, wanted, unit, is_text=is_text) for item in value]
    if isinstance(value, str):
        if not is_text and _POWER_OF_TEN.fullmatch(value) and math.isfinite(float(value)):
            value = _plain(Fraction(value))
        elif wanted and (found := _QUANTITY.fullmatch(value.strip())):
            kind, shown = _KINDS.get(found[2].lower(), ("", ""))
            if kind != _KINDS[wanted][0]:
                raise ValueError(allowed_units(wanted))
            return _scaled(found[1], kind, shown, wanted)
        else:
            return value
    if not wanted or unit.lower() == wanted or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _scaled(str(value), _KINDS[wanted][0], unit, wanted) if math.isfinite(value) else value


def _scaled(number: str, kind: str, unit: str, wanted: str) -> int | float:
    sizes = SIZES[kind]
    return _plain(Fraction(number) * sizes[unit] / sizes[_KINDS[wanted][1]])


def _plain(number: Fraction | float) -> int | float:
    """A number as one would write it into YAML."""
    return int(number) if -LARGEST_WHOLE < number < LARGEST_WHOLE and number == int(number) else float(number)


def _sections(annotation: Any) -> Iterator[type[Section]]:
    """The sections within a type."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)


def _holds(annotation: Any, kind: type) -> bool:
    """Whether values of a type may be of this kind, or may hold such values."""
    arguments = get_args(annotation)
    if kind is str and any(isinstance(part, str) for part in arguments):
        return True
    return annotation is kind or any(_holds(part, kind) for part in arguments)
