"""What surrounds a job's work: its log, one line for a user's mistake, everything for a defect, progress."""

import logging

import pytest

from natal import progress
from natal.errors import NatalError
from natal.jobs import job


@pytest.fixture(autouse=True)
def natal_logger():
    """The logger `natal`, put back as it was."""
    logger = logging.getLogger("natal")
    before = logger.handlers, logger.level, logger.propagate
    yield logger
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
    """With the time in the file, briefly on the terminal, nothing on standard output."""
    with job(log_path) as log:
        log.info("%d runs", 3)
        log.debug("not for anybody")
    assert log_path.read_text().endswith(" INFO 3 runs\n")
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


def logged(path):
    """Messages of a log, without times."""
    return [line.split(" INFO ")[1] for line in path.read_text().splitlines()]


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
