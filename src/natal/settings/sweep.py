"""Section `sweep`: settings of `emulator` side by side."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, WrapValidator, create_model

from natal.settings.base import Listed, Section, Zero
from natal.settings.emulator import Emulator
from natal.settings.mistakes import Allowed


class _Varied(Section):
    model_config = ConfigDict(json_schema_extra={"allowed": "a mapping from keys of emulator to lists of values"})


def _as_given(entry: Any, check: Callable[[Any], Any]) -> Any:
    """Check an entry and leave it alone: the order of its keys is that of the trainings."""
    check(entry)
    return entry


if TYPE_CHECKING:
    Varied = dict[str, list[Any]]
else:
    Varied = Annotated[
        create_model(
            "Varied",
            __base__=_Varied,
            **{
                name: (
                    Annotated[
                        tuple[Annotated[field.annotation, Field(), *field.metadata], ...],
                        Listed,
                        Field(min_length=1),
                        Allowed(text="a list of values"),
                    ],
                    (),
                )
                for name, field in Emulator.model_fields.items()
            },
        ),
        WrapValidator(_as_given),
    ]


class SweepSettings(Section):
    """Trainings side by side."""

    section: ClassVar[str] = "sweep"

    folds: (
        Annotated[Zero, Allowed(text="0 for the campaign's own validation runs")] | Annotated[int, Field(ge=3, le=20)]
    )
    """target `sweep`: parts that training and validation points are divided into (`docs/howto/training.md`); 0: the
    campaign's own validation runs"""
    grid: Annotated[
        tuple[Varied, ...],
        Listed,
        Field(min_length=1),
        Allowed(text="a list of mappings from keys of emulator to lists of values"),
    ]
    """settings of `emulator` side by side (`docs/howto/training.md`)"""
