"""An ensemble of mixture density networks: from (Q0, a) to the law of one cluster's outcome (`mixture`).

The networks are those of Bishop (1994); all members have the same weight (Lakshminarayanan, Pritzel & Blundell 2017).
Self-gravity has no scale of its own, so the main trend with a cluster's size is known: sigma_v sqrt(a) and r_h / a do
not depend on it (`natal.variables.SIZE_POWERS`). The networks learn only what is left once this trend is taken out.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE, check_header, read_header, read_leaves, write_leaves
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import LATENT, Counts
from natal.variables import BIRTH, SIZE, SUMMARIES, Box, Limits, limits_of

FORMAT = "natal-density-2"
DENSITY_COMPONENTS = {"heteroscedastic": 1, "mixture": 5}
"""Components of a member network's law, by the name of the likelihood."""

N_LATENT = len(LATENT)

OUTPUTS = ["log_weight", *({"log": "ln_", "count": "z_", "none": ""}[SUMMARIES[k].transform] + k for k in LATENT)]
DEPTH = 2
_REMEDY = "fit the likelihood again"

_SIZES = [SUMMARIES[name] for name in LATENT[:-1]]
# scaling multiplies a number that is no logarithm: the networks must learn that
_POWERS = np.array([variable.size_power if variable.transform == "log" else 0.0 for variable in _SIZES] + [0.0])
_IS_LENGTH = np.array([variable.unit == BIRTH["a_au"].unit for variable in _SIZES] + [False])


def scaling(log_a: Any, middle: Any = 0.0) -> Any:
    """How the latent numbers change with a cluster's size a, known from self-gravity without learning.

    ln sigma_v goes as -ln(a) / 2 and ln r_h as ln a. Only differences matter: lengths come out in units of a, all other
    numbers relative to their value at ln a = `middle`.

    Args:
        log_a: ln of the scale radius in AU, any shape (...).
        middle: The ln a at which numbers that are no lengths have no shift.

    Returns:
        Shifts of the latent numbers, shape (..., latent).

    Examples:
        >>> scaling(np.log(100.0), middle=np.log(100.0)).round(3).tolist()  # ln sigma_v, ln r_h, z of f_bound
        [-0.0, 4.605, 0.0]
    """
    return _POWERS * (log_a[..., None] - np.where(_IS_LENGTH, 0.0, middle))


class MixtureNetwork(eqx.Module):
    """A perceptron whose outputs are read as the parameters of a mixture.

    This is a base class. Each subclass decides what the perceptron's inputs are, and which part of the location is
    known without learning (`trivial` in `read`).

    Attributes:
        network: The perceptron.
        shift: Mean of the latent numbers over the training rows, after the known part is subtracted.
        scale: Their standard deviation.
        components: How many components the mixture has.
        counts: The numbers of bound stars that a cluster may have.
    """

    network: eqx.nn.MLP
    shift: Float[Array, " summary"]
    scale: Float[Array, " summary"]
    components: int = eqx.field(static=True)
    counts: Counts = eqx.field(static=True)

    @abstractmethod
    def __call__(self, x: Float[Array, " input"]) -> Mixture:
        """The law of the outcome at x."""

    def read(self, raw: Float[Array, " raw"], trivial: Float[Array, " summary"]) -> Mixture:
        """Turn the perceptron's outputs into a law.

        Args:
            raw: The outputs: one for survival, one weight for each component, then for each component a location and
                the entries of a triangle (`triangle`).
            trivial: The part of the location that is known without learning.
        """
        weight, rest = raw[1 : self.components + 1], raw[self.components + 1 :].reshape(self.components, -1)
        log_weight = jax.nn.log_sigmoid(raw[0]) + jax.nn.log_softmax(weight)
        location = self.shift + self.scale * rest[:, :N_LATENT] + trivial
        return Mixture(log_weight, location, self.scale[:, None] * triangle(rest[:, N_LATENT:], N_LATENT), self.counts)


