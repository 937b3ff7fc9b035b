"""Where the next points teach most: proposals by what the members of an ensemble disagree about (Settles 2009).

Members that learned from the same runs differ where these runs leave them free (Lakshminarayanan, Pritzel & Blundell
2017). There are two measures of this, by the criterion's name: `disagreement`, the members' variance; and
`information`, what one more cluster would say about which member is right (Houlsby et al. 2011, arXiv:1112.5745).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from scipy.stats import qmc

from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble, DensityNetwork
from natal.variables import BIRTH, Box

N_CANDIDATES = 2048
"""Points of the box among which proposals are chosen; a power of two, since they are a Sobol' sequence."""

LENGTH_IN_SPACINGS = 0.5
"""Correlation length of errors, in mean distances between the points of a batch. Nearer points teach the same."""

N_DRAWS = 64
"""Clusters drawn from every member's law at a point, for the information."""

REMAINDER = 0.1
"""Share of the variance that a chosen point keeps, since its runs scatter.

Without it, pairs of close neighbours would be chosen, which measure a slope.
"""


@dataclass(frozen=True)
class Proposal:
    """Proposed points, the most useful first.

    Attributes:
        x: Births (q0 as K/|W|, a_au), shape (point, 2).
        score: By how much each lowers the mean variance over the box, shape (point,).
    """

    x: np.ndarray  # (point, 2), q0 as K/|W| and a_au
    score: np.ndarray  # (point,)


def disagreement(ensemble: Ensemble, x: Float[np.ndarray, "point birth"]) -> Float[np.ndarray, " point"]:
    """Variance (ddof = 1) of the members' predictions at each point, mean over normalised summaries.

    Args:
        ensemble: The members.
        x: Births.
    """
    normalised = ensemble.normaliser.normalise_y(ensemble.at_points(x))
    return np.asarray(normalised.var(1, ddof=1).mean(-1), float)


def information(
    key: PRNGKeyArray, ensemble: DensityEnsemble, x: Float[np.ndarray, "point birth"]
) -> Float[np.ndarray, " point"]:
    """Mutual information (nats) of one cluster's outcome and the member that predicts it, at each point.

    It is the entropy of the members' mean law minus the mean of their entropies (Houlsby et al. 2011, eq. 2); that a
    cluster dissolves is an outcome, too. Scatter that all members agree about does not count. It is computed from
    `N_DRAWS` clusters of each member's law, with the same random numbers at all points.

    Args:
        key: For the draws.
        ensemble: The members.
        x: Births.
    """
    return np.asarray(_information(key, ensemble, jnp.asarray(x, DTYPE)), float)


@eqx.filter_jit
def _information(
    key: PRNGKeyArray, ensemble: DensityEnsemble, x: Float[Array, "point birth"]
) -> Float[Array, " point"]:
    members, keys = ensemble.members, jax.random.split(key, ensemble.n_members)

    def at(x: Array) -> Array:
        def draw(member: DensityNetwork, key: PRNGKeyArray) -> Array:
            return member(x).observed().sample(key, (N_DRAWS,))

        def log_prob(member: DensityNetwork, y: Array) -> Array:
            return member(x).observed().log_prob(y)

        y = eqx.filter_vmap(draw)(members, keys)
        # [member that predicts, member that drew, draw], survival included
        log_p = eqx.filter_vmap(log_prob, in_axes=(eqx.if_array(0), None))(members, y.reshape(-1, y.shape[-1]))
        log_p = log_p.reshape(len(keys), *y.shape[:-1])
        alive = jnp.einsum("mmd->md", log_p) - _log_mean(log_p)
        log_dissolved = eqx.filter_vmap(lambda member: member(x).log_dissolved())(members)
        dissolved = log_dissolved - _log_mean(log_dissolved)
        share = jnp.exp(log_dissolved)
        return jnp.maximum(((1 - share) * alive.mean(-1) + share * dissolved).mean(), 0.0)

    nats: Array = lax.map(at, x, batch_size=64)
    return nats


def _log_mean(values: Float[Array, "member ..."]) -> Float[Array, "..."]:
    """ln of the mean of exp(values) over the first axis."""
    return jax.nn.logsumexp(values, axis=0) - jnp.log(len(values))


