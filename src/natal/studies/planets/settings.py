"""Configuration of the study `planets`. Nothing heavy is imported: the Snakefile reads it."""

from typing import Annotated

from pydantic import Field

from natal.settings.base import Different, FolderName, LowerFirst, Positive, Section, Seed
from natal.studies.triples.settings import ClassifierSettings, Evaluation, SplitSizes

Mass = Annotated[float, Field(gt=0, le=0.01)]
PeriodRatio = Annotated[float, Field(gt=1, le=10)]
Eccentricity = Annotated[float, Field(ge=0, le=0.5)]
Inclination = Annotated[float, Field(ge=0, le=90)]
Depth = Annotated[int, Field(ge=0, le=8)]


class PlanetPrior(Section):
    """Independent ranges, cut where two orbits would cross at birth.

    Masses over the star's and period ratios of neighbours are log-uniform, eccentricities and mutual inclinations of
    neighbours uniform, all other angles uniform in a turn.
    """

    mass: Annotated[tuple[Mass, Mass], *LowerFirst] = (1.0e-5, 1.0e-3)
    period_ratio: Annotated[tuple[PeriodRatio, PeriodRatio], *LowerFirst] = (1.15, 2.2)
    eccentricity: Annotated[tuple[Eccentricity, Eccentricity], *LowerFirst] = (0.0, 0.15)
    inclination_deg: Annotated[tuple[Inclination, Inclination], *LowerFirst] = (0.0, 10.0)


class PlanetFollowing(Section):
    """How systems are followed."""

    n_orbits: Positive
    steps_per_orbit: Annotated[int, Field(ge=8, le=1000)]


class Planets(Section):
    """Configuration of the study `planets`."""

    name: FolderName
    seed: Seed
    prior: PlanetPrior
    systems: SplitSizes
    integration: PlanetFollowing
    classifier: ClassifierSettings
    depths: Annotated[tuple[Depth, ...], *Different, Field(min_length=1)]
    evaluation: Evaluation
