"""The posterior on a regular grid of (Q0, a): exact up to the cell size, for every case.

Two parameters can afford it; NUTS is checked against it and takes its starts and its metric from it. Cells are
equal, the density is taken at their centres, and within a cell it counts as constant.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from natal.emulator.box import refuse_prior_outside
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Conditional, Likelihood
from natal.posterior.flags import EDGE_WIDTH
from natal.variables import BIRTH, Box

QUANTILES = {"q02.5": 0.025, "q16": 0.16, "q50": 0.5, "q84": 0.84, "q97.5": 0.975}


class Grid(NamedTuple):
    """Cell centres and the likelihood's law at each of them."""

    q0: Float[Array, " nq"]
    a_au: Float[Array, " na"]
    laws: Conditional  # leaves with leading axes (nq, na)

    @property
    def cell_area(self) -> Float[Array, ""]:
        return (self.q0[1] - self.q0[0]) * (self.a_au[1] - self.a_au[0])


class GridSummary(NamedTuple):
    """A case's grid posterior in numbers; parameters in the order (q0, a_au)."""

    mean: Float[Array, " birth"]
    sd: Float[Array, " birth"]
    quantiles: Float[Array, "birth level"]  # at QUANTILES
    log_evidence: Float[Array, ""]
    unconstrained_cov: Float[Array, "birth birth"]  # of logit((x - low) / (high - low)) in the prior's box
    chi2_best: Float[Array, ""]  # squared distance of the observation from the law that explains it best
    entropy: Float[Array, ""]  # minus the mean natural log of the density, per unit Q0 and AU
    edge_mass: Float[Array, "birth edge"]  # mass within EDGE_WIDTH of the (lower, upper) edge of each parameter's range


class TruthSummary(NamedTuple):
    """Where a known truth lies in a case's grid posterior."""

    pit: Float[Array, " birth"]  # marginal cumulative probability at the truth
    hpd_level: Float[Array, ""]  # mass of the region denser than at the truth
    log_density: Float[Array, ""]  # natural log of the density at the truth, per unit Q0 and AU


def make_grid(likelihood: Likelihood, prior_box: Box, shape: tuple[int, int]) -> Grid:
    """Evaluate the likelihood's law at the centres of `shape` = (nq, na) cells that fill the prior's box.

    Raises `NatalError` if that is not within the box that the emulator learned.
    """
    refuse_prior_outside(prior_box, likelihood.ensemble.box)
    centres = []
    for name, n in zip(BIRTH, shape, strict=True):
        low, high = prior_box[name]
        centres.append(low + (high - low) * (np.arange(n) + 0.5) / n)
    q0, a_au = (jnp.asarray(c, DTYPE) for c in centres)
    return Grid(q0, a_au, _laws_on(likelihood, q0, a_au))


@eqx.filter_jit
def _laws_on(likelihood: Likelihood, q0: Float[Array, " nq"], a_au: Float[Array, " na"]) -> Conditional:
    # row by row, so that a large ensemble's activations stay small
    laws: Conditional = lax.map(lambda q: jax.vmap(lambda a: likelihood.conditional(jnp.stack([q, a])))(a_au), q0)
    return laws


def log_likelihood(
    grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None
) -> Float[Array, "nq na"]:
    """Natural log of the likelihood of one observation in every cell."""
    log_densities: Array = jax.vmap(jax.vmap(lambda law: law.observed(error).log_prob(y)))(grid.laws)
    return log_densities


def log_posterior(
    grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None
) -> Float[Array, "nq na"]:
    """Natural log of the posterior density (uniform prior on the grid's box), per unit Q0 and AU."""
    return _log_mass(log_likelihood(grid, y, error)) - jnp.log(grid.cell_area)


def _log_mass(log_likelihood: Float[Array, "nq na"]) -> Float[Array, "nq na"]:
    """Natural log of each cell's share of the posterior."""
    # the largest first: float32 could not resolve a sum of 1 beside a log likelihood of -1e12
    shifted = log_likelihood - log_likelihood.max()
    return shifted - jax.nn.logsumexp(shifted)


