"""The variables of a campaign, declared once: what a cluster is born with, and what one sees of it.

Columns, networks, laws, grids, tables and figures read these declarations. A further variable is one entry here and the
function that computes it. Standard library only: every Snakemake call reads this.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Box = dict[str, tuple[float, float]]
"""A range (low, high) of each birth condition, by name."""

Limits = tuple[tuple[float, float], ...]
"""A box without its names, in the order of `BIRTH`: hashable, as compiled programs want it."""

SPLITS = ("train", "validation", "test")

CALIBRATION = "calibration"
"""The split of independent draws from a uniform prior on the box, one realization each, for checks only."""

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Variable:
    """One number of a cluster.

    `transform` says in which form a law of it is closest to normal: `log`, or `count` for a share of the cluster's
    stars, which is the logit of a count, or `none`. `support` is what a measured value may be. `observable` tells
    whether someone with a telescope can have it.
    """

    name: str
    unit: str
    symbol: str
    meaning: str
    transform: Literal["none", "log", "count"] = "none"
    support: Literal["positive", "fraction"] = "positive"
    observable: bool = False

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

    def transformed(self, values: Any, *, n_stars: int, log: Function, logit: Function) -> Any:
        """Values in the form of `transform`; `log` and `logit` are those of the array library in use.

        Of a count, half a star is added to those in it and to those not: a share may be 0 or 1.
        """
        if self.transform == "log":
            return log(values)
        if self.transform == "count":
            return logit((n_stars * values + 0.5) / (n_stars + 1))
        return values

    def refusal(self, value: float) -> str:
        """What a measured value must be and is not, as 'be above 0'; empty if all is well."""
        if not math.isfinite(value):
            return "be a finite number"
        if self.support == "fraction":
            return "" if 0 < value <= 1 else "be above 0 and at most 1"
        return "" if value > 0 else "be above 0"


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
    Variable("q0", "K/|W|", r"$Q_0$", "virial ratio at birth"),
    Variable("a_au", "AU", r"$a$", "Plummer scale radius at birth"),
)
"""Birth conditions: the inputs of the networks, the parameters of the posteriors."""

SUMMARIES = Variables(
    Variable("f_bound", "1", r"$f_{\rm bound}$", "bound mass over total mass", "count", "fraction"),
    Variable("sigma_v_kms", "km/s", r"$\sigma_v$", "one-dimensional velocity dispersion of the bound stars", "log"),
    Variable("r_h_au", "AU", r"$r_h$", "half-mass radius of the bound stars", "log"),
)
"""What a simulated cluster is reduced to: the outputs of the networks, the data of the posteriors."""


def refuse_measured(column: str, value: float) -> str:
    """What a measured summary, or a standard error (`<name>_err`), must be and is not; empty if all is well."""
    if column in SUMMARIES.errors:
        if not math.isfinite(value):
            return "be a finite number"
        return "not be negative" if value < 0 else ""
    return SUMMARIES[column].refusal(value)
