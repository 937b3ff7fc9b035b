"""Pages and tables that are made of natal itself while the site is built: no copy of them can be out of date."""

import ast
import html
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "docs" / "hooks"), str(ROOT / "src")]

import messages  # noqa: E402

PACKAGE = ROOT / "src" / "natal"
PUBLIC = """# natal

What `import natal` gives. Nothing heavy is loaded before it is used.

"""
# pages that were written for a question come before signatures that hold the same word
LAST_FOUND = "---\nsearch: {boost: 0.2}\n---\n\n"
MARKED = re.compile(r"^<!-- made while the site is built: (\w+) -->$", re.MULTILINE)
# what readers of the file itself see in the place of a drawing
DRAWN = re.compile(r"^<!-- drawn in its place: house -->\n```.*?^```$", re.MULTILINE | re.DOTALL)
MADE = {
    "mistakes": lambda: messages.tables(fatal=True),
    "remarks": lambda: messages.tables(fatal=False),
    "configuration": lambda: _lowered(ROOT / "config" / "README.md"),
}


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the reference of every package, and the notebooks."""
    for name, text in _references():
        files.append(File.generated(config, f"reference/api/{name}.md", content=LAST_FOUND + text))
    for notebook in (ROOT / "docs").rglob("*.ipynb"):
        name = notebook.relative_to(ROOT / "docs").with_suffix(".md").as_posix()
        files.append(File.generated(config, name, content=_notebook(notebook)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what is made."""
    markdown = DRAWN.sub(lambda _: _house(), markdown)
    return MARKED.sub(lambda found: MADE[found[1]](), markdown)


def on_post_page(output: str, **_: Any) -> str:
    """Name the theme's search box for readers who do not see it."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def _house() -> str:
    """The packages by floor, as the contract of their imports has them, each with the first line of its docstring."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    floors = ""
    for layer in contract[0]["layers"]:
        rooms = ""
        for name in re.split(r"\s*[|:]\s*", layer):
            path = PACKAGE / name / "__init__.py"
            source = (path if path.exists() else PACKAGE / f"{name}.py").read_text(encoding="utf-8")
            said = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].replace("\n", " ").replace("`", "")
            page = {"cli": "commands", "api": "api/natal"}.get(name, f"api/{name if path.exists() else 'modules'}")
            rooms += f'<a href="reference/{page}.html"><b>{name}</b>{html.escape(said)}</a>'
        floors += f"<div>{rooms}</div>\n"
    return f'<div class="house">\n{floors}</div>'


def _references() -> list[tuple[str, str]]:
    """Name and text of a page for natal itself, one for each package, and one for single modules."""
    import natal

    names = [name for name in natal.__all__ if name != "__version__"]
    public = []
    for name in names:
        module = natal._LAZY[name]
        options = [f"heading: natal.{name}", f"toc_label: {name}"]
        # what has its place on another page, too, is linked to there
        options += [] if module == "api" else ["skip_local_inventory: true"]
        public.append(f"::: natal.{module}.{name}\n    options: {{{', '.join(options)}}}\n")
    pages = [("natal", PUBLIC + "\n".join(public))]
    packages = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "cli")
    pages += [(name, f"# natal.{name}\n\n::: natal.{name}\n    options: {{heading_level: 1}}\n") for name in packages]
    alone = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "api"))
    text = "# Other modules\n\n" + "\n".join(f"::: natal.{name}\n" for name in alone)
    return [*pages, ("modules", text)]


def _notebook(path: Path) -> str:
    """A notebook's cells and the outputs that are kept in it."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_output(output, cell["metadata"].get("alt", "")) for output in cell.get("outputs", [])]
    return "\n\n".join(parts)


def _output(output: dict[str, Any], alt: str) -> str:
    """What a cell gave: a picture, a table or text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data["image/png"]}">'
    if "text/html" in data:
        # tables of pandas, in the looks of this site
        return re.sub(r' (?:border|class|style)="[^"]*"', "", "".join(data["text/html"]))
    return "```text\n" + "".join(output.get("text") or data["text/plain"]).rstrip() + "\n```"


def _lowered(path: Path) -> str:
    """A file without its first heading."""
    return re.sub(r"\A# .*\n", "", path.read_text(encoding="utf-8"))
