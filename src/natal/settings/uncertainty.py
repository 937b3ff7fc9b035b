"""Section `uncertainty`: methods compared on the test runs."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from natal.settings.base import Different, Section, SpreadCount
from natal.settings.likelihood import KINDS, Kind

Method = Literal[
    Kind,
    "mc_dropout",
    "bayesian",
    "bayesian_variance",
    "variance_head",
    "conformal",
    "conformal_scaled",
    "conformal_by_point",
]
Iterations = Annotated[int, Field(ge=50)]


class BayesianSettings(Section):
    """A network whose weights NUTS samples."""

    section: ClassVar[str] = "uncertainty.bayesian"

    hidden: Annotated[int, Field(ge=0)] = 16
    """neurons of the Bayesian network; 0 for a linear model"""
    warmup: Iterations = 600
    """NUTS iterations of each of its two chains, not kept"""
    draws: Iterations = 600
    """NUTS iterations of each chain, kept"""
    kept: SpreadCount = 64
    """draws of both chains that predict"""


class UncertaintySettings(Section):
    """Methods compared, the chosen likelihood first."""

    section: ClassVar[str] = "uncertainty"

    methods: Annotated[tuple[Method, ...], *Different]
    """compared with the chosen likelihood (`docs/explanation/uncertainty.md`)"""
    dropout_rate: Annotated[float, Field(gt=0, lt=1)]
    """share of hidden neurons that MC dropout drops"""
    masks: SpreadCount
    """sets of dropped neurons, drawn once"""
    bayesian: BayesianSettings
    nuts_cases: Annotated[int, Field(ge=0)]
    """test clusters that NUTS recovers with each method; 0 for none"""

    def likelihoods(self, own: str) -> list[str]:
        """Choose the likelihoods to compare.

        Args:
            own: The campaign's; it comes first, asked for or not.

        Returns:
            Their names.
        """
        return [own, *(name for name in KINDS if name in self.methods and name != own)]
