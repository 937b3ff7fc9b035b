"""Checks that a file is what its name says, and holds nothing that could reach beyond itself."""

import json
from pathlib import Path

import h5py
import numpy as np
import yaml

from natal.errors import NatalError
from natal.files.formats import read_json


def check_arrays(path: Path) -> None:
    """Check that a network file is a JSON header line and plain arrays; nothing is unpickled.

    Args:
        path: The file.

    Raises:
        NatalError: It holds anything else.
    """
    try:
        with open(path, "rb") as file:
            json.loads(file.readline())
            while file.peek(1):
                np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        raise NatalError(f"{path} is no network file of natal's: {' '.join(str(error).split())}") from error


def check_hdf5(path: Path) -> None:
    """Check that an HDF5 or netCDF file has all of its data inside: no links to other files, no data kept elsewhere.

    Args:
        path: The file.

    Raises:
        NatalError: It has a link or data elsewhere, or is no such file.
    """
    try:
        with h5py.File(path, "r") as file:
            groups: list[h5py.Group] = [file]
            seen = set()
            while groups:
                group = groups.pop()
                for name in group:
                    link, inside = group.get(name, getlink=True), f"{path}: {group.name.rstrip('/')}/{name}"
                    if not isinstance(link, h5py.HardLink):
                        raise NatalError(f"{inside} is a link")
                    item = group[name]
                    if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                        raise NatalError(f"{inside} has its data in other files")
                    # a group may hold itself
                    if isinstance(item, h5py.Group) and item.id not in seen:
                        seen.add(item.id)
                        groups.append(item)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise NatalError(f"{path} is no HDF5 file: {' '.join(str(error).split())}") from error


def check_json(path: Path) -> None:
    """Check that a file is JSON.

    Args:
        path: The file.

    Raises:
        NatalError: It is not.
    """
    try:
        read_json(path)
    except (ValueError, RecursionError) as error:
        raise NatalError(f"{path} is not JSON: {error}") from error


def check_yaml(path: Path) -> None:
    """Check that a file is YAML of plain types.

    Args:
        path: The file.

    Raises:
        NatalError: It is not.
    """
    try:
        yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise NatalError(f"{path} is not plain YAML: {' '.join(str(error).split())}") from error


def check_text(path: Path) -> None:
    """Check that a file is text in UTF-8, and no script.

    Args:
        path: The file.

    Raises:
        NatalError: It is not.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NatalError(f"{path} is no text in UTF-8: {error.reason}") from error
    if "\0" in text or text.startswith("#!"):
        raise NatalError(f"{path} is no table")
