"""An ensemble of mixture density networks: from (Q0, a) to the law of one cluster's outcome (`mixture`).

Bishop (1994); members weigh alike (Lakshminarayanan, Pritzel & Blundell 2017). The networks see what self-gravity
leaves over once its scaling is taken out: sigma_v sqrt(a) and r_h / a.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE, read_leaves, write_leaves
from natal.errors import NatalError
from natal.likelihood.mixture import Mixture
from natal.variables import BIRTH, Box, Limits

FORMAT = "natal-density-1"
DENSITY_COMPONENTS = {"heteroscedastic": 1, "mixture": 5}
"""Components of a member network's law, by the name of the likelihood."""

PER_COMPONENT = 10
DEPTH = 2


class MixtureNetwork(eqx.Module):
    """A perceptron whose outputs are read as the parameters of a mixture.

    A subclass says how the perceptron's inputs follow from x, and which part of the location follows from x without
    learning (`trivial`). `shift` and `scale` are the mean and standard deviation of (ln sigma_v, ln r_h, z) over the
    training rows, after that part is subtracted.
    """

    network: eqx.nn.MLP
    shift: Float[Array, "3"]
    scale: Float[Array, "3"]
    components: int = eqx.field(static=True)
    n_stars: int = eqx.field(static=True)

    @abstractmethod
    def __call__(self, x: Float[Array, " input"]) -> Mixture:
        """The law of the outcome at x."""

    def read(self, raw: Float[Array, " raw"], trivial: Float[Array, "3"]) -> Mixture:
        """The perceptron's outputs as a law; `trivial` is the part of its location that need not be learned."""
        weight, rest = raw[1 : self.components + 1], raw[self.components + 1 :].reshape(self.components, -1)
        log_weight = jax.nn.log_sigmoid(raw[0]) + jax.nn.log_softmax(weight)
        location = self.shift + self.scale * rest[:, :3] + trivial
        return Mixture(log_weight, location, self.scale[:, None] * _triangle(rest[:, 3:]), self.n_stars)

    def log_dissolved(self, x: Float[Array, " input"]) -> Float[Array, ""]:
        """ln of the probability that too few stars stay bound."""
        # the weights add up to the probability to survive
        survive = jnp.minimum(jax.nn.logsumexp(self(x).log_weight), -1e-6)
        return jnp.log(-jnp.expm1(survive))


class DensityNetwork(MixtureNetwork):
    """One member: from (Q0, a) by way of scaled (Q0, ln a).

    `shift` and `scale` are those of (ln(sigma_v sqrt(a / a0)), ln(r_h / a), z); a0 is the middle of the box in ln a.
    """

    box: Limits = eqx.field(static=True)

    def __call__(self, x: Float[Array, "2"]) -> Mixture:
        """The law of the outcome at x = (q0, a_au)."""
        (q_low, q_high), (a_low, a_high) = self.box
        log_low, log_high = np.log(a_low), np.log(a_high)
        log_a = jnp.log(x[1])
        place = jnp.stack([(x[0] - q_low) / (q_high - q_low), (log_a - log_low) / (log_high - log_low)])
        above = log_a - (log_low + log_high) / 2
        trivial = jnp.stack([-0.5 * above, log_a, jnp.zeros_like(log_a)])
        # the unit variance of a uniform variable
        return self.read(self.network(np.sqrt(3.0) * (2.0 * place - 1.0)), trivial)


def _triangle(values: Float[Array, "component 6"]) -> Float[Array, "component 3 3"]:
    """Lower triangles with positive diagonals."""
    one, two, three = jnp.exp(values[:, :3]).T
    a, b, c = values[:, 3:].T
    zero = jnp.zeros_like(one)
    rows = [[one, zero, zero], [a, two, zero], [b, c, three]]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def make_density_network(
    key: PRNGKeyArray, width: int, components: int, shift: Array, scale: Array, box: Limits, n_stars: int
) -> DensityNetwork:
    """One untrained member, its components spread and as wide as the data."""
    network = make_perceptron(key, len(BIRTH), width, components)
    return DensityNetwork(network, jnp.asarray(shift, DTYPE), jnp.asarray(scale, DTYPE), components, n_stars, box)


