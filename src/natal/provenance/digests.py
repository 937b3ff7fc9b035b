"""Digests that say whether a stage is stale: of its settings, and of the code that its result can depend on."""

import ast
import hashlib
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from natal.files.atomic import atomic_path
from natal.provenance.source import LABELS, without_words

SCHEME = "2"
"""Number of the rules for what counts as code, and how. It stands before every digest of code.

Digests of version 0.1.0 have no such number.
"""

APART = {
    *("cli", "errors", "progress", "provenance", "running"),
    *("campaign.config", "campaign.inventory", "campaign.status", "campaign.tables", "settings.mistakes"),
    # the rows of a table of clusters count: they are settings of their stage
    *("campaign.catalogues", "campaign.own_clusters", "campaign.table_files", "observables.columns"),
}
"""Packages and modules that decide where, when and whether something runs and what is said of it, but not its
result."""

ONLY_WHERE_GIVEN = {"integration.clusters_per_batch"}
"""Settings that count in a digest only where they are not null: they came when campaigns had been made without."""

PACKAGE_FOLDER = Path(__file__).parents[1]
PACKAGE = PACKAGE_FOLDER.name

MEMORY = Path(".cache") / "code.json"
"""What files of code were found to hold, beside JAX's programs: parsing them takes a second in each job on a cluster.

Files are known by their text: the memory may be lost, shared or old.
"""


def stage_digest(script: str | Path, settings: Mapping[str, Any]) -> str:
    """Digest a stage: its script's code with all imports, and each setting that it reads.

    Args:
        script: The stage's script.
        settings: Values of JSON types, by name.

    Returns:
        Digests by name, as in 'code:0123456789abcdef emulator:01234567 seed:89abcdef': two of them show what differs.
    """
    return _joined({"code": code_digest(script)}, settings)


def with_more_settings(digest: str, settings: Mapping[str, Any]) -> str:
    """The digest of a stage that reads more settings: of ten thousand jobs that share most, the shared ones count once.

    Args:
        digest: As of `stage_digest`.
        settings: What else is read: values of JSON types, by name.

    Returns:
        As `stage_digest` gives it for all settings.
    """
    return _joined(digest_parts(digest), settings)


def _joined(known: Mapping[str, str], settings: Mapping[str, Any]) -> str:
    given = {name: _given(name, value) for name, value in settings.items() if not _is_left_out(name, value)}
    digests = {**known, **{name: _digest(value)[:8] for name, value in given.items()}}
    names = ["code", *sorted(digests.keys() - {"code"})]
    return " ".join(f"{name}:{digests[name]}" for name in names)


def _given(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: part for key, part in value.items() if not _is_left_out(f"{name}.{key}", part)}


def _is_left_out(name: str, value: Any) -> bool:
    return value is None and name in ONLY_WHERE_GIVEN


def digest_parts(digest: str) -> dict[str, str]:
    """Take a stage's digest apart.

    Args:
        digest: As of `stage_digest`.

    Returns:
        Digests by name, in their order; empty if it is something else.

    Examples:
        >>> digest_parts("code:2-0123 seed:89ab")
        {'code': '2-0123', 'seed': '89ab'}
    """
    parts = [part.rpartition(":") for part in digest.split()]
    return {name: value for name, _, value in parts} if all(name for name, _, _ in parts) else {}


def changed_parts(before: str, now: str) -> list[str]:
    """Compare two digests of a stage.

    Args:
        before: The one.
        now: The other.

    Returns:
        Names of what differs: `code` and settings; empty also if one of them is no stage's digest.

    Examples:
        >>> changed_parts("code:2-0123 seed:89ab", "code:2-0123 seed:89ac")
        ['seed']
    """
    old, new = digest_parts(before), digest_parts(now)
    return [name for name in old | new if old.get(name) != new.get(name)] if old and new else []


def is_of_older_code(digest: str) -> bool:
    """Whether a digest was made by a version of natal whose digests of code are not comparable with today's.

    Args:
        digest: As of `stage_digest`.

    Returns:
        False also if it is no stage's digest.
    """
    code = digest_parts(digest).get("code")
    return code is not None and not code.startswith(f"{SCHEME}-")


def _digest(value: Any) -> str:
    return _sha256(json.dumps(value, sort_keys=True, default=list))


@cache
def code_digest(script: str | Path) -> str:
    """Digest a script's source and the natal modules that it imports, directly or through others.

    Words do not count (`natal.provenance.source`), nor do modules that no result depends on (`APART`) and what only
    these import.

    Args:
        script: The script.

    Returns:
        `SCHEME` and 16 hexadecimal digits.
    """
    n_known = len(_memory())
    modules = sorted(_import_closure(Path(script)))
    shows = any(path.relative_to(PACKAGE_FOLDER).parts[0] in ("figures", "report") for path in modules)
    digest = hashlib.sha256()
    for path in [Path(script), *modules]:
        name = path.relative_to(PACKAGE_FOLDER).as_posix() if path in modules else "script"
        digest.update(f"{name} {_parsed(path, labels=shows).digest}\n".encode())
    if len(_memory()) > n_known:
        # this is only a memory: that a folder cannot be written is reported elsewhere
        with suppress(OSError), atomic_path(MEMORY) as partial:
            content = {"rules": _rules(), "files": {key: [*parsed] for key, parsed in _memory().items()}}
            partial.write_text(json.dumps(content), encoding="utf-8")
    return f"{SCHEME}-{digest.hexdigest()[:16]}"


def _import_closure(path: Path) -> set[Path]:
    reached: set[Path] = set()
    waiting = [path]
    while waiting:
        for module in _imported_modules(waiting.pop()) - reached:
            reached.add(module)
            waiting.append(module)
    return reached


@cache
def _imported_modules(path: Path) -> set[Path]:
    """Files of the natal modules that a file imports anywhere, but for words."""
    modules = set()
    for name in _parsed(path, labels=True).imports:
        parts = name.split(".")
        if not APART & {".".join(parts[1:2]), ".".join(parts[1:3])}:
            base = PACKAGE_FOLDER.joinpath(*parts[1:])
            modules |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()}
    return modules


class _Parsed(NamedTuple):
    """A file without words: the digest of its syntax tree, and the names of what it imports of this package."""

    digest: str
    imports: list[str]


def _parsed(path: Path, labels: bool) -> _Parsed:
    text = _text(path)
    # most files have no labels, and are parsed once
    labels = labels or not any(f"{name}(" in text for name in LABELS)
    return _parse(text, labels, script=not path.is_relative_to(PACKAGE_FOLDER))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _parse(text: str, labels: bool, script: bool) -> _Parsed:
    key = _sha256(f"{labels} {script} {text}")
    if key not in _memory():
        tree = without_words(text, labels=labels, script=script)
        names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                # `from natal import plummer` names a module, `from natal.plummer import x` may name anything
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        _memory()[key] = _Parsed(
            _sha256(ast.dump(tree)), sorted(name for name in names if name.partition(".")[0] == PACKAGE)
        )
    return _memory()[key]


@cache
def _memory() -> dict[str, _Parsed]:
    """What this process and earlier ones found, by file; what was found by other rules does not count."""
    try:
        content = json.loads(MEMORY.read_text(encoding="utf-8"))
        return {key: _Parsed(*found) for key, found in content["files"].items()} if content["rules"] == _rules() else {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


@cache
def _rules() -> str:
    """What decides what is found in a file: this code, and Python's."""
    here = Path(__file__)
    return _sha256(sys.version + "".join(_text(path) for path in (here, here.with_name("source.py"))))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# read now, while the files are those that this process has loaded
_rules()
