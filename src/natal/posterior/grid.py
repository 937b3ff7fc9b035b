"""The posterior on a regular grid of (Q0, a): exact up to the cell size, for every case.

With two parameters a grid is affordable. NUTS is checked against it and takes its coordinates from it. All cells have
the same size. The density is taken at their centres and is constant within a cell.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from natal.emulator.box import refuse_prior_outside
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Conditional, DistanceTable, LawTable, Likelihood
from natal.posterior.coordinates import InverseCdf
from natal.posterior.flags import EDGE_WIDTH
from natal.posterior.spread import map_cases
from natal.variables import BIRTH, Box

QUANTILES = {"q02.5": 0.025, "q16": 0.16, "q50": 0.5, "q84": 0.84, "q97.5": 0.975}

LEVELS = (33, 65, 129)
"""Nodes along each parameter of the levels that are tried before all cells are evaluated."""

STENCIL = 8
"""Number of nodes along each parameter from which a value is interpolated (Lagrange)."""

TOLERANCE = 0.005
"""Largest mean error of ln density, over the posterior, when every other node of a level predicts the rest.

The error of cells that are interpolated from the level is then about a tenth of this.
"""

DEPTH = 20.0
"""A finer level is not evaluated where ln density is this far below its largest value."""

BLOCK = 256
"""Laws that are evaluated at a time; their numbers fit into a core's cache."""


class Level(NamedTuple):
    """A lattice of nodes over the prior's box, edges included, with matrices that interpolate along q0 and a_au.

    Attributes:
        n: Nodes along each parameter.
        refine: From every other node to all nodes; one matrix for each parameter.
        to_cells: From the nodes to the centres of cells.
    """

    n: int
    refine: tuple[Array, ...]  # from every other node to all
    to_cells: tuple[Array, ...]

    def predicted(self, values: Float[Array, "n n"]) -> Float[Array, "n n"]:
        """Interpolate from every other node to all nodes."""
        return _along_both(self.refine, values[::2, ::2])

    def on_cells(self, values: Float[Array, "n n"]) -> Float[Array, "nq na"]:
        """Interpolate from the nodes to the centres of cells."""
        return _along_both(self.to_cells, values)


class Grid(NamedTuple):
    """Cell centres, and the likelihood's laws there and at the nodes of the levels.

    Attributes:
        q0: Centres of cells in Q0.
        a_au: Centres of cells in a.
        laws: Laws at the centres, leaves with leading axes (nq, na).
        levels: Coarse levels that are tried first.
        blocks: Laws at the nodes of the levels and then at the centres, leaves (block, ..., law in block).
        afar: Laws at the nodes of the finest level, for distances, leaves (..., law).
    """

    q0: Float[Array, " nq"]
    a_au: Float[Array, " na"]
    laws: Conditional  # at the centres, leaves with leading axes (nq, na)
    levels: tuple[Level, ...] = ()
    blocks: LawTable | None = None  # of the levels, then of the centres: leaves (block, ..., law in block)
    afar: DistanceTable | None = None  # at the nodes of the finest level: leaves (..., law)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells in Q0 and in a."""
        return len(self.q0), len(self.a_au)

    @property
    def cell_area(self) -> Float[Array, ""]:
        """Area of a cell, in AU."""
        return (self.q0[1] - self.q0[0]) * (self.a_au[1] - self.a_au[0])


class GridSummary(NamedTuple):
    """A case's grid posterior in numbers; parameters in the order (q0, a_au).

    Attributes:
        mean: Posterior means.
        sd: Posterior standard deviations.
        quantiles: Marginal quantiles at the levels of `QUANTILES`.
        log_evidence: ln of the evidence.
        chi2_best: Squared distance of the observation from the law that explains it best.
        entropy: Minus the mean ln density, per unit Q0 and AU.
        edge_mass: Posterior mass within `EDGE_WIDTH` of the (lower, upper) edge of each parameter's range.
    """

    mean: Float[Array, " birth"]
    sd: Float[Array, " birth"]
    quantiles: Float[Array, "birth level"]  # at QUANTILES
    log_evidence: Float[Array, ""]
    chi2_best: Float[Array, ""]  # squared distance of the observation from the law that explains it best
    entropy: Float[Array, ""]  # minus the mean natural log of the density, per unit Q0 and AU
    edge_mass: Float[Array, "birth edge"]  # mass within EDGE_WIDTH of the (lower, upper) edge of each parameter's range


