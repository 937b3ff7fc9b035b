"""Files of the study: samples of the fields (HDF5) and trained networks (a JSON header line, then weights)."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np

from natal.emulator.network_files import DTYPE, read_leaves
from natal.errors import NatalError
from natal.files.atomic import atomic_path
from natal.provenance.environment import made_by
from natal.studies.potential.fields import Sample
from natal.studies.potential.network import DEPTH, WIDTH, make_potential_network
from natal.studies.potential.orbits import Tracks

FORMAT = "natal-potential-1"
UNITS = "G = M = a = 1: positions in a, potential in GM/a, acceleration in GM/a^2, laplacian (4 pi G rho) in GM/a^3"


def write_samples(path: str | Path, samples: dict[str, dict[str, Sample]], digest: str) -> None:
    """Write samples of the fields.

    Args:
        path: An HDF5 file.
        samples: By field and part (train, test, line).
        digest: Of code and settings, for the record.
    """
    with atomic_path(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(made_by(digest) | {"units": UNITS})
        for field, parts in samples.items():
            for part, sample in parts.items():
                for name, values in sample._asdict().items():
                    file.create_dataset(f"{field}/{part}/{name}", data=np.asarray(values, float), fletcher32=True)


def read_sample(path: str | Path, field: str, part: str) -> Sample:
    """Read one sample in double precision.

    Args:
        path: A file of `write_samples`.
        field: Name of the field.
        part: train, test or line.
    """
    with h5py.File(path) as file:
        return Sample(*(file[f"{field}/{part}/{name}"][:] for name in Sample._fields))


def save_networks(path: str | Path, networks: Sequence[eqx.nn.MLP], field: str, terms: str, digest: str) -> None:
    """Write the networks of all seeds, stacked along a first axis.

    Args:
        path: Where to write.
        networks: One a seed.
        field: Name of the field that they were trained on.
        terms: Combination of loss terms.
        digest: Of code and settings, for the record.
    """
    header = {
        "format": FORMAT,
        "seeds": len(networks),
        "field": field,
        "terms": terms,
        "hidden": [WIDTH] * DEPTH,
        "activation": "tanh",
        "dtype": DTYPE,
        "units": UNITS,
        "versions": made_by(digest),
    }
    with atomic_path(path) as partial, open(partial, "wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        eqx.tree_serialise_leaves(file, _stacked(networks))


def load_networks(path: str | Path) -> list[eqx.nn.MLP]:
    """Read the networks of all seeds.

    Raises:
        NatalError: If the file has something else.
    """
    try:
        with open(path, "rb") as file:
            header: dict[str, Any] = json.loads(file.readline())
    except (OSError, ValueError) as error:
        raise NatalError(f"{path} does not hold potential networks: {error}") from error
    if header.get("format") != FORMAT or header["hidden"] != [WIDTH] * DEPTH:
        raise NatalError(f"{path} does not hold potential networks of {DEPTH} x {WIDTH}: train them again")
    n = header["seeds"]
    stacked = read_leaves(
        path, lambda: _stacked([make_potential_network(jax.random.key(0))] * n), remedy="train them again"
    )
    return [jax.tree.map(lambda leaf: leaf[k] if eqx.is_array(leaf) else leaf, stacked) for k in range(n)]  # noqa: B023


def _stacked(networks: Sequence[eqx.nn.MLP]) -> eqx.nn.MLP:
    stacked: eqx.nn.MLP = jax.tree.map(
        lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0], *networks
    )
    return stacked


def write_tracks(path: str | Path, tracks: dict[str, Tracks], orbits: Sequence[str], digest: str) -> None:
    """Write the same orbits in several fields, one group a field.

    Args:
        path: An HDF5 file.
        tracks: By field.
        orbits: Names of the orbits.
        digest: Of code and settings, for the record.
    """
    with atomic_path(path) as partial, h5py.File(partial, "w") as file:
        file.attrs.update(made_by(digest) | {"units": UNITS, "orbits": list(orbits)})
        for name, track in tracks.items():
            for part, values in track._asdict().items():
                file.create_dataset(f"{name}/{part}", data=values, fletcher32=True)


def read_tracks(path: str | Path) -> tuple[dict[str, Tracks], list[str]]:
    """Read tracks by the name of their field, and the names of the orbits."""
    with h5py.File(path) as file:
        tracks = {name: Tracks(*(group[part][:] for part in Tracks._fields)) for name, group in file.items()}
        return tracks, [str(name) for name in file.attrs["orbits"]]
