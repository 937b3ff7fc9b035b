"""Sealed HDF5 files: the 512-byte user block in front of the data says what they hold and carries their checksum.

HDF5 leaves a user block alone, and every reader skips it. The seal is one line of JSON, so `head -c 512 FILE` shows it,
and it is read without HDF5. SHA-256 of all bytes behind it finds a file that was cut short or changed in any place.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from natal.errors import NatalError

SEAL_BYTES = 512


def write_seal(path: str | Path, content: dict[str, Any]) -> None:
    """Seal a closed HDF5 file that was made with `userblock_size=SEAL_BYTES`."""
    line = json.dumps(content | {"sha256": _sha256(path)}).encode()
    if len(line) >= SEAL_BYTES:
        raise ValueError(f"a seal holds {SEAL_BYTES - 1} bytes, not {len(line)}")
    with open(path, "r+b") as file:
        file.write(line.ljust(SEAL_BYTES - 1) + b"\n")


def read_seal(path: str | Path) -> dict[str, Any]:
    """What a seal says, the data unread; raises `NatalError` naming the file if there is none."""
    with open(path, "rb") as file:
        try:
            seal = json.loads(file.read(SEAL_BYTES))
            if isinstance(seal, dict) and "sha256" in seal:
                return seal
        except ValueError:
            pass
    raise NatalError(f"{path} was not written by this version of natal")


def check_seal(path: str | Path, file_format: str) -> dict[str, Any]:
    """Read a seal and compare the checksum; raises `NatalError` naming the file and what is wrong with it."""
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
