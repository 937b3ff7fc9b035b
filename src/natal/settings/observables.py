"""Section `observables`: what an observer sees of a cluster, and what is believed before."""

from typing import Annotated, ClassVar

from pydantic import Field

from natal.settings.base import Section
from natal.settings.design import BirthRanges


class Observables(Section):
    """Clusters of which other things are known than the three summaries (`docs/explanation/observables.md`)."""

    section: ClassVar[str] = "observables"

    aperture: Annotated[float, Field(ge=2, le=20)] = 4.0
    """radius of the circle whose stars are observed, in units of the projected radius that holds half of them; below 2
    it would shrink to nothing"""
    prior: BirthRanges | None = None
    """uniform prior of all observed clusters; `null`: the campaign's own at the age and mass it was simulated for, else
    the same in units in which gravity looks the same"""
    in_report: bool = True
    """whether the report's sliders know observables, too: their law is trained for it, two minutes; a table of such
    clusters has it trained anyway"""
    nuts_clusters: Annotated[int, Field(ge=0)] = 0
    """how many clusters of such a table, from the first on, NUTS samples as well, over age and mass, too; the others
    are answered on the grid alone. Each set of observables takes most of a minute to compile"""
    mocks: Annotated[int, Field(ge=30, le=100_000)] = 2000
    """mock clusters, seen as real ones are, that the target check_observables answers"""
