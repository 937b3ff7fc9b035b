"""An ensemble of networks from (Q0, ln tau) to the joint law of everything that is seen of a cluster (`joint`).

tau = t sqrt(G M / a^3) is the time in a cluster's own units. Self-gravity has no scale: with lengths in units of a and
speeds in units of sqrt(G M / a), two clusters of equally many stars with the same Q0 and tau have the same law.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE, check_header, read_header, read_leaves, write_leaves
from natal.likelihood.density import make_perceptron, triangle
from natal.likelihood.joint import Factors, JointLaw, Latents
from natal.likelihood.mixture_density import Counts

FORMAT = "natal-joint-1"
Range = tuple[float, float]


@dataclass(frozen=True)
class Reach:
    """The range of clusters that were simulated. Outside of it there is no answer.

    Attributes:
        q0: Range of Q0.
        log_tau: Range of ln tau.
        a_au: Range of the design box (AU).
        t_end_yr: The time at which simulations end.
        mass_msun: Mass of all stars, the mean over clusters.
    """

    q0: Range
    log_tau: Range
    a_au: Range
    t_end_yr: float
    mass_msun: float


class JointNetwork(eqx.Module):
    """One member of the ensemble.

    Attributes:
        network: The perceptron.
        shift: Mean of the latent numbers over surviving training rows.
        scale: Their standard deviation.
        components: Components of the mixture.
        latents: Which numbers the law describes.
        q0: Range of Q0, by which the input is scaled.
        log_tau: Range of ln tau, by which the input is scaled.
    """

    network: eqx.nn.MLP
    shift: Float[Array, " latent"]
    scale: Float[Array, " latent"]
    components: int = eqx.field(static=True)
    latents: Latents = eqx.field(static=True)
    q0: Range = eqx.field(static=True)
    log_tau: Range = eqx.field(static=True)

    def __call__(self, x: Float[Array, " coordinate"]) -> Factors:
        """The law at x = (Q0, ln tau)."""
        limits = np.array([self.q0, self.log_tau])
        place = (x - limits.mean(1)) / np.ptp(limits, axis=1)
        # to the unit variance of a uniform variable
        raw = self.network(np.sqrt(12.0) * place)
        n = self.latents.n
        # the first output is for survival, which here follows from the count
        weight, rest = raw[1 : self.components + 1], raw[self.components + 1 :].reshape(self.components, -1)
        location = self.shift + self.scale * rest[:, :n]
        return Factors(jax.nn.log_softmax(weight), location, self.scale[:, None] * triangle(rest[:, n:], n))


class JointEnsemble(eqx.Module):
    """Trained members with equal weights; each array of `members` has them along its first axis."""

    members: JointNetwork

    @property
    def latents(self) -> Latents:
        """Which numbers the law describes."""
        return self.members.latents

    @property
    def n_members(self) -> int:
        """How many networks there are."""
        return self.members.shift.shape[0]

    def __call__(self, x: Float[Array, " coordinate"]) -> JointLaw:
        """The members' laws at x = (Q0, ln tau) as one mixture."""
        laws = eqx.filter_vmap(lambda member: member(x))(self.members)
        log_weight, location, cholesky = (leaf.reshape(-1, *leaf.shape[2:]) for leaf in laws)
        covariance = jnp.einsum("cik,cjk->cij", cholesky, cholesky, precision="highest")
        packed = covariance[:, *np.tril_indices(self.latents.n)]
        return JointLaw(log_weight - jnp.log(self.n_members), location, packed, self.latents)


def make_joint_network(
    key: PRNGKeyArray,
    width: int,
    components: int,
    shift: Array,
    scale: Array,
    latents: Latents,
    q0: Range,
    log_tau: Range,
) -> JointNetwork:
    """One untrained member.

    Args:
        key: For the initial weights.
        width: Units in each hidden layer.
        components: Components of the mixture.
        shift: Mean of the latent numbers, shape (latent,).
        scale: Their standard deviation, shape (latent,).
        latents: Which numbers the law describes.
        q0: Range of Q0, by which the input is scaled.
        log_tau: Range of ln tau, by which the input is scaled.
    """
    perceptron = make_perceptron(key, 2, width, components, latents.n)
    return JointNetwork(
        perceptron, jnp.asarray(shift, DTYPE), jnp.asarray(scale, DTYPE), components, latents, q0, log_tau
    )


@dataclass(frozen=True)
class JointHeader:
    """What the first line of the file says."""

    format: str
    members: int
    width: int
    components: int
    n_stars: int
    fewest: int
    of_all: list[str]
    of_bound: list[str]
    aperture: float
    reach: dict[str, Any]
    virial_convention: str
    dtype: str
    versions: dict[str, str]


def save_joint(
    path: str | Path, ensemble: JointEnsemble, reach: Reach, aperture: float, made_by: Mapping[str, str]
) -> None:
    """Write a file: a JSON header line, then the members' arrays (`eqx.tree_serialise_leaves`).

    Args:
        path: Where to write.
        ensemble: Trained members.
        reach: The range of clusters that were simulated.
        aperture: Radius within which observables were measured, as the campaign's settings give it.
        made_by: What trained the members, for the record.
    """
    member = ensemble.members
    header = JointHeader(
        format=FORMAT,
        members=ensemble.n_members,
        width=member.network.width_size,
        components=member.components,
        **member.latents.counts._asdict(),
        of_all=list(member.latents.of_all),
        of_bound=list(member.latents.of_bound),
        aperture=aperture,
        reach=asdict(reach),
        virial_convention="K/|W|",
        dtype=DTYPE,
        versions=dict(made_by),
    )
    write_leaves(path, header, ensemble)


def load_joint(path: str | Path) -> tuple[JointEnsemble, Reach, JointHeader]:
    """Load what `save_joint` wrote.

    Raises:
        NatalError: If the file is something else or damaged.
    """
    header = read_header(path, JointHeader, refusal="is not a natal law of observables")
    check_header(
        path, header, {"format": FORMAT, "dtype": DTYPE, "virial_convention": "K/|W|"}, remedy="train it again"
    )
    counts = Counts(header.n_stars, header.fewest)
    latents = Latents(tuple(header.of_all), tuple(header.of_bound), counts)
    stored = {name: tuple(value) if isinstance(value, list) else value for name, value in header.reach.items()}
    reach = Reach(**stored)  # type: ignore[arg-type]
    zeros = jnp.zeros(latents.n, DTYPE)

    def member(key: PRNGKeyArray) -> JointNetwork:
        width, components = header.width, header.components
        return make_joint_network(key, width, components, zeros, zeros, latents, reach.q0, reach.log_tau)

    def make() -> JointEnsemble:
        return JointEnsemble(eqx.filter_vmap(member)(jax.random.split(jax.random.key(0), header.members)))

    return read_leaves(path, make, remedy="train it again"), reach, header
