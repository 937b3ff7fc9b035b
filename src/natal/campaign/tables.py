"""Reads the tables that people write: CSV files, with one line on what is wrong with one."""

import csv
import io
import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from natal.errors import Mistakes, NatalError
from natal.variables import SUMMARIES, check_measured

CONTROLS = {"Cc", "Zl", "Zp"}
"""Categories of characters that Unicode has for devices and for ends of lines."""

LONGEST_HEADER = 200
"""Characters of a file's header that a message shows."""


def read_observations(path: str) -> list[dict[str, Any]]:
    """Read a table of observed clusters: name, f_bound, sigma_v_kms, r_h_au and optional *_err columns.

    Missing errors count as zero. Raises `NatalError` naming the row and column of each bad value.
    """
    mistakes = Mistakes()
    error_columns = tuple(f"{c}_err" for c in SUMMARIES)
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    required = ("name", *SUMMARIES)
    for row_number, row in csv_rows(path, "observations", required=required, optional=error_columns, mistakes=mistakes):
        name = row["name"]
        if not name or name in names:
            mistakes.add(f"{path}, row {row_number}, column name: {name!r} is empty or not unique")
        if not CONTROLS.isdisjoint(map(unicodedata.category, name)):
            said = "holds a line break or another control character: a name is one line of text"
            mistakes.add(f"{path}, row {row_number}, column name: {name!r} {said}")
        names.add(name)
        values: dict[str, Any] = {"name": name}
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


def csv_rows(
    path: str, key: str, *, required: tuple[str, ...], optional: tuple[str, ...], mistakes: Mistakes | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row number, row) of a CSV file with a header, counting the first data row as 1.

    Rows that are too long or too short are left out and added to `mistakes`. Raises `NatalError` for anything else that
    is wrong with the file, and, without `mistakes`, in the end for such rows.
    """
    columns, rows, _ = _parse(path, key)
    known = f"columns: {', '.join(required)}, optional {', '.join(optional)}"
    for column in required:
        if column not in columns:
            header = ",".join(columns)[:LONGEST_HEADER]
            raise NatalError(f"{path}: column {column} is missing ({known}), the header is {header!r}")
    for column in columns:
        if column not in (*required, *optional):
            raise NatalError(f"{path}: column {column or repr(column)} is not known ({known})")
        if columns.count(column) > 1:
            raise NatalError(f"{path}: column {column} appears {columns.count(column)} times")
    if not rows:
        raise NatalError(f"{path}: the table has no rows")
    of_rows = mistakes or Mistakes()
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            of_rows.add(f"{path}, row {number}: expected {len(columns)} values, one a column")
        else:
            yield number, {column: value.strip() for column, value in row.items()}
    if mistakes is None:
        of_rows.say()


def lines_of_rows(path: str) -> dict[int, int]:
    """The line of a CSV file that each row ends on, by row number; raises `NatalError` as `csv_rows` does."""
    return dict(enumerate(_parse(path, "table")[2], start=1))


def _parse(path: str, key: str) -> tuple[list[str], list[dict[str, str]], list[int]]:
    """Columns and rows of a CSV file, and the line that each row ends on."""
    if not Path(path).is_file():
        raise NatalError(f"{key}: there is no file {path}")
    try:
        # bytes first: ends of lines within quotes are part of a value
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NatalError(f"{path} is not a CSV file in UTF-8 ({error.reason})") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        columns, rows = list(reader.fieldnames or []), [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise NatalError(f"{path} is not a CSV file (line {reader.reader.line_num}: {error})") from error
    header = ",".join(columns)[:LONGEST_HEADER]
    if len(columns) == 1 and any(separator in columns[0].strip() for separator in ";\t| "):
        raise NatalError(f"{path}: values must be separated by commas, but the header is {header!r}")
    return columns, [row for _, row in rows], [line for line, _ in rows]


def number(path: str, row_number: int, column: str, text: str) -> float:
    """The number in a cell. Raises `NatalError` naming file, row and column if there is none."""
    try:
        # Python would read 1_450 as 1450
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NatalError(f"{path}, row {row_number}, column {column}: {text!r} is not a finite number")
    return value
