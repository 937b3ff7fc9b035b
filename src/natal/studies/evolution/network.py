"""Mixture density networks of (Q0, a, t), in one of three sets of coordinates.

Self-gravity has no scale. tau = t sqrt(G M / a^3) is the time in a cluster's own units. The bound fraction, sigma_v
sqrt(a) and r_h / a depend only on Q0 and tau, except for the softening, which is longer relative to a small a.

direct          Q0, ln a, ln t to ln sigma_v and ln r_h: the networks must learn scaling
scaled          Q0, ln a, ln tau to ln(sigma_v sqrt(a)) and ln(r_h / a): scaling is given, a may still matter
dimensionless   Q0, ln tau to the same: beyond scaling, a does not matter
"""

from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from natal.data.outcomes import Outcomes
from natal.emulator.network_files import DTYPE, read_header, write_leaves
from natal.errors import NatalError
from natal.likelihood.density import N_LATENT, DensityEnsemble, MixtureNetwork, make_perceptron, read_members, scaling
from natal.likelihood.density_training import DensityHistory, latent, train_members
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts
from natal.provenance.environment import made_by
from natal.settings.density import DensitySettings
from natal.studies.evolution.tracks import BIRTH_AND_AGE, Ranges
from natal.variables import Box

COORDINATES = ("direct", "scaled", "dimensionless")
FORMAT = "natal-evolution-2"


class EvolutionNetwork(MixtureNetwork):
    """One member, which takes x = (q0, a_au, t_yr).

    Attributes:
        box: Ranges of these.
        coordinates: One of `COORDINATES`.
    """

    box: Ranges = eqx.field(static=True)
    coordinates: str = eqx.field(static=True)

    def __call__(self, x: Float[Array, "3"]) -> Mixture:
        """The law of one cluster's summaries at x; outside the box it is extrapolated."""
        log_a, log_t = jnp.log(x[1]), jnp.log(x[2])
        log_tau = log_t - 1.5 * log_a
        limits = coordinate_limits(self.box)
        values = {"q0": x[0], "log_a": log_a, "log_t": log_t, "log_tau": log_tau}
        # to the unit variance of a uniform variable
        place = [np.sqrt(12.0) * ((values[k] - np.mean(limits[k])) / np.ptp(limits[k])) for k in used(self.coordinates)]
        return self.read(self.network(jnp.stack(place)), trivial_part(self.coordinates, log_a))


def used(coordinates: str) -> tuple[str, ...]:
    """Names of the perceptron's inputs.

    Examples:
        >>> used("dimensionless")
        ('q0', 'log_tau')
    """
    return {
        "direct": ("q0", "log_a", "log_t"),
        "scaled": ("q0", "log_a", "log_tau"),
        "dimensionless": ("q0", "log_tau"),
    }[coordinates]


def coordinate_limits(box: Ranges) -> Box:
    """Ranges of all inputs that `used` may name; here tau is t a^(-3/2), since G M is the same everywhere."""
    q0, a_au, t_yr = box
    (a_low, a_high), (t_low, t_high) = np.log(a_au).tolist(), np.log(t_yr).tolist()
    tau = (t_low - 1.5 * a_high, t_high - 1.5 * a_low)
    return {"q0": q0, "log_a": (a_low, a_high), "log_t": (t_low, t_high), "log_tau": tau}


def trivial_part(coordinates: str, log_a: Array) -> Float[Array, "*batch latent"]:
    """The part of the latent numbers that is known without learning.

    Args:
        coordinates: Name of the inputs; for `direct` nothing is known.
        log_a: ln of the scale radius in AU.
    """
    given: Array = scaling(log_a)
    return jnp.zeros_like(given) if coordinates == "direct" else given


