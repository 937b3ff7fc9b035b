"""Tables that a command prints: drawn in a terminal, plain lines in a pipe."""

import sys
from collections.abc import Sequence

import click


def show(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Print a table: by rich in a terminal, else a header and a line a row, columns two blanks apart.

    Args:
        columns: Their names; the first holds text, the others numbers.
        rows: Cells as text.
        title: Shown above the table, in a terminal only.
    """
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for k, column in enumerate(columns):
            table.add_column(column, justify="right" if k else "left")
        for row in rows:
            # names are text: [bold] is no markup
            table.add_row(*row)
        Console(markup=False, highlight=False).print(table)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for cells in (columns, *rows):
        aligned = [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]
        click.echo("  ".join(aligned).rstrip())
