"""Archives of data: the same bytes for the same files, nothing but data in them, and a checksum for each file.

An archive is a ZIP file with a list of checksums in it, as `sha256sum --check` reads it.
"""

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from shutil import copyfileobj, disk_usage

from natal.errors import Mistakes, NatalError
from natal.files.atomic import atomic_path

MANIFEST = "manifest-sha256.txt"
"""Name of the list of checksums."""

DATE = (1980, 1, 1, 0, 0, 0)
"""Date of every file in an archive: the first that ZIP knows."""

LARGEST_LIST = 100_000_000
"""Most bytes of a list of checksums that are read: it is read before anything is known to be sound."""


def write_archive(path: str | Path, files: Mapping[str, Path | bytes]) -> None:
    """Write files into an archive, with a list of their checksums (`MANIFEST`).

    Args:
        path: The archive.
        files: Paths or contents, by name in the archive.
    """
    sums = {name: sha256_of(content) for name, content in files.items()}
    listed = "".join(f"{sums[name]}  {name}\n" for name in sorted(files))
    with atomic_path(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, content in sorted({**files, MANIFEST: listed.encode()}.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            # without it ZipFile refuses a file that grows beyond 2 GiB
            entry.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
            with archive.open(entry, "w") as target:
                if isinstance(content, bytes):
                    target.write(content)
                else:
                    with open(content, "rb") as source:
                        copyfileobj(source, target, 1 << 20)


def unpack_archive(path: str | Path, folder: Path, suffixes: Iterable[str]) -> None:
    """Unpack an archive into an empty folder. All names are checked first, and every checksum on the way.

    Args:
        path: The archive.
        folder: Where to; what was unpacked before a damaged file stays there.
        suffixes: Of the files that may be in it, beside the list of checksums.

    Raises:
        NatalError: It is no archive, or damaged, or holds a link, a path that leads out of the folder, a kind of file
            that is not allowed or a file that is not in the list of checksums.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_names(path, archive.infolist(), {*suffixes})
            sums = _read_manifest(path, archive)
            names = {entry.filename for entry in entries} - {MANIFEST}
            mistakes = Mistakes()
            for name in sorted(names ^ sums.keys()):
                mistakes.add(f"{path}: {name} is {'not in' if name in names else 'missing, but in'} {MANIFEST}")
            mistakes.say()
            if (wanted := sum(entry.file_size for entry in entries)) > disk_usage(folder).free:
                raise NatalError(f"{path} needs {wanted / 1e9:.1f} GB, more than are free in {folder.parent}")
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(target, "xb") as unpacked:
                    copyfileobj(source, unpacked, 1 << 20)
                if entry.filename in sums and sha256_of(target) != sums[entry.filename]:
                    raise NatalError(
                        f"{path} is damaged: the checksum of {entry.filename} is not the one in {MANIFEST}"
                    )
    except FileNotFoundError as error:
        raise NatalError(f"there is no file {path}") from error
    # what zipfile and zlib raise for damaged bytes
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise NatalError(f"{path} is damaged, or no archive of natal's ({error})") from error


def _check_names(path: str | Path, entries: list[zipfile.ZipInfo], suffixes: set[str]) -> None:
    mistakes, seen = Mistakes(), set()
    for entry in entries:
        name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
        parts = PurePosixPath(name)
        # names are compared without capitals, as some file systems do
        is_known, folded = name.casefold() in seen, name.casefold()
        seen.add(folded)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name or ":" in name or not name.isprintable():
            mistakes.add(f"{path}: {name!r} leads out of the folder, or is no plain name")
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            mistakes.add(f"{path}: {name} is a link or a device, but only files are allowed")
        elif is_known:
            mistakes.add(f"{path}: {name} is there twice")
        elif not entry.is_dir() and name != MANIFEST and parts.suffix not in suffixes:
            allowed = ", ".join(sorted(suffixes))
            mistakes.add(f"{path}: {name} is not a kind of file that a campaign has (allowed: {allowed})")
    mistakes.say()


def _read_manifest(path: str | Path, archive: zipfile.ZipFile) -> dict[str, str]:
    if MANIFEST not in archive.namelist():
        raise NatalError(f"{path} holds no {MANIFEST}: it is no archive of natal's")
    with archive.open(MANIFEST) as file:
        text = file.read(LARGEST_LIST).decode("utf-8")
    lines = [line.partition("  ") for line in text.splitlines()]
    return {name: digest for digest, _, name in lines}


def sha256_of(content: Path | bytes) -> str:
    """SHA-256 of a file or of bytes.

    Args:
        content: Path of a file, or bytes.

    Returns:
        Hexadecimal digits.
    """
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open(content, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
