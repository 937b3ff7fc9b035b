"""The posterior of (Q0, a) on a grid, with the age known, or unknown and summed over.

It is `posterior.grid` with a third axis. Cells are equal along each axis, and the density is constant within a cell. If
the age is known, its axis has one cell.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from natal.emulator.network_files import DTYPE
from natal.likelihood.density import DensityEnsemble
from natal.likelihood.mixture import Mixture
from natal.studies.evolution.tracks import Range

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)
BLOCKS = 3
"""To compare draws with a grid, parameters are cut one after the other, each into this many parts of equal mass."""

Edges = tuple[Float[Array, " q_edge"], Float[Array, " a_edge"], Float[Array, " t_edge"]]


class Summary(NamedTuple):
    """A case's posterior in numbers; parameters in the order (q0, a_au, t_yr).

    Attributes:
        mean: Posterior means.
        sd: Posterior standard deviations.
        quantiles: Marginal quantiles at the levels of `QUANTILES`.
        unconstrained_mean: Mean of logit((x - low) / (high - low)).
        unconstrained_cov: Covariance of the same.
        pit: Marginal probability below the truth.
        hpd_level: Mass of the region of (q0, a_au) that is denser than the truth.
        log_density: ln of the density of (q0, a_au) at the truth, per unit Q0 and AU.
    """

    mean: Float[Array, "3"]
    sd: Float[Array, "3"]
    quantiles: Float[Array, "3 level"]  # at QUANTILES
    unconstrained_mean: Float[Array, "3"]  # of logit((x - low) / (high - low))
    unconstrained_cov: Float[Array, "3 3"]
    pit: Float[Array, "3"]  # marginal probability below the truth
    hpd_level: Float[Array, ""]  # mass of the region of (q0, a_au) denser than at the truth
    log_density: Float[Array, ""]  # ln of the density of (q0, a_au) at the truth, per unit Q0 and AU


def cell_edges(ranges: tuple[Range, ...], shape: tuple[int, ...]) -> tuple[Float[Array, " edge"], ...]:
    """Edges of equal cells in each range.

    Args:
        ranges: Range of each parameter.
        shape: Number of cells in each.
    """
    return tuple(jnp.linspace(low, high, n + 1, dtype=DTYPE) for (low, high), n in zip(ranges, shape, strict=True))


def centres(edges: Float[Array, " edge"]) -> Float[Array, " edge-1"]:
    """Middles of cells, from their edges.

    Examples:
        >>> centres(jnp.array([0.0, 1.0, 2.0])).tolist()
        [0.5, 1.5]
    """
    return (edges[1:] + edges[:-1]) / 2


@eqx.filter_jit
def laws_at(
    ensemble: DensityEnsemble, q0: Float[Array, " q"], a_au: Float[Array, " a"], t_yr: Float[Array, " t"]
) -> Mixture:
    """The laws at all combinations of births and ages, leaves with leading axes (q, a, t).

    Args:
        ensemble: Networks with the age as third input.
        q0: Virial ratios at birth.
        a_au: Scale radii at birth.
        t_yr: Ages.
    """

    def row(q: Array) -> Mixture:
        return jax.vmap(lambda a: jax.vmap(lambda t: ensemble(jnp.stack([q, a, t])))(t_yr))(a_au)

    laws: Mixture = lax.map(row, q0)
    return laws


@eqx.filter_jit
def log_mass(laws: Mixture, log_prior_t: Float[Array, " t"], y: Float[Array, "3"]) -> Float[Array, "q a t"]:
    """ln of each cell's likelihood times the prior mass of its age; the prior in (q0, a_au) is uniform.

    Args:
        laws: From `laws_at`.
        log_prior_t: ln of the prior mass of each cell of age.
        y: The observed summaries.
    """
    values: Array = jax.vmap(jax.vmap(jax.vmap(lambda law: law.observed().log_prob(y))))(laws) + log_prior_t
    return values


def summarise(
    ensemble: DensityEnsemble,
    edges: Edges,
    values: Float[Array, "q a t"],
    log_prior_t: Float[Array, " t"],
    y: Float[Array, "3"],
    truth: Float[Array, "3"],
) -> Summary:
    """One posterior in numbers, and where the truth lies in it.

    Args:
        ensemble: For the density at the truth itself.
        edges: Edges of the cells.
        values: What `log_mass` gives.
        log_prior_t: ln of the prior mass of each cell of age.
        y: The observed summaries.
        truth: The true (q0, a_au, t_yr).
    """
    total = jax.nn.logsumexp(values)
    mass = jnp.exp(values - total)
    marginals = mass.sum((1, 2)), mass.sum((0, 2)), mass.sum((0, 1))
    means, sds, quantiles, pits, middles, places, within = [], [], [], [], [], [], []
    for edge, marginal, true in zip(edges, marginals, truth, strict=True):
        width = edge[1] - edge[0]
        middle = centres(edge)
        mean = marginal @ middle
        means.append(mean)
        sds.append(jnp.sqrt(marginal @ (middle - mean) ** 2 + width**2 / 12))
        cumulative = jnp.concatenate([jnp.zeros(1), jnp.cumsum(marginal)])
        quantiles.append(jnp.interp(jnp.array(QUANTILES), cumulative / cumulative[-1], edge))
        pits.append(jnp.interp(true, edge, cumulative / cumulative[-1]))
        below, above = middle - edge[0], edge[-1] - middle
        u = jnp.log(below / above)
        middles.append(marginal @ u)
        places.append(u - middles[-1])
        within.append(marginal @ (width * (1 / below + 1 / above)) ** 2 / 12)
    covariance = jnp.diag(jnp.stack(within)) + jnp.stack(
        [jnp.stack([_moment(mass, places, i, j) for j in range(3)]) for i in range(3)]
    )
    # at the truth itself, not at the nearest cell
    ages = centres(edges[2])
    at_truth = jax.vmap(lambda t: ensemble(jnp.stack([truth[0], truth[1], t])).observed().log_prob(y))(ages)
    density = jax.nn.logsumexp(at_truth + log_prior_t)
    born = jax.nn.logsumexp(values, axis=2)
    area = (edges[0][1] - edges[0][0]) * (edges[1][1] - edges[1][0])
    return Summary(
        jnp.stack(means),
        jnp.stack(sds),
        jnp.stack(quantiles),
        jnp.stack(middles),
        covariance,
        jnp.stack(pits),
        jnp.where(born > density, mass.sum(2), 0.0).sum(),
        density - total - jnp.log(area),
    )


def _moment(mass: Array, places: list[Array], i: int, j: int) -> Array:
    letters = "qat"
    return jnp.einsum(f"qat,{letters[i]},{letters[j]}->", mass, places[i], places[j])


@eqx.filter_jit
def unknown_age(
    ensemble: DensityEnsemble,
    edges: Edges,
    laws: Mixture,
    log_prior_t: Float[Array, " t"],
    y: Float[Array, "case 3"],
    truth: Float[Array, "case 3"],
) -> Summary:
    """Every case's posterior with the age as a third parameter.

    Args:
        ensemble: For the density at truths.
        edges: Edges of the cells.
        laws: From `laws_at`.
        log_prior_t: ln of the prior mass of each cell of age.
        y: The observed summaries.
        truth: The true (q0, a_au, t_yr).

    Returns:
        Leaves with a leading axis of cases.
    """

    def one(case: tuple[Array, Array]) -> Summary:
        values = log_mass(laws, log_prior_t, case[0])
        return summarise(ensemble, edges, values, log_prior_t, *case)

    summaries: Summary = lax.map(one, (y, truth))
    return summaries


@eqx.filter_jit
def known_age(
    ensemble: DensityEnsemble, edges: Edges, y: Float[Array, "case 3"], truth: Float[Array, "case 3"]
) -> Summary:
    """Every case's posterior given its true age, with one cell around it as the third axis.

    Args:
        ensemble: The networks.
        edges: Edges of the cells; those of the age are not used.
        y: The observed summaries.
        truth: The true (q0, a_au, t_yr).

    Returns:
        Leaves with a leading axis of cases.
    """

    def one(case: tuple[Array, Array]) -> Summary:
        y, truth = case
        age = jnp.stack([truth[2] - 0.5, truth[2] + 0.5])
        laws = laws_at(ensemble, centres(edges[0]), centres(edges[1]), truth[2:])
        certain = jnp.zeros(1)
        return summarise(ensemble, (*edges[:2], age), log_mass(laws, certain, y), certain, y, truth)

    summaries: Summary = lax.map(one, (y, truth))
    return summaries


def total_variation_of_cells(edges: Edges, values: np.ndarray, draws: np.ndarray) -> float:
    """Total variation distance between draws and a case's grid posterior, on 27 blocks of about equal mass.

    Blocks are thirds in q0, each cut into thirds in a_au, and those into thirds in t_yr, along cell edges. For n exact,
    independent draws the distance is about `expected_total_variation(n)`.

    Args:
        edges: Edges of the cells.
        values: What `log_mass` gives.
        draws: (q0, a_au, t_yr), shape (draw, 3).
    """
    mass = np.exp(values - values.max())
    mass /= mass.sum()
    block = np.zeros(mass.shape, dtype=int)
    block += (BLOCKS**2 * _parts(mass.sum((1, 2))))[:, None, None]
    for one in range(BLOCKS):
        rows = block[:, 0, 0] == BLOCKS**2 * one
        second = _parts(mass[rows].sum((0, 2)))
        block[rows] += (BLOCKS * second)[None, :, None]
        for two in range(BLOCKS):
            columns = second == two
            block[np.ix_(rows, columns)] += _parts(mass[np.ix_(rows, columns)].sum((0, 1)))
    cell = tuple(
        np.clip(np.searchsorted(np.asarray(e), draws[:, k], side="right") - 1, 0, len(e) - 2)
        for k, e in enumerate(edges)
    )
    n_blocks = BLOCKS**3
    expected = np.bincount(block.ravel(), mass.ravel(), n_blocks)
    return 0.5 * float(np.abs(np.bincount(block[cell], minlength=n_blocks) / len(draws) - expected).sum())


def _parts(marginal: np.ndarray) -> np.ndarray:
    """Which of `BLOCKS` parts of about equal mass each cell falls into."""
    before = np.cumsum(marginal) - marginal / 2
    part: np.ndarray = np.minimum((BLOCKS * before / max(marginal.sum(), 1e-300)).astype(int), BLOCKS - 1)
    return part


def expected_total_variation(n: float) -> float:
    """The distance of `n` exact draws: half the mean absolute deviation of 27 binomial shares.

    Examples:
        >>> round(expected_total_variation(1000), 3)
        0.064
    """
    p = 1 / BLOCKS**3
    return float(0.5 / p * np.sqrt(2 * p * (1 - p) / (np.pi * n)))