def make_evolution_network(
    key: PRNGKeyArray,
    width: int,
    components: int,
    shift: Array,
    scale: Array,
    counts: Counts,
    box: Ranges,
    coordinates: str,
) -> EvolutionNetwork:
    """One untrained member.

    Args:
        key: For the weights.
        width: Units in each hidden layer.
        components: Components of the mixture.
        shift: Mean of the latent numbers.
        scale: Their standard deviation.
        counts: The numbers of bound stars that a cluster may have.
        box: Ranges of (q0, a_au, t_yr).
        coordinates: One of `COORDINATES`.
    """
    perceptron = make_perceptron(key, len(used(coordinates)), width, components)
    return EvolutionNetwork(perceptron, shift, scale, components, counts, box, coordinates)


def train(
    key: PRNGKeyArray,
    train: Outcomes,
    validation: Outcomes,
    counts: Counts,
    box: Ranges,
    coordinates: str,
    settings: DensitySettings,
) -> tuple[DensityEnsemble, DensityHistory]:
    """Train an ensemble on snapshots; each member is stopped by the validation snapshots.

    Snapshots of a cluster are correlated. The mean of their marginal log likelihoods still has its maximum at the right
    marginal laws (Varin, Reid & Firth 2011, section 2), and only these are needed here.

    Args:
        key: For weights and mini-batches.
        train: Snapshots to learn from, with x = (q0, a_au, t_yr).
        validation: Snapshots that decide which weights each member keeps.
        counts: The numbers of bound stars that a cluster may have.
        box: Ranges of (q0, a_au, t_yr).
        coordinates: One of `COORDINATES`.
        settings: Size of the networks, steps, batches and learning rate.

    Raises:
        NatalError: If a member never learned.
    """
    x, y = train.x[train.survived], train.y[train.survived]
    values = latent(y, counts.n_stars) - trivial_part(coordinates, jnp.log(x[:, 1]))
    shift, scale = (jnp.asarray(statistic, DTYPE) for statistic in (values.mean(0), values.std(0)))

    def member(key: PRNGKeyArray) -> EvolutionNetwork:
        return make_evolution_network(key, settings.width, settings.components, shift, scale, counts, box, coordinates)

    return train_members(key, member, train, validation, settings, section="network")


@dataclass(frozen=True)
class Header:
    """What the first line of an ensemble's file says."""

    format: str
    members: int
    width: int
    components: int
    n_stars: int
    fewest: int
    coordinates: str
    box: dict[str, list[float]]
    dtype: str
    versions: dict[str, str]


def save(path: str | Path, ensemble: DensityEnsemble, stage_digest: str = "") -> None:
    """Write a file: a JSON header line, then the members' arrays (`eqx.tree_serialise_leaves`).

    Args:
        path: Where to write.
        ensemble: Trained members.
        stage_digest: Digest of code and settings, for the record.
    """
    member = ensemble.members
    assert isinstance(member, EvolutionNetwork)
    header = Header(
        format=FORMAT,
        members=ensemble.n_members,
        width=member.network.width_size,
        components=member.components,
        **member.counts._asdict(),
        coordinates=member.coordinates,
        box={name: list(limits) for name, limits in zip(BIRTH_AND_AGE, member.box, strict=True)},
        dtype=DTYPE,
        versions=made_by(stage_digest),
    )
    write_leaves(path, header, ensemble)


def load(path: str | Path) -> DensityEnsemble:
    """Load what `save` wrote.

    Raises:
        NatalError: If the file is something else or damaged.
    """
    header = read_header(path, Header, refusal="is not an ensemble of this study")
    if header.format != FORMAT or header.dtype != DTYPE or header.coordinates not in COORDINATES:
        raise NatalError(f"{path} has another format ({header.format}, {header.dtype}): run the study again")
    q0, a_au, t_yr = ((low, high) for low, high in (header.box[name] for name in BIRTH_AND_AGE))
    zeros, counts = jnp.zeros(N_LATENT, DTYPE), Counts(header.n_stars, header.fewest)

    def member(key: PRNGKeyArray) -> EvolutionNetwork:
        width, components, coordinates = header.width, header.components, header.coordinates
        return make_evolution_network(key, width, components, zeros, zeros, counts, (q0, a_au, t_yr), coordinates)

    return read_members(path, member, header.members, remedy="run the study again")
