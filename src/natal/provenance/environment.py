"""The versions, the commit and the machine that make a file."""

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from natal.provenance.git import git_commit


def environment() -> dict[str, str]:
    """Versions, git commit and machine that made a file."""
    packages = ("natal", "jax", "jaxlib", "equinox", "optax", "numpyro", "numpy", "h5py", "snakemake")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "commit": git_commit() or "unknown",
        **{f"version_{name}": installed for name in packages if (installed := _version(name))},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    """None for one that is not installed: natal's Python interface does without Snakemake."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def made_by(digest: str) -> dict[str, str]:
    """The environment, and a stage's digest of code and settings: what files say of their making."""
    return {**environment(), "digest": digest}
