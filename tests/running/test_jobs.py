"""What surrounds a job's work: its log, one line for a user's mistake, everything for a defect, progress."""

import errno
import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from natal import progress
from natal.errors import NatalError
from natal.files.formats import read_json
from natal.files.locks import is_locked
from natal.progress import Progress
from natal.running import device
from natal.running.jobs import job, script
from natal.settings.integration import Integration
from natal.simulation.checkpoint import HEADER_BYTES, Checkpoint
from natal.simulation.clusters import snapshot_type
from natal.simulation.run import simulate
from natal.simulation.setup import Setup

SLEEPING_JOB = """
import sys, time
from pathlib import Path
from natal.files.atomic import atomic_path
from natal.running.jobs import job
with job(sys.argv[1]) as log, atomic_path(sys.argv[2]) as partial:
    partial.write_text("half of it")
    try:
        log.info("at work")
        time.sleep(60)
    finally:
        print("cleaning up", flush=True)
        time.sleep(0.5)
        Path(sys.argv[2]).with_name("cleaned").touch()
"""

SIMULATING_JOB = """
import sys
import numpy as np
from natal.running import device
from natal.simulation.checkpoint import Checkpoint
from natal.files.atomic import atomic_path
from natal.running.jobs import job
from natal.settings.integration import Integration
from natal.simulation.run import simulate
from natal.simulation.setup import Setup
with job(sys.argv[1]) as log, Checkpoint(sys.argv[2], {}) as checkpoint, atomic_path(sys.argv[2] + ".h5") as partial:
    partial.write_text("half of it")
    device.set_up(threads=2, cpu_devices=2, cache_folder=None)
    integration = Integration(t_end_yr=float(sys.argv[3]), dt_yr=0.01, snapshots=4)
    simulate(Setup.of([0.5, 1.0], 100.0, seed=3, integration=integration), checkpoint=checkpoint)
"""

LOGGING_JOB = """
import sys
from natal.running.jobs import job
with job(sys.argv[1]) as log:
    log.info("at work")
print("done")
"""

NAMING_JOB = """
import sys
from natal.errors import NatalError
from natal.running.jobs import job
with job(sys.argv[1]) as log:
    log.info("\\u03c1 Oph")
    raise NatalError("\\u661f\\u56e3 is not a cluster")
"""

STOPPED = "stopped by SIGTERM (a time limit, a cancelled job or a drained node); run again to go on"


@pytest.fixture(autouse=True)
def natal_logger():
    """The logger `natal`, and what else a job sets for its process, put back as it was."""
    logger = logging.getLogger("natal")
    before = logger.handlers, logger.level, logger.propagate
    complains, on_sigterm = logging.raiseExceptions, signal.getsignal(signal.SIGTERM)
    yield logger
    logging.raiseExceptions = complains
    signal.signal(signal.SIGTERM, on_sigterm)
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def log_path(tmp_path):
    """A log in a folder that is not there yet."""
    return tmp_path / "logs" / "campaign" / "job.log"


def test_what_is_logged_goes_to_the_file_and_the_terminal(log_path, capsys):
    """With the time in the file, briefly on the terminal, nothing on standard output; the file says how long, too."""
    with job(log_path) as log:
        log.info("%d runs", 3)
        log.debug("not for anybody")
    first, last = log_path.read_text().splitlines()
    assert first.endswith(" INFO 3 runs")
    assert re.search(r" INFO worked for 0\.\d\d s$", last)
    captured = capsys.readouterr()
    assert captured.err == "natal: 3 runs\n"
    assert captured.out == ""


def test_a_mistake_is_one_line_and_exit_code_1(log_path, capsys):
    """No traceback, neither in the log nor on the terminal."""
    with pytest.raises(SystemExit) as caught, job(log_path):
        raise NatalError("design.table: there is no file points.csv")
    assert caught.value.code == 1
    lines = log_path.read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(" ERROR design.table: there is no file points.csv")
    assert capsys.readouterr().err == "natal: design.table: there is no file points.csv\n"


def test_a_mistake_caused_by_another_error_is_still_one_line(log_path, capsys):
    """The cause is for `raise ... from`, not for the user."""

    def work():
        with job(log_path):
            try:
                int("five")
            except ValueError as error:
                raise NatalError("members = five is not a number") from error

    with pytest.raises(SystemExit):
        work()
    for text in (log_path.read_text(), capsys.readouterr().err):
        assert text.count("\n") == 1
        assert "Traceback" not in text


