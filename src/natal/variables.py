"""The variables of a campaign, declared once: what a cluster is born with, and what one sees of it.

Columns, networks, laws, grids, tables and figures read these declarations. A further variable is one entry here and the
function that computes it. Standard library only: every Snakemake call reads this.

Examples:
    >>> BIRTH.names, SUMMARIES.names
    (('q0', 'a_au'), ('f_bound', 'sigma_v_kms', 'r_h_au'))
    >>> SUMMARIES["r_h_au"].unit, SUMMARIES["r_h_au"].meaning
    ('AU', 'half-mass radius of the bound stars')
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

Box = dict[str, tuple[float, float]]
"""A range (low, high) of each birth condition, by name."""

Limits = tuple[tuple[float, float], ...]
"""A box without its names, in the order of `BIRTH`: hashable, as compiled programs want it."""

SPLITS = ("train", "validation", "test")
"""What a point of the design is for: to train networks, to stop and judge the training, to test what comes out."""

CALIBRATION = "calibration"
"""The split of independent draws from a uniform prior on the box, one realization each, for checks only."""

LARGEST = 1e15
"""The largest measured value or error: laws are evaluated in single precision, which ends at 3e38, and square them."""

Function = Callable[[Any], Any]
"""`log` or `logit` of an array library."""

SIZE_POWERS = {"1": 0.0, "K/|W|": 0.0, "AU": 1.0, "km/s": -0.5, "yr": 1.5}
"""By unit: the power of a cluster's size with which a number grows, since self-gravity has no scale of its own.

A cluster that is twice as large at the same mass and virial ratio has velocities smaller by sqrt(2), and all happens
2^1.5 times as slowly.
"""


@dataclass(frozen=True)
class Variable:
    """One number of a cluster."""

    name: str
    """Of columns, datasets and arguments; it ends with the unit."""
    unit: str
    """One of `SIZE_POWERS`, or Msun; "1" for a number without a unit."""
    transform: Literal["none", "log", "count"] = "none"
    """The form in which its laws are closest to normal, and in which a birth condition is evenly spread.

    `count` is for a share of the cluster's stars: it becomes the logit of a count.
    """
    support: Literal["positive", "fraction", "real"] = "positive"
    """What a measured value may be; a `fraction` is above 0 and at most 1."""
    observable: bool = False
    """Whether someone with a telescope can have it."""
    _: KW_ONLY
    # given by name, so that they do not count for stages that draw nothing (`natal.provenance.source`)
    symbol: str
    """As figures show it, in LaTeX."""
    meaning: str
    """In a few words."""

    @property
    def size_power(self) -> float:
        """The power of a cluster's size with which this number grows (`SIZE_POWERS`)."""
        return SIZE_POWERS[self.unit]

    @property
    def shown_unit(self) -> str:
        """The unit to print behind a number; empty where there is none."""
        return "" if self.unit in ("1", "K/|W|") else self.unit

    @property
    def label(self) -> str:
        """The label of an axis."""
        if self.unit == "K/|W|":
            return r"$Q_0 = K/|W|$"
        return f"{self.symbol} [{self.shown_unit}]" if self.shown_unit else self.symbol

    def transformed(self, values: Any, *, log: Function, logit: Function | None = None, n_stars: int = 0) -> Any:
        """Bring values into the form of `transform`.

        Args:
            values: In the variable's unit.
            log: The logarithm of the array library in use.
            logit: Its logit; needed for a count only.
            n_stars: Stars of the cluster; needed for a count only. Half a star is added to those that count and half a
                star to those that do not, since a share may be 0 or 1.

        Returns:
            Values of the same shape.

        Examples:
            >>> SUMMARIES["r_h_au"].transformed(100.0, log=math.log10)
            2.0
        """
        if self.transform == "log":
            return log(values)
        if self.transform == "count":
            assert logit is not None
            return logit((n_stars * values + 0.5) / (n_stars + 1))
        return values

    def check_measured(self, value: float) -> None:
        """Check a measured value.

        Args:
            value: In the variable's unit.

        Raises:
            ValueError: It cannot be; the text says what is allowed.

        Examples:
            >>> SUMMARIES["f_bound"].check_measured(1.2)
            Traceback (most recent call last):
            ValueError: must be above 0 and at most 1
        """
        _check_represented(value)
        if (self.support != "real" and value <= 0) or (self.support == "fraction" and value > 1):
            raise ValueError("must be above 0 and at most 1" if self.support == "fraction" else "must be above 0")
        if self.support != "real" and value < 1 / LARGEST:
            raise ValueError(f"must be at least {1 / LARGEST:g}: natal computes with no smaller numbers")


class Variables(Mapping[str, Variable]):
    """Variables in their order, by name. Iteration gives the names, in the order of table columns and array axes.

    Args:
        variables: The variables.
    """

    def __init__(self, *variables: Variable) -> None:
        self._by_name = {variable.name: variable for variable in variables}
        self.names = tuple(self._by_name)

    def __getitem__(self, name: str) -> Variable:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def errors(self) -> tuple[str, ...]:
        """Column names of the standard errors of measured values: `<name>_err`."""
        return tuple(f"{name}_err" for name in self.names)


BIRTH = Variables(
    Variable("q0", "K/|W|", symbol=r"$Q_0$", meaning="virial ratio at birth"),
    Variable("a_au", "AU", "log", symbol=r"$a$", meaning="Plummer scale radius at birth"),
)
"""Birth conditions: the inputs of the networks, the parameters of the posteriors."""

SIZE = BIRTH.names.index("a_au")
"""Place in `BIRTH` of the size that `SIZE_POWERS` speak of."""

SUMMARIES = Variables(
    Variable("f_bound", "1", "count", "fraction", symbol=r"$f_{\rm bound}$", meaning="bound mass over total mass"),
    Variable(
        "sigma_v_kms",
        "km/s",
        "log",
        symbol=r"$\sigma_v$",
        meaning="one-dimensional velocity dispersion of the bound stars",
    ),
    Variable("r_h_au", "AU", "log", symbol=r"$r_h$", meaning="half-mass radius of the bound stars"),
)
"""What a simulated cluster is reduced to: the outputs of the networks, the data of the posteriors."""

SURVIVAL = ("n_bound", "dissolved")
"""Columns beside the summaries: the number of bound stars, and whether they are too few to be a cluster."""

MIN_BOUND_STARS = 5
"""With fewer bound stars a cluster is dissolved, and has no summaries but the bound fraction."""


def limits_of(box: Mapping[str, Sequence[float]]) -> Limits:
    """A box without its names.

    Args:
        box: Range of each birth condition, by name, in any order.

    Returns:
        The ranges in the order of `BIRTH`.

    Examples:
        >>> limits_of({"a_au": [50, 200], "q0": [0.5, 1.5]})
        ((0.5, 1.5), (50, 200))
    """
    return tuple((low, high) for low, high in (box[name] for name in BIRTH))


def check_measured(column: str, value: float) -> None:
    """Check a measured summary, or its standard error.

    Args:
        column: Name of the summary, or `<name>_err`.
        value: In the summary's unit.

    Raises:
        ValueError: It cannot be; the text says what is allowed.

    Examples:
        >>> check_measured("sigma_v_kms_err", -0.1)
        Traceback (most recent call last):
        ValueError: must not be negative
    """
    if column not in SUMMARIES.errors:
        SUMMARIES[column].check_measured(value)
    else:
        _check_represented(value)
        if value < 0:
            raise ValueError("must not be negative")


def _check_represented(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    if abs(value) > LARGEST:
        raise ValueError(f"must be at most {LARGEST:g}: natal computes with no larger numbers")
