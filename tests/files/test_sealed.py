"""Seals: HDF5 files that say in their first line what they hold, and whether they are still what was written."""

import json
import os
import subprocess

import h5py
import numpy as np
import pytest

from natal.errors import NatalError
from natal.files.sealed import SEAL_BYTES, check_seal, read_seal, write_seal

CONTENT = {"format": "natal-test-1", "digest": "0123456789abcdef", "first_id": 7, "n_points": 2}
VALUES = np.random.default_rng(2).normal(size=(30, 40))


@pytest.fixture
def path(tmp_path):
    """A sealed file."""
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", userblock_size=SEAL_BYTES) as file:
        file["values"] = VALUES
    write_seal(path, CONTENT)
    return path


def test_the_seal_is_the_first_line(path):
    """`head -c 512` shows one line of JSON: what was said, and what is needed to check it."""
    line = subprocess.run(["head", "-c", "512", path], check=True, capture_output=True, text=True).stdout
    assert len(line) == 512
    assert line.index("\n") == 511
    assert json.loads(line) == read_seal(path)
    assert CONTENT.items() <= read_seal(path).items()
    assert read_seal(path).keys() - CONTENT.keys() == {"sha256"}


def test_hdf5_does_not_mind(path):
    """A sealed file is read, and even written to, by any HDF5 library."""
    with h5py.File(path, "r+") as file:
        np.testing.assert_array_equal(file["values"], VALUES)
        file["more"] = 1
    with h5py.File(path) as file:
        assert sorted(file) == ["more", "values"]


def test_the_checksum_is_that_of_a_common_tool(path):
    """`tail -c +513 FILE | sha256sum` gives what the seal says."""
    command = f"tail -c +{SEAL_BYTES + 1} '{path}' | sha256sum"
    printed = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout
    assert printed.split()[0] == read_seal(path)["sha256"]


def test_a_whole_file_passes(path):
    """And its seal is returned."""
    assert check_seal(path, "natal-test-1") == read_seal(path)


def test_a_touched_file_passes(path):
    """Its modification time is another, its content is not."""
    os.utime(path, (1e9, 1e9))
    check_seal(path, "natal-test-1")


@pytest.mark.parametrize("place", [SEAL_BYTES, SEAL_BYTES + 8, 3000, -1])
def test_a_flipped_byte_is_found(path, place):
    """In HDF5's own structures and in the data; the message names the file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(NatalError, match=r"file\.h5 is damaged: its checksum is not the one"):
        check_seal(path, "natal-test-1")


@pytest.mark.parametrize("left", [0, 1, 100, 500, 511, 512, 513, 5000])
def test_a_file_cut_short_is_found(path, left):
    """Wherever it ends, the message names it."""
    os.truncate(path, left)
    with pytest.raises(NatalError, match=r"file\.h5"):
        check_seal(path, "natal-test-1")


def test_another_format_is_named(path):
    """A sealed file of another kind is whole, and still not what is asked for."""
    with pytest.raises(NatalError, match=r"file\.h5 is not a natal-test-2 file but natal-test-1"):
        check_seal(path, "natal-test-2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a seal\n" * 1000,
        bytes(5000),
        np.random.default_rng(1).bytes(5000),
        b"{}".ljust(5000),
        b"[1]".ljust(5000),
        b'["sha256"]'.ljust(5000),
        b'"sha256"'.ljust(5000),
        b"512".ljust(5000),
        b"null".ljust(5000),
        b'{"format": "natal-test-1"}'.ljust(5000),
    ],
    ids=[
        "empty",
        "text",
        "zeros",
        "noise",
        "object",
        "list",
        "list of names",
        "string",
        "number",
        "null",
        "half a seal",
    ],
)
def test_a_foreign_file_is_named(path, content):
    """Whatever it holds, the error is one that names it."""
    path.write_bytes(content)
    with pytest.raises(NatalError, match=r"file\.h5 was not written by this version of natal"):
        check_seal(path, "natal-test-1")


def test_hdf5_without_a_seal_is_named(path):
    """With or without room for one."""
    for size in (0, SEAL_BYTES):
        with h5py.File(path, "w", userblock_size=size) as file:
            file["values"] = VALUES
        with pytest.raises(NatalError, match=r"file\.h5 was not written by this version of natal"):
            check_seal(path, "natal-test-1")


def test_a_seal_that_is_too_long_is_not_written(path):
    """It would overwrite the data behind it: the file stays as it was."""
    before = path.read_bytes()
    with pytest.raises(ValueError, match="a seal holds 511 bytes, not"):
        write_seal(path, CONTENT | {"text": "x" * 450})
    assert path.read_bytes() == before


def test_a_file_is_sealed_again(path):
    """After a change; of the first seal nothing is left."""
    with h5py.File(path, "r+") as file:
        file["values"][0] = 0.0
    with pytest.raises(NatalError, match="is damaged"):
        check_seal(path, "natal-test-1")
    write_seal(path, {"format": "natal-test-1"})
    assert check_seal(path, "natal-test-1").keys() == {"format", "sha256"}
