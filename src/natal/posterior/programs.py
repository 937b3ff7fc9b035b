"""Keeps traced programs on disk, so that a process that runs one again need not trace it.

JAX keeps what XLA has compiled. But to find it there, each process first traces and lowers the program, which for NUTS
takes longer than sampling a small table. Here the lowered program is kept, too (`jax.export`). The file's name digests
all that it follows from: natal's code, versions and settings, devices, functions, types, and all arguments that are no
arrays. A program of which that is not known for sure, or that cannot be written down, is traced as ever.
"""

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from natal.files.atomic import atomic_path

log = logging.getLogger("natal")

FOLDER = "NATAL_PROGRAMS"
"""Environment variable with the folder of kept programs. Without it, or empty: none are kept."""

KNOWN = ("natal", "jax", "jaxlib", "numpyro", "equinox", "numpy", "scipy")
"""Packages whose functions and types are known by their names, since code or version are in a program's name."""

BEGUN = time.time() - 60.0
"""A file changed later may not be the code that this process has imported, a little before this module."""


class _Call(NamedTuple):
    """A call with its arrays apart from all else that it takes."""

    function: Callable[..., Any]
    leaves: list[Any]
    tree: Any
    rest: Any
    shardings: list[NamedSharding]

    @classmethod
    def of(cls, function: Callable[..., Any], arguments: tuple[Any, ...]) -> "_Call":
        arrays, rest = eqx.partition(arguments, eqx.is_array)
        leaves, tree = jax.tree.flatten(arrays)
        mesh = device_mesh()
        everywhere = NamedSharding(mesh, PartitionSpec())
        shardings = [_sharding(leaf, mesh) or everywhere for leaf in leaves]
        return cls(function, leaves, tree, rest, shardings)


class _Program(NamedTuple):
    """A lowered program: it takes and returns flat lists of arrays."""

    run: Callable[..., list[Array]]
    results: Any
    """Where the arrays belong that it returns: a tree with their numbers as leaves."""


_loaded: dict[str, _Program | None] = {}
"""By name; None for those that JAX cannot write down."""


def _sharding(leaf: Any, mesh: Mesh) -> NamedSharding | None:
    """How an array is split over the mesh; None if it is not."""
    given = getattr(leaf, "sharding", None)
    return given if isinstance(given, NamedSharding) and given.mesh == mesh else None


def device_mesh() -> Mesh:
    """All local devices, along the axis "device"."""
    return Mesh(np.array(jax.local_devices()), ("device",))


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function as one compiled program; all arrays among its arguments are traced.

    Args:
        function: It is pure.
        arguments: Trees of arrays and of whatever else it takes. Arrays that are split over `device_mesh` stay so.

    Returns:
        What the function returns.

    Examples:
        >>> call(jax.numpy.add, 1.0, np.array([1.0, 2.0])).tolist()
        [2.0, 3.0]
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return _traced(function, arguments)
    made = _Call.of(function, arguments)
    name = _name(made)
    if name is not None and name not in _loaded:
        path = Path(folder, f"{name}.program")
        _loaded[name] = _read(path) or _kept(path, made)
    program = None if name is None else _loaded[name]
    if program is None:
        return _traced(function, arguments)
    returned = program.run(*jax.device_put(made.leaves, made.shardings))
    return jax.tree.unflatten(jax.tree.structure(program.results), returned)


