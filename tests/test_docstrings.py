"""Examples in docstrings show what they say, and public functions say what they take and return."""

import ast
import doctest
import importlib
import inspect

import pytest
from project import ROOT

SOURCE = ROOT / "src"
NATAL = SOURCE / "natal"


def module_name(path) -> str:
    """The dotted name of a module's file."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def parsed(path) -> ast.Module:
    """A module's text."""
    return ast.parse(path.read_text(encoding="utf-8"))


# found in the text: a module without examples is not imported
WITH_EXAMPLES = sorted(path for path in NATAL.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=module_name)
def test_examples_show_what_they_say(path, tmp_path, monkeypatch):
    """Every `>>>` of a module, in an empty folder.

    Docstrings come from the text: functions that are compiled or checked at run time look like another module's.
    """
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(module_name(path))
    parser, said = doctest.DocTestParser(), []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            name, line = getattr(node, "name", "module"), node.body[0].lineno - 1
            runner.run(parser.get_doctest(text, vars(module).copy(), name, str(path), line), out=said.append)
    assert not said, "".join(said)


def public_functions():
    """(name, function) of what packages hand on under their own name, methods of classes included."""
    for first in sorted(NATAL.rglob("__init__.pyi")):
        for line in parsed(first).body:
            if not (isinstance(line, ast.ImportFrom) and (line.module or "").startswith("natal.")):
                continue
            path = SOURCE.joinpath(*line.module.split(".")).with_suffix(".py")
            names = {alias.name for alias in line.names}
            # a package hands on modules
            for node in parsed(path).body if path.is_file() else []:
                if getattr(node, "name", None) in names:
                    inner = node.body if isinstance(node, ast.ClassDef) else [node]
                    for function in inner:
                        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
                            yield f"{module_name(path)}.{function.name}", function


PUBLIC = dict(public_functions())


def test_the_public_functions_are_found():
    """The check below would otherwise pass by looking at nothing."""
    assert {"natal.api.load_campaign", "natal.api.posterior", "natal.figures.recovery.coverage"} <= PUBLIC.keys()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_say_what_they_take_and_return(name):
    """One entry an argument under `Args:`; what comes back under `Returns:`."""
    function = PUBLIC[name]
    said = inspect.cleandoc(ast.get_docstring(function) or "")
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])]
    names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
    if not names:
        return
    assert "\nArgs:\n" in said
    entries = said.partition("\nArgs:\n")[2].partition("\n\n")[0]
    assert [one for one in names if f"\n    {one}: " not in "\n" + entries] == []
    if ast.unparse(function.returns) != "None":
        assert "\nReturns:\n" in said or "\nYields:\n" in said


# what commands take is said by their options
DOCUMENTED = [path for path in sorted(NATAL.rglob("*.py")) if not path.is_relative_to(NATAL / "cli")]


def functions_of_several(path) -> dict[str, ast.FunctionDef]:
    """Public functions and methods of a module with two or more arguments."""
    body = parsed(path).body
    bodies = [body, *(node.body for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    functions = [node for inner in bodies for node in inner if isinstance(node, ast.FunctionDef)]
    return {
        f"{module_name(path)}.{one.name}:{one.lineno}": one
        for one in functions
        if not one.name.startswith("_")
        and len({argument.arg for argument in (*one.args.args, *one.args.kwonlyargs)} - {"self", "cls"}) >= 2
    }


def test_functions_of_several_arguments_say_what_each_is():
    """Wherever they stand, handed on or not; ruff (D417) compares the names."""
    found = {name: one for path in DOCUMENTED for name, one in functions_of_several(path).items()}
    assert len(found) > 500
    assert [
        name for name, one in found.items() if "\nArgs:\n" not in inspect.cleandoc(ast.get_docstring(one) or "")
    ] == []
