"""Reads tables in the formats that astronomers use: CSV here, ECSV, FITS and VOTable by `astropy.table`."""

import gzip
import io
import re
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

from natal.campaign.tables import csv_cells, file_bytes, shown, utf8
from natal.errors import NatalError
from natal.observables.columns import SPELLED

Cell = str | float | None
"""A text, a number, or None where the file says that it is missing."""


@dataclass(frozen=True)
class TableColumn:
    """A column as it stands in a file."""

    name: str
    """As in the file, without blanks around it."""
    unit: str | None
    """What the file says; None if it says nothing."""
    cells: list[Cell] | None
    """One a row; None if they are no texts or single numbers."""


@dataclass(frozen=True)
class TableFile:
    """A table as it stands in a file."""

    columns: list[TableColumn]
    """In the file's order."""
    n_rows: int
    """Rows, also broken ones."""
    broken: dict[int, str] = field(default_factory=dict)
    """By number of a row, from 1: why it cannot be read."""


def read_table_file(path: str, key: str) -> TableFile:
    """Read a table in the format that its first bytes tell: FITS, VOTable, ECSV, else CSV; each may be packed by gzip.

    Of a file with several tables the first one is read. In CSV, lines at the start that begin with # are skipped.

    Args:
        path: The file.
        key: The setting or argument that names it, for what is said of a missing file.

    Returns:
        The table.

    Raises:
        NatalError: The file is missing or is no such table.
    """
    data = _unpacked(path, file_bytes(path, key))
    if data.startswith(b"SIMPLE  ="):
        return _by_astropy(path, "FITS", io.BytesIO(data), format="fits")
    if re.match(rb"(\xef\xbb\xbf)?\s*<", data) and re.search(rb"<(\w+:)?VOTABLE", data[:5000]):
        of_table = {"table_id": 0, "use_names_over_ids": True}
        return _by_astropy(path, "VOTable", io.BytesIO(data), format="votable", **of_table)
    text = utf8(path, data)
    if not text.startswith("# %ECSV"):
        return _csv(path, text)
    # Python, and so astropy, would read 1_450 as 1450
    if found := re.search(r"^(?!#).*?(?<![^\s,])([-+]?\d[\d.]*_[\d._]+(e[-+]?\d+)?)(?![^\s,])", text, re.M | re.I):
        raise NatalError(f"{path}: {found[1]!r} is not a finite number")
    return _by_astropy(path, "ECSV", text, format="ascii.ecsv")


def _unpacked(path: str, data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise NatalError(f"{path} is damaged, or is not in gzip ({error})") from error


def _csv(path: str, text: str) -> TableFile:
    names, rows = csv_cells(path, re.sub(r"\A(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))+", "", text))
    cells: list[list[Cell]] = [[] for _ in names]
    broken = {}
    for number, row in enumerate(rows, start=1):
        if number == 1 and _are_units(row):
            broken[number] = (
                "looks like units: natal reads them from names, such as r_hp_pc, or from ECSV, FITS, VOTable"
            )
        elif row[0].startswith("#"):
            broken[number] = "begins with #: comments stand before the header only, and no name begins with #"
        elif any(row) and len(row) != len(names):
            broken[number] = f"expected {len(names)} values, one a column, but there are {len(row)}"
            if any("\n" in cell or "\r" in cell for cell in row):
                broken[number] += " over several lines: is a quote not closed?"
        for k, column in enumerate(cells):
            column.append(row[k] if k < len(row) else None)
    columns = [TableColumn(name.strip(), None, column) for name, column in zip(names, cells, strict=True)]
    return TableFile(columns, len(rows), broken)


def _are_units(row: list[str]) -> bool:
    return not any(re.search(r"\d", cell) for cell in row) and any(cell.strip("[]() ") in SPELLED for cell in row)


def _by_astropy(path: str, form: str, source: Any, **options: Any) -> TableFile:
    from astropy.table import Table

    try:
        with warnings.catch_warnings():
            # such as units that astropy does not know: natal reports those that matter
            warnings.simplefilter("ignore")
            # plain columns in place of quantities
            table = Table(Table.read(source, **options), copy=False)
            columns = [_column(table[name]) for name in table.colnames]
    # readers of damaged files raise errors of any kind
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise NatalError(f"{path} cannot be read as a table in {form}: {shown(said)}") from error
    return TableFile(columns, len(table))


def _column(column: Any) -> TableColumn:
    import numpy as np
    from astropy.table import Column

    name, unit = column.info.name, getattr(column, "unit", None)
    cells: list[Cell] | None = None
    if isinstance(column, Column) and column.ndim == 1 and column.dtype.kind in "iufSUO":
        values, masked = np.asarray(column).tolist(), np.ma.getmaskarray(column)
        cells = [None if off else value for value, off in zip(values, masked, strict=True)]
        cells = [cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in cells]
        if not all(value is None or isinstance(value, str | int | float) for value in cells):
            cells = None
    return TableColumn(name, str(unit) if unit is not None else None, cells)
