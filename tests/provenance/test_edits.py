"""What an edit of natal's code makes stale: the table in docs/explanation/staleness.md, without running anything."""

import ast
import re
from pathlib import Path

import pytest
from project import ROOT

from natal.provenance import digests
from natal.provenance.source import without_words

PACKAGE, SCRIPTS = ROOT / "src" / "natal", ROOT / "workflow" / "scripts"
MODULES = sorted(PACKAGE.rglob("*.py"))
TABLE = "| edit | stages that it makes stale |\n|---|---|\n"
WORDS = "words, in any module or script: of an error, a log line, a progress bar, a docstring, a comment; annotations"
APART = "anything in "
SYMBOL = "a symbol in "
LABELLED = {
    "Progress": {"label", "unit", "work_unit"},
    "track": {"label", "unit", "work_unit"},
    "fit_networks": {"progress_label", "progress_unit", "refusal"},
    "train_by_epochs": {"progress_label"},
}


def stage(script):
    """Name of a stage: that of its rule, in a study with the study before it."""
    parts = script.relative_to(SCRIPTS).with_suffix("").parts
    return "/".join(parts[1:]) if parts[0] == "studies" else parts[-1]


STAGES = {path: stage(path) for path in sorted(SCRIPTS.rglob("*.py")) if path.name != "status.py"}


