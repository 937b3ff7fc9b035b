"""Reads tables of observed clusters as astronomers have them: any of the observables, in any unit, with empty cells."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from natal.campaign.table_files import Cell, TableColumn, TableFile, read_table_file
from natal.campaign.tables import check_name, number, shown
from natal.errors import NatalError
from natal.observables.columns import (
    KEPT,
    N_STARS,
    PARTS,
    Column,
    checked,
    completed,
    contradiction,
    incomplete,
    understand,
)
from natal.observables.declared import CIRCUMSTANCES, MEASURABLE
from natal.variables import Variable, Variables

if TYPE_CHECKING:
    import pandas as pd

ALL = Variables(*MEASURABLE.values(), *CIRCUMSTANCES.values())
"""What a table may say of a cluster."""


@dataclass(frozen=True)
class Catalogue:
    """What a table says of clusters."""

    clusters: "pd.DataFrame"
    """A row a cluster: `name`, `row` (in the file, from 1), for each of `MEASURABLE` and `CIRCUMSTANCES` the value, its
    errors to either side and its limits (`KEPT`) in natal's units, and `n_stars`. What is not given is NaN; errors of a
    value are then 0."""
    refused: list[str]
    """A line for each row that was left out."""
    ignored: list[str]
    """Columns that are about something else."""

    def remarks(self, path: str) -> list[str]:
        """Lines on the table as a whole.

        Args:
            path: The file's name.

        Returns:
            One on columns that were not read, if there are any: one of them may be a misspelt observable.
        """
        said = UserWarning(f"columns that natal does not know were not used: {', '.join(self.ignored)}")
        return [f"{path}: {said}"] if self.ignored else []


def read_catalogue(path: str, *, strict: bool = False) -> Catalogue:
    """Read a table of observed clusters in CSV, ECSV, FITS or VOTable.

    Args:
        path: The file (docs/howto/own_clusters.md says what its columns may be).
        strict: Whether one bad row refuses the file.

    Returns:
        The clusters in natal's units, what was left out and why.

    Raises:
        NatalError: The file or one of its columns cannot be understood, or no row can.
    """
    import pandas as pd

    table = read_table_file(path, "observations")
    names, columns, ignored = _columns(path, table)
    clusters: list[dict[str, str | float]] = []
    refused: list[str] = []
    taken: set[str] = set()
    for k in range(table.n_rows):
        cells = {column.name: column.cells[k] for column in table.columns if column.cells is not None}
        if all(cell is None or not str(cell).strip() for cell in cells.values()):
            continue
        try:
            if said := table.broken.get(k + 1):
                raise NatalError(f"{path}, row {k + 1}: {said}")
            name = _text(cells[names])
            check_name(path, k + 1, name, taken)
            taken.add(name)
            clusters.append({"name": name, "row": k + 1, **_Row(path, k + 1, columns, cells).values()})
        except NatalError as error:
            if strict:
                raise
            refused.append(str(error))
    if not clusters and not refused:
        raise NatalError(f"{path}: the table has no rows")
    if not clusters:
        raise NatalError(f"{refused[0]} (none of the table's {len(refused)} rows can be answered)")
    order = ["name", "row", *(variable + part for variable in ALL for part in KEPT), N_STARS.name]
    return Catalogue(pd.DataFrame(clusters).reindex(columns=order), refused, ignored)


Columns = dict[tuple[str, str], Column]
"""By variable and part (`natal.observables.columns.PARTS`)."""


def _columns(path: str, table: TableFile) -> tuple[str, Columns, list[str]]:
    """The column of names, those that natal reads, and the names of all others."""
    header = f"the header is {shown(','.join(column.name for column in table.columns))}"
    names = [column.name for column in table.columns if column.name.casefold() == "name"]
    if len(names) != 1:
        said = f"{len(names)} columns are called name, but there must be one, with a text for each cluster"
        raise NatalError(f"{path}: {said}; {header} (lines before it that begin with # do not count)")
    columns: Columns = {}
    ignored = []
    for found in table.columns:
        if found.name in names:
            continue
        column = _understood(path, found)
        if column is None:
            # a comma at the end of each line makes an empty column without a name, which is no news
            if found.name or any(found.cells or ()):
                ignored.append(found.name or "(no name)")
            continue
        rivals = (column.part, *(("_err_low", "_err_high") if column.part == "_err" else ()))
        rivals += ("_err",) if column.part in ("_err_low", "_err_high") else ()
        for part in rivals:
            if other := columns.get((column.variable.name, part)):
                raise NatalError(f"{path}: columns {other.name} and {column.name} give the same: take one out")
        columns[column.variable.name, column.part] = column
    if not any(variable in MEASURABLE and part in ("", "_lower", "_upper") for variable, part in columns):
        said = f"the table has no column of an observable ({', '.join(MEASURABLE)}, in any unit)"
        raise NatalError(f"{path}: {said}; {header}")
    return names[0], columns, ignored


def _understood(path: str, found: TableColumn) -> Column | None:
    try:
        column = understand(found.name, found.unit)
        if column is not None and found.cells is None:
            raise ValueError("must have one number a cell")
    except ValueError as error:
        name = found.name if found.name.isprintable() else shown(found.name)
        raise NatalError(f"{path}: column {name} {error}") from error
    return column


def _text(cell: Cell) -> str:
    return "" if cell is None else str(cell).strip()


@dataclass(frozen=True)
class _Row:
    """One row of a table, and where it stands."""

    path: str
    row: int
    columns: Columns
    cells: Mapping[str, Cell]

    def values(self) -> dict[str, float]:
        """Values, errors and limits of what the table has, in natal's units. Raises `NatalError` for what cannot be."""
        values: dict[str, float] = {}
        for name in dict.fromkeys(name for name, _ in self.columns if name in ALL):
            values |= {name + part: value for part, value in self._of(ALL[name]).items()}
        told = (values.get(name + part, math.nan) for name in MEASURABLE for part in ("", "_lower", "_upper"))
        if all(map(math.isnan, told)):
            empty = ", ".join(column.name for (name, _), column in self.columns.items() if name in MEASURABLE)
            said = "no value, but at least one observable is needed: age and mass alone say nothing of a birth"
            raise NatalError(f"{self.path}, row {self.row}, columns {empty}: {said}")
        values[N_STARS.name] = self._number(N_STARS, "")
        if missing := incomplete(values):
            name, part, said = missing
            raise NatalError(f"{self.path}, row {self.row}, column {self.columns[name, part].name}: {said}")
        return values

    def _of(self, variable: Variable) -> dict[str, float]:
        """Value, errors and limits of a variable, by part (`KEPT`)."""
        found = {part: self._number(variable, part) for part in PARTS}
        if wrong := contradiction(found):
            raise self._mistake(variable, *wrong)
        return completed(found)

    def _number(self, variable: Variable, part: str) -> float:
        """A number in natal's unit, NaN where there is none. Raises `NatalError` for a number that cannot be."""
        column = self.columns.get((variable.name, part))
        text = "" if column is None else _text(self.cells[column.name])
        if column is None or text.casefold() in ("", "nan"):
            return math.nan
        try:
            value = number(self.path, self.row, column.name, text) * column.factor
        except NatalError as error:
            raise NatalError(f"{error}: write it like 0.8 or 1.2e3, or leave the cell empty") from error
        try:
            return checked(variable, part, value)
        except ValueError as error:
            raise self._mistake(variable, part, str(error)) from error

    def _mistake(self, variable: Variable, part: str, said: str) -> NatalError:
        column = self.columns[variable.name, part]
        text = _text(self.cells[column.name])
        if column.factor != 1:
            converted = f"{float(text) * column.factor:g} {variable.shown_unit}".strip()
            text += f" {column.unit} ({converted})"
        return NatalError(f"{self.path}, row {self.row}, column {column.name}: {text} {said}")
