"""Section `population`: the distribution of births behind a table of clusters."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from natal.settings.base import Count, Positive, RuleError, Section, SpreadCount


class Limits(Section):
    """Between which values of an observable clusters are in the table."""

    lower: float | None = None
    """smallest value; `null`: no limit"""
    upper: float | None = None
    """largest value; `null`: no limit"""

    def rules(self) -> Iterator[RuleError]:
        """There is something between the two."""
        if self.lower is not None and self.upper is not None and not self.lower < self.upper:
            yield RuleError("upper", f"it must be above lower = {self.lower:g}")


class Hyperprior(Section):
    """What is believed of the population before the table is read; the centres of its laws are uniform in the box."""

    q0_scale: Positive = 0.5
    """of the normal law of Q0: scale of the half-normal prior of its standard deviation"""
    ln_a_scale: Positive = 0.5
    """the same for ln a"""
    roughness: Positive = 1.0
    """of the law of Q0 in bins: scale of the half-normal prior of the spread of ln density between neighbouring bins"""


class Sampler(Section):
    """NUTS over the population's parameters."""

    chains: SpreadCount = 4
    """chains"""
    warmup: Count = 500
    """iterations of each, not kept"""
    draws: Count = 1000
    """iterations of each, kept"""


class PopulationCheck(Section):
    """Synthetic populations of the target check_population."""

    populations: Annotated[int, Field(ge=20, le=10_000)] = 200
    """how many, drawn from the hyperprior"""
    clusters: Annotated[int, Field(ge=3, le=1000)] = 25
    """in each"""


class Population(Section):
    """The distribution of births behind the table `observations` (`docs/explanation/population.md`)."""

    section: ClassVar[str] = "population"

    in_report: bool = False
    """whether a campaign with a table answers this, too, and its report shows it; else ask for
    `results/<campaign>/population.csv`"""
    survivors: bool = True
    """whether the table holds only clusters that did not dissolve: dissolved ones are then missing from it, but not
    from the population"""
    observable: dict[str, Limits] = Field(default_factory=dict)
    """what else decides that a cluster is in the table: limits by observable, as `{sigma_los_kms: {lower: 0.5}}`"""
    keep_unlike: bool = False
    """whether to keep clusters that the campaign could hardly have made (`prior_predictive_p` below 0.01)"""
    bins: Annotated[int, Field(ge=3, le=24)] = 10
    """bins of the law of Q0 that assumes no shape"""
    prior: Hyperprior = Hyperprior()
    sampler: Sampler = Sampler()
    check: PopulationCheck = PopulationCheck()
