"""What a column of a table of clusters means, by its name and its unit."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from natal.observables.declared import CIRCUMSTANCES, MEASURABLE
from natal.variables import Variable, Variables

N_STARS = Variable("n_stars", "1", observable=True, symbol="$N$", meaning="number of stars")

KNOWN = Variables(*MEASURABLE.values(), *CIRCUMSTANCES.values(), N_STARS)
"""All that a column can give, besides a name."""

PARTS = ("", "_err", "_err_low", "_err_high", "_lower", "_upper")
"""What may stand behind a variable's name: nothing for its value, an error, an error to one side, a limit."""

KEPT = ("", "_err_low", "_err_high", "_lower", "_upper")
"""Parts that answers take."""

WANTED = {
    "AU": ("a length", "pc"),
    "km/s": ("a velocity", "kms"),
    "yr": ("a time", "myr"),
    "Msun": ("a mass", "msun"),
    "": ("a number", ""),
}
"""By a variable's unit: what it is, and a suffix that names a unit of it."""

SPELLED = (
    *("AU", "pc", "kpc", "lyr", "cm", "m", "km", "s", "yr", "kyr", "Myr", "Gyr", "g", "kg", "Msun", "percent"),
    *("cm/s", "m/s", "km/s", "AU/yr", "pc/Myr", "deg", "arcmin", "arcsec", "mas", "mas/yr", "arcsec/yr"),
)
"""Units that a column's name may end with."""

SUFFIXES = {unit.casefold().replace("/", "_"): unit for unit in SPELLED}
"""Units as names of columns spell them, whatever the case: `r_hp_pc`, `age_Myr`, `sigma_los_m_s`."""
SUFFIXES |= {"kms": "km/s", "km_s_1": "km/s", "km_per_s": "km/s", "solmass": "Msun", "m_sun": "Msun", "masyr": "mas/yr"}
"""Units as names of columns spell them, in any case: `r_hp_pc`, `age_Myr`, `sigma_los_m_s`."""

ABOUT_ERRORS = {
    *("e", "err", "errs", "error", "errors", "unc", "uncertainty", "sd", "std", "sig", "sigma", "plus", "minus", "pos"),
    *("neg", "l", "lo", "low", "lower", "ll", "u", "up", "upper", "ul", "hi", "high", "lim", "limit", "min", "max"),
}
"""Words of a name that speak of an error or a limit: if it were overlooked, the value would count as exact."""


@dataclass(frozen=True)
class Column:
    """A column that natal reads."""

    name: str
    """As in the file."""
    variable: Variable
    """What it is about."""
    part: str
    """What it says of the variable: one of `PARTS`."""
    unit: str
    """Of its numbers, as messages show it."""
    factor: float
    """What brings its numbers to natal's unit."""


def understand(name: str, unit: str | None, known: Variables = KNOWN) -> Column | None:
    """What a column means.

    Args:
        name: As in the file: a variable's name without its unit, then a unit and a part (`PARTS`) in either order. A
            unit may also stand in brackets behind it.
        unit: The unit that the file gives besides, as astropy writes it.
        known: The variables that it may be of.

    Returns:
        The column; None for one that is about something else.

    Raises:
        ValueError: It is about a variable, but unit or part are missing, wrong or contradict each other.

    Examples:
        >>> column = understand("r_hp_pc_err", None)
        >>> column.variable.name, column.part, round(column.factor)
        ('r_hp_au', '_err', 206265)
        >>> understand("colour", None) is None
        True
        >>> understand("age", None)
        Traceback (most recent call last):
        ValueError: has no unit: write age_myr, or give the file's column a unit of time
    """
    text, in_brackets = _without_brackets(name.strip())
    words = [word for word in re.split(r"[\s_-]+", text) if word]
    plain = [word.casefold() for word in words]
    if plain and plain[0] in ABOUT_ERRORS:
        for variable in known.values():
            if _begins_with(variable, plain[1:]):
                raise ValueError(f"looks like an error or a limit of {_stem(variable)}: {_how_to_write(variable, [])}")
    for variable in known.values():
        if _begins_with(variable, plain):
            n = len(_stem(variable).split("_"))
            found = _part_and_suffix(plain[n:])
            if found is None:
                _refuse_what_matters(variable, words[n:])
                return None
            part, suffix = found
            if variable is N_STARS and part:
                return None
            factor, shown = _conversion(variable, part, [SUFFIXES.get(suffix), in_brackets, unit])
            return Column(name, variable, part, shown, factor)
    return None