def choose_batch(
    place: Float[np.ndarray, "point birth"],
    variance: Float[np.ndarray, " point"],
    n: int,
    allowed: np.ndarray | None = None,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Choose `n` points, one by one, that together lower the mean `variance` over all points most.

    Errors are taken as a Gaussian process with this variance. Their correlation falls with distance like exp(-d^2 / 2
    l^2), where l is half the mean distance of `n` points that fill the box. A chosen point is known from then on up to
    `REMAINDER`, and its surroundings in part. Each choice gives the largest fall of the mean (Cohn, Ghahramani & Jordan
    1996, JAIR 4, 129); this is its score.

    Args:
        place: Points that fill the unit square evenly: births in units of the box.
        variance: At each point.
        n: How many to choose.
        allowed: Mask of the points that may be chosen; None: all.

    Returns:
        Indices of the chosen points, and their scores.

    Raises:
        NatalError: If fewer than `n` points may be chosen.

    Examples:
        >>> place = np.stack(np.meshgrid([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]), axis=-1).reshape(-1, 2)
        >>> choose_batch(place, np.array([0.0, 0, 0, 0, 0, 0, 0, 1, 9]), 2)[0].tolist()
        [8, 7]
    """
    open_ = np.ones(len(place), bool) if allowed is None else np.array(allowed, bool)
    if n > open_.sum():
        raise NatalError(f"{n} points are asked for, but there are {open_.sum()} to choose from")
    length = LENGTH_IN_SPACINGS / np.sqrt(n)
    squared = ((place[:, None] - place[None]) ** 2).sum(-1)
    sigma = np.sqrt(variance)
    covariance = sigma[:, None] * sigma * np.exp(-0.5 * squared / length**2)
    remainder = np.maximum(REMAINDER * variance, np.finfo(float).tiny)
    chosen, scores = np.empty(n, int), np.empty(n)
    for k in range(n):
        known = covariance.diagonal() + remainder
        falls = np.where(open_, (covariance**2).mean(0) / known, -np.inf)
        best = int(np.argmax(falls))
        chosen[k], scores[k] = best, falls[best]
        open_[best] = False
        covariance = covariance - np.outer(covariance[best], covariance[best]) / known[best]
    return chosen, scores


def propose_points(
    acquisition: Callable[[Float[np.ndarray, "point birth"]], Float[np.ndarray, " point"]], box: Box, n: int, seed: Any
) -> Proposal:
    """Propose points of a box where `acquisition` is large, spread out by `choose_batch`.

    The points that the ensemble has learned from need not be known: members agree about them.

    Args:
        acquisition: Gives `disagreement` or `information` at points (q0, a_au).
        box: The ranges of birth conditions.
        n: How many points.
        seed: For `numpy.random.default_rng`; candidates are `N_CANDIDATES` points of a scrambled Sobol' sequence.

    Raises:
        NatalError: If there are fewer candidates than `n`.
    """
    place = qmc.Sobol(len(BIRTH), rng=np.random.default_rng(seed)).random(N_CANDIDATES)
    low, high = np.array([box[name] for name in BIRTH]).T
    x = low + (high - low) * place
    chosen, score = choose_batch(place, acquisition(x), n)
    return Proposal(x[chosen], score)


def fill_space(place: Float[np.ndarray, "point birth"], chosen: list[int], n: int) -> list[int]:
    """Add `n` points to those chosen, each as far from them as possible (Kennard & Stone 1969).

    Args:
        place: All points, in the unit square.
        chosen: Indices of the points that are chosen already.
        n: How many to add.

    Returns:
        Indices of all chosen points.

    Examples:
        >>> fill_space(np.array([[0.0, 0.0], [0.1, 0.0], [1.0, 0.0], [0.5, 0.0]]), [0], 2)
        [0, 2, 3]
    """
    filled = list(chosen)
    nearest = ((place[:, None] - place[filled]) ** 2).sum(-1).min(1)
    for _ in range(n):
        filled.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((place - place[filled[-1]]) ** 2).sum(-1))
    return filled
