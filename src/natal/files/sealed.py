"""Sealed HDF5 files: the 512 bytes in front of the data say what they hold and carry their checksum.

HDF5 leaves this user block alone, and every reader skips it. The seal is one line of JSON: `head -c 512 FILE` shows it,
and it is read without HDF5. The SHA-256 of all bytes behind it finds a file that was cut short or changed anywhere.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from natal.errors import NatalError

SEAL_BYTES = 512
"""Size of the user block."""


def write_seal(path: str | Path, content: dict[str, Any]) -> None:
    """Seal a closed HDF5 file that was made with `userblock_size=SEAL_BYTES`.

    Args:
        path: The file.
        content: What the seal says beside the checksum.

    Raises:
        ValueError: It does not fit into `SEAL_BYTES`.
    """
    line = json.dumps(content | {"sha256": _sha256(path)}).encode()
    if len(line) >= SEAL_BYTES:
        raise ValueError(f"a seal holds {SEAL_BYTES - 1} bytes, not {len(line)}")
    with open(path, "r+b") as file:
        file.write(line.ljust(SEAL_BYTES - 1) + b"\n")


def read_seal(path: str | Path) -> dict[str, Any]:
    """Read what a seal says; the data are not read.

    Args:
        path: The file.

    Returns:
        The seal.

    Raises:
        NatalError: There is none; the line names the file.
    """
    with open(path, "rb") as file:
        try:
            seal = json.loads(file.read(SEAL_BYTES))
            if isinstance(seal, dict) and "sha256" in seal:
                return seal
        except ValueError:
            pass
    raise NatalError(f"{path} was not written by this version of natal")


def check_seal(path: str | Path, file_format: str) -> dict[str, Any]:
    """Read a seal and compare the checksum.

    Args:
        path: The file.
        file_format: What the seal must say that the file is.

    Returns:
        The seal.

    Raises:
        NatalError: The file is of another format or damaged; the line names it.
    """
    seal = read_seal(path)
    if seal.get("format") != file_format:
        raise NatalError(f"{path} is not a {file_format} file but {seal.get('format')}")
    if seal["sha256"] != _sha256(path):
        raise NatalError(f"{path} is damaged: its checksum is not the one it was written with")
    return seal


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        file.seek(SEAL_BYTES)
        return hashlib.file_digest(file, "sha256").hexdigest()