def checked(variable: Variable, part: str, value: float) -> float:
    """A number that is said of a variable, once it is known to be possible.

    Args:
        variable: What it is about, one of `KNOWN`.
        part: What it says of it, one of `PARTS`.
        value: The number, in natal's unit.

    Returns:
        The number; NaN for a lower limit of 0 that limits nothing.

    Raises:
        ValueError: It cannot be.

    Examples:
        >>> checked(KNOWN["r_hp_au"], "_err", -1.0)
        Traceback (most recent call last):
        ValueError: must not be negative
    """
    # "above 0" does not limit what is positive anyway
    if part == "_lower" and value == 0 and variable.support != "real":
        return math.nan
    if "_err" in part:
        replace(variable, support="real").check_measured(value)
        if value < 0:
            raise ValueError("must not be negative")
    else:
        variable.check_measured(value)
    if variable is N_STARS and value % 1 > 0:
        raise ValueError("must be a whole number above 0")
    return value


def contradiction(given: Mapping[str, float]) -> tuple[str, str] | None:
    """What cannot stand beside the rest of what is said of a variable.

    Args:
        given: Numbers by part (`PARTS`); what is not given is absent or NaN.

    Returns:
        The part, and what is wrong with it in words; None if all of it goes together.

    Examples:
        >>> contradiction({"": 1.0, "_upper": 2.0})
        ('_upper', 'is a limit beside a value: leave one of the two empty')
    """
    known = {part: given[part] for part in PARTS if not math.isnan(given.get(part, math.nan))}
    errors = [part for part in known if "_err" in part]
    sides = known.keys() & {"_err_low", "_err_high"}
    if "" in known and (limits := known.keys() & {"_lower", "_upper"}):
        return max(limits), "is a limit beside a value: leave one of the two empty"
    if "" not in known and any(known[part] > 0 for part in errors):
        return errors[0], "is the error of a value that is missing"
    if "" in known and "_err" in known and sides:
        return "_err", "is an error to both sides beside one to one side: leave one of the two empty"
    if known.get("_lower", -math.inf) >= known.get("_upper", math.inf):
        return "_lower", "must be below the upper limit"
    if "" in known and len(sides) == 1:
        return errors[0], "is an error to one side: give both _err_low and _err_high"
    return None


def incomplete(given: Mapping[str, float]) -> tuple[str, str, str] | None:
    """What is missing beside the age or the mass of a cluster.

    Args:
        given: Numbers of one cluster by variable and part (`KEPT`); what is not given is absent or NaN.

    Returns:
        The variable, the part of it that is given, and what is wrong in words; None if nothing is missing.

    Examples:
        >>> incomplete({"age_yr": 2e6})
        ('age_yr', '', 'give age and mass, or neither for the time and mass that the campaign simulated')
    """
    parts = {
        name: [part for part in ("", "_lower", "_upper") if not math.isnan(given.get(name + part, math.nan))]
        for name in CIRCUMSTANCES
    }
    for name, found in parts.items():
        if found in (["_lower"], ["_upper"]):
            return name, found[0], "is a limit alone: give the other one, too, or a value"
    told = [(name, found[0]) for name, found in parts.items() if found]
    if len(told) == 1:
        return *told[0], "give age and mass, or neither for the time and mass that the campaign simulated"
    return None


def completed(given: Mapping[str, float]) -> dict[str, float]:
    """All that answers take of a variable, from what is given without `contradiction`.

    Args:
        given: Numbers by part (`PARTS`); what is not given is absent or NaN.

    Returns:
        Numbers by part (`KEPT`): an error counts for both sides, none as 0; all else that is not given is NaN.
    """
    found = {part: given.get(part, math.nan) for part in PARTS}
    for side in ("_err_low", "_err_high"):
        if math.isnan(found[""]):
            found[side] = math.nan
        elif math.isnan(found[side]):
            found[side] = 0.0 if math.isnan(found["_err"]) else found["_err"]
    return {part: found[part] for part in KEPT}


