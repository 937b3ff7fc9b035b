"""The one exception that a user is meant to read, and how several mistakes are reported together."""

from collections.abc import Iterator
from contextlib import contextmanager

MOST = 20
"""Mistakes that are listed; of further ones only the number is said."""


class NatalError(Exception):
    """A mistake that a person can mend: one line that names the key, file or case and says what is allowed."""


class ManyMistakes(NatalError):
    """Several mistakes, a line each.

    Args:
        said: The lines.
    """

    def __init__(self, said: list[str]) -> None:
        self.said = said
        more = len(said) - MOST
        super().__init__("\n".join(said[:MOST] + [f"and {more} mistakes more"] * (more > 0)))


class Mistakes:
    """Gathers mistakes, so that a person hears of all of them and not of the first only.

    Examples:
        >>> mistakes = Mistakes()
        >>> mistakes.add("seed: must not be negative")
        >>> with mistakes.gathered():
        ...     raise NatalError("there is no file mine.csv")
        >>> mistakes.say()
        Traceback (most recent call last):
        natal.errors.ManyMistakes: seed: must not be negative
        there is no file mine.csv
    """

    def __init__(self) -> None:
        self._said: list[str] = []

    def add(self, said: str) -> None:
        """Keep a mistake.

        Args:
            said: One line.
        """
        self._said.append(said)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep the `NatalError` that the block below raises, if any, and go on behind the block."""
        try:
            yield
        except NatalError as error:
            self._said += lines_of(error)

    def say(self) -> None:
        """Report what was gathered, if anything was.

        Raises:
            ManyMistakes: There is at least one mistake.
        """
        if self._said:
            raise ManyMistakes(self._said)


def lines_of(error: NatalError) -> list[str]:
    """What an error says, one line a mistake.

    Args:
        error: One mistake or many.

    Returns:
        All lines, also those that the error's own text only counts.
    """
    return error.said if isinstance(error, ManyMistakes) else str(error).splitlines()
