"""Trains the joint law on stored snapshots: each cluster at each of its times, as three observers see it."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.density_training import DensityHistory, fit_members
from natal.likelihood.joint import COUNT, Latents, latents_of, log_outcome, log_tau, speed_kms
from natal.likelihood.joint_network import JointEnsemble, JointNetwork, Range, make_joint_network
from natal.likelihood.mixture_density import Counts
from natal.observables.declared import MEASURABLE, OBSERVABLES
from natal.settings.density import DensitySettings
from natal.simulation.lines_of_sight import LinesOfSight
from natal.variables import BIRTH, SUMMARIES


class JointOutcomes(NamedTuple):
    """Snapshots in latent numbers, one row each.

    Attributes:
        x: Q0 and ln tau.
        sizes: Latent sizes along each line of sight; nan where there is none.
        n_bound: Bound stars.
        survived: Whether the cluster survived.
    """

    x: Float[np.ndarray, "row coordinate"]  # Q0, ln tau
    sizes: Float[np.ndarray, "row line size"]  # nan where there is none
    n_bound: Float[np.ndarray, " row"]
    survived: Bool[np.ndarray, " row"]


def joint_outcomes(seen: LinesOfSight, counts: Counts) -> tuple[JointOutcomes, Latents]:
    """Snapshots of clusters in latent numbers.

    An observable that no cluster has (mass segregation of stars of one mass) is left out. Snapshots that lack one of
    the other observables are left out.

    Args:
        seen: What observers see of each cluster, at each time.
        counts: The numbers of bound stars that a cluster may have.

    Returns:
        The snapshots, and which latent numbers they have.
    """
    shape = seen.observables.shape[:3]
    q0, a_au = seen.birth[:, BIRTH.names.index("q0")], seen.birth[:, BIRTH.names.index("a_au")]
    units = {"km/s": speed_kms(seen.mass_msun, a_au), "AU": a_au, "1": np.ones(len(a_au))}
    present = tuple(n for k, n in enumerate(OBSERVABLES) if not np.isnan(seen.observables[..., k]).all())
    latents = latents_of(present, counts)
    columns = []
    for name in latents.sizes:
        if name in SUMMARIES:
            values = np.repeat(seen.summaries[..., SUMMARIES.names.index(name), None], shape[2], axis=2)
        else:
            values = seen.observables[..., OBSERVABLES.names.index(name)].astype(float)
        scaled = values / units[MEASURABLE[name].unit][:, None, None]
        # a velocity or a radius of exactly 0 has no logarithm
        with np.errstate(divide="ignore", invalid="ignore"):
            columns.append(MEASURABLE[name].transformed(scaled, log=np.log))
    tau = log_tau(seen.time_yr, seen.mass_msun[:, None], a_au[:, None])
    x = np.stack([np.broadcast_to(q0[:, None], tau.shape), tau], axis=-1).reshape(-1, 2)
    sizes = np.stack(columns, axis=-1).reshape(len(x), shape[2], -1)
    share = seen.summaries[..., SUMMARIES.names.index(COUNT)].ravel()
    survived = ~seen.dissolved.ravel()
    n_all = len(latents.of_all)
    whole = np.isfinite(sizes[..., :n_all]).all((1, 2)) & (~survived | np.isfinite(sizes).all((1, 2)))
    return JointOutcomes(x[whole], sizes[whole], counts.n_stars * share[whole], survived[whole]), latents


def on_device(outcomes: JointOutcomes) -> tuple[Array, Array, Array, Array]:
    """Outcomes as the arrays that laws take: x, sizes, count, and whether the cluster survived.

    Sizes that a dissolved cluster lacks become 0; no gradient comes from them.
    """
    sizes = np.nan_to_num(outcomes.sizes, posinf=0.0, neginf=0.0)
    x, sizes, count = (jnp.asarray(values, DTYPE) for values in (outcomes.x, sizes, outcomes.n_bound))
    return x, sizes, count, jnp.asarray(outcomes.survived)


def negative_log_likelihood(network: JointNetwork, x: Array, sizes: Array, count: Array, survived: Array) -> Array:
    """Mean negative ln likelihood of snapshots.

    Args:
        network: Gives the law at each input.
        x: (Q0, ln tau), shape (row, 2).
        sizes: Sizes in the cluster's own units, shape (row, size); 0 where a dissolved cluster has none.
        count: Bound stars, shape (row,).
        survived: False for a cluster that dissolved, of which only this counts, shape (row,).

    Returns:
        nat per snapshot.
    """

    def one(x: Array, sizes: Array, count: Array, survived: Array) -> Array:
        return log_outcome(network(x), network.latents, sizes, count, survived)

    return -jax.vmap(one)(x, sizes, count, survived).mean()


def reach_of(outcomes: JointOutcomes) -> tuple[Range, Range]:
    """Ranges of Q0 and ln tau."""
    (q0_low, tau_low), (q0_high, tau_high) = (end(outcomes.x, axis=0).tolist() for end in (np.min, np.max))
    return (q0_low, q0_high), (tau_low, tau_high)


def train_joint(
    key: PRNGKeyArray,
    train: JointOutcomes,
    validation: JointOutcomes,
    latents: Latents,
    reach: tuple[Range, Range],
    settings: DensitySettings,
) -> tuple[JointEnsemble, DensityHistory]:
    """Train `settings.members` networks of the joint law.

    Lines of sight of one cluster are correlated, and so are its snapshots. The mean of their marginal ln likelihoods
    still has its maximum at the right marginal laws (Varin, Reid & Firth 2011, section 2).

    Args:
        key: For initial weights and mini-batches.
        train: Snapshots to learn from.
        validation: Snapshots that decide which weights each member keeps.
        latents: Which numbers the law describes.
        reach: Ranges of Q0 and ln tau, by which inputs are scaled.
        settings: Size of the networks, steps, batches and learning rate.

    Returns:
        The members with their best weights, and the learning curves.

    Raises:
        NatalError: If a latent number is the same in all training runs, or if a member never learned.
    """
    alive = train.survived
    sizes = train.sizes[alive].mean(1)
    z = MEASURABLE[COUNT].transformed(
        train.n_bound[alive] / latents.counts.n_stars,
        log=np.log,
        logit=lambda share: np.log(share / (1 - share)),
        n_stars=latents.counts.n_stars,
    )
    values = np.column_stack([sizes, z])
    shift, scale = values.mean(0), values.std(0)
    if not np.all(scale > 1e-6):
        still = latents.names[int(np.argmin(scale))]
        raise NatalError(f"the training runs all have the same {still}: nothing can be learned from them")
    member = partial(
        make_joint_network,
        width=settings.width,
        components=settings.components,
        shift=jnp.asarray(shift, DTYPE),
        scale=jnp.asarray(scale, DTYPE),
        latents=latents,
        q0=reach[0],
        log_tau=reach[1],
    )
    # a row of a mini-batch is one line of sight
    settings = settings.model_copy(update={"batch_size": max(1, settings.batch_size // train.sizes.shape[1])})
    networks, history = fit_members(
        key, member, negative_log_likelihood, on_device(train), on_device(validation), settings
    )
    return JointEnsemble(networks), history
