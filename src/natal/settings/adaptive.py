"""Section `adaptive`: where the next points teach most."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from natal.settings.base import Count, RuleError, Section, SpreadCount


class GainSettings(Section):
    """Learning curves over the number of training points."""

    section: ClassVar[str] = "adaptive.gain"

    start: Annotated[int, Field(ge=2)]
    """target `adaptive_gain`: training points of the first networks"""
    step: Count
    """points added at a time"""
    stop: Annotated[int, Field(ge=3)]
    """points of the last networks"""
    repeats: SpreadCount
    """repeats with other first points and weights"""

    def rules(self) -> Iterator[RuleError]:
        """A curve has two points at least."""
        if self.stop < self.start + self.step:
            yield RuleError("stop", f"it must be start + step = {self.start + self.step} at least")


class Adaptive(Section):
    """Proposed points, and what they save."""

    criterion: Literal["information", "disagreement"]
    """what the target `propose` looks for: `disagreement` of the ensemble's means, or `information` about the mixture
    networks' laws (`docs/explanation/adaptive.md`)"""
    points: Annotated[int, Field(ge=1, le=1024)]
    """points that `propose` proposes"""
    gain: GainSettings
