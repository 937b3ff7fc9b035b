"""What of a source file can change a result: its syntax tree without words.

Words are comments, docstrings and other strings that stand alone; annotations of functions, and what only type checkers
read; what exceptions and warnings say (their names end in `Error` or `Warning`), asserts, logs and exits; and arguments
in `WORDS`, such as the label of a progress bar. Then goes what only these used, until nothing more does: variables of a
function whose value calls nothing but `PURE` functions, branches left empty, private functions and constants of a
module, imports.

All else counts: a column's name, a unit, a file format, a sentence that is written into a table. If a text that is no
result counts all the same, move it to where it is raised or logged.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

WORDS = {
    "Progress": {"label", "unit", "work_unit"},
    "track": {"label", "unit", "work_unit"},
    "Field": {"description", "examples", "title", "ge", "gt", "le", "lt", "min_length", "max_length", "pattern"},
    "Allowed": {"text"},
}
"""Keyword arguments that are words, by what is called; limits of settings, too, as they change no value."""

ALWAYS_WORDS = {"json_schema_extra", "progress_label", "progress_unit", "refusal", "remedy"}
"""Keyword arguments that are words whatever is called."""

SAYINGS = {"Allowed"}
"""What is called with words only, beside exceptions and warnings."""

LABELS = {"Variable": {"meaning", "symbol"}}
"""Keyword arguments that only a reader of figures sees, by what is called."""

LOGGERS = {"log", "logger", "logging", "warnings"}
LOGGING = {"critical", "debug", "error", "exception", "info", "warn", "warning"}

PURE = {
    *("abs", "all", "any", "dict", "float", "format", "getattr", "int", "isinstance", "join", "len", "list", "max"),
    *("min", "range", "repr", "round", "set", "sorted", "split", "splitlines", "str", "strip", "sum", "tuple", "type"),
    "zip",
}
"""Functions and methods that give a value and do nothing else."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Block = list[ast.AST]


def without_words(source: str, *, labels: bool, script: bool = False) -> ast.Module:
    """Parse a file and leave out its words.

    Args:
        source: Text of the file.
        labels: Whether `LABELS` count.
        script: Whether it is a script, whose variables nobody else reads, as if all of it were one function.
    """
    tree = ast.parse(source)
    words = _Words(labels)
    words.visit(tree)
    for function in [*words.spoken_in, *([tree] if script else [])]:
        while gone := _leave_out(_blocks(function, fields=False), partial(_does_nothing, read=_read(function))):
            words.read.subtract(_read(*gone))
    while gone := _leave_out([next(_blocks(tree))], partial(_is_unused, read=words.read)):
        words.read.subtract(_read(*gone))
    for block in _blocks(tree):
        for node in block:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [alias for alias in node.names if _is_read(alias, words.read)]
        block[:] = [node for node in block if getattr(node, "names", True)]
    return tree


def _blocks(node: ast.AST, *, fields: bool = True) -> Iterator[Block]:
    """All lists of statements in a piece of code; those of a class only with `fields`."""
    if isinstance(node, ast.ClassDef) and not fields:
        return
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
            for statement in block:
                yield from _blocks(statement, fields=fields)


def _leave_out(blocks: Iterable[Block], is_unused: Callable[[ast.AST], bool]) -> Block:
    """Remove statements; return those removed."""
    gone = []
    for block in blocks:
        gone += [statement for statement in block if is_unused(statement)]
        block[:] = [statement for statement in block if statement not in gone]
    return gone


def _does_nothing(node: ast.AST, read: Counter[str]) -> bool:
    """Whether a statement of a function, which reads the names `read`, has no effect."""
    match node:
        case ast.Assign(targets=[ast.Name(name)], value=value) | ast.AugAssign(target=ast.Name(name), value=value):
            return not read[name] and _is_pure(value)
        case ast.If(test=value, body=[], orelse=[]) | ast.For(iter=value, body=[], orelse=[]):
            return _is_pure(value)
        case ast.FunctionDef(name=name, decorator_list=[]):
            return not read[name]
    return False


def _is_unused(node: ast.AST, read: Counter[str]) -> bool:
    """Whether a statement of a module, which reads the names `read`, makes something private that nothing uses."""
    match node:
        case ast.Assign(targets=[ast.Name(name)], value=value) if _is_pure(value):
            pass
        case ast.FunctionDef(name=name, decorator_list=[]) | ast.ClassDef(name=name, decorator_list=[]):
            pass
        case _:
            return False
    return name.startswith("_") and not name.startswith("__") and not read[name]


def _is_read(alias: ast.alias, read: Counter[str]) -> bool:
    """Whether what is imported is used, or offered to others (`from x import y as y`)."""
    return alias.name == "*" or alias.name == alias.asname or read[alias.asname or alias.name.partition(".")[0]] > 0


def _read(*code: ast.AST) -> Counter[str]:
    """Names that pieces of code read, and how often; words in strings are among them (`__all__`, annotations)."""
    reader = _Reader()
    for node in code:
        reader.visit(node)
    return reader.read


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


class _Reader(ast.NodeTransformer):
    """Counts names that are read; changes nothing."""

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()

    def visit_Name(self, node: ast.Name) -> ast.AST:
        self.read[node.id] += not isinstance(node.ctx, ast.Store)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            self.read.update(re.findall(r"\w+", node.value))
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal | ast.Global) -> ast.AST:
        self.read.update(node.names)
        return node

    visit_Global = visit_Nonlocal


class _Words(_Reader):
    """Leaves out what is only said; `spoken_in` lists the functions that said something, inner ones first."""

    def __init__(self, labels: bool) -> None:
        super().__init__()
        self.spoken_in: list[Function] = []
        self._by_call = WORDS if labels else WORDS | LABELS
        self._speaks = False
        self._in_function = False

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        value = node.value
        if isinstance(value, ast.Constant):
            return None
        if isinstance(value, ast.Call) and _owner(value.func) in LOGGERS and _last(value.func) in LOGGING:
            self._speaks = True
            return None
        return self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        # a body that held words only is like an empty one
        return None

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            self._speaks = True
            node.exc = node.exc.func
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self._speaks |= node.msg is not None
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = _last(node.func)
        if name.endswith(("Error", "Warning")) or name in SAYINGS or (_owner(node.func), name) == ("sys", "exit"):
            self._speaks = True
            node.args, node.keywords = [], []
        words = ALWAYS_WORDS | self._by_call.get(name, set())
        kept = [keyword for keyword in node.keywords if keyword.arg not in words]
        self._speaks |= len(kept) < len(node.keywords)
        node.keywords = kept
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if isinstance(node.value, ast.Call) and _last(node.value.func) == "getLogger":
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        # dataclasses read those of a class
        if not self._in_function:
            return self.generic_visit(node)
        return self.visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if _last(node.test) == "TYPE_CHECKING":
            node.body = []
            if not node.orelse:
                return None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: Function) -> ast.AST:
        node.returns = None
        spoke, self._speaks = self._speaks, False
        self._visit_inside(node, in_function=True)
        if self._speaks:
            self.spoken_in.append(node)
        self._speaks |= spoke
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._visit_inside(node, in_function=False)
        return node

    def _visit_inside(self, node: ast.AST, *, in_function: bool) -> None:
        outside, self._in_function = self._in_function, in_function
        self.generic_visit(node)
        self._in_function = outside