def test_a_defect_is_raised_again_and_logged_whole(log_path):
    """What was logged before, then the traceback with the failing line."""

    def work(n):
        with job(log_path) as log:
            log.info("dividing")
            return 1 / n

    with pytest.raises(ZeroDivisionError):
        work(0)
    text = log_path.read_text()
    assert text.index("INFO dividing") < text.index("Traceback (most recent call last)") < text.index("return 1 / n")
    assert text.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_second_try_starts_a_new_log(log_path, natal_logger):
    """A log tells of one run only."""
    for word in ("first", "second"):
        with job(log_path) as log:
            log.info(word)
        for handler in natal_logger.handlers:
            handler.close()  # as the end of a process does
    assert "first" not in log_path.read_text()
    assert log_path.read_text().count("second") == 1


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO", "ESTALE"])
def test_trouble_with_storage_is_one_line(log_path, capsys, name):
    """A full or read-only disk is no defect: the line names the trouble and the file, and says what to do."""
    code = getattr(errno, name)
    with pytest.raises(SystemExit) as caught, job(log_path):
        raise OSError(code, os.strerror(code), "/data/train0_000.h5")
    assert caught.value.code == 1
    line = f"cannot write: [Errno {code}] {os.strerror(code)}: '/data/train0_000.h5'; "
    line += "make room or mend it, then run again to go on"
    assert capsys.readouterr().err == f"natal: {line}\n"
    assert log_path.read_text().splitlines()[0].endswith(f" ERROR {line}")
    assert log_path.read_text().count("\n") == 1


@pytest.fixture
def task(tmp_path, monkeypatch):
    """What Snakemake gives to a script with one output, which is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "tiny").mkdir(parents=True)
    (tmp_path / "results" / "tiny" / "table.csv").write_text("x\n")
    config = {"campaign": "tiny", "seed": 1}
    return SimpleNamespace(
        rule="tabulate",
        input=[],
        output=["results/tiny/table.csv"],
        params=SimpleNamespace(digest="code:0123"),
        config=config,
        wildcards={},
    )


def test_a_job_records_its_outputs_when_it_is_done(log_path, task, tmp_path):
    """By the rule's name, among others."""
    with job(log_path, task):
        pass
    assert read_json(tmp_path / "results/tiny/provenance/table.csv.json")["rule"] == "tabulate"


@pytest.mark.parametrize(("rule", "gpu"), [("simulate", True), ("likelihood", False)])
def test_only_rules_that_simulate_take_a_gpu(log_path, task, monkeypatch, rule, gpu):
    """The frame of scripts goes by the rule's name."""
    asked = {}
    monkeypatch.setattr(device, "set_up", lambda **given: asked.update(given))
    task.rule, task.log, task.threads = rule, [log_path], 3
    with script(task, cpu_devices=2):
        pass
    assert asked == {"threads": 3, "cpu_devices": 2, "gpu": gpu, "allow_cpu": False}


def test_a_job_that_fails_records_nothing(log_path, task, tmp_path):
    """Its outputs are none."""
    with pytest.raises(SystemExit), job(log_path, task):
        raise NatalError("no")
    assert not (tmp_path / "results/tiny/provenance").exists()


def test_a_record_that_cannot_be_written_costs_no_output(log_path, task, tmp_path):
    """The job ends well, with a line on it."""
    (tmp_path / "results/tiny/provenance").write_text("in the way")
    with job(log_path, task):
        pass
    assert " WARNING the record of what made these files is missing: " in log_path.read_text()
    assert (tmp_path / "results/tiny/table.csv").is_file()


def test_an_error_of_several_lines_becomes_one(log_path, capsys):
    """As libraries word theirs."""
    with pytest.raises(SystemExit), job(log_path):
        raise OSError(errno.ENOSPC, "write failed:\n  file size 3\n\n  No space left on device")
    assert capsys.readouterr().err.count("\n") == 1
    assert "write failed: file size 3 No space left on device" in log_path.read_text()


def test_a_disk_that_is_really_full(log_path, capsys):
    """What the system itself says when there is no room."""
    with pytest.raises(SystemExit), job(log_path), open("/dev/full", "w") as file:
        file.write("x")
    assert "cannot write: [Errno 28] No space left on device; make room" in capsys.readouterr().err