@eqx.filter_jit
def _traced(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def _read(path: Path) -> _Program | None:
    """A kept program; None if there is none, or a damaged or foreign one."""
    with suppress(OSError, ValueError):
        content = path.read_bytes()
        if content[:32] == hashlib.sha256(content[32:]).digest():
            written, _, lowered = content[32:].partition(b"\n")
            results = _tree(json.loads(written))
            return _Program(jax.jit(jax.export.deserialize(bytearray(lowered)).call), results)
    return None


def _kept(path: Path, made: _Call) -> _Program | None:
    """Trace and lower a program and keep it; None if it cannot be written down."""
    found: list[Any] = []

    def flat(*leaves: Array) -> list[Array]:
        returned = made.function(*eqx.combine(jax.tree.unflatten(made.tree, leaves), made.rest))
        leaves_returned, structure = jax.tree.flatten(returned)
        found.append(structure)
        return leaves_returned

    try:
        exported = jax.export.export(jax.jit(flat, in_shardings=tuple(made.shardings)))(*made.leaves)
        results = jax.tree.unflatten(found[-1], range(found[-1].num_leaves))
        content = json.dumps(_written(results)).encode() + b"\n" + exported.serialize()
    # effects, operations that JAX does not promise to keep, no flatbuffers, results of other types
    except (ValueError, NotImplementedError, ImportError) as error:
        log.debug("%s is not kept: %s", path.name, error)
        return None
    # this is only a memory
    with suppress(OSError), atomic_path(path) as partial:
        partial.write_bytes(hashlib.sha256(content).digest() + content)
    return _Program(jax.jit(exported.call), results)


def _written(tree: Any) -> Any:
    """A tree of tuples, dictionaries and numbers, for JSON.

    Raises:
        ValueError: There is something else in it.
    """
    if isinstance(tree, dict):
        return {name: _written(part) for name, part in tree.items()}
    if isinstance(tree, tuple) and (name := _name_of(type(tree))):
        return [name, *map(_written, tree)]
    if tree is None or isinstance(tree, int):
        return tree
    raise ValueError(f"results hold a {type(tree).__qualname__}")


def _tree(written: Any) -> Any:
    """The tree that `_written` wrote.

    Raises:
        ValueError: It names anything but a kind of tuple of the packages known here, or holds text.
    """
    if isinstance(written, dict):
        return {name: _tree(part) for name, part in written.items()}
    if isinstance(written, list):
        module, _, name = str(written[0]).rpartition(".")
        known = module.partition(".")[0] in (*KNOWN, "builtins")
        kind = getattr(import_module(module), name, None) if known else None
        if not (isinstance(kind, type) and issubclass(kind, tuple)):
            raise ValueError(f"{written[0]} is no kind of tuple")
        parts = map(_tree, written[1:])
        return kind(parts) if kind is tuple else kind(*parts)
    if isinstance(written, str):
        raise ValueError(f"results hold {written!r}")
    return written


def _name(made: _Call) -> str | None:
    """What a program follows from, digested; None if that is not known for sure."""
    code, devices = _code(), jax.local_devices()
    rest, structure = jax.tree.flatten((made.function, made.rest))
    names = [_name_of(value) for value in [*rest, *_types(made.tree), *_types(structure)]]
    trees = [str(made.tree), str(structure)]
    # an object in a static field that says nothing for sure of itself
    if code is None or None in names or any("<" in tree for tree in trees):
        return None
    said = [
        code,
        *(f"{name} {getattr(jax.config, name, None)}" for name in sorted(jax.config.values)),
        f"{len(devices)} {devices[0].platform} {devices[0].device_kind}",
        *(f"{leaf.dtype} {leaf.shape} {getattr(leaf, 'weak_type', False)}" for leaf in made.leaves),
        *(str(sharding.spec) for sharding in made.shardings),
        *trees,
        *map(str, names),
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _name_of(value: Any) -> str | None:
    """A function or type by its full name, if that leads to it; other values by what they print."""
    module, name = (getattr(value, part, "") for part in ("__module__", "__qualname__"))
    if not callable(value):
        text = repr(value)
        return None if "<" in text else f"{type(value).__qualname__} {text}"
    if module.partition(".")[0] not in (*KNOWN, "builtins"):
        return None
    try:
        # a wrapper may have the name of what it wraps, a method that of its class
        found = attrgetter(name)(sys.modules[module])
    except (AttributeError, KeyError):
        return None
    return f"{module}.{name}" if found is value else None


def _types(tree: Any) -> Iterator[type]:
    """The types of a tree's nodes."""
    data = tree.node_data()
    if data and data[0] is not type(None):
        yield data[0]
    for child in tree.children():
        yield from _types(child)


@cache
def _code() -> str | None:
    """A digest of natal's code and of the versions of what it is written with; None if code changed since it began."""
    package = Path(__file__).parents[1]
    versions = [sys.version, *(f"{name} {version(name)}" for name in KNOWN if name != "natal")]
    digest = hashlib.sha256("\n".join(versions).encode())
    for path in sorted(package.rglob("*.py")):
        state = path.stat()
        if max(state.st_mtime, state.st_ctime) > BEGUN:
            return None
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