class DensityNetwork(MixtureNetwork):
    """One member: its perceptron takes Q0 and ln a, each scaled to the box.

    `shift` and `scale` are those of ln(sigma_v sqrt(a / a0)), ln(r_h / a) and so on, where ln a0 is the middle of the
    box.

    Attributes:
        box: The ranges of birth conditions, in the order of `BIRTH`.
    """

    box: Limits = eqx.field(static=True)

    def __call__(self, x: Float[Array, " birth"]) -> Mixture:
        """The law of the outcome at x = (q0, a_au)."""
        births = BIRTH.values()
        values = [birth.transformed(value, log=jnp.log) for birth, value in zip(births, x, strict=True)]
        limits = [birth.transformed(np.array(ends), log=np.log) for birth, ends in zip(births, self.box, strict=True)]
        place = jnp.stack([(value - low) / (high - low) for value, (low, high) in zip(values, limits, strict=True)])
        # the unit variance of a uniform variable
        return self.read(self.network(np.sqrt(3.0) * (2.0 * place - 1.0)), scaling(values[SIZE], limits[SIZE].mean()))


def triangle(values: Float[Array, "component entry"], n: int) -> Float[Array, "component {n} {n}"]:
    """Lower triangular matrices with a positive diagonal from unbounded numbers.

    Args:
        values: For each component first the logarithms of the diagonal, then the elements below it, row by row.
        n: Rows of a matrix.

    Examples:
        >>> triangle(jnp.array([[0.0, 0.0, 7.0]]), 2).tolist()
        [[[1.0, 0.0], [7.0, 1.0]]]
    """
    diagonal, below = list(jnp.exp(values[:, :n]).T), iter(values[:, n:].T)
    zero = jnp.zeros_like(diagonal[0])
    rows = [[*(next(below) for _ in range(k)), diagonal[k], *[zero] * (n - 1 - k)] for k in range(n)]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def make_density_network(
    key: PRNGKeyArray, width: int, components: int, shift: Array, scale: Array, box: Limits, counts: Counts
) -> DensityNetwork:
    """One untrained member. Its components are spread out and as wide as the training data.

    Args:
        key: For the initial weights.
        width: Units in each hidden layer.
        components: Components of the mixture.
        shift: Mean of the latent numbers, shape (latent,).
        scale: Their standard deviation, shape (latent,).
        box: The ranges of birth conditions.
        counts: The numbers of bound stars that a cluster may have.
    """
    network = make_perceptron(key, len(BIRTH), width, components)
    return DensityNetwork(network, jnp.asarray(shift, DTYPE), jnp.asarray(scale, DTYPE), components, counts, box)


def make_perceptron(key: PRNGKeyArray, n_inputs: int, width: int, components: int, n: int = N_LATENT) -> eqx.nn.MLP:
    """An untrained perceptron whose outputs already are a sensible mixture.

    Its components are spread out, as wide as the data, and the probability to survive is high.

    Args:
        key: For the initial weights.
        n_inputs: Numbers that the perceptron takes.
        width: Units in each hidden layer.
        components: Components of the mixture.
        n: Latent numbers.

    Returns:
        A perceptron with one output for survival, one weight for each component, and then for each component a location
        and a triangle.
    """
    key_network, key_spread = jax.random.split(key)
    per_component = n + n * (n + 1) // 2
    n_outputs = 1 + components * (1 + per_component)
    network = eqx.nn.MLP(n_inputs, n_outputs, width, DEPTH, activation=jnp.tanh, dtype=DTYPE, key=key_network)
    spread = jnp.zeros((components, per_component), DTYPE)
    spread = spread.at[:, :n].set(0.5 * jax.random.normal(key_spread, (components, n), DTYPE))
    spread = spread.at[:, n : 2 * n].set(-0.5)
    bias = jnp.concatenate([jnp.array([3.0], DTYPE), jnp.zeros(components, DTYPE), spread.ravel()])
    last = network.layers[-1]
    untrained: eqx.nn.MLP = eqx.tree_at(
        lambda n: (n.layers[-1].weight, n.layers[-1].bias), network, (0.3 * last.weight, bias)
    )
    return untrained


def log_outcome(
    law: Callable[[Array], Mixture], x: Float[Array, " input"], y: Float[Array, " summary"], survived: Bool[Array, ""]
) -> Float[Array, ""]:
    """ln of the likelihood of one cluster's outcome.

    Args:
        law: Gives the law at x.
        x: What the law depends on.
        y: Summaries in physical units; not used if the cluster dissolved.
        survived: Whether the cluster survived.

    Returns:
        For a cluster that survived, ln of the density of its summaries; for one that dissolved, ln of the probability
        of that.
    """
    return jnp.where(survived, law(x).observed().log_prob(y), law(x).log_dissolved())


