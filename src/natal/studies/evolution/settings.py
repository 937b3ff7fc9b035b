"""Configuration of the study `evolution`. Nothing heavy is imported: the Snakefile reads it."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from natal.settings.base import Count, Different, FolderName, Listed, Positive, Range, RuleError, Section, Seed
from natal.settings.density import DensitySettings
from natal.settings.design import BirthRanges
from natal.settings.inference import NutsSettings
from natal.settings.mistakes import Allowed

Coordinates = Literal["direct", "scaled", "dimensionless"]
Cells = Annotated[int, Field(ge=4, le=200)]
Times = Annotated[tuple[Positive, ...], *Different, Field(min_length=1), Allowed(text="a list of stored times in yr")]


class Bands(Section):
    """Clusters drawn from each law, for bands and coverage."""

    draws: Annotated[int, Field(ge=100)]
    shown_q0: Annotated[
        tuple[Positive, ...],
        Listed,
        Field(min_length=1, max_length=4),
        Allowed(text="a list of one to four values of Q0"),
    ]


class AgeLaw(Section):
    """What is known of the age; mean and deviation null: uniform in the range."""

    model_config = ConfigDict(json_schema_extra={"allowed": "a mapping with range_yr, mean_yr and sigma_yr"})

    range_yr: Range
    mean_yr: Positive | None
    sigma_yr: Positive | None


class Recovery(NutsSettings):
    """Births recovered without knowing the age."""

    cases: Annotated[int, Field(ge=10)]
    grid: Annotated[tuple[Cells, Cells, Cells], Listed, Allowed(text="{}, cells in q0, a and t")]
    nuts_cases: Count


class PrimerSettings(Section):
    """A textbook's network for the same clusters, with and without its dropout."""

    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Listed, Field(min_length=1)]
    dropout: Annotated[float, Field(gt=0, lt=1)]
    members: Count
    learning_rate: Positive
    batch_size: Annotated[int, Field(ge=2)]
    max_epochs: Count
    patience: Count


class Evolution(Section):
    """Configuration of the study `evolution`."""

    name: FolderName
    seed: Seed
    tracks: Annotated[str, Field(min_length=1), Allowed(text="the path of a finished campaign's tracks.csv")]
    n_stars: Annotated[int, Field(ge=5), Allowed(text="{}, the campaign's cluster.n_stars")]
    star_mass_msun: Positive
    box: BirthRanges
    network: DensitySettings
    coordinates: Coordinates
    compared: Annotated[tuple[Coordinates, ...], Listed]
    primer: PrimerSettings
    gaps: Annotated[
        dict[str, Times],
        Field(min_length=1),
        Allowed(text="a mapping from names to lists of stored times that are left out of training"),
    ]
    bands: Bands
    age_priors: Annotated[dict[str, AgeLaw], Field(min_length=1), Allowed(text="a mapping from names to age priors")]
    recovery: Recovery

    def rules(self) -> Iterator[RuleError]:
        """Names become parts of file names; one gap is called none."""
        for key, names in {"gaps": list(self.gaps), "age_priors": list(self.age_priors)}.items():
            if "none" in names or not all(map(_is_plain, names)):
                yield RuleError(key, "names must be lower-case letters, but not none")


def _is_plain(name: str) -> bool:
    return name.isascii() and name.isalpha() and name.islower()