@eqx.filter_jit
def summarise_cases(
    grid: Grid, y: Float[Array, "case summary"], error: Float[Array, "case summary"] | None
) -> GridSummary:
    """Moments, quantiles and evidence of every case's grid posterior."""
    summaries: GridSummary = lax.map(lambda case: _summarise(grid, *case), (y, error))
    return summaries


def _summarise(grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> GridSummary:
    values = log_likelihood(grid, y, error)
    mass = jnp.exp(_log_mass(values))
    means, sds, quantiles, edge_mass = [], [], [], []
    for axis, centres in enumerate((grid.q0, grid.a_au)):
        marginal = mass.sum(1 - axis)
        mean = (marginal * centres).sum()
        width = centres[1] - centres[0]
        means.append(mean)
        # a flat cell has a variance of its own
        sds.append(jnp.sqrt((marginal * (centres - mean) ** 2).sum() + width**2 / 12))
        cumulative, edges = _cumulative(marginal, centres)
        quantiles.append(jnp.interp(jnp.asarray(list(QUANTILES.values())), cumulative, edges))
        reach = EDGE_WIDTH * (edges[-1] - edges[0])
        below = jnp.interp(jnp.stack([edges[0] + reach, edges[-1] - reach]), edges, cumulative)
        edge_mass.append(jnp.stack([below[0], 1 - below[1]]))
    # the prior density is 1 / box area
    evidence = jax.nn.logsumexp(values) - jnp.log(mass.size)
    covariance = _unconstrained_covariance(grid, mass)
    return GridSummary(
        jnp.stack(means),
        jnp.stack(sds),
        jnp.stack(quantiles),
        evidence,
        covariance,
        nearest_distance(grid, y, error),
        jax.scipy.special.entr(mass).sum() + jnp.log(grid.cell_area),
        jnp.stack(edge_mass),
    )


def nearest_distance(
    grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None
) -> Float[Array, ""]:
    """Squared Mahalanobis distance of an observation from the nearest law of the grid."""
    nearest: Array = jax.vmap(jax.vmap(lambda law: law.distance2(y, error)))(grid.laws).min()
    return nearest


def _unconstrained_covariance(grid: Grid, mass: Float[Array, "nq na"]) -> Float[Array, "birth birth"]:
    places, within = [], []
    for centres in (grid.q0, grid.a_au):
        width = centres[1] - centres[0]
        below, above = centres - centres[0] + width / 2, centres[-1] + width / 2 - centres
        places.append(jnp.log(below / above))
        # a flat cell has a variance of its own, which keeps a posterior inside one cell from having none
        within.append((width * (1 / below + 1 / above)) ** 2 / 12)
    marginals = mass.sum(1), mass.sum(0)
    centred = [u - (marginal * u).sum() for u, marginal in zip(places, marginals, strict=True)]
    variances = [(marginal * (u**2 + cell)).sum() for marginal, u, cell in zip(marginals, centred, within, strict=True)]
    mixed = centred[0] @ mass @ centred[1]
    return jnp.array([[variances[0], mixed], [mixed, variances[1]]])


def _cumulative(
    marginal: Float[Array, " n"], centres: Float[Array, " n"]
) -> tuple[Float[Array, " n+1"], Float[Array, " n+1"]]:
    """Cumulative mass at cell edges, and the edges."""
    width = centres[1] - centres[0]
    edges = jnp.concatenate([centres - width / 2, centres[-1:] + width / 2])
    cumulative = jnp.concatenate([jnp.zeros(1), jnp.cumsum(marginal)])
    return cumulative / cumulative[-1], edges


@eqx.filter_jit
def summarise_truths(
    likelihood: Likelihood,
    grid: Grid,
    truth: Float[Array, "case birth"],
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
) -> TruthSummary:
    """PIT, HPD level and log posterior density of known true parameters (q0, a_au).

    A truth outside the grid's box has a density of zero and lies outside every region.
    """

    def one(case: tuple[Array, Array, Array | None]) -> TruthSummary:
        truth, y, error = case
        values = log_likelihood(grid, y, error)
        mass = jnp.exp(_log_mass(values))
        # the density at the truth itself, not at the nearest cell
        at_truth = likelihood.conditional(truth).observed(error).log_prob(y)
        pit = jnp.stack(
            [
                jnp.interp(truth[axis], *_cumulative(mass.sum(1 - axis), centres)[::-1])
                for axis, centres in enumerate((grid.q0, grid.a_au))
            ]
        )
        denser = jnp.where(values > at_truth, mass, 0.0).sum()
        log_density = at_truth - jax.nn.logsumexp(values) - jnp.log(grid.cell_area)
        inside = jnp.array(True)
        for centres, place in zip((grid.q0, grid.a_au), truth, strict=True):
            half = (centres[-1] - centres[0]) / 2 * len(centres) / (len(centres) - 1)
            # to the rounding of the centres: a truth on the edge is inside
            rounding = 4 * jnp.finfo(centres.dtype).eps * centres[-1]
            inside &= jnp.abs(place - (centres[0] + centres[-1]) / 2) <= half + rounding
        return TruthSummary(pit, jnp.where(inside, denser, 1.0), jnp.where(inside, log_density, -jnp.inf))

    located: TruthSummary = lax.map(one, (truth, y, error))
    return located


@eqx.filter_jit
def draw_cases(
    key: PRNGKeyArray, grid: Grid, y: Float[Array, "case summary"], error: Float[Array, "case summary"] | None, n: int
) -> Float[Array, "case n birth"]:
    """Draw `n` points from every case's grid posterior, uniform within their cells."""

    def one(case: tuple[PRNGKeyArray, Array, Array | None]) -> Float[Array, "n birth"]:
        key, y, error = case
        key_cell, key_place = jax.random.split(key)
        values = log_likelihood(grid, y, error)
        cell = jax.random.categorical(key_cell, values.ravel(), shape=(n,))
        i, j = jnp.unravel_index(cell, values.shape)
        within = jax.random.uniform(key_place, (n, 2), minval=-0.5, maxval=0.5)
        widths = jnp.stack([grid.q0[1] - grid.q0[0], grid.a_au[1] - grid.a_au[0]])
        return jnp.stack([grid.q0[i], grid.a_au[j]], axis=-1) + within * widths

    drawn: Array = lax.map(one, (jax.random.split(key, len(y)), y, error))
    return drawn


@eqx.filter_jit
def total_variation_of_draws(
    grid: Grid,
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
    draws: Float[Array, "case draw birth"],
) -> Float[Array, " case"]:
    """Total variation between draws and the grid posterior on 16 blocks of about equal grid probability.

    The blocks are the quarters in q0, each cut into quarters in a_au, along cell edges. Even exact draws show about
    0.4 sqrt(16 / n) for n independent ones (half the mean absolute deviation of multinomial shares).
    """
    quarters = jnp.array([0.25, 0.5, 0.75])

    def cut(
        marginal: Float[Array, " n"], centres: Float[Array, " n"]
    ) -> tuple[Float[Array, " quarter"], Int[Array, " n"]]:
        """The cell edges closest below the quartiles, and which quarter each cell falls into."""
        cumulative, edges = _cumulative(marginal, centres)
        first_cells = jnp.searchsorted(cumulative, quarters, side="right") - 1
        return edges[first_cells], jnp.searchsorted(first_cells, jnp.arange(len(centres)), side="right")

    def one(case: tuple[Array, Array | None, Array]) -> Float[Array, ""]:
        y, error, draws = case
        mass = jnp.exp(log_posterior(grid, y, error)) * grid.cell_area
        # cut along edges, so that draws and cells are counted alike
        cuts_q, quarter_of_row = cut(mass.sum(1), grid.q0)
        draw_row = jnp.searchsorted(cuts_q, draws[:, 0], side="right")
        shares, expected = [], []
        for row in range(4):
            along_a = jnp.where((quarter_of_row == row)[:, None], mass, 0.0).sum(0)
            cuts_a, quarter_of_column = cut(along_a, grid.a_au)
            draw_column = jnp.searchsorted(cuts_a, draws[:, 1], side="right")
            for column in range(4):
                expected.append(jnp.where(quarter_of_column == column, along_a, 0.0).sum())
                shares.append(((draw_row == row) & (draw_column == column)).mean())
        return 0.5 * jnp.abs(jnp.stack(shares) - jnp.stack(expected)).sum()

    distances: Array = lax.map(one, (y, error, draws))
    return distances
