"""Text is UTF-8 whatever the locale: every place that reads or writes some says so."""

import ast

import pytest
from project import ROOT

CODE = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")])


def name_of(call):
    """The last part of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def opens_text(call):
    """Whether a call reads or writes text in the locale's encoding unless told otherwise."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    match name_of(call):
        case "read_text" | "write_text" | "FileHandler" | "fdopen" | "TextIOWrapper" | "NamedTemporaryFile":
            return True
        case "open":
            texts = [a.value for a in [*call.args, keywords.get("mode")] if isinstance(a, ast.Constant)]
            return isinstance(call.func, ast.Name) and not any("b" in str(text) for text in texts)
        case "run" | "Popen" | "check_output":
            return "text" in keywords or "universal_newlines" in keywords
    return False


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("path.read_text()", True),
        ("open(path)", True),
        ("open(path, 'a+')", True),
        ("open(path, 'rb')", False),
        ("h5py.open(path)", False),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command)", False),
    ],
)
def test_calls_are_told_apart(code, expected):
    """What the next test looks for."""
    assert opens_text(ast.parse(code, mode="eval").body) == expected


def test_every_text_has_an_encoding():
    """Python would take the locale's: Latin-1 at one site, ASCII in a job of another."""
    found = []
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and opens_text(node) and "encoding" not in {k.arg for k in node.keywords}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
