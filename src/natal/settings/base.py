"""What all settings share: strict types, limits that nothing but the class states, and one line for each mistake."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from natal.errors import NatalError
from natal.settings.mistakes import RULE, Allowed, lines


class Section(BaseModel):
    """A section of a configuration: its fields are the keys, their docstrings the meanings.

    Whole numbers will do where numbers are wanted, but 100.0 is no whole number and true no number; numbers are finite;
    lists become tuples where a field says `Listed`. Raises `NatalError` with one line for each mistake.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    section: ClassVar[str] = ""
    """The section's name, for what is said of a mistake."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            prefix = f"{self.section}." if self.section else ""
            raise NatalError("\n".join(prefix + line for line in lines(type(self), values, error))) from None

    # of a section within another, Pydantic gathers the mistakes itself
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def rules(self) -> Iterator[tuple[str, ValueError]]:
        """What limits of single keys cannot say: of each rule that is broken a key, dotted, and what it must be."""
        yield from ()

    @model_validator(mode="after")
    def _keep_rules(self) -> "Section":
        broken: list[InitErrorDetails] = []
        for key, said in self.rules():
            value: Any = self
            for part in key.split("."):
                value = getattr(value, part)
            error = PydanticCustomError(RULE, "{said}", {"said": str(said)})
            broken.append(InitErrorDetails(type=error, loc=tuple(key.split(".")), input=value))
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
LowerFirst = (Listed, AfterValidator(_lower_first), Allowed("{}, the lower first"))

Zero = Annotated[int, Field(ge=0, le=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
SpreadCount = Annotated[int, Field(ge=2), Allowed("{}, as a spread needs two")]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Range = Annotated[tuple[Positive, Positive], *LowerFirst]
FolderName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"),
    Allowed("a folder name: letters, digits, point, dash, underscore; not starting with a point"),
]
CsvFile = Annotated[str, Allowed("the name of a CSV file")]