def test_a_log_that_cannot_be_opened_is_one_line(log_path, monkeypatch, capsys):
    """On a read-only disk a job ends before it begins."""

    def refuse(path, **_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(logging, "FileHandler", refuse)
    begun = False
    with pytest.raises(SystemExit) as caught, job(log_path):
        begun = True
    assert not begun
    assert str(caught.value).startswith(
        f"natal: cannot write: [Errno 30] Read-only file system: '{log_path}'; make room"
    )
    assert "\n" not in str(caught.value)


def test_a_log_on_a_full_disk_stops_nothing(tmp_path):
    """The work goes on, with its lines on the terminal and no complaint of the logging library."""
    (tmp_path / "job.log").symlink_to("/dev/full")
    with started(LOGGING_JOB, tmp_path / "job.log") as process:
        output, message = process.communicate(timeout=30)
    assert (process.returncode, output, message) == (0, "done\n", "natal: at work\n")


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "nothing there"), OSError(errno.ENODEV, "no device")]
)
def test_other_errors_of_the_system_are_raised_again(log_path, error):
    """A missing file or device: with the traceback in the log."""
    with pytest.raises(OSError, match=error.strerror), job(log_path):
        raise error
    text = log_path.read_text()
    assert text.startswith("Traceback (most recent call last)")
    assert text.splitlines()[-1] == f"{type(error).__name__}: {error}"


