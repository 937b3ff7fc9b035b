"""Keeps traced programs on disk, so that a process that runs one again need not trace it.

JAX keeps what XLA has compiled. But to find it there, each process first traces and lowers the program, which for NUTS
takes longer than sampling a small table. Here the lowered program is kept, too (`jax.export`), with what it follows
from in the file's name: natal's code, versions and settings of JAX, devices, functions, and all arguments that are no
arrays. A program that cannot be kept, or of which that is not known for sure, is traced as ever.
"""

import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from natal.files.atomic import atomic_path

FOLDER = "NATAL_PROGRAMS"
"""Environment variable with the folder of kept programs. Without it, or empty: none are kept."""

STABLE = ("natal", "jax", "numpyro", "equinox")
"""Packages whose functions are known by their names: the code and the versions are in a program's name."""

TRACED_UNDER = (
    *("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable"),
    *("jax_numpy_dtype_promotion", "jax_numpy_rank_promotion", "jax_debug_nans", "jax_debug_infs"),
)
"""Settings of JAX that a traced program depends on."""


class _Program(NamedTuple):
    """A lowered program: it takes and returns flat lists of arrays."""

    run: Callable[..., list[Array]]
    results: Any
    """Where the arrays belong that it returns: a tree with their numbers as leaves."""


_loaded: dict[str, _Program | None] = {}
"""By name; None for those that JAX cannot write down."""


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function as one compiled program; all arrays among its arguments are traced.

    Args:
        function: It is pure, and defined in a module.
        arguments: Trees of arrays and of whatever else it takes.

    Returns:
        What the function returns, on all local devices.

    Examples:
        >>> call(jax.numpy.add, 1.0, np.array([1.0, 2.0])).tolist()
        [2.0, 3.0]
    """
    folder = os.environ.get(FOLDER)
    arrays, static = eqx.partition(arguments, eqx.is_array)
    leaves, tree = jax.tree.flatten(arrays)
    name = _name(leaves, tree, (function, static)) if folder else None
    if name is None:
        return _traced(function, arguments)
    everywhere = NamedSharding(Mesh(np.array(jax.local_devices()), ("device",)), PartitionSpec())
    if name not in _loaded:
        path = Path(folder or "", f"{name}.program")
        _loaded[name] = _read(path) or _made(path, function, everywhere, leaves, tree, static)
    program = _loaded[name]
    if program is None:
        return _traced(function, arguments)
    returned = program.run(*jax.device_put(leaves, everywhere))
    return jax.tree.unflatten(jax.tree.structure(program.results), returned)


@eqx.filter_jit
def _traced(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def _read(path: Path) -> _Program | None:
    """A kept program; None if there is none, or none that can be read."""
    try:
        lowered, results = pickle.loads(path.read_bytes())
        return _Program(jax.jit(jax.export.deserialize(lowered).call), results)
    except Exception:  # of a damaged file any kind; the program is made again
        return None


def _made(
    path: Path, function: Callable[..., Any], everywhere: NamedSharding, leaves: list[Any], tree: Any, static: Any
) -> _Program | None:
    """Trace and lower a program and keep it; None if JAX cannot write down such a program."""
    found: list[Any] = []

    def flat(*leaves: Array) -> list[Array]:
        returned, structure = jax.tree.flatten(function(*eqx.combine(jax.tree.unflatten(tree, leaves), static)))
        found.append(structure)
        return returned

    lowered = jax.export.export(jax.jit(flat, in_shardings=everywhere))
    try:
        exported = lowered(*leaves)
        results = jax.tree.unflatten(found[-1], range(found[-1].num_leaves))
        content = pickle.dumps((exported.serialize(), results))
    except (ValueError, NotImplementedError, pickle.PicklingError):
        return None
    # this is only a memory
    with suppress(OSError), atomic_path(path) as partial:
        partial.write_bytes(content)
    return _Program(jax.jit(exported.call), results)


def _name(leaves: list[Any], tree: Any, static: Any) -> str | None:
    """What a program follows from, digested; None if that is not known for sure."""
    devices = jax.local_devices()
    rest, structure = jax.tree.flatten(static)
    said = [
        _code(),
        *(f"{name} {getattr(jax.config, name, None)}" for name in TRACED_UNDER),
        f"{len(devices)} {devices[0].platform} {devices[0].device_kind}",
        *(f"{leaf.dtype} {leaf.shape} {getattr(leaf, 'weak_type', False)}" for leaf in leaves),
        *(str(part) for part in (tree, structure)),
        *_names(rest),
    ]
    # an address in memory: some object that says nothing of itself
    return None if any(" at 0x" in part for part in said) else hashlib.sha256("\n".join(said).encode()).hexdigest()


def _names(values: list[Any]) -> Iterator[str]:
    for value in values:
        module, name = (getattr(value, part, "") for part in ("__module__", "__qualname__"))
        known = callable(value) and name and "<" not in name and module.partition(".")[0] in STABLE
        yield f"{module}.{name}" if known else repr(value)


@cache
def _code() -> str:
    """A digest of all of natal's code, and of the versions of what it is written with."""
    versions = [sys.version, *(f"{name} {version(name)}" for name in ("jaxlib", *STABLE[1:]))]
    digest = hashlib.sha256("\n".join(versions).encode())
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
