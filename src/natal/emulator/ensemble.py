"""The emulator: an ensemble of small networks from (Q0, a) to the summaries.

Each member is a multilayer perceptron with a linear output; by default it has two hidden layers of 64 ReLU units
(`natal.emulator.perceptron`). Members differ by their initial weights, and by what is random in training. Their mean is
the prediction. Their standard deviation (ddof = 1) is a part of its uncertainty (Lakshminarayanan, Pritzel & Blundell
2017).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from natal.data.normaliser import Normaliser
from natal.emulator.box import refuse_outside
from natal.emulator.network_files import DTYPE, check_header, read_header, read_leaves, write_leaves
from natal.emulator.perceptron import (
    ACTIVATIONS,
    HIDDEN,
    activation_name,
    hidden_layers,
    layer_sizes,
    make_emulator_network,
    parameter_count,
)
from natal.errors import NatalError
from natal.variables import BIRTH, SUMMARIES, Box, Limits, limits_of

FORMAT = "natal-ensemble-1"
_REMEDY = "train the emulator again"


class Ensemble(eqx.Module):
    """Trained members with their normaliser and the box that they learned.

    Points outside the box raise `NatalError`, unless `extrapolate` is true.

    Attributes:
        networks: Members, their weights stacked along a first axis.
        normaliser: Of births and summaries.
        box: Ranges of the birth conditions, in the order of `BIRTH`.
    """

    networks: eqx.nn.MLP
    normaliser: Normaliser
    box: Limits = eqx.field(static=True)

    @property
    def n_members(self) -> int:
        """How many networks there are."""
        return self.networks.layers[0].weight.shape[0]

    def members(self, x: Float[Array, " birth"], *, extrapolate: bool = False) -> Float[Array, "member summary"]:
        """Every member's prediction at one point, in physical units. It can be differentiated.

        Args:
            x: (q0, a_au).
            extrapolate: Whether x may lie outside the box.

        Raises:
            NatalError: If x lies outside the box.
        """
        if not extrapolate:
            refuse_outside(x, self.box)
        normalised = self.normaliser.normalise_x(x)
        outputs = eqx.filter_vmap(lambda network: network(normalised))(self.networks)
        return self.normaliser.denormalise_y(outputs)

    def mean(self, x: Float[Array, " birth"], *, extrapolate: bool = False) -> Float[Array, " summary"]:
        """The ensemble's prediction at one point, the mean over members, in physical units.

        Args:
            x: (q0, a_au).
            extrapolate: Whether x may lie outside the box.

        Raises:
            NatalError: If x lies outside the box.
        """
        return self.members(x, extrapolate=extrapolate).mean(0)

    def __call__(
        self, x: Float[Array | np.ndarray, "point birth"], *, extrapolate: bool = False
    ) -> tuple[Float[Array, "point summary"], Float[Array, "point summary"]]:
        """Mean and standard deviation (ddof = 1) over members at many points, in physical units.

        Args:
            x: Rows (q0, a_au).
            extrapolate: Whether points may lie outside the box.

        Raises:
            NatalError: If a point lies outside the box.
        """
        if not extrapolate:
            refuse_outside(x, self.box)
        outputs = self.at_points(x)
        return outputs.mean(1), outputs.std(1, ddof=1)

    def at_points(self, x: Float[Array | np.ndarray, "point birth"]) -> Float[Array, "point member summary"]:
        """Every member's prediction at many points, in physical units."""
        return _members_at(self, jnp.asarray(x, self.normaliser.x_mean.dtype))


@eqx.filter_jit
def _members_at(ensemble: Ensemble, x: Float[Array, "point birth"]) -> Float[Array, "point member summary"]:
    return jax.vmap(ensemble.members)(x)


@dataclass(frozen=True)
class Header:
    """What the first line of an ensemble file says: what the numbers behind it mean."""

    format: str
    members: int
    hidden: list[int]
    activation: str
    dtype: str
    inputs: list[str]
    outputs: list[str]
    input_units: list[str]
    output_units: list[str]
    virial_convention: str
    box: dict[str, list[float]]
    design_digest: str
    n_parameters: int
    versions: dict[str, str]
    log10: list[str] = field(default_factory=list)  # columns whose logarithms are normalised


