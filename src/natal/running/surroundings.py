"""Checks that packages of another Python, which a cluster's `module load` may put first, do not replace natal's own."""

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from natal.errors import NatalError

BUILT = ("numpy", "scipy", "jax", "jaxlib", "h5py", "matplotlib", "pydantic_core")
"""Packages that natal needs and that are built for one version of Python, or of each other."""


def check_packages() -> None:
    """Check that PYTHONPATH puts no other packages before those of this environment.

    Raises:
        NatalError: It does; the line names one of them.
    """
    given = {Path(folder).resolve() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    own = [folder for folder in sys.path if Path(folder).resolve() not in given]
    for name in BUILT if given else ():
        found, expected = PathFinder.find_spec(name), PathFinder.find_spec(name, own)
        if found and expected and found.origin != expected.origin:
            raise NatalError(
                f"PYTHONPATH puts another {name} ({found.origin}) before that of natal's environment "
                f"({expected.origin}): unset PYTHONPATH (module purge)"
            )
