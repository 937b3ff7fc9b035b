"""An ensemble of mixture density networks: from (Q0, a) to the law of one cluster's outcome (`mixture`).

Bishop (1994); members weigh alike (Lakshminarayanan, Pritzel & Blundell 2017). The networks see what self-gravity
leaves over once its scaling is taken out: sigma_v sqrt(a) and r_h / a (`natal.variables.SIZE_POWERS`).
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
# what scaling does to a number that is no logarithm is left to be learned
_POWERS = np.array([variable.size_power if variable.transform == "log" else 0.0 for variable in _SIZES] + [0.0])
_IS_LENGTH = np.array([variable.unit == BIRTH["a_au"].unit for variable in _SIZES] + [False])


def scaling(log_a: Any, middle: Any = 0.0) -> Any:
    """The part of latent numbers that scaling gives, (..., latent): ln sigma_v goes as -ln(a) / 2, ln r_h as ln a.

    Up to constants, with which lengths are in units of a, and everything else is at ln a = `middle`.
    """
    return _POWERS * (log_a[..., None] - np.where(_IS_LENGTH, 0.0, middle))


class MixtureNetwork(eqx.Module):
    """A perceptron whose outputs are read as the parameters of a mixture.

    A subclass says how the perceptron's inputs follow from x, and which part of the location follows from x without
    learning (`trivial`). `shift` and `scale` are the mean and standard deviation of the latent numbers over the
    training rows, after that part is subtracted.
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
        """The perceptron's outputs as a law; `trivial` is the part of its location that need not be learned."""
        weight, rest = raw[1 : self.components + 1], raw[self.components + 1 :].reshape(self.components, -1)
        log_weight = jax.nn.log_sigmoid(raw[0]) + jax.nn.log_softmax(weight)
        location = self.shift + self.scale * rest[:, :N_LATENT] + trivial
        return Mixture(log_weight, location, self.scale[:, None] * triangle(rest[:, N_LATENT:], N_LATENT), self.counts)


class DensityNetwork(MixtureNetwork):
    """One member: from (Q0, a) by way of scaled (Q0, ln a).

    `shift` and `scale` are those of ln(sigma_v sqrt(a / a0)), ln(r_h / a) and so on; a0 is the middle of the box in
    ln a.
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
    """Lower triangles of n rows: logarithms of the diagonal, then what is below it, row by row."""
    diagonal, below = list(jnp.exp(values[:, :n]).T), iter(values[:, n:].T)
    zero = jnp.zeros_like(diagonal[0])
    rows = [[*(next(below) for _ in range(k)), diagonal[k], *[zero] * (n - 1 - k)] for k in range(n)]
    return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def make_density_network(
    key: PRNGKeyArray, width: int, components: int, shift: Array, scale: Array, box: Limits, counts: Counts
) -> DensityNetwork:
    """One untrained member, its components spread and as wide as the data."""
    network = make_perceptron(key, len(BIRTH), width, components)
    return DensityNetwork(network, jnp.asarray(shift, DTYPE), jnp.asarray(scale, DTYPE), components, counts, box)


def make_perceptron(key: PRNGKeyArray, n_inputs: int, width: int, components: int, n: int = N_LATENT) -> eqx.nn.MLP:
    """Untrained weights whose outputs read as components that are spread, as wide as the data and likely to survive.

    Outputs are a number for survival, a weight for each component, and then for each a location and a triangle of `n`
    latent numbers.
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
    """ln of the density of a cluster's summaries under the law at x; of a dissolved one, of that, whatever `y`."""
    return jnp.where(survived, law(x).observed().log_prob(y), law(x).log_dissolved())


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
        return Mixture(log_weight - jnp.log(self.n_members), location, cholesky, self.members.counts)


@dataclass(frozen=True)
class DensityHeader:
    """First line of a density file."""

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
    """Load an ensemble trained on this box and these points.

    Raises `NatalError` naming what does not fit.
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
    """Read members that look like these. Raises `NatalError`, which ends in `remedy`, if the file holds others."""

    def make() -> DensityEnsemble:
        return DensityEnsemble(eqx.filter_vmap(make_member)(jax.random.split(jax.random.key(0), n_members)))

    return read_leaves(path, make, remedy=remedy)
