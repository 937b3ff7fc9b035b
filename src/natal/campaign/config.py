"""Checks a campaign's configuration before anything runs, with one line for each mistake."""

import difflib
import sys
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from natal.campaign import plan
from natal.campaign.tables import read_observations
from natal.errors import NatalError
from natal.settings.cluster import KROUPA_BREAK_MSUN

Config = dict[str, Any]

MAX_STEPS = 1e9


def _is_integer(_: Any, value: Any) -> bool:
    # JSON takes 100.0 for an integer, Python's range() does not
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite_number(_: Any, value: Any) -> bool:
    # a comparison, since a whole number may be too large to become a float
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


CheckedValidator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer).redefine(
        "number", _is_finite_number
    ),
)


def check_schema(config: Any, schema: dict[str, Any]) -> None:
    """Check `config`, as read from YAML, against a JSON schema whose descriptions say what is allowed.

    Raises `NatalError` with one line for each mistake: the key, its value and what is allowed.
    """
    if not isinstance(config, dict):
        raise NatalError(f"config: must be a mapping with the keys {', '.join(schema['required'])}, not {config!r}")
    found: dict[str, ValidationError] = {}
    for error in CheckedValidator(schema).iter_errors(config):
        # one line a key, however many rules it breaks
        found.setdefault(error.json_path, error)
    _refuse([line for path in sorted(found) for line in _describe(found[path])])


def validate(config: Any, schema: dict[str, Any]) -> None:
    """Check a campaign's `config` against its schema, then what a schema cannot say.

    Raises `NatalError` with one line for each mistake: the key, its value and what is allowed.
    """
    check_schema(config, schema)
    _refuse([*_ranges(config), *_time_steps(config), *_masses(config), *_sizes(config), *_adaptive(config)])
    if config["design"]["table"]:
        plan.read_table(config)
    plan.proposed_blocks(config)
    if config["observations"]:
        read_observations(config["observations"])


def _refuse(lines: list[str]) -> None:
    if lines:
        raise NatalError("\n".join(f"config: {line}" for line in lines))


def refuse_repeated_keys(paths: list[str]) -> None:
    """Refuse configuration files that give a key twice: YAML would silently take the last one.

    Raises `NatalError` with one line for each, naming file, line and key.
    """
    lines = []
    for path in paths:
        waiting = [yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, yaml.MappingNode):
                continue
            seen = set()
            for key, value in node.value:
                if key.value in seen:
                    lines.append(f"{path}, line {key.start_mark.line + 1}: the key {key.value} is given twice")
                seen.add(key.value)
                waiting.append(value)
    if lines:
        raise NatalError("\n".join(lines))


def _describe(error: ValidationError) -> list[str]:
    """Turn one schema violation into lines of the form 'key = value is not allowed: what is'."""
    schema: dict[str, Any] = error.schema  # type: ignore[assignment]
    instance: Any = error.instance
    path = ".".join(str(part) for part in error.absolute_path)
    prefix = f"{path}." if path else ""
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        lines = []
        for key in [key for key in instance if key not in known]:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            lines.append(f"unknown key {prefix}{key}{hint}; allowed: {', '.join(known)}")
        return lines
    if error.validator == "required":
        return [f"key {prefix}{key} is missing" for key in schema["required"] if key not in instance]
    allowed = schema.get("description", error.message)
    if isinstance(instance, str) and _has_exponent(instance):
        allowed += " (YAML reads this as text: write 1.0e-3, with a point, not 1e-3)"
    return [f"{path} = {instance!r} is not allowed: {allowed}"]


def _has_exponent(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "e" in text.lower()


def _ranges(config: Config) -> list[str]:
    lines = []
    for name, ranges in (
        ("design.box", config["design"]["box"]),
        ("inference.prior", config["inference"]["prior"]),
        ("cluster", {"imf_mass_range_msun": config["cluster"]["imf_mass_range_msun"]}),
    ):
        for key, (low, high) in (ranges or {}).items():
            if not low < high:
                lines.append(f"{name}.{key} = [{low}, {high}] is not allowed: the first value must be below the second")
    for key, (low, high) in (config["inference"]["prior"] or {}).items():
        box_low, box_high = config["design"]["box"][key]
        if low < box_low or high > box_high:
            lines.append(
                f"inference.prior.{key} = [{low}, {high}] is not allowed: it must lie within design.box.{key} = "
                f"[{box_low}, {box_high}], outside of which the emulator is untested"
            )
    return lines


def _time_steps(config: Config) -> list[str]:
    section = config["integration"]
    # compared as a product: a quotient may overflow
    if section["t_end_yr"] > MAX_STEPS * section["dt_yr"]:
        return [
            f"integration.dt_yr = {section['dt_yr']} is not allowed: it must not fit more than {MAX_STEPS:.0e} times "
            f"into t_end_yr = {section['t_end_yr']} yr"
        ]
    between = section["t_end_yr"] / (section["snapshots"] - 1)
    steps = between / section["dt_yr"]
    if round(steps) >= 1 and abs(steps - round(steps)) <= 1e-9 * steps:
        return []
    return [
        f"integration.dt_yr = {section['dt_yr']} is not allowed: it must fit a whole number of times between "
        f"snapshots, t_end_yr / (snapshots - 1) = {between:g} yr"
    ]


def _masses(config: Config) -> list[str]:
    low, high = config["cluster"]["imf_mass_range_msun"]
    # a range that is reversed is refused as such
    if config["cluster"]["imf"] == "equal" or low < KROUPA_BREAK_MSUN < high or not low < high:
        return []
    return [
        f"cluster.imf_mass_range_msun = [{low}, {high}] is not allowed: the range of a Kroupa mass function must "
        f"contain its break at {KROUPA_BREAK_MSUN} Msun"
    ]


def _sizes(config: Config) -> list[str]:
    largest = plan.MAX_POINTS_PER_SPLIT
    return [
        f"design.{split} = {config['design'][split]} is not allowed: at most {largest} points in all"
        for split in plan.SPLITS
        if sum(config["design"][split]) > largest
    ]


def _adaptive(config: Config) -> list[str]:
    gain = config["adaptive"]["gain"]
    if gain["start"] + gain["step"] <= gain["stop"]:
        return []
    return [
        f"adaptive.gain.stop = {gain['stop']} is not allowed: it must be start + step = "
        f"{gain['start'] + gain['step']} at least"
    ]


def load_schema(path: str | Path) -> dict[str, Any]:
    """Read a JSON schema written as YAML."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
