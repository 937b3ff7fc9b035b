"""What all settings share: strict types, limits that only the class states, and one line for each mistake."""

from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from natal.errors import NatalError
from natal.settings.mistakes import RULE, Allowed, lines


class RuleError(ValueError):
    """A rule across keys is broken.

    Args:
        key: One of the keys, dotted, within the section.
        said: What it must be.
    """

    def __init__(self, key: str, said: str) -> None:
        super().__init__(said)
        self.key = key


class Section(BaseModel):
    """A section of a configuration: its fields are the keys, the texts below them the meanings.

    A whole number is taken where a number is wanted, but 100.0 is no whole number and true is no number. Numbers are
    finite. Lists become tuples where a field says `Listed`.

    Raises:
        NatalError: One line for each mistake.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    section: ClassVar[str] = ""
    """The section's name, for what is said of a mistake."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise NatalError("\n".join(lines(type(self), values, error, self.section))) from None

    # Pydantic then gathers the mistakes of a section within a section by itself
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def rules(self) -> Iterator[RuleError]:
        """Rules that limits of single keys cannot state.

        Yields:
            An error for each rule that is broken.
        """
        yield from ()

    @model_validator(mode="after")
    def _keep_rules(self) -> "Section":
        broken: list[InitErrorDetails] = []
        for rule in self.rules():
            location = tuple(rule.key.split("."))
            error = PydanticCustomError(RULE, "{said}", {"said": str(rule)})
            broken.append(InitErrorDetails(type=error, loc=location, input=reduce(getattr, location, self)))
        if broken:
            raise ValidationError.from_exception_data(type(self).__name__, broken)
        return self


def _lower_first(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise PydanticCustomError(RULE, "the first value must be below the second")
    return limits


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError(RULE, "each value may be given once only")
    return values


Listed = Field(strict=False)
"""A tuple that a configuration file gives as a list."""

Different = (Listed, AfterValidator(_different), Field(json_schema_extra={"uniqueItems": True}))
"""Annotations of a list in which no value is given twice."""
LowerFirst = (Listed, AfterValidator(_lower_first), Allowed(text="{}, the lower first"))
"""Annotations of a range."""

Zero = Annotated[int, Field(ge=0, le=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
SpreadCount = Annotated[int, Field(ge=2), Allowed(text="{}, as a spread needs two")]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Range = Annotated[tuple[Positive, Positive], *LowerFirst]
FolderName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"),
    Allowed(text="a folder name: letters, digits, point, dash, underscore; not starting with a point"),
]
CsvFile = Annotated[str, Allowed(text="the name of a CSV file")]
TableFile = Annotated[str, Allowed(text="the name of a file with a table")]
