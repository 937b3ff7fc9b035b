"""The variables of a campaign, declared once: what a cluster is born with, and what one sees of it.

Columns, networks, laws, grids, tables and figures read these declarations. A further variable is one entry here and the
function that computes it. Standard library only: every Snakemake call reads this.
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

CALIBRATION = "calibration"
"""The split of independent draws from a uniform prior on the box, one realization each, for checks only."""

LARGEST = 1e15
"""The largest measured value or error: laws are evaluated in single precision, which ends at 3e38, and square them."""

Function = Callable[[Any], Any]

SIZE_POWERS = {"1": 0.0, "K/|W|": 0.0, "AU": 1.0, "km/s": -0.5, "yr": 1.5}
"""By unit: the power of a cluster's size that a number goes with, since self-gravity has no scale of its own."""


@dataclass(frozen=True)
class Variable:
    """One number of a cluster.

    `transform` says in which form a law of it is closest to normal, and a birth condition evenly spread: `log`, or
    `count` for a share of the cluster's stars, which is the logit of a count, or `none`. `support` is what a measured
    value may be. `observable` tells whether someone with a telescope can have it.
    """

    name: str
    unit: str
    transform: Literal["none", "log", "count"] = "none"
    support: Literal["positive", "fraction", "real"] = "positive"
    observable: bool = False
    _: KW_ONLY
    # by name: for stages that draw nothing they are words (`natal.provenance.source`)
    symbol: str
    meaning: str

    @property
    def size_power(self) -> float:
        """The power of a cluster's size that this goes with (`SIZE_POWERS`)."""
        return SIZE_POWERS[self.unit]

    @property
    def shown_unit(self) -> str:
        """The unit behind a number in a text; empty where numbers have none."""
        return "" if self.unit in ("1", "K/|W|") else self.unit

    @property
    def label(self) -> str:
        """An axis label."""
        if self.unit == "K/|W|":
            return r"$Q_0 = K/|W|$"
        return f"{self.symbol} [{self.shown_unit}]" if self.shown_unit else self.symbol

    def transformed(self, values: Any, *, log: Function, logit: Function | None = None, n_stars: int = 0) -> Any:
        """Values in the form of `transform`; `log` and `logit` are those of the array library in use.

        Of a count, the only one to need `logit` and `n_stars`, half a star is added to those in it and to those not: a
        share may be 0 or 1.
        """
        if self.transform == "log":
            return log(values)
        if self.transform == "count":
            assert logit is not None
            return logit((n_stars * values + 0.5) / (n_stars + 1))
        return values

    def check_measured(self, value: float) -> None:
        """Raise `ValueError` saying what a measured value must be, if this one is not."""
        _check_represented(value)
        if (self.support != "real" and value <= 0) or (self.support == "fraction" and value > 1):
            raise ValueError("must be above 0 and at most 1" if self.support == "fraction" else "must be above 0")
        if self.support != "real" and value < 1 / LARGEST:
            raise ValueError(f"must be at least {1 / LARGEST:g}: laws of clusters know no smaller number")


class Variables(Mapping[str, Variable]):
    """Variables in their order; iterates over the names, as table columns and array axes follow them."""

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
        """Column names of the standard errors of measured values."""
        return tuple(f"{name}_err" for name in self.names)


BIRTH = Variables(
    Variable("q0", "K/|W|", symbol=r"$Q_0$", meaning="virial ratio at birth"),
    Variable("a_au", "AU", "log", symbol=r"$a$", meaning="Plummer scale radius at birth"),
)
"""Birth conditions: the inputs of the networks, the parameters of the posteriors."""

SIZE = BIRTH.names.index("a_au")
"""Which birth condition is the size that `SIZE_POWERS` speak of."""

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
"""Fewer bound stars are no cluster: it is dissolved, and has no summaries but the bound fraction."""


def limits_of(box: Mapping[str, Sequence[float]]) -> Limits:
    """A box without its names."""
    return tuple((low, high) for low, high in (box[name] for name in BIRTH))


def check_measured(column: str, value: float) -> None:
    """Raise `ValueError` saying what a measured summary, or a standard error (`<name>_err`), must be and is not."""
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
        raise ValueError(f"must be at most {LARGEST:g}: laws of clusters know no larger number")
