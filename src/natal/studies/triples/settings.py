"""Configuration of the study `triples`. Nothing heavy is imported: the Snakefile reads it."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from natal.settings.base import Count, FolderName, LowerFirst, Positive, Range, RuleError, Section, Seed

Number = Annotated[int, Field(ge=10, le=1_000_000)]
Share = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=1, le=10_000)]
Eccentricity = Annotated[float, Field(ge=0, le=0.95)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


class Prior(Section):
    """Independent ranges, cut where the two orbits would cross at birth.

    Period ratio P_outer/P_inner and outer mass ratio m3/(m1+m2) are log-uniform, eccentricities and the inner mass
    ratio m2/m1 uniform, directions isotropic (cos of the mutual inclination uniform), phases uniform in time.
    """

    period_ratio: Annotated[tuple[Ratio, Ratio], *LowerFirst] = (3.0, 100.0)
    e_inner: Annotated[tuple[Eccentricity, Eccentricity], *LowerFirst] = (0.0, 0.9)
    e_outer: Annotated[tuple[Eccentricity, Eccentricity], *LowerFirst] = (0.0, 0.8)
    mass_ratio_inner: Annotated[tuple[Share, Share], *LowerFirst] = (0.1, 1.0)
    mass_ratio_outer: Range = (0.1, 10.0)
    cos_inclination: Annotated[tuple[Cosine, Cosine], *LowerFirst] = (-1.0, 1.0)


class SplitSizes(Section):
    """How many triples are followed."""

    train: Number
    validation: Number
    test: Number


class Following(Section):
    """How triples are followed."""

    n_orbits: Positive
    eta: Annotated[float, Field(gt=0, le=0.2)]
    slots: Annotated[int, Field(ge=1, le=65536)]
    shards: Annotated[int, Field(ge=1, le=1000)]


class LabelChecks(Section):
    """The first triples once more, with a finer step and with a neighbour."""

    triples: Count
    step_factor: Fraction
    shift: Annotated[float, Field(gt=0, le=0.01)]
    parted: Share


class ClassifierSettings(Section):
    """An ensemble of networks, and their training."""

    members: Annotated[int, Field(ge=1, le=100)] = 5
    width: Annotated[int, Field(ge=1, le=1024)] = 64
    depth: Annotated[int, Field(ge=0, le=8)] = 2
    learning_rate: Positive = 3.0e-3
    max_epochs: Count = 1500
    patience: Count = 150


class Evaluation(Section):
    """Scores on the test triples."""

    bins: Annotated[int, Field(ge=2, le=100)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]


class Triples(Section):
    """Configuration of the study `triples`."""

    name: FolderName
    seed: Seed
    prior: Prior
    triples: SplitSizes
    integration: Following
    unstable_change: Fraction
    chaotic_megno: Annotated[float, Field(gt=2, le=1000)]
    checks: LabelChecks
    classifier: ClassifierSettings
    evaluation: Evaluation

    def rules(self) -> Iterator[RuleError]:
        """Checks follow training triples."""
        n_all = self.triples.train
        if self.checks.triples > n_all:
            yield RuleError("checks.triples", f"at most triples.train = {n_all}, which are checked")
