"""natal recovers the birth conditions of star clusters.

In a notebook, `natal.simulate_clusters` simulates; `natal.load_campaign` opens a finished campaign for predictions and
posteriors, `natal.load_emulator` its networks alone.

Every package is named after what it is about, and its first line says what it holds; docs/architecture.md has the map.
Import what else you need from there, e.g. ``from natal.nbody.plummer import sample_plummer``.

Importing `natal` loads nothing heavy, so that a workflow may be parsed without starting JAX: the names above are looked
up when they are first used (PEP 562).
"""

import os as _os
from importlib import import_module as _import_module
from typing import Any as _Any

__version__ = "0.2.0"

# natal has locks of its own, and those of HDF5 fail on file systems without locks. HDF5 reads this variable when it is
# loaded; jobs get it from Snakemake's process, which imports natal
_os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

# name -> module. Type checkers read `__init__.pyi`: an import here, even for them only, would make every stage that
# imports anything of natal depend on all of it (`natal.provenance.digests`).
_LAZY = {
    "Answer": "api",
    "ClusterModel": "settings.cluster",
    "Integration": "settings.integration",
    "NatalError": "errors",
    "TrainedCampaign": "api",
    "load_campaign": "api",
    "load_emulator": "api",
    "simulate_clusters": "simulation.run",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> _Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'natal' has no attribute {name!r}")
    value = getattr(_import_module(f"natal.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