class TruthSummary(NamedTuple):
    """Where a known truth lies in a case's grid posterior.

    Attributes:
        pit: Marginal cumulative probabilities at the truth (probability integral transform).
        hpd_level: Mass of the region that is denser than the truth.
        log_density: ln of the density at the truth, per unit Q0 and AU.
    """

    pit: Float[Array, " birth"]  # marginal cumulative probability at the truth
    hpd_level: Float[Array, ""]  # mass of the region denser than at the truth
    log_density: Float[Array, ""]  # natural log of the density at the truth, per unit Q0 and AU


def make_grid(likelihood: Likelihood, prior_box: Box, shape: tuple[int, int]) -> Grid:
    """Evaluate the likelihood's laws at the centres of cells that fill the prior's box.

    Args:
        likelihood: Gives the law at each (q0, a_au).
        prior_box: The uniform prior's ranges.
        shape: Number of cells in Q0 and in a.

    Raises:
        NatalError: If the prior's box is not within the box that the emulator learned.
    """
    refuse_prior_outside(prior_box, likelihood.ensemble.box)
    limits = [prior_box[name] for name in BIRTH]
    centres = [low + (high - low) * (np.arange(n) + 0.5) / n for (low, high), n in zip(limits, shape, strict=True)]
    levels, places = [], []
    for n in (n for n in LEVELS if n <= min(shape)):
        nodes = [np.linspace(low, high, n) for low, high in limits]
        refine, to_cells = (
            tuple(jnp.asarray(_interpolation(*axis), DTYPE) for axis in axes)
            for axes in (((one[::2], one) for one in nodes), zip(nodes, centres, strict=True))
        )
        levels.append(Level(n, refine, to_cells))
        places.append(_lattice(nodes))
    q0, a_au = (jnp.asarray(c, DTYPE) for c in centres)
    places.append(_lattice(centres))
    # filled up to whole blocks with copies of the last place
    whole = [np.concatenate([one, np.repeat(one[-1:], -len(one) % BLOCK, axis=0)]) for one in places]
    points = jnp.asarray(np.concatenate(whole).reshape(-1, BLOCK, len(BIRTH)), DTYPE)
    afar = jnp.asarray(places[max(0, len(levels) - 1)], DTYPE)
    return Grid(q0, a_au, _laws_on(likelihood, q0, a_au), tuple(levels), *_tables(likelihood, points, afar))