def make_perceptron(key: PRNGKeyArray, n_inputs: int, width: int, components: int) -> eqx.nn.MLP:
    """Untrained weights whose outputs read as components that are spread, as wide as the data and likely to survive."""
    key_network, key_spread = jax.random.split(key)
    n_outputs = 1 + components * PER_COMPONENT
    network = eqx.nn.MLP(n_inputs, n_outputs, width, DEPTH, activation=jnp.tanh, dtype=DTYPE, key=key_network)
    spread = jnp.zeros((components, PER_COMPONENT - 1), DTYPE)
    spread = spread.at[:, :3].set(0.5 * jax.random.normal(key_spread, (components, 3), DTYPE))
    spread = spread.at[:, 3:6].set(-0.5)
    bias = jnp.concatenate([jnp.array([3.0], DTYPE), jnp.zeros(components, DTYPE), spread.ravel()])
    last = network.layers[-1]
    untrained: eqx.nn.MLP = eqx.tree_at(
        lambda n: (n.layers[-1].weight, n.layers[-1].bias), network, (0.3 * last.weight, bias)
    )
    return untrained


class DensityEnsemble(eqx.Module):
    """Trained members, their leaves stacked along a first axis."""

    members: MixtureNetwork

    @property
    def n_members(self) -> int:
        return self.members.shift.shape[0]

    def __call__(self, x: Float[Array, " input"]) -> Mixture:
        """The members' laws at x = (q0, a_au), or what else their networks take, as one mixture."""
        laws = eqx.filter_vmap(lambda member: member(x))(self.members)
        log_weight, location, cholesky = (
            leaf.reshape(-1, *leaf.shape[2:]) for leaf in (laws.log_weight, laws.location, laws.cholesky)
        )
        return Mixture(log_weight - jnp.log(self.n_members), location, cholesky, self.members.n_stars)


@dataclass(frozen=True)
class DensityHeader:
    """First line of a density file."""

    format: str
    members: int
    width: int
    components: int
    n_stars: int
    inputs: list[str]
    outputs: list[str]
    dtype: str
    virial_convention: str
    box: dict[str, list[float]]
    design_digest: str
    versions: dict[str, str]


def save_density(path: str | Path, ensemble: DensityEnsemble, design_digest: str, made_by: Mapping[str, str]) -> None:
    """Write a JSON header line, then the members' leaves (`eqx.tree_serialise_leaves`).

    `made_by` says what trained it, for the record: versions, commit, digest of code and settings.
    """
    member = ensemble.members
    assert isinstance(member, DensityNetwork)
    header = DensityHeader(
        format=FORMAT,
        members=ensemble.n_members,
        width=member.network.width_size,
        components=member.components,
        n_stars=member.n_stars,
        inputs=list(BIRTH),
        outputs=["log_weight", "ln_sigma_v_kms", "ln_r_h_au", "z_f_bound"],
        dtype=DTYPE,
        virial_convention="K/|W|",
        box={name: list(limits) for name, limits in zip(BIRTH, member.box, strict=True)},
        design_digest=design_digest,
        versions=dict(made_by),
    )
    write_leaves(path, header, ensemble)


def load_density(path: str | Path, *, box: Box, design_digest: str) -> DensityEnsemble:
    """Load an ensemble trained on this box and these points.

    Raises `NatalError` naming what does not fit.
    """
    try:
        with open(path, "rb") as file:
            header = DensityHeader(**json.loads(file.readline()))
    except (OSError, ValueError, TypeError) as error:
        raise NatalError(f"{path} is not a natal density ensemble: {error}") from error
    expected = {
        "format": FORMAT,
        "inputs": list(BIRTH),
        "dtype": DTYPE,
        "virial_convention": "K/|W|",
        "box": {name: list(box[name]) for name in BIRTH},
        "design_digest": design_digest,
    }
    for key, value in expected.items():
        if getattr(header, key) != value:
            raise NatalError(f"{path} has {key} = {getattr(header, key)}, expected {value}: fit the likelihood again")
    limits: Limits = (box["q0"], box["a_au"])
    zeros = jnp.zeros(3, DTYPE)
    keys = jax.random.split(jax.random.key(0), header.members)
    skeleton = DensityEnsemble(
        eqx.filter_vmap(
            lambda key: make_density_network(key, header.width, header.components, zeros, zeros, limits, header.n_stars)
        )(keys)
    )
    return read_leaves(path, skeleton, remedy="fit the likelihood again")