def save_ensemble(path: str | Path, ensemble: Ensemble, design_digest: str, made_by: Mapping[str, str]) -> None:
    """Write a file: a JSON header line, then the arrays of members and normaliser (`eqx.tree_serialise_leaves`).

    Args:
        path: Where to write.
        ensemble: Trained members.
        design_digest: Digest of the points that they were trained on.
        made_by: What trained them, for the record: versions, commit, digests of code and settings.
    """
    hidden = hidden_layers(ensemble.networks)
    header = Header(
        format=FORMAT,
        members=ensemble.n_members,
        hidden=hidden,
        activation=activation_name(ensemble.networks.activation),
        dtype=DTYPE,
        inputs=list(BIRTH),
        outputs=list(SUMMARIES),
        input_units=[BIRTH[name].unit for name in BIRTH],
        output_units=[SUMMARIES[name].unit for name in SUMMARIES],
        virial_convention="K/|W|",
        box={name: list(limits) for name, limits in zip(BIRTH, ensemble.box, strict=True)},
        design_digest=design_digest,
        n_parameters=parameter_count(layer_sizes(hidden)),
        versions=dict(made_by),
        log10=list(ensemble.normaliser.log10),
    )
    write_leaves(path, header, ensemble)


def load_ensemble(path: str | Path, *, box: Box | None = None, design_digest: str | None = None) -> Ensemble:
    """Load an ensemble.

    Args:
        path: What `save_ensemble` wrote.
        box: The box that it must have been trained on, by name (q0 as K/|W|); None: any.
        design_digest: Digest of the points that it must have been trained on; None: any.

    Raises:
        NatalError: If something does not fit; the message says what: format, births, summaries, precision, layers, box,
            training points, or damaged weights.
    """
    header = read_header(path, Header, refusal="is not a natal ensemble")
    expected: dict[str, Any] = {
        "format": FORMAT,
        "inputs": list(BIRTH),
        "outputs": list(SUMMARIES),
        "dtype": DTYPE,
        "virial_convention": "K/|W|",
    }
    if box is not None:
        expected["box"] = {name: list(box[name]) for name in BIRTH}
    if design_digest is not None:
        expected["design_digest"] = design_digest
    check_header(path, header, expected, remedy=_REMEDY)

    hidden = header.hidden
    if not (isinstance(hidden, list) and all(isinstance(n, int) and n > 0 for n in hidden)):
        raise NatalError(f"{path} has hidden = {hidden}, expected a list of numbers of units: {_REMEDY}")
    if header.n_parameters != (expected_n := parameter_count(layer_sizes(hidden))):
        found = f"hidden = {hidden} and n_parameters = {header.n_parameters}"
        raise NatalError(f"{path} has {found}, expected {expected_n} parameters: {_REMEDY}")
    if header.activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise NatalError(f"{path} has activation = {header.activation}, expected one of {known}: {_REMEDY}")
    columns, logs = [*BIRTH, *SUMMARIES], header.log10
    if not (isinstance(logs, list) and all(column in columns for column in logs)):
        raise NatalError(f"{path} has log10 = {logs}, expected some of {columns}: {_REMEDY}")
    try:
        limits = limits_of(header.box)
    except (KeyError, ValueError, TypeError) as error:
        raise NatalError(f"{path} has box = {header.box}, expected a range of each of {', '.join(BIRTH)}") from error
    if not isinstance(header.members, int) or header.members < 1:
        raise NatalError(f"{path} has members = {header.members}, expected a whole number from 1 up")

    def make() -> Ensemble:
        normaliser = _blank_normaliser(tuple(header.log10))
        return untrained_ensemble(
            jax.random.key(0), header.members, normaliser, limits, header.activation, hidden=hidden
        )

    return read_leaves(path, make, remedy=_REMEDY)


def untrained_ensemble(
    key: PRNGKeyArray,
    members: int,
    normaliser: Normaliser,
    box: Limits,
    activation: str = "relu",
    initialisation: str = "glorot",
    hidden: Sequence[int] = HIDDEN,
) -> Ensemble:
    """Networks with different initial weights, stacked along a first axis.

    Args:
        key: For the weights.
        members: How many networks.
        normaliser: Of births and summaries.
        box: Ranges of the birth conditions.
        activation: One of `ACTIVATIONS`.
        initialisation: `glorot`, `he` or `equinox` (`natal.emulator.perceptron.initialise`).
        hidden: Units of each hidden layer.
    """
    make = partial(make_emulator_network, activation=activation, initialisation=initialisation, hidden=hidden)
    networks = eqx.filter_jit(eqx.filter_vmap(make))(jax.random.split(key, members))
    return Ensemble(networks, normaliser, box)


def _blank_normaliser(log10: tuple[str, ...]) -> Normaliser:
    zeros = {"x": np.zeros(len(BIRTH)), "y": np.zeros(len(SUMMARIES))}
    statistics = {f"{k}_{part}": jnp.asarray(v, DTYPE) for part in ("mean", "std") for k, v in zeros.items()}
    return Normaliser(**statistics, log10=log10)
