"""Network files: a JSON header line, then arrays."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from natal.errors import NatalError
from natal.files.atomic import atomic_path

DTYPE = "float32"


Module = TypeVar("Module", bound=eqx.Module)
Header = TypeVar("Header")


def write_leaves(path: str | Path, header: Any, module: eqx.Module) -> None:
    """Write a header and a module's arrays (`eqx.tree_serialise_leaves`).

    Args:
        path: Where to write.
        header: A dataclass, which becomes the JSON line.
        module: Whose arrays are written.
    """
    with atomic_path(path) as partial, open(partial, "wb") as file:
        file.write((json.dumps(asdict(header)) + "\n").encode())
        eqx.tree_serialise_leaves(file, module)


def read_header(path: str | Path, header: type[Header], *, refusal: str) -> Header:
    """Read the first line of a file as a dataclass.

    Args:
        path: What `write_leaves` wrote.
        header: The dataclass.
        refusal: What the error says of another file, such as "is not a natal ensemble".

    Raises:
        NatalError: If the file has another first line.
    """
    try:
        with open(path, "rb") as file:
            return header(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError) as error:
        raise NatalError(f"{path} {refusal}: {error}") from error


def check_header(path: str | Path, header: Any, expected: Mapping[str, Any], *, remedy: str) -> None:
    """Check a header.

    Args:
        path: The file's name, for the error.
        header: What `read_header` gave.
        expected: Values by name of the field.
        remedy: The error's last words: what a user can do.

    Raises:
        NatalError: If a value is not the expected one; the message names the first.
    """
    for key, value in expected.items():
        if getattr(header, key) != value:
            raise NatalError(f"{path} has {key} = {getattr(header, key)}, expected {value}: {remedy}")


def read_leaves(path: str | Path, make: Callable[[], Module], *, remedy: str) -> Module:
    """Read a model's arrays from a file with a header line.

    Args:
        path: What `write_leaves` wrote.
        make: Makes a model of the same types and shapes. It is only looked at: no weights are drawn.
        remedy: The error's last words: what a user can do.

    Raises:
        NatalError: If the file has fewer or more arrays, or others.
    """
    skeleton: Module = eqx.filter_eval_shape(make)
    with open(path, "rb") as file:
        file.readline()
        try:
            model: Module = eqx.tree_deserialise_leaves(file, skeleton, filter_spec=_read_leaf)
        except (RuntimeError, ValueError, EOFError, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "file too short"
            raise NatalError(f"{path} has damaged or foreign weights ({reason}): {remedy}") from error
        if file.read(1):
            raise NatalError(f"{path} holds more than its header announces: {remedy}")
    return model


def _read_leaf(file: BinaryIO, leaf: Any) -> Any:
    """Read one array exactly as it was written; JAX would silently convert another precision."""
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    value = np.load(file, allow_pickle=False)
    if value.dtype != leaf.dtype or value.shape != leaf.shape:
        raise ValueError(f"found {value.dtype}{value.shape}, expected {leaf.dtype}{leaf.shape}")
    return jnp.asarray(value)
