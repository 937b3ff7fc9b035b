"""The versions, the commit and the machine that make a file."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from natal.provenance.digests import digest_parts
from natal.provenance.git import git_commit


def environment() -> dict[str, str]:
    """Versions, git commit and machine that make a file, and what the environment tells JAX and its compiler.

    Returns:
        Texts by name, with the date (UTC) as `created`.
    """
    packages = ("natal", "jax", "jaxlib", "equinox", "optax", "numpyro", "numpy", "h5py", "snakemake")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "commit": git_commit() or "unknown",
        **{f"version_{name}": installed for name in packages if (installed := _version(name))},
        **{name: os.environ[name] for name in sorted(os.environ) if re.match("XLA_FLAGS$|JAX_", name)},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    """None for a package that is not installed: natal's Python interface works without Snakemake."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def computed_by(digest: str, device: str) -> dict[str, Any]:
    """What the bits of a simulation depend on beside its settings: code, array libraries, processor.

    Args:
        digest: The stage's digest, which holds that of its code.
        device: The kind of processor (`natal.running.device.kind`).

    Returns:
        Values that JSON can hold.
    """
    versions = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
    return {"code": digest_parts(digest)["code"], "versions": versions, "device": device}


def made_by(digest: str) -> dict[str, str]:
    """What files say of their making.

    Args:
        digest: Of the stage's code and settings.

    Returns:
        The environment, and the digest.
    """
    return {**environment(), "digest": digest}
