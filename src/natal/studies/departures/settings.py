"""Configuration of the study `departures`. Nothing heavy is imported: the Snakefile reads it."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from natal.settings.base import FolderName, Positive, Range, RuleError, Section, Seed
from natal.settings.mistakes import Allowed
from natal.studies.departures.names import CONTROL, DEPARTURES, OTHER_NUMBER

Share = Annotated[float, Field(gt=0, lt=1)]
Number = Annotated[int, Field(ge=10, le=100_000)]


class Following(Section):
    """How clusters are followed, as in the law's campaign."""

    softening_au: Positive
    dt_yr: Positive


class Sizes(Section):
    """How large each departure is."""

    imf_mass_range_msun: Range
    binary_fraction: Share
    binary_axes: Range
    fractal_dimension: Annotated[float, Field(ge=1, le=3)]
    king_w0: Annotated[float, Field(ge=1, le=12)]
    anisotropy: Share
    tidal_radius: Positive
    field_share: Annotated[float, Field(gt=0, le=0.5)]
    field_dispersion: Positive


class Departures(Section):
    """Configuration of the study `departures`."""

    name: FolderName
    seed: Seed
    law: Annotated[str, Field(min_length=1), Allowed(text="the path of a finished campaign's emulator/joint.eqx")]
    integration: Following
    sizes: Sizes
    relative_error: Share
    suites: Annotated[dict[str, Number], Allowed(text="a mapping from suites to their clusters, at least 10 each")]

    def rules(self) -> Iterator[RuleError]:
        """Suites are known, and the control is one of them."""
        if CONTROL not in self.suites:
            yield RuleError("suites", f"{CONTROL} must be there, which all are compared with")
        known = ", ".join(DEPARTURES)
        for name in self.suites:
            number = OTHER_NUMBER.fullmatch(name)
            if name not in DEPARTURES and not (number and 20 <= int(number[1]) <= 2000):
                yield RuleError(f"suites.{name}", f"a suite is one of {known}, or n20 to n2000: other numbers of stars")
