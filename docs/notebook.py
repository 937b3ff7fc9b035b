"""Runs the notebook of the tutorials and keeps what its cells give: `python docs/notebook.py`.

The site shows the outputs that are kept (docs/hooks/pages.py), so that building it runs nothing. They are those of the
campaign that comes with natal and, in the last part, of `results/default`, which must be finished.
tests/workflow/test_tutorial.py runs the cells again and compares.
"""

import ast
import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent / "tutorials" / "notebook.ipynb"
DPI = 72  # figures stay below 30 kB


def read() -> dict[str, Any]:
    """The notebook as JSON."""
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def outputs(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """What each cell of code gives, in Jupyter's format; cells share their names, as in Jupyter."""
    import matplotlib as mpl

    mpl.use("Agg")
    names: dict[str, Any] = {}
    return [_run("".join(cell["source"]), names) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _run(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell: its prints, the value of its last expression unless a semicolon ends it, and its figures."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) and not source.endswith(";") else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    found = [{"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())}] if printed.tell() else []
    figures = {pyplot.figure(number) for number in pyplot.get_fignums()}
    if isinstance(value, Figure):
        figures.add(value)
    elif value is not None:
        data = {"text/plain": lines(repr(value))}
        if hasattr(value, "to_html"):
            data["text/html"] = lines(value.to_html(border=0))
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    for figure in figures:
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=DPI, metadata={"Software": None})
        data = {"image/png": base64.b64encode(image.getvalue()).decode()}
        found.append({"output_type": "display_data", "metadata": {}, "data": data})
    pyplot.close("all")
    return found


def lines(text: str) -> list[str]:
    """Text as Jupyter keeps it."""
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    notebook = read()
    found = iter(outputs(notebook))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = next(found)
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
