"""Section `inference`: posteriors on a grid and by NUTS."""

from typing import Annotated, ClassVar

from pydantic import Field

from natal.settings.base import Count, Listed, Section
from natal.settings.design import BirthRanges
from natal.settings.mistakes import Allowed

Iterations = Annotated[int, Field(ge=50)]
Cells = Annotated[int, Field(ge=16)]


class NutsSettings(Section):
    """The sampler."""

    section: ClassVar[str] = "inference"

    chains: Annotated[int, Field(ge=2), Allowed(text="{}, as R-hat needs two")] = 4
    """NUTS chains for each case"""
    warmup: Iterations = 50
    """iterations a chain, not kept"""
    draws: Iterations = 500
    """iterations a chain, kept"""
    step_size: Annotated[float, Field(gt=0, le=2)] = 0.8
    """length of a leapfrog step, in standard deviations of the posterior"""
    max_tree_depth: Annotated[int, Field(ge=1, le=12)] = 2
    """at most 2^depth - 1 leapfrog steps an iteration; a batch waits for its deepest tree"""
    cases_per_batch: Count = 32
    """cases sampled together on one device"""


class Inference(NutsSettings):
    """Posteriors of a campaign."""

    prior: BirthRanges | None
    """uniform prior, a box within `design.box`; `null` takes all of it"""
    grid: Annotated[tuple[Cells, Cells], Listed, Allowed(text="{}, the cells in q0 and a")]
    """cells of the grid posterior, which NUTS is checked against"""
    calibration_draws: Annotated[int, Field(ge=10)]
    """nearly independent draws (10 iterations apart) of each calibration cluster's posterior, from all chains"""
    calibration_nuts: Annotated[int, Field(ge=20)]
    """calibration clusters that NUTS samples, for ranks; the grid answers them all"""
    nuts_clusters: Annotated[int, Field(ge=0)]
    """how many of your own clusters, from the first on, NUTS samples as well; the others are answered on the grid
    alone"""