def _lattice(axes: list[np.ndarray]) -> np.ndarray:
    """All combinations of the axes' values, (place, birth)."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _interpolation(nodes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Weights (place, node) of Lagrange's polynomial through the `STENCIL` nodes around each place."""
    n = min(STENCIL, len(nodes))
    step = nodes[1] - nodes[0]
    first = np.clip(np.floor((places - nodes[0]) / step).astype(int) + 1 - n // 2, 0, len(nodes) - n)
    weights = np.zeros((len(places), len(nodes)))
    for row, (place, start) in enumerate(zip(places, first, strict=True)):
        near = nodes[start : start + n]
        for k in range(n):
            others = np.delete(near, k)
            weights[row, start + k] = np.prod((place - others) / (near[k] - others))
    return weights


def _along_both(weights: tuple[Array, ...], values: Array) -> Array:
    both: Array = jnp.linalg.multi_dot([weights[0], values, weights[1].T], precision="highest")
    return both


@eqx.filter_jit
def _laws_on(likelihood: Likelihood, q0: Float[Array, " nq"], a_au: Float[Array, " na"]) -> Conditional:
    # row by row, so that a large ensemble's activations stay small
    laws: Conditional = lax.map(lambda q: jax.vmap(lambda a: likelihood.conditional(jnp.stack([q, a])))(a_au), q0)
    return laws


@eqx.filter_jit
def _tables(
    likelihood: Likelihood, points: Float[Array, "block law birth"], afar: Float[Array, "node birth"]
) -> tuple[LawTable, DistanceTable]:
    tabulate = jax.vmap(lambda x: likelihood.conditional(x).tabulated(), out_axes=-1)
    from_afar = jax.vmap(lambda x: likelihood.conditional(x).from_afar(), out_axes=-1)
    blocks: LawTable = lax.map(tabulate, points)
    distances: DistanceTable = from_afar(afar)  # type: ignore[no-untyped-call]
    return blocks, distances


def log_likelihood(
    grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None
) -> Float[Array, "nq na"]:
    """ln of the likelihood of one observation in every cell.

    The likelihood is smooth. So it is evaluated at the nodes of finer and finer levels. As soon as every other node of
    a level predicts the rest (`TOLERANCE`), cells are interpolated from that level. A posterior that is too narrow for
    all levels is evaluated cell by cell.

    Args:
        grid: From `make_grid`.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
    """
    if grid.blocks is None:
        values: Array = jax.vmap(jax.vmap(lambda law: law.observed(error).log_prob(y)))(grid.laws)
        return values
    sizes = [(level.n, level.n) for level in grid.levels] + [grid.shape]
    ends = np.cumsum([0] + [-(-n * m // BLOCK) for n, m in sizes])
    limits, which = jnp.asarray(ends), jnp.arange(ends[-1])

    def read(level: int, values: Array) -> Array:
        n, m = sizes[level]
        return values[ends[level] : ends[level + 1]].ravel()[: n * m].reshape(n, m)

    def interpolate(level: int, values: Array) -> tuple[Array, Array, Array, Array]:
        """Whether this level is fine enough, and what follows.

        That is: its values on cells; all nodes, those of the next level as predicted; and the ln density below which
        the next level need not be evaluated.
        """
        at_nodes = read(level, values)
        wrong = jnp.abs(grid.levels[level].predicted(at_nodes) - at_nodes)
        # also false if numbers are not finite
        good = (jnp.exp(log_mass(at_nodes)) * wrong).sum() < TOLERANCE
        finer = grid.levels[level + 1].refine if level + 1 < len(grid.levels) else grid.levels[level].to_cells

        def foretell() -> tuple[Array, Array]:
            next_values = _along_both(finer, at_nodes).ravel()
            filled = jnp.pad(next_values, (0, -len(next_values) % BLOCK), mode="edge").reshape(-1, BLOCK)
            return jnp.zeros(grid.shape, DTYPE), values.at[ends[level + 1] : ends[level + 2]].set(filled)

        on_cells, values = lax.cond(good, lambda: (grid.levels[level].on_cells(at_nodes), values), foretell)
        return good, on_cells, values, at_nodes.max() - DEPTH

    branches: list[Any] = [partial(interpolate, k) for k in range(len(grid.levels))]
    branches.append(lambda values: (jnp.array(True), read(len(grid.levels), values), values, jnp.array(0.0, DTYPE)))

    def go_on(state: Any) -> Any:
        level, _, _, values, reach = state

        # also true where the prediction is not a number
        matters = ~(values.max(1) < reach) & (which >= limits[level]) & (which < limits[level + 1])
        (chosen,) = jnp.nonzero(matters, size=len(which))

        def fill(k: Array, values: Array) -> Array:
            table: LawTable = jax.tree.map(lambda leaf: leaf[chosen[k]], grid.blocks)
            return values.at[chosen[k]].set(table.log_prob(y, error))

        values = lax.fori_loop(0, matters.sum(), fill, values)
        return level + 1, *lax.switch(level, branches, values)

    start = jnp.zeros(grid.shape, DTYPE), jnp.zeros((ends[-1], BLOCK), DTYPE), jnp.array(-jnp.inf, DTYPE)
    _, _, on_cells, _, _ = lax.while_loop(lambda state: ~state[1], go_on, (jnp.array(0), jnp.array(False), *start))
    return on_cells


def log_posterior(
    grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None
) -> Float[Array, "nq na"]:
    """ln of the posterior density in every cell, per unit Q0 and AU.

    Args:
        grid: From `make_grid`; its box is the uniform prior's.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
    """
    return log_mass(log_likelihood(grid, y, error)) - jnp.log(grid.cell_area)


def log_mass(log_likelihood: Float[Array, "nq na"]) -> Float[Array, "nq na"]:
    """ln of each cell's share of the posterior, from its ln likelihood.

    Examples:
        >>> jnp.exp(log_mass(jnp.log(jnp.array([[1.0, 2.0], [4.0, 1.0]])))).round(3).tolist()
        [[0.125, 0.25], [0.5, 0.125]]
    """
    # the largest first: float32 could not resolve a sum of 1 beside a log likelihood of -1e12
    shifted = log_likelihood - log_likelihood.max()
    return shifted - jax.nn.logsumexp(shifted)


class Quarters(NamedTuple):
    """16 blocks of about equal posterior mass: quarters in q0, each cut into quarters in a_au, along cell edges.

    Attributes:
        cuts_q0: The three cuts in q0.
        cuts_a_au: For each quarter in q0 the three cuts in a_au.
        mass: Posterior mass of each block.
    """

    cuts_q0: Float[Array, " cut"]
    cuts_a_au: Float[Array, "quarter cut"]
    mass: Float[Array, "quarter quarter"]


class CaseAnswers(NamedTuple):
    """All that can be asked of grid posteriors, as NumPy arrays with a leading axis of cases; None: not asked for.

    Attributes:
        summary: `GridSummary`.
        quarters: `Quarters`.
        coordinates: `InverseCdf`, in which NUTS walks.
        draws: Draws (case, draw, birth), uniform within their cells.
        areas: For each level the share of the box in the region of highest density that holds this much mass,
            shape (case, level).
        truths: `TruthSummary`, if true births are known.
    """

    summary: Any  # GridSummary
    quarters: Any  # Quarters
    coordinates: Any  # InverseCdf
    draws: Any  # (case, draw, birth), uniform within their cells
    areas: Any  # (case, level), shares of the box in the regions of highest density that hold so much
    truths: Any  # TruthSummary, if any are known


def answer_cases(
    key: PRNGKeyArray,
    likelihood: Likelihood | None,
    grid: Grid,
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
    *,
    wanted: tuple[str, ...] = ("summary", "quarters", "coordinates", "draws", "truths"),
    n_draws: int = 0,
    levels: tuple[float, ...] = (),
    truth: Float[Array, "case birth"] | None = None,
) -> CaseAnswers:
    """Compute what is `wanted` of every case's grid posterior. Each case's cells are evaluated once.

    Cases are spread over the local devices (`spread`), some at a time, so that memory does not grow with their number.
    What is not wanted is not compiled: compiling takes longer than evaluating.

    Args:
        key: For the draws.
        likelihood: For the density at truths; None if there are none.
        grid: From `make_grid`.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
        wanted: Names of fields of `CaseAnswers`.
        n_draws: Draws of each case.
        levels: Masses of the regions for `areas`.
        truth: True births, if they are known. A truth outside the grid's box has a density of zero and lies outside
            every region.
    """
    # the density at the truth itself, which is not that of the nearest cell
    known = None if truth is None or likelihood is None else (truth, _log_prob_at(likelihood, truth, y, error))
    cases = jax.tree.map(jnp.asarray, (jax.random.split(key, len(y)), y, error, known))
    answers: CaseAnswers = map_cases(_answer, grid, cases, wanted, n_draws, levels, label="grid")
    return answers


@eqx.filter_jit
def _log_prob_at(
    likelihood: Likelihood,
    x: Float[Array, "case birth"],
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
) -> Float[Array, " case"]:
    law = likelihood.conditional
    log_probs: Array = jax.vmap(lambda x, y, error: law(x).observed(error).log_prob(y))(x, y, error)
    return log_probs


def _answer(grid: Grid, case: Any, wanted: tuple[str, ...], n_draws: int, levels: tuple[float, ...]) -> CaseAnswers:
    key, y, error, known = case
    values = log_likelihood(grid, y, error)
    mass = jnp.exp(log_mass(values))
    answers = CaseAnswers(
        summary=lambda: summarise(grid, values, mass, nearest_distance(grid, y, error)),
        quarters=lambda: quarters(grid, mass),
        coordinates=lambda: InverseCdf.of_grid(mass, (edges(grid.q0), edges(grid.a_au))),
        draws=lambda: draw(key, grid, mass, n_draws),
        areas=lambda: _areas(mass, jnp.asarray(levels)),
        truths=lambda: None if known is None else locate(grid, values, mass, *known),
    )
    return CaseAnswers(*(answer() if name in wanted else None for name, answer in answers._asdict().items()))


def summarise_cases(
    grid: Grid, y: Float[Array, "case summary"], error: Float[Array, "case summary"] | None
) -> GridSummary:
    """Moments, quantiles and evidence of every case's grid posterior.

    Args:
        grid: From `make_grid`.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
    """
    summary: GridSummary = answer_cases(jax.random.key(0), None, grid, y, error, wanted=("summary",)).summary
    return summary


def summarise_truths(
    likelihood: Likelihood,
    grid: Grid,
    truth: Float[Array, "case birth"],
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
) -> TruthSummary:
    """Where known true births (q0, a_au) lie in the grid posteriors.

    Args:
        likelihood: Gives the density at the truths.
        grid: From `make_grid`.
        truth: True births.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
    """
    located = answer_cases(jax.random.key(0), likelihood, grid, y, error, truth=truth, wanted=("truths",))
    truths: TruthSummary = located.truths
    return truths


def summarise(
    grid: Grid, values: Float[Array, "nq na"], mass: Float[Array, "nq na"], nearest: Float[Array, ""]
) -> GridSummary:
    """Moments, quantiles and evidence of one grid posterior.

    Args:
        grid: Only its centres are read.
        values: ln likelihood by cell.
        mass: Posterior mass by cell.
        nearest: The squared distance of the observation from the nearest law.
    """
    means, sds, quantiles, edge_mass = [], [], [], []
    for axis, centres in enumerate((grid.q0, grid.a_au)):
        marginal = mass.sum(1 - axis)
        mean = (marginal * centres).sum()
        width = centres[1] - centres[0]
        means.append(mean)
        # a cell of constant density has a variance of its own
        sds.append(jnp.sqrt((marginal * (centres - mean) ** 2).sum() + width**2 / 12))
        cumulative, edges = _cumulative(marginal, centres)
        quantiles.append(jnp.interp(jnp.asarray(list(QUANTILES.values())), cumulative, edges))
        reach = EDGE_WIDTH * (edges[-1] - edges[0])
        below = jnp.interp(jnp.stack([edges[0] + reach, edges[-1] - reach]), edges, cumulative)
        edge_mass.append(jnp.stack([below[0], 1 - below[1]]))
    # the prior density is 1 / box area
    evidence = jax.nn.logsumexp(values) - jnp.log(mass.size)
    return GridSummary(
        jnp.stack(means),
        jnp.stack(sds),
        jnp.stack(quantiles),
        evidence,
        nearest,
        jax.scipy.special.entr(mass).sum() + jnp.log(grid.cell_area),
        jnp.stack(edge_mass),
    )


def nearest_distance(
    grid: Grid, y: Float[Array, " summary"], error: Float[Array, " summary"] | None
) -> Float[Array, ""]:
    """Squared Mahalanobis distance of an observation from the nearest law of the grid.

    Args:
        grid: From `make_grid`.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
    """
    if grid.afar is None:
        nearest: Array = jax.vmap(jax.vmap(lambda law: law.distance2(y, error)))(grid.laws).min()
        return nearest
    distance2 = grid.afar.distance2(y, error)
    if not grid.levels:
        return distance2.min()
    level = grid.levels[-1]
    at_nodes = distance2.reshape(level.n, level.n)
    return jnp.maximum(jnp.minimum(level.on_cells(at_nodes).min(), at_nodes.min()), 0.0)


def edges(centres: Float[Array, " n"]) -> Float[Array, " n+1"]:
    """Edges of equal cells, from their centres.

    Examples:
        >>> edges(jnp.array([0.5, 1.5, 2.5])).tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    width = centres[1] - centres[0]
    return jnp.concatenate([centres - width / 2, centres[-1:] + width / 2])


def _cumulative(
    marginal: Float[Array, " n"], centres: Float[Array, " n"]
) -> tuple[Float[Array, " n+1"], Float[Array, " n+1"]]:
    """Cumulative mass at cell edges, and the edges."""
    cumulative = jnp.concatenate([jnp.zeros(1), jnp.cumsum(marginal)])
    return cumulative / cumulative[-1], edges(centres)


def locate(
    grid: Grid,
    values: Float[Array, "nq na"],
    mass: Float[Array, "nq na"],
    truth: Float[Array, " birth"],
    at_truth: Float[Array, ""],
) -> TruthSummary:
    """Where a known truth lies in one grid posterior.

    Args:
        grid: Only its centres are read.
        values: ln likelihood by cell.
        mass: Posterior mass by cell.
        truth: The true (q0, a_au).
        at_truth: ln likelihood there.
    """
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


def draw(key: PRNGKeyArray, grid: Grid, mass: Float[Array, "nq na"], n: int) -> Float[Array, "n birth"]:
    """Draw points of the posterior: a cell by its mass, and a place within the cell uniformly.

    Args:
        key: For the draws.
        grid: Only its centres are read.
        mass: Posterior mass by cell.
        n: How many points.
    """
    key_cell, key_place = jax.random.split(key)
    before = jnp.cumsum(mass.sum(1)) - mass.sum(1)
    cumulative = (before[:, None] + jnp.cumsum(mass, axis=1)).ravel()
    level = jax.random.uniform(key_cell, (n,), maxval=cumulative[-1])
    cell = jnp.minimum(jnp.searchsorted(cumulative, level, side="right"), mass.size - 1)
    i, j = jnp.unravel_index(cell, mass.shape)
    within = jax.random.uniform(key_place, (n, 2), minval=-0.5, maxval=0.5)
    widths = jnp.stack([grid.q0[1] - grid.q0[0], grid.a_au[1] - grid.a_au[0]])
    return jnp.stack([grid.q0[i], grid.a_au[j]], axis=-1) + within * widths


def _areas(mass: Float[Array, "nq na"], levels: Float[Array, " level"]) -> Float[Array, " level"]:
    log_mass = jnp.log(mass / mass.max())

    def halve(limits: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        middle = 0.5 * (limits[0] + limits[1])
        held = jax.vmap(lambda bound: jnp.where(log_mass >= bound, mass, 0.0).sum())(middle)
        return (jnp.where(held >= levels, middle, limits[0]), jnp.where(held >= levels, limits[1], middle)), None

    # halving the range of densities is ten times faster than sorting cells; beyond exp(-60) nothing is held
    start = jnp.full_like(levels, -60.0), jnp.zeros_like(levels)
    (lowest, _), _ = lax.scan(halve, start, length=20)
    shares: Array = jax.vmap(lambda bound: (log_mass >= bound).mean())(lowest)
    return shares


def quarters(grid: Grid, mass: Float[Array, "nq na"]) -> Quarters:
    """Cut a grid posterior into 16 blocks of about equal mass.

    Args:
        grid: Centres of the cells in Q0 and a.
        mass: Posterior probability of each cell; the sum is 1.
    """

    def cut(marginal: Float[Array, " n"], centres: Float[Array, " n"]) -> tuple[Float[Array, " cut"], Int[Array, " n"]]:
        """The cell edges closest below the quartiles, and which quarter each cell falls into."""
        cumulative, edges = _cumulative(marginal, centres)
        first_cells = jnp.searchsorted(cumulative, jnp.array([0.25, 0.5, 0.75]), side="right") - 1
        return edges[first_cells], jnp.searchsorted(first_cells, jnp.arange(len(centres)), side="right")

    def share(along_a: Float[Array, " na"]) -> tuple[Array, Array]:
        cuts, quarter = cut(along_a, grid.a_au)
        return cuts, jnp.stack([jnp.where(quarter == k, along_a, 0.0).sum() for k in range(4)])

    cuts_q0, quarter_of_row = cut(mass.sum(1), grid.q0)
    rows = jnp.stack([quarter_of_row == row for row in range(4)]).astype(mass.dtype)
    return Quarters(cuts_q0, *jax.vmap(share)(rows @ mass))


def total_variation_of_draws(
    quarters: Quarters, draws: Float[np.ndarray, "case draw birth"]
) -> Float[np.ndarray, " case"]:
    """Total variation distance between draws and the grid posterior, on 16 blocks of about equal mass.

    Even exact draws are not at 0: n independent ones are at about 0.4 sqrt(16 / n), half the mean absolute deviation of
    multinomial shares.

    Args:
        quarters: Blocks of each case.
        draws: Draws of each case, (q0, a_au).

    Returns:
        A number between 0 and 1 for each case.
    """
    distances = []
    for cuts_q0, cuts_a_au, mass, (q0, a_au) in zip(*quarters, draws.swapaxes(1, 2), strict=True):
        # draws and cells are cut along the same edges
        row = np.searchsorted(cuts_q0, q0, side="right")
        column = (a_au[:, None] >= cuts_a_au[row]).sum(1)
        shares = np.bincount(4 * row + column, minlength=16) / len(q0)
        distances.append(0.5 * np.abs(shares - mass.ravel()).sum())
    return np.array(distances)
