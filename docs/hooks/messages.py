"""What natal can say to a user, read from its source: the table of docs/howto/messages.md cannot go out of date."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FEWEST_WORDS = {True: 3, False: 5}
"""Of a text that ends what was asked for, and of any other: fewer are no message."""
# texts of figures, of the report and of archives, which nobody searches for a remedy
SILENT = re.compile(r"figures|report$|natal\.report|crate$|declared$|variables$")
EXIT = re.compile(r"sys\.exit\(\s*(.+?)\n?\s*\)\n", re.DOTALL)


@dataclass(frozen=True)
class Message:
    """A text with `…` for what it is filled with, where it is said, and whether it ends what was asked for."""

    text: str
    place: str
    fatal: bool


def messages() -> list[Message]:
    """All of them, in the order of their modules."""
    found: dict[tuple[str, str], Message] = {}
    for path in sorted((ROOT / "src" / "natal").rglob("*.py")):
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        for text, fatal in _said(ast.parse(path.read_text(encoding="utf-8"))):
            if fatal or not SILENT.search(name):
                found.setdefault((name, text), Message(text, name, fatal))
    for path in sorted((ROOT / "workflow").rglob("*.smk")):
        name = path.relative_to(ROOT).as_posix()
        for given in EXIT.findall(path.read_text(encoding="utf-8")):
            for text, _ in _said(ast.parse(f"sys.exit({given})")):
                found.setdefault((name, text), Message(text, name, True))
    return list(found.values())


def _said(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Texts of a module; first those of its mistakes, so that none is taken for a mere word."""
    silent: set[ast.AST] = set()
    mistakes: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                silent.add(node.value)
            # shapes of arrays, help of commands, patterns
            case ast.Subscript(slice=inner) | ast.keyword(arg="help" | "epilog", value=inner):
                silent |= set(ast.walk(inner))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[pattern, *_]):
                silent |= set(ast.walk(pattern))
            case ast.Raise(exc=ast.Call() as call):
                mistakes.append(call)
            case ast.Call(func=ast.Name(id=name)) if name.endswith(("Error", "Exception")):
                mistakes.append(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sys"), attr="exit")):
                mistakes.append(node)
    taken: set[ast.AST] = set()
    for roots, fatal in ((mistakes, True), ([tree], False)):
        for root in roots:
            for node in ast.walk(root):
                if node in silent | taken:
                    continue
                if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                    taken |= set(ast.walk(node))
                    text = " ".join(_template(node).split())
                    if len(re.findall(r"[A-Za-z]{2,}", text)) >= FEWEST_WORDS[fatal] and " " in text:
                        yield text, fatal


def _template(node: ast.AST) -> str:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(_template(part) for part in values)
    return "…"


def tables(fatal: bool) -> str:
    """In Markdown, a section for each package, a message a row."""
    sections: dict[str, list[str]] = {}
    for message in messages():
        if message.fatal == fatal:
            text = re.sub(r"([\\`*_{}\[\]<>|$])", r"\\\1", message.text)
            package = ".".join(message.place.split(".")[:2]) if message.place.startswith("natal") else "workflow"
            sections.setdefault(package, []).append(f"| {text} | `{message.place}` |")
    head = "| it says | where it is said |\n|---|---|\n"
    return "\n\n".join(f"### {package}\n\n{head}" + "\n".join(rows) for package, rows in sections.items())
