"""Reads tables that people write: CSV files, with one line on each mistake."""

import csv
import io
import itertools
import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from natal.errors import Mistakes, NatalError
from natal.variables import SUMMARIES, check_measured

CONTROLS = {"Cc", "Zl", "Zp"}
"""Unicode's categories of characters that control devices or end lines."""

LONGEST = 200
"""Most characters of a file's header, or of a cell, that a message shows."""


def read_observations(path: str) -> list[dict[str, Any]]:
    """Read a table of observed clusters: name, f_bound, sigma_v_kms, r_h_au and perhaps columns of their errors (_err).

    Args:
        path: The CSV file.

    Returns:
        A row a cluster; missing errors are 0.

    Raises:
        NatalError: One line for each bad value, naming its row and column.
    """
    mistakes = Mistakes()
    error_columns = tuple(f"{c}_err" for c in SUMMARIES)
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    required = ("name", *SUMMARIES)
    for row_number, row in csv_rows(path, "observations", required=required, optional=error_columns, mistakes=mistakes):
        name = row["name"]
        values: dict[str, Any] = {"name": name}
        with mistakes.gathered():
            check_name(path, row_number, name, names)
        names.add(name)
        for column in (*SUMMARIES, *error_columns):
            text = row[column] if column in SUMMARIES else row.get(column) or "0"
            with mistakes.gathered():
                values[column] = number(path, row_number, column, text)
                try:
                    check_measured(column, values[column])
                except ValueError as error:
                    raise NatalError(f"{path}, row {row_number}, column {column}: {text} {error}") from error
        rows.append(values)
    mistakes.say()
    return rows


def has_summaries_alone(path: str) -> bool:
    """Whether a file is a table for `read_observations`: a CSV file with just its columns, without empty cells.

    Any other table of clusters is read by `natal.campaign.catalogues`.

    Args:
        path: The file.

    Returns:
        False also if the file cannot be read.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(Path(path).read_bytes().decode("utf-8-sig")), skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    known = {"name", *SUMMARIES, *SUMMARIES.errors}
    return (
        bool(rows)
        and {"name", *SUMMARIES} <= set(rows[0]) <= known
        and all(str(row[name]).strip() for row in rows for name in SUMMARIES)
    )


def csv_rows(
    path: str, key: str, *, required: tuple[str, ...], optional: tuple[str, ...], mistakes: Mistakes | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Read the rows of a CSV file with a header.

    Args:
        path: The file.
        key: The setting or argument that names it, for what is said of a missing file.
        required: Columns that it must have.
        optional: Columns that it may have.
        mistakes: Gets a line for each row that is too long or too short; None: such rows are an error in the end.

    Yields:
        Number of a row, from 1, and its cells by column.

    Raises:
        NatalError: Anything else is wrong with the file.
    """
    columns, rows = csv_cells(path, utf8(path, file_bytes(path, key)))
    header = shown(",".join(columns))
    known = f"columns: {', '.join(required)}, optional {', '.join(optional)}"
    for column in required:
        if column not in columns:
            raise NatalError(f"{path}: column {column} is missing ({known}), the header is {header}")
    for column in columns:
        if column not in (*required, *optional):
            raise NatalError(f"{path}: column {column or repr(column)} is not known ({known})")
        if columns.count(column) > 1:
            raise NatalError(f"{path}: column {column} appears {columns.count(column)} times")
    if not rows:
        raise NatalError(f"{path}: the table has no rows")
    of_rows = mistakes or Mistakes()
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            of_rows.add(f"{path}, row {number}: expected {len(columns)} values, one a column")
        else:
            yield number, {column: value.strip() for column, value in zip(columns, row, strict=True)}
    if mistakes is None:
        of_rows.say()


def lines_of_rows(path: str) -> dict[int, int]:
    """The line of a CSV file that each row ends on; lines before the header that begin with # are no rows.

    Args:
        path: The file.

    Returns:
        Lines by row number, both from 1.
    """
    reader = csv.reader(io.StringIO(utf8(path, file_bytes(path, "table")), newline=""), skipinitialspace=True)
    lines = [(reader.line_num, row[0].startswith("#")) for row in reader if row]
    rows = itertools.dropwhile(lambda line: line[1], lines)
    return dict(enumerate((number for number, _ in itertools.islice(rows, 1, None)), start=1))


def file_bytes(path: str, key: str) -> bytes:
    """Read a file.

    Args:
        path: The file.
        key: The setting or argument that names it.

    Returns:
        All bytes.

    Raises:
        NatalError: There is no such file.
    """
    if not Path(path).is_file():
        raise NatalError(f"{key}: there is no file {path}")
    return Path(path).read_bytes()


def utf8(path: str, data: bytes) -> str:
    """Read bytes as text. Ends of lines stay as they are: within quotes they are part of a value.

    Args:
        path: The file, for the message.
        data: Its bytes.

    Returns:
        The text.

    Raises:
        NatalError: The bytes are no UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NatalError(f"{path} is not a CSV file in UTF-8 ({error.reason})") from error


def csv_cells(path: str, text: str) -> tuple[list[str], list[list[str]]]:
    """Split a CSV file into cells; blank lines are left out.

    Args:
        path: The file, for the message.
        text: Its text.

    Returns:
        The header and the rows.

    Raises:
        NatalError: It is no CSV file, or values are separated by something else than commas.
    """
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        columns, *rows = [row for row in reader if row] or [[]]
    except csv.Error as error:
        raise NatalError(f"{path} is not a CSV file (line {reader.line_num}: {error})") from error
    if len(columns) == 1 and any(separator in columns[0].strip() for separator in ";\t| "):
        raise NatalError(f"{path}: values must be separated by commas, but the header is {shown(columns[0])}")
    return columns, rows


def shown(text: str) -> str:
    """A text from a file as a message shows it: on one line, and not all of a long one.

    Args:
        text: Any text.

    Returns:
        In quotes.
    """
    return repr(text[:LONGEST])


def check_name(path: str, row_number: int, name: str, names: set[str]) -> None:
    """Check the name of a cluster.

    Args:
        path: The file, for the message.
        row_number: The row, for the message.
        name: The name.
        names: Names of the rows before.

    Raises:
        NatalError: The name is empty, not unique, or holds control characters.
    """
    if not name or name in names:
        raise NatalError(f"{path}, row {row_number}, column name: {shown(name)} is empty or not unique")
    if not CONTROLS.isdisjoint(map(unicodedata.category, name)):
        said = "holds a line break or another control character: a name is one line of text"
        raise NatalError(f"{path}, row {row_number}, column name: {shown(name)} {said}")


def number(path: str, row_number: int, column: str, text: str) -> float:
    """Read the number in a cell.

    Args:
        path: The file, for the message.
        row_number: The row, for the message.
        column: The column, for the message.
        text: The cell.

    Returns:
        The number.

    Raises:
        NatalError: The cell holds no finite number.
    """
    try:
        # Python would read 1_450 as 1450
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NatalError(f"{path}, row {row_number}, column {column}: {shown(text)} is not a finite number")
    return value