def _stem(variable: Variable) -> str:
    """A variable's name without its unit."""
    return variable.name.rpartition("_")[0] if variable.shown_unit else variable.name


def _begins_with(variable: Variable, words: list[str]) -> bool:
    stem = _stem(variable).split("_")
    return words[: len(stem)] == stem


def _without_brackets(name: str) -> tuple[str, str | None]:
    found = re.fullmatch(r"(.+?)\s*[\[(](.+)[\])]", name)
    return (found[1], found[2]) if found else (name, None)


def _part_and_suffix(words: list[str]) -> tuple[str, str] | None:
    """Read the words behind a variable's name as a part (`PARTS`) and a unit's suffix; None for other words."""
    for part in PARTS:
        of_part = part.split("_")[1:]
        n = len(of_part)
        for rest in ([words[n:]] if words[:n] == of_part else []) + (
            [words[:-n]] if n and words[-n:] == of_part else []
        ):
            if not rest or "_".join(rest) in SUFFIXES:
                return part, "_".join(rest)
    return None


def _refuse_what_matters(variable: Variable, words: list[str]) -> None:
    """Raise `ValueError` if words behind a variable's name speak of an error, a limit or a unit."""
    behind = "_".join(words)
    if ABOUT_ERRORS & {word.casefold() for word in words}:
        raise ValueError(f"looks like an error or a limit of {_stem(variable)}: {_how_to_write(variable, words)}")
    unit = _unit(behind) if len(words) == 1 else None
    if unit is not None and unit.is_equivalent(_of(variable)):
        allowed = [suffix for suffix, known in SUFFIXES.items() if _unit(known).is_equivalent(_of(variable))]
        raise ValueError(
            f"ends in {behind!r}, a unit that natal does not read in a name ({', '.join(allowed)} it does)"
        )


def _how_to_write(variable: Variable, words: list[str]) -> str:
    suffix = next((word for word in words if word.casefold() in SUFFIXES), WANTED[variable.shown_unit][1])
    stem = "_".join(filter(None, (_stem(variable), suffix)))
    return f"write {', '.join(stem + part for part in PARTS[1:])}, or take the column out"


def _unit(text: str) -> Any:
    """An astropy unit; None if the text is no unit."""
    from astropy import units

    try:
        return units.Unit(text)
    except (ValueError, TypeError):
        return None


def _of(variable: Variable) -> Any:
    return _unit(variable.shown_unit)


def _conversion(variable: Variable, part: str, given: list[str | None]) -> tuple[float, str]:
    """The factor from the units given, which must agree, to natal's unit, and the unit as messages show it."""
    from astropy import units

    what, suffix = WANTED[variable.shown_unit]
    advice = f"write {_stem(variable)}_{suffix}{part}, or give the file's column a unit of {what.split()[-1]}"
    if not suffix:
        advice = "it needs none"
    texts = [text for text in given if text]
    if not texts:
        if not variable.shown_unit:
            return 1.0, ""
        raise ValueError(f"has no unit: {advice}")
    found = [_unit(text) for text in texts]
    for text, unit in zip(texts, found, strict=True):
        if unit is None:
            raise ValueError(f"has a unit that is not known, {text!r}: {advice}")
        if not isinstance(unit, units.UnitBase):
            raise ValueError(f"is a logarithm ({text}): give the number itself, in a unit of {what.split()[-1]}")
    if any(unit != found[0] for unit in found):
        raise ValueError(f"has two units that contradict each other: {' and '.join(texts)}")
    (text, *_), (unit, *_) = texts, found
    # for astropy, angles have a dimension of their own
    if variable.unit in ("AU", "km/s") and any(unit.is_equivalent(angle) for angle in (units.rad, units.rad / units.s)):
        hint = "multiply with the cluster's distance (1 mas at 1 kpc is 1 AU, 1 mas/yr is 4.74 km/s)"
        raise ValueError(f"is in {text}, an angle: natal needs {what}, so {hint}")
    if not unit.is_equivalent(_of(variable)):
        raise ValueError(
            f"is in {text}, but must be {what}" + (f", as in {_stem(variable)}_{suffix}" if suffix else "")
        )
    return float(unit.to(_of(variable))), text