@contextmanager
def started(program, *arguments):
    """A job in a process of its own, which does not outlive the test."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_sigterm_ends_a_job_in_order(log_path, tmp_path):
    """What it was writing is removed, also when the signal comes twice; exit code 143; the log says to run again."""
    with started(SLEEPING_JOB, log_path, tmp_path / "out" / "file.h5") as process:
        assert process.stderr.readline() == "natal: at work\n"
        (partial,) = (tmp_path / "out").iterdir()
        assert partial.read_text() == "half of it"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning up\n"
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert message == f"natal: {STOPPED}\n"
    assert log_path.read_text().splitlines()[-1].endswith(f" ERROR {STOPPED}")
    assert "Traceback" not in log_path.read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cleaned"]


def stop_simulation(log_path, path, t_end_yr, n_snapshots):
    """Send SIGTERM to a simulating job that has written so many snapshots; seconds it took to end, bytes it left."""
    n_bytes = snapshot_type(2, 100, "float64").itemsize + 16
    with started(SIMULATING_JOB, log_path, path, t_end_yr) as process:
        deadline = time.monotonic() + 60
        while not path.exists() or path.stat().st_size < HEADER_BYTES + n_snapshots * n_bytes:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        sent = time.monotonic()
        output, message = process.communicate(timeout=30)
        seconds = time.monotonic() - sent
    assert (process.returncode, output) == (128 + signal.SIGTERM, "")
    assert message.splitlines()[-1] == f"natal: {STOPPED}"
    assert "Traceback" not in message + log_path.read_text()
    assert log_path.read_text().splitlines()[-1].endswith(f" ERROR {STOPPED}")
    # not a .partial file either
    assert list(path.parent.iterdir()) == [path]
    assert not is_locked(path)
    n_found, rest = divmod(path.stat().st_size - HEADER_BYTES, n_bytes)
    assert rest == 0
    return seconds, n_found


@pytest.mark.slow
def test_a_simulation_stopped_by_sigterm_goes_on(log_path, tmp_path, caplog):
    """It leaves whole snapshots; the rest is computed later, to the bits of a run that was never stopped."""
    caplog.set_level(logging.INFO, "natal")
    path = tmp_path / "simulations" / "train0_000.checkpoint"
    _, n_found = stop_simulation(log_path, path, 600.0, 2)
    assert n_found in (2, 3)
    setup = Setup.of([0.5, 1.0], 100.0, seed=3, integration=Integration(t_end_yr=600.0, dt_yr=0.01, snapshots=4))
    expected = simulate(setup)
    with Checkpoint(path, {}) as checkpoint:
        runs = simulate(setup, checkpoint=checkpoint)
    step = 20_000 * (n_found - 1)
    assert f"resuming from snapshot {n_found} of 4 (step {step} of 60000)" in caplog.messages
    for name in ("position_au", "velocity_au_yr", "mass_msun", "kinetic_energy", "potential_energy"):
        np.testing.assert_array_equal(getattr(runs, name), getattr(expected, name))


def test_sigterm_does_not_wait_for_the_device(log_path, tmp_path):
    """In the middle of a snapshot that would take an hour: the job ends within the seconds a scheduler leaves it."""
    seconds, n_found = stop_simulation(log_path, tmp_path / "simulations" / "x.checkpoint", 9e6, 1)
    assert n_found == 1
    assert seconds < 10


def logged(path):
    """Messages of a log, without times, and without the last line: how long all took."""
    return [line.split(" INFO ")[1] for line in path.read_text().splitlines()][:-1]


def test_progress_yields_every_item_in_order(log_path):
    """And says once at the end how many there were."""
    with job(log_path):
        assert list(progress.track(iter("abc"), total=3, label="sample", unit="cases")) == ["a", "b", "c"]
    (line,) = logged(log_path)
    assert line.startswith("sample: 3 of 3 cases, ")
    assert line.endswith(" s elapsed, 0 s left")


def test_progress_logs_every_few_seconds(log_path, monkeypatch):
    """By a clock that advances two seconds an item: lines after six, twelve and fourteen."""
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with job(log_path):
        list(progress.track(range(7), total=7, label="train", unit="epochs"))
    expected = [(3, 6, 8), (6, 12, 2), (7, 14, 0)]
    assert logged(log_path) == [
        f"train: {done} of 7 epochs, {spent} s elapsed, {left} s left" for done, spent, left in expected
    ]


def test_progress_of_work_that_ends_early(log_path):
    """Stopping in the middle is no error and logs no end."""
    with job(log_path):
        for item in progress.track(range(10), total=10, label="train", unit="epochs"):
            if item == 4:
                break
    assert logged(log_path) == []


def test_no_progress_bar_where_there_is_no_terminal(log_path, capsys):
    """Logs of a cluster job hold lines, not control characters."""
    with job(log_path):
        list(progress.track(range(3), total=3, label="train", unit="epochs"))
    assert "\r" not in capsys.readouterr().err


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])

    def set_to(now):
        seconds[0] = now

    return set_to


def test_progress_with_a_speed(log_path, clock):
    """Work done in the unit asked for, per second elapsed."""
    with (
        job(log_path),
        Progress(total=100, label="simulate", unit="steps", work_per_unit=0.5, work_unit="Gint") as shown,
    ):
        clock(10.0)
        shown.advance(30)
        clock(20.0)
        shown.advance(70)
    assert logged(log_path) == [
        "simulate: 30 of 100 steps, 10 s elapsed, 23 s left, 1.50 Gint/s",
        "simulate: 100 of 100 steps, 20 s elapsed, 0 s left, 2.50 Gint/s",
    ]


def test_progress_that_goes_on(log_path, clock):
    """What an earlier run did counts as done, but neither for the speed nor for the time left."""
    with (
        job(log_path),
        Progress(total=100, done=60, label="simulate", unit="steps", work_per_unit=1.0, work_unit="Gint") as shown,
    ):
        clock(10.0)
        shown.advance(10)
        clock(40.0)
        shown.advance(30)
    assert logged(log_path) == [
        "simulate: 70 of 100 steps, 10 s elapsed, 30 s left, 1.00 Gint/s",
        "simulate: 100 of 100 steps, 40 s elapsed, 0 s left, 1.00 Gint/s",
    ]


def test_progress_that_is_all_start(log_path, clock):
    """The birth of many clusters takes long and is no step: nothing is known of the time left, nor of the speed."""
    with (
        job(log_path),
        Progress(total=100, label="simulate", unit="steps", work_per_unit=1.0, work_unit="Gint") as shown,
    ):
        clock(6.0)
        shown.advance(0)
        clock(12.0)
        shown.advance(50)
    assert logged(log_path) == [
        "simulate: 0 of 100 steps, 6 s elapsed",
        "simulate: 50 of 100 steps, 12 s elapsed, 12 s left, 4.17 Gint/s",
    ]


def test_progress_by_fractions_ends_once(log_path, clock):
    """Tenths of a step add up to the whole although floating-point numbers do not quite."""
    assert sum([0.1] * 10) < 1
    with job(log_path), Progress(total=1, label="simulate", unit="steps") as shown:
        for _ in range(10):
            shown.advance(0.1)
    assert logged(log_path) == ["simulate: 1 of 1 steps, 0 s elapsed, 0 s left"]


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1"])
def test_names_reach_the_log_in_every_locale(tmp_path, locale):
    """As UTF-8; a terminal that cannot show them gets their numbers."""
    environment = os.environ | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", NAMING_JOB, str(tmp_path / "log")]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="ascii", check=False)
    assert done.returncode == 1
    assert done.stderr == "natal: \\u03c1 Oph\nnatal: \\u661f\\u56e3 is not a cluster\n"
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert [line.partition("O ")[2] or line.partition("R ")[2] for line in lines] == ["ρ Oph", "星団 is not a cluster"]
