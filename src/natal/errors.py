"""The one exception a user is meant to read, and several of them said at once."""

from collections.abc import Iterator
from contextlib import contextmanager

MOST = 20
"""Mistakes that are said one by one."""


class NatalError(Exception):
    """A mistake that a person can mend: one line that names the key, file or case and says what is allowed."""


class ManyMistakes(NatalError):
    """Several of them, a line each."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        more = len(said) - MOST
        super().__init__("\n".join(said[:MOST] + [f"and {more} mistakes more"] * (more > 0)))


class Mistakes:
    """Gathers mistakes, so that a person hears of all of them and not of the first only."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def add(self, said: str) -> None:
        """Keep a mistake: one line."""
        self._said.append(said)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep what is wrong in here, and go on."""
        try:
            yield
        except NatalError as error:
            self._said += lines_of(error)

    def say(self) -> None:
        """Raise `ManyMistakes`, if there are any."""
        if self._said:
            raise ManyMistakes(self._said)


def lines_of(error: NatalError) -> list[str]:
    """What an error says, a line a mistake, those that its text only counts included."""
    return error.said if isinstance(error, ManyMistakes) else str(error).splitlines()
