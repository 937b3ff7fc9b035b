"""The frame around every workflow script: logging, and errors that a person can read."""

import errno
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from natal.errors import NatalError
from natal.provenance.records import write_records

log = logging.getLogger("natal")

STORAGE_TROUBLE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
}
"""Numbers of errors that a user can mend on the disk."""

SIMULATING = ("simulate", "brute_force_runs", "posterior_predictive", "trust_runs", "numerical_runs")
"""Rules that simulate, whose jobs take a GPU. Other programs are small, and take long to compile for one
(`docs/measurements/speed_gpu.md` has times). The speed of the simulator is measured on a core."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


class Terminated(BaseException):
    """SIGTERM came: the scheduler is about to kill this job."""


def _raise_terminated(signal_number: int, _: FrameType | None) -> None:
    # a second signal must not interrupt the cleaning up; SIG_IGN would print a traceback for one that came already
    signal.signal(signal_number, lambda *_: None)
    raise Terminated


@contextmanager
def script(task: Any, *, cpu_devices: int | None = None, reads: Iterable[str] = ()) -> Iterator[logging.Logger]:
    """The frame of a workflow script: `job` with the task's own log, and JAX set up if it is needed.

    Args:
        task: What Snakemake gives to a script.
        cpu_devices: CPU devices that the task's threads are split into; None for a job without JAX.
        reads: Files that are read beside the task's inputs, for its records.

    Yields:
        The log.
    """
    with job(task.log[0], task, reads=reads) as log:
        if cpu_devices is not None:
            from natal.running import device

            allow_cpu = task.config.get("resources", {}).get("allow_cpu", False)
            gpu = task.rule in SIMULATING
            device.set_up(threads=task.threads, cpu_devices=cpu_devices, gpu=gpu, allow_cpu=allow_cpu)
        yield log


@contextmanager
def job(log_path: str | Path, task: Any = None, *, reads: Iterable[str] = ()) -> Iterator[logging.Logger]:
    """Log to a file and, briefly, to the terminal; end the process with one line on a user's mistake.

    A full or read-only disk and SIGTERM end it with one line, too, after unfinished files were removed. At a good end
    every output gets a record (`natal.provenance.records`).

    Args:
        log_path: The log file; it is written anew.
        task: What Snakemake gives to a script; None: no records.
        reads: Files that are read beside the task's inputs.

    Yields:
        The log.
    """
    # a log on a full disk is no reason to print tracebacks, or to stop
    logging.raiseExceptions = False
    try:
        Path(log_path).parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(log_path, mode="w", encoding="utf-8")
    except OSError as error:
        sys.exit(f"natal: {_cannot_write(error)}")
    to_file.setFormatter(logging.Formatter(LOG_FORMAT, DATE_FORMAT))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter("natal: %(message)s"))
    log.setLevel(logging.INFO)
    log.handlers = [to_file, to_terminal]
    log.propagate = False
    started = time.perf_counter()
    try:
        signal.signal(signal.SIGTERM, _raise_terminated)
        yield log
        if task is not None:
            _record(task, reads)
        # for `running.job_costs`: the rest of the time that Snakemake measures is starting
        worked = "worked for %.2f s", (time.perf_counter() - started,)
        to_file.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, *worked, None))
    except NatalError as error:
        log.error("%s", error)
        sys.exit(1)
    except Terminated:
        log.error("stopped by SIGTERM (a time limit, a cancelled job or a drained node); run again to go on")
        logging.shutdown()
        # at once: nothing can interrupt compiled programs
        os._exit(128 + signal.SIGTERM)
    except OSError as error:
        if error.errno not in STORAGE_TROUBLE:
            _log_traceback(to_file, log_path)
            raise
        log.error("%s", _cannot_write(error))
        sys.exit(1)
    except Exception:
        _log_traceback(to_file, log_path)
        raise


def _record(task: Any, reads: Iterable[str]) -> None:
    """Write the outputs' records. If that fails, the outputs stay: they are whole, and worth more than records."""
    try:
        write_records(task, reads)
    except OSError as error:
        log.warning("the record of what made these files is missing: %s", " ".join(str(error).split()))


def _log_traceback(to_file: logging.FileHandler, log_path: str | Path) -> None:
    """Write a defect of natal's, as opposed to a user's mistake, into the log in full."""
    to_file.close()
    with open(log_path, "a", encoding="utf-8") as file:
        traceback.print_exc(file=file)


def _cannot_write(error: OSError) -> str:
    """What the system says, in one line."""
    return f"cannot write: {' '.join(str(error).split())}; make room or mend it, then run again to go on"
