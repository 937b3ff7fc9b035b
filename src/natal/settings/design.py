"""Section `design`: which points are simulated."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

from natal.settings.base import Count, CsvFile, Different, Listed, Range, Section, Zero
from natal.settings.mistakes import RULE, Allowed
from natal.variables import BIRTH, SPLITS

MAX_POINTS_PER_SPLIT = 100_000
"""Point ids of a split have room for so many."""


def _not_too_many(sizes: tuple[int, ...]) -> tuple[int, ...]:
    if sum(sizes) > MAX_POINTS_PER_SPLIT:
        raise PydanticCustomError(RULE, f"at most {MAX_POINTS_PER_SPLIT} points in all")
    return sizes


Blocks = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MAX_POINTS_PER_SPLIT)], ...],
    Listed,
    Field(min_length=1),
    AfterValidator(_not_too_many),
    Allowed(text="{}, the points of each block"),
]


class _Ranges(Section):
    model_config = ConfigDict(json_schema_extra={"allowed": f"a mapping with two ranges, {' and '.join(BIRTH)}"})


class _Counts(Section):
    model_config = ConfigDict(json_schema_extra={"allowed": "a mapping of train, validation and test to one each"})


if TYPE_CHECKING:
    BirthRanges: TypeAlias = Section
    SplitCounts: TypeAlias = Section
else:
    BirthRanges = create_model("BirthRanges", __base__=_Ranges, **dict.fromkeys(BIRTH, (Range, ...)))
    SplitCounts = create_model("SplitCounts", __base__=_Counts, **dict.fromkeys(SPLITS, (Count, ...)))


class Design(Section):
    """Which points are simulated."""

    box: BirthRanges
    """ranges of Q0 and of a (AU): the design, the prior and the emulator's domain"""
    virial_convention: Literal["K/|W|", "2K/|W|"]
    """`K/|W|` (equilibrium at 0.5) or `2K/|W|` (equilibrium at 1) for every q0 you give; files always hold K/|W|"""
    realizations: Count | SplitCounts
    """clusters drawn at each point: one number, or one for each split: `{train: 4, validation: 4, test: 16}` (all rows
    of a `design.table` get the largest, so that a row may change its split). May grow: only the added ones are
    simulated"""
    points_per_job: Count
    """points of one simulate job; where points have fewer realizations a job takes more of them, so that all have about
    the same number of runs"""
    job_minutes: Count | None
    """in place of `points_per_job`: minutes that a simulate job should take, for few long jobs on a cluster. The speed
    is `resources.gint_per_s`, else the lowest of this campaign's finished shards, else 0.5. Blocks that were cut into
    jobs stay so: only added ones follow this key and the speed"""
    train: Blocks
    """points of each block, a Latin hypercube each; add an entry to add a block"""
    validation: Blocks
    """as `train`"""
    test: Blocks
    """as `train`"""
    calibration: Zero | Annotated[int, Field(ge=10, le=MAX_POINTS_PER_SPLIT)]
    """independent draws from the uniform prior on the box, one cluster each, on which posteriors are checked
    (`docs/explanation/calibration.md`); never trained on. 0: no such checks. A larger number keeps the clusters that
    are there"""
    table: CsvFile | None
    """CSV that replaces the hypercubes (`docs/howto/own_design.md`)"""
    proposed: Annotated[tuple[CsvFile, ...], *Different, Allowed(text="a list of names of CSV files")]
    """CSV files of further training points, one block each (`docs/howto/own_design.md`); add an entry to add a block"""
