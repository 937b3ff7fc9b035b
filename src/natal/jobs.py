"""What every workflow script does around its work: logging, and errors a person can read."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from natal.errors import NatalError

log = logging.getLogger("natal")


@contextmanager
def job(log_path: str | Path) -> Iterator[logging.Logger]:
    """Log to `log_path` and, briefly, to the terminal; end the process with one line on a user's mistake."""
    Path(log_path).parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.FileHandler(log_path, mode="w")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter("natal: %(message)s"))
    log.setLevel(logging.INFO)
    log.handlers = [to_file, to_terminal]
    log.propagate = False
    try:
        yield log
    except NatalError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        # a defect of natal's, not a user's mistake: keep all of it
        to_file.close()
        with open(log_path, "a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        raise
