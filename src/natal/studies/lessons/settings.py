"""Configuration of the study `lessons`. Nothing heavy is imported: the Snakefile reads it."""

from typing import Annotated

from pydantic import Field

from natal.settings.base import Count, Different, FolderName, Positive, Section, Seed

Repeats = Annotated[int, Field(ge=4, le=1000)]
Rows = Annotated[int, Field(ge=5, le=100_000)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Leakage(Section):
    """Regression with few rows, many times over."""

    repeats: Repeats
    train: Rows
    held_out: Rows
    noise: Positive
    steps: Count


class Overfitting(Section):
    """Classification with few rows, many times over."""

    repeats: Repeats
    train: Rows
    more: Rows
    held_out: Rows
    features: Annotated[int, Field(ge=2, le=100)]
    steps: Count
    weight_decay: Positive
    dropout: Share


class Lessons(Section):
    """Configuration of the study `lessons`."""

    name: FolderName
    seed: Seed
    leakage: Leakage
    overfitting: Overfitting
    learning_rates: Annotated[tuple[Positive, ...], *Different, Field(min_length=3)]
    hinges: Annotated[tuple[Annotated[int, Field(ge=2, le=4096)], ...], *Different, Field(min_length=3)]
    trained_hinges: Annotated[tuple[Annotated[int, Field(ge=2, le=512)], ...], *Different, Field(min_length=1)]
    steps: Annotated[int, Field(ge=10, le=100_000)]
