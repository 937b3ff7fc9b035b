"""Progress of long work: a bar in a terminal, plain lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
log = logging.getLogger("natal")

LINE_EVERY_S = 5.0


class Progress:
    """How far a piece of work is: a bar in a terminal; in the `natal` log a line every few seconds and one at the end.

    Args:
        total: How much there is to do, in `unit`.
        label: What the work is called.
        unit: What is counted, in the plural.
        done: How much an earlier run did, in `unit`.
        work_per_unit: Work that one `unit` stands for; with it lines also give the speed.
        work_unit: What this work is counted in; the speed is shown in it a second.
    """

    def __init__(
        self,
        *,
        total: float,
        label: str,
        unit: str,
        done: float = 0,
        work_per_unit: float | None = None,
        work_unit: str = "",
    ) -> None:
        self.total, self.label, self.unit = total, label, unit
        self.work_per_unit, self.work_unit = work_per_unit, work_unit
        self._done = self._first = done
        self._started = self._last = time.monotonic()
        self._bar = tqdm(total=total, initial=done, desc=label, unit=unit, file=sys.stderr, disable=None, leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, amount: float = 1) -> None:
        """Count more as done.

        Args:
            amount: How much, in the unit of the total.
        """
        self._done += amount
        self._bar.update(amount)
        now = time.monotonic()
        finished = self._done > self.total - 1e-6
        if now - self._last < LINE_EVERY_S and not finished:
            return
        self._last = now
        elapsed, here = now - self._started, self._done - self._first
        line = f"{self.label}: {self._done:.0f} of {self.total:.0f} {self.unit}, {elapsed:.0f} s elapsed"
        # at a birth, before the first step, nothing is done yet
        if here > 0:
            line += f", {elapsed / here * (self.total - self._done):.0f} s left"
        if here > 0 and elapsed > 0 and self.work_per_unit is not None:
            line += f", {here * self.work_per_unit / elapsed:.2f} {self.work_unit}/s"
        log.info(line)


def track(items: Iterable[T], *, total: int, label: str, unit: str) -> Iterator[T]:
    """Show how many items of a loop are done.

    Args:
        items: What to loop over.
        total: How many items there are.
        label: What the work is called.
        unit: What an item is called, in the plural.

    Yields:
        The items.
    """
    with Progress(total=total, label=label, unit=unit) as progress:
        for item in items:
            yield item
            progress.advance()
