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


def track(items: Iterable[T], *, total: int, label: str, unit: str) -> Iterator[T]:
    """Yield `items`, showing how many of `total` are done.

    A terminal gets a bar; the `natal` logger gets one line every few seconds and one at the end.
    """
    started = last = time.monotonic()
    with tqdm(total=total, desc=label, unit=unit, file=sys.stderr, disable=None, leave=False) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update()
            now = time.monotonic()
            if now - last >= LINE_EVERY_S or done == total:
                last = now
                elapsed = now - started
                left = elapsed / done * (total - done)
                log.info("%s: %d of %d %s, %.0f s elapsed, %.0f s left", label, done, total, unit, elapsed, left)
