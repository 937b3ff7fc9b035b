"""Section `cluster`: what a cluster is made of."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from natal.settings.base import Positive, Range, RuleError, Section

KROUPA_BREAK_MSUN = 0.5
"""Where the slope of the mass function of Kroupa (2001) changes."""


class ClusterModel(Section):
    """What a cluster is made of.

    Examples:
        >>> ClusterModel(n_stars=300, imf="kroupa").imf_mass_range_msun
        (0.08, 50.0)
        >>> ClusterModel(n_stars=3)
        Traceback (most recent call last):
        natal.errors.NatalError: cluster.n_stars = 3 is not allowed: a whole number from 5 up
    """

    section: ClassVar[str] = "cluster"

    n_stars: Annotated[int, Field(ge=5)] = 100
    """stars in a cluster; cost grows with its square"""
    star_mass_msun: Positive = 1.0
    """mass of every star when `imf: equal`"""
    imf: Literal["equal", "kroupa"] = "equal"
    """`kroupa`: masses from Kroupa (2001) within `imf_mass_range_msun`"""
    imf_mass_range_msun: Range = (0.08, 50.0)
    """lowest and highest mass with `imf: kroupa`; the break at 0.5 Msun must lie between them"""
    softening_au: Positive = 2.0
    """Plummer softening ε of the forces"""
    truncation_radius: Positive = 10.0
    """largest radius at birth, in units of a"""

    def rules(self) -> Iterator[RuleError]:
        """Both parts of Kroupa's mass function are needed."""
        low, high = self.imf_mass_range_msun
        if self.imf == "kroupa" and not low < KROUPA_BREAK_MSUN < high:
            said = f"the range of a Kroupa mass function must contain its break at {KROUPA_BREAK_MSUN} Msun"
            yield RuleError("imf_mass_range_msun", said)