class DensityEnsemble(eqx.Module):
    """Trained members; each array of `members` has them along its first axis."""

    members: MixtureNetwork

    @property
    def n_members(self) -> int:
        """How many networks there are."""
        return self.members.shift.shape[0]

    def __call__(self, x: Float[Array, " input"]) -> Mixture:
        """The members' laws as one mixture.

        Args:
            x: (q0, a_au), or whatever else the networks take.
        """
        laws = eqx.filter_vmap(lambda member: member(x))(self.members)
        log_weight, location, cholesky = (
            leaf.reshape(-1, *leaf.shape[2:]) for leaf in (laws.log_weight, laws.location, laws.cholesky)
        )
        return Mixture(log_weight - jnp.log(self.n_members), location, cholesky, self.members.counts)


@dataclass(frozen=True)
class DensityHeader:
    """What the first line of a density file says."""

    format: str
    members: int
    width: int
    components: int
    n_stars: int
    fewest: int
    inputs: list[str]
    outputs: list[str]
    dtype: str
    virial_convention: str
    box: dict[str, list[float]]
    design_digest: str
    versions: dict[str, str]


def save_density(path: str | Path, ensemble: DensityEnsemble, design_digest: str, made_by: Mapping[str, str]) -> None:
    """Write a file: a JSON header line, then the members' arrays (`eqx.tree_serialise_leaves`).

    Args:
        path: Where to write.
        ensemble: Trained members.
        design_digest: Digest of the points that they were trained on.
        made_by: What trained them, for the record: versions, commit, digests of code and settings.
    """
    member = ensemble.members
    assert isinstance(member, DensityNetwork)
    header = DensityHeader(
        format=FORMAT,
        members=ensemble.n_members,
        width=member.network.width_size,
        components=member.components,
        **member.counts._asdict(),
        inputs=list(BIRTH),
        outputs=OUTPUTS,
        dtype=DTYPE,
        virial_convention="K/|W|",
        box={name: list(limits) for name, limits in zip(BIRTH, member.box, strict=True)},
        design_digest=design_digest,
        versions=dict(made_by),
    )
    write_leaves(path, header, ensemble)


def load_density(path: str | Path, *, box: Box, design_digest: str) -> DensityEnsemble:
    """Load an ensemble, and refuse one that was trained on another box or on other points.

    Args:
        path: What `save_density` wrote.
        box: The box that it must have been trained on.
        design_digest: The digest of the points that it must have been trained on.

    Raises:
        NatalError: If something does not fit; the message says what.
    """
    header = read_header(path, DensityHeader, refusal="is not a natal density ensemble")
    expected = {
        "format": FORMAT,
        "inputs": list(BIRTH),
        "outputs": OUTPUTS,
        "dtype": DTYPE,
        "virial_convention": "K/|W|",
        "box": {name: list(box[name]) for name in BIRTH},
        "design_digest": design_digest,
    }
    check_header(path, header, expected, remedy=_REMEDY)
    zeros, limits = jnp.zeros(N_LATENT, DTYPE), limits_of(box)
    counts = Counts(header.n_stars, header.fewest)

    def member(key: PRNGKeyArray) -> DensityNetwork:
        return make_density_network(key, header.width, header.components, zeros, zeros, limits, counts)

    return read_members(path, member, header.members, remedy=_REMEDY)


def read_members(
    path: str | Path, make_member: Callable[[PRNGKeyArray], MixtureNetwork], n_members: int, *, remedy: str
) -> DensityEnsemble:
    """Read the members' arrays of a file.

    Args:
        path: What `write_leaves` wrote.
        make_member: Makes an untrained network of the same shapes from a key.
        n_members: How many networks the file holds.
        remedy: What a user can do if the file does not fit: the error's last words.

    Raises:
        NatalError: If the file holds arrays of other shapes.
    """

    def make() -> DensityEnsemble:
        return DensityEnsemble(eqx.filter_vmap(make_member)(jax.random.split(jax.random.key(0), n_members)))

    return read_leaves(path, make, remedy=remedy)