@pytest.fixture(scope="module", autouse=True)
def nothing_kept():
    """What edited files hold is not for later processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "MEMORY", Path(__file__) / "code.json")
        yield


@pytest.fixture(scope="module")
def before():
    """Digests of all stages as the code is."""
    return all_digests()


@pytest.fixture
def stale(before, monkeypatch):
    """A function that gives the stages which become stale if files have other texts."""

    def stages(texts):
        monkeypatch.setattr(digests, "_text", lambda path: texts.get(path) or path.read_text(encoding="utf-8"))
        now = all_digests()
        return {name for name in now if now[name] != before[name]}

    yield stages
    monkeypatch.undo()
    forget()


def all_digests():
    forget()
    return {name: digests.code_digest(path) for path, name in STAGES.items()}


def forget():
    for function in (digests.code_digest, digests._imported_modules):
        function.cache_clear()


def rows():
    """Edits and the stages that each makes stale, as documented."""
    lines = (ROOT / "docs" / "explanation" / "staleness.md").read_text().split(TABLE)[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {edit: set(re.findall(r"[\w/]+", names)) - {"none"} for edit, names in cells}


def said(tree):
    """All strings, and numbers, that are said to people only: of exceptions, warnings, logs, asserts, docstrings."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=value) | ast.Assert(msg=value) | ast.Expr(value=ast.Constant() as value) if value:
                found.append(value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")) | ast.Attribute(attr="warn"))):
                found.append(node)
            case ast.Call(func=ast.Name(id=name)) if name.endswith(("Error", "Warning")) or name == "Allowed":
                found.append(node)
        if isinstance(node, ast.Call):
            words = {"remedy"} | LABELLED.get(getattr(node.func, "id", ""), set())
            found += [keyword.value for keyword in node.keywords if keyword.arg in words]
    return [one for node in found for one in ast.walk(node) if isinstance(one, ast.Constant)]


def reworded(path):
    """The text of a file with other words, and how many texts are other ones."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {id(one): one for one in said(tree) if isinstance(one.value, str)}
    for one in texts.values():
        one.value += " in other words"
    return ast.unparse(tree), len(texts)


def with_another_number(path):
    """The text of a file with another number in a formula, else anywhere; where there is none, with an effect more."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {id(one) for one in said(tree)}
    operands = [side for node in ast.walk(tree) if isinstance(node, ast.BinOp) for side in (node.left, node.right)]
    for node in [*operands, *ast.walk(tree)]:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and id(node) not in words:
            node.value += 1
            return ast.unparse(tree)
    return f"{path.read_text()}\n\nEDITED = print('anything')\n"


def what_counts(text, path):
    return digests._parse(text, False, script=path in STAGES)


@pytest.mark.slow
def test_other_words_make_nothing_stale(stale):
    """Every error, log line, progress bar and docstring of every module and script, all at once."""
    edited = {path: reworded(path) for path in [*MODULES, *STAGES]}
    assert sum(n for _, n in edited.values()) > 800
    assert all(edited[PACKAGE / name][1] > 5 for name in ("nbody/gravity.py", "emulator/ensemble.py", "data/runs.py"))
    assert rows()[WORDS] == set()
    stages = stale({path: text for path, (text, _) in edited.items()})
    counted = [
        path.name
        for path, (text, _) in edited.items()
        if what_counts(text, path) != what_counts(path.read_text(), path)
    ]
    assert stages == set(), counted


# sentences that are results: written into tables and files, or drawn
RESULTS = {
    "tuning/diagnostics/health.py": "what to do, in checks.csv",
    "tuning/diagnostics/curves.py": "what to do, in checks.csv",
    "studies/triples/evaluation.py": "differences of scores, in its metrics",
    "studies/potential/store.py": "units, an attribute of its files",
    "studies/lessons/repeated.py": "how a training leaked, in its table",
    "assessment/power.py": "what a check would see, in metrics.json",
    "assessment/trust.py": "what to rely on, in metrics.json",
    "checks/brute_force.py": "what an array is, an attribute of its file",
}


def test_sentences_that_count_are_results(before):
    """Words that are made elsewhere than where they are said escape the test above: no sentence is left in the code."""
    forget()
    used = {path for script in STAGES for path in (script, *digests._import_closure(script))}
    found = {}
    for path in used:
        name = path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else SCRIPTS).as_posix()
        if re.search(r"figures|report", name) or name in RESULTS:
            continue
        tree = without_words(path.read_text(encoding="utf-8"), labels=False, script=path in STAGES)
        # a field's annotation is a shape
        shapes = [node.annotation for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
        apart = {id(one) for shape in shapes for one in ast.walk(shape)}
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in apart]
        sentences = [text for text in strings if re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", str(text))]
        if sentences:
            found[name] = sentences
    assert found == {}


@pytest.mark.parametrize("edit", [edit for edit in rows() if edit != WORDS])
def test_an_edit_makes_its_stages_stale(stale, edit):
    """Another number in a formula, in every module that a row of the table names."""
    paths = [PACKAGE / name for name in re.findall(r"`([\w/]+(?:\.py|/))`", edit)]
    if edit.startswith(APART):
        files = [file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])]
        texts = {file: f"{file.read_text()}\n\nEDITED = print('anything')\n" for file in files}
        assert stale(texts) == rows()[edit] == set()
        return
    assert paths
    for file in paths:
        if edit.startswith(SYMBOL):
            text = file.read_text().replace('symbol=r"$', 'symbol=r"$ ')
        else:
            text = with_another_number(file)
        assert text != file.read_text()
        found = stale({file: text})
        assert (found if "`studies/" in edit else {name for name in found if "/" not in name}) == rows()[edit], file


def test_every_package_has_a_row():
    """None is forgotten; those apart are those of the rule."""
    named = {name for edit in rows() for name in re.findall(r"`([\w/]+(?:\.py|/))`", edit)}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages <= {name.split("/")[0] for name in named}
    (apart,) = [edit for edit in rows() if edit.startswith(APART)]
    found = {name.removesuffix(".py").strip("/").replace("/", ".") for name in re.findall(r"`([\w/.]+)`", apart)}
    assert found == digests.APART


def test_nothing_hides_from_the_digest():
    """Relative imports would not be followed, nor natal's lazy names; private names may count as unused elsewhere."""
    for path in [*MODULES, *STAGES]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                names = [alias.name for alias in node.names]
                assert not re.match("natal", node.module) or not any(name.startswith("_") for name in names), path
                assert node.module != "natal" or all((PACKAGE / name).is_dir() for name in names), path
