"""What of a source file can change a result: its syntax tree without words.

Words are comments, docstrings and other strings that stand alone; annotations of functions, and what only type checkers
read; what exceptions and warnings say (their names end in `Error` or `Warning`), asserts, logs and exits; and arguments
in `WORDS`, such as the label of a progress bar. What only these used is left out next, until nothing more is unused:
variables of a function whose value calls nothing but `PURE` functions, branches left empty, private functions and
constants of a module, imports.

All else counts: a column's name, a unit, a file format, a sentence that is written into a table. If a text that is no
result counts all the same, move it to where it is raised or logged.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator

WORDS = {
    "Progress": {"label", "unit", "work_unit"},
    "track": {"label", "unit", "work_unit"},
    "Field": {"description", "examples", "title", "ge", "gt", "le", "lt", "min_length", "max_length", "pattern"},
    "Allowed": {"text"},
}
"""Keyword arguments that are words, by what is called. Limits of settings are among them, as they change no value."""

ALWAYS_WORDS = {"json_schema_extra", "progress_label", "progress_unit", "refusal", "remedy"}
"""Keyword arguments that are words whatever is called."""

SAYINGS = {"Allowed"}
"""What is called with nothing but words, beside exceptions and warnings."""

LABELS = {"Variable": {"meaning", "symbol"}}
"""Keyword arguments that only a reader of figures sees, by what is called."""

LOGGERS = {"log", "logger", "logging", "warnings"}
LOGGING = {"critical", "debug", "error", "exception", "info", "warn", "warning"}

PURE = {
    *("abs", "all", "any", "dict", "float", "format", "getattr", "int", "isinstance", "join", "len", "list", "max"),
    *("min", "range", "repr", "round", "set", "sorted", "split", "splitlines", "str", "strip", "sum", "tuple", "type"),
    "zip",
}
"""Functions and methods that return a value and do nothing else."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Block = list[ast.AST]


def without_words(source: str, *, labels: bool, script: bool = False) -> ast.Module:
    """Parse a file and leave out its words.

    Args:
        source: Text of the file.
        labels: Whether `LABELS` count.
        script: Whether it is a script: nobody else reads its variables, as if all of it were one function.

    Returns:
        The syntax tree of what is left.
    """
    tree = ast.parse(source)
    words = _Words(labels)
    words.visit(tree)
    for function in [*words.spoken_in, *([tree] if script else [])]:
        _leave_out_unused(list(_blocks(function, fields=False)), _read(function))
    read = _read(tree)
    _leave_out_unused([next(_blocks(tree))], read, private_only=True)
    for block in _blocks(tree):
        for node in block:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [alias for alias in node.names if _is_read(alias, read)]
        block[:] = [node for node in block if getattr(node, "names", True)]
    return tree


def _blocks(node: ast.AST, *, fields: bool = True) -> Iterator[Block]:
    """All lists of statements in a piece of code; with `fields`, also those of classes."""
    if isinstance(node, ast.ClassDef) and not fields:
        return
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
            for statement in block:
                yield from _blocks(statement, fields=fields)


def _read(*code: ast.AST) -> Counter[str]:
    """Names that pieces of code read, and how often. Words in strings count as names (`__all__`, annotations)."""
    read: Counter[str] = Counter()
    for node in (inner for piece in code for inner in ast.walk(piece)):
        match node:
            # adding to something may change what others see
            case ast.Name(id=name, ctx=ast.Load() | ast.Del()) | ast.AugAssign(target=ast.Name(id=name)):
                read[name] += 1
            case ast.Constant(value=str(text)):
                read.update(re.findall(r"\w+", text))
            case ast.Nonlocal(names=names) | ast.Global(names=names):
                read.update(names)
    return read


def _leave_out_unused(blocks: list[Block], read: Counter[str], *, private_only: bool = False) -> None:
    """Remove statements without effect, and take the names that only they read out of `read`, until none is left.

    Of a module, only private names are removed (`private_only`): the others may be read elsewhere.
    """

    def is_unread(name: str) -> bool:
        return not read[name] and (not private_only or (name.startswith("_") and not name.startswith("__")))

    def is_unused(node: ast.AST) -> bool:
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value):
                return is_unread(name) and _is_pure(value)
            case ast.If(test=value, body=[], orelse=[]) | ast.For(iter=value, body=[], orelse=[]):
                return _is_pure(value)
            case ast.FunctionDef(name=name, decorator_list=[]) | ast.ClassDef(name=name, decorator_list=[]):
                return is_unread(name)
        return False

    while gone := [statement for block in blocks for statement in block if is_unused(statement)]:
        for block in blocks:
            block[:] = [statement for statement in block if statement not in gone]
        read.subtract(_read(*gone))


def _is_read(alias: ast.alias, read: Counter[str]) -> bool:
    """Whether what is imported is used, or offered to others (`from x import y as y`)."""
    return alias.name == "*" or alias.name == alias.asname or read[alias.asname or alias.name.partition(".")[0]] > 0


def _last(called: ast.expr) -> str:
    """`warn` of `warnings.warn`."""
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def _owner(called: ast.expr) -> str:
    """`warnings` of `warnings.warn`."""
    return _last(called.value) if isinstance(called, ast.Attribute) else ""


def _is_pure(value: ast.expr) -> bool:
    return not any(
        isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom)
        or (isinstance(node, ast.Call) and _last(node.func) not in PURE)
        for node in ast.walk(value)
    )


class _Words(ast.NodeTransformer):
    """Leaves out what is only said. `spoken_in` lists the functions that said something, inner ones first."""

    def __init__(self, labels: bool) -> None:
        self.spoken_in: list[Function] = []
        self._n_said = 0
        self._by_call = WORDS if labels else WORDS | LABELS
        self._in_function = False

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        value = node.value
        logs = isinstance(value, ast.Call) and _owner(value.func) in LOGGERS and _last(value.func) in LOGGING
        self._n_said += logs
        return None if logs or isinstance(value, ast.Constant) else self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        # a body of words only counts as empty
        return None

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            self._n_said += 1
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self._n_said += node.msg is not None
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _last(node.func)
        if name.endswith(("Error", "Warning")) or name in SAYINGS or (_owner(node.func), name) == ("sys", "exit"):
            self._n_said += 1
            node.args, node.keywords = [], []
        words = ALWAYS_WORDS | self._by_call.get(name, set())
        kept = [keyword for keyword in node.keywords if keyword.arg not in words]
        self._n_said += len(node.keywords) - len(kept)
        node.keywords = kept
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if isinstance(node.value, ast.Call) and _last(node.value.func) == "getLogger":
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        # annotations in a class stay: dataclasses read them
        if not self._in_function:
            return self.generic_visit(node)
        return self.visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_If(self, node: ast.If) -> ast.AST:
        if _last(node.test) == "TYPE_CHECKING":
            node.body = []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: Function) -> ast.AST:
        node.returns = None
        before = self._n_said
        self._visit_inside(node, in_function=True)
        if self._n_said > before:
            self.spoken_in.append(node)
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._visit_inside(node, in_function=False)

    def _visit_inside(self, node: ast.AST, *, in_function: bool) -> ast.AST:
        outside, self._in_function = self._in_function, in_function
        self.generic_visit(node)
        self._in_function = outside
        return node
