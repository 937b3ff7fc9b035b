"""Digests that say whether a stage is stale: of its settings and of the code it really uses.

Code is compared as parsed source: comments, docstrings and formatting do not count. A script's code is its own
and that of every natal module it imports, directly or through others.
"""

import ast
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE_FOLDER = Path(__file__).parents[1]
PACKAGE = PACKAGE_FOLDER.name


def stage_digest(script: str | Path, settings: Mapping[str, Any]) -> str:
    """Digests of one stage, by name: of its script's code with all imports, and of each setting it reads (JSON types).

    Such as 'code:0123456789abcdef emulator:01234567 seed:89abcdef': two of them show what differs.
    """
    digests = {name: _digest(settings[name])[:8] for name in sorted(settings)}
    return " ".join(f"{name}:{digest}" for name, digest in ({"code": code_digest(script)} | digests).items())


def digest_parts(digest: str) -> dict[str, str]:
    """Digests by name, in their order; empty if it is not a stage's digest."""
    parts = [part.rpartition(":") for part in digest.split()]
    return {name: value for name, _, value in parts} if all(name for name, _, _ in parts) else {}


def changed_parts(before: str, now: str) -> list[str]:
    """Names of what differs between two digests of a stage: `code` and settings."""
    old, new = digest_parts(before), digest_parts(now)
    return [name for name in old | new if old.get(name) != new.get(name)] if old and new else []


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=list).encode()).hexdigest()


@cache
def code_digest(script: str | Path) -> str:
    """Digest of a script's parsed source and of the natal modules in its transitive imports."""
    digest = hashlib.sha256()
    for path in [Path(script), *sorted(_import_closure(Path(script)))]:
        digest.update(f"{_name(path)}\n{_normalised(path)}\n".encode())
    return digest.hexdigest()[:16]


def _name(path: Path) -> str:
    """Relative to the package, so that a module that moves counts, and a checkout elsewhere does not."""
    return path.relative_to(PACKAGE_FOLDER).as_posix() if path.is_relative_to(PACKAGE_FOLDER) else path.name


def _import_closure(path: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        for module in _imported_modules(waiting.pop()) - found:
            found.add(module)
            waiting.append(module)
    return found


@cache
def _imported_modules(path: Path) -> set[Path]:
    """Files of the natal modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from natal import plummer` names a module, `from natal.plummer import x` may name anything
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == PACKAGE:
            base = PACKAGE_FOLDER.joinpath(*parts[1:])
            modules |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()}
    return modules


@cache
def _normalised(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            # text that stands alone documents and does nothing
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return ast.dump(tree)
