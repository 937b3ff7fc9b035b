"""Network files: a JSON header line, then the arrays."""

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
    """Write a dataclass as a JSON header line, then the module's leaves (`eqx.tree_serialise_leaves`)."""
    with atomic_path(path) as partial, open(partial, "wb") as file:
        file.write((json.dumps(asdict(header)) + "\n").encode())
        eqx.tree_serialise_leaves(file, module)


def read_header(path: str | Path, header: type[Header], *, refusal: str) -> Header:
    """Read the first line as a dataclass. Raises `NatalError` with `refusal` if the file has another."""
    try:
        with open(path, "rb") as file:
            return header(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError) as error:
        raise NatalError(f"{path} {refusal}: {error}") from error


def check_header(path: str | Path, header: Any, expected: Mapping[str, Any], *, remedy: str) -> None:
    """Raise `NatalError`, which ends in `remedy`, naming the first key whose value is not the expected one."""
    for key, value in expected.items():
        if getattr(header, key) != value:
            raise NatalError(f"{path} has {key} = {getattr(header, key)}, expected {value}: {remedy}")


def read_leaves(path: str | Path, make: Callable[[], Module], *, remedy: str) -> Module:
    """Read a model's arrays from a file with a header line, every one of exactly the type and shape that `make` gives.

    `make` is only looked at: no weights are drawn to be replaced. Raises `NatalError`, which ends in `remedy`, if the
    file holds less, more or something else.
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
    """Read one array exactly as it was written; JAX would convert another precision without a word."""
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf
    value = np.load(file, allow_pickle=False)
    if value.dtype != leaf.dtype or value.shape != leaf.shape:
        raise ValueError(f"found {value.dtype}{value.shape}, expected {leaf.dtype}{leaf.shape}")
    return jnp.asarray(value)
