"""Posteriors of (Q0, a) from any subset of observables, with age and mass summed over.

Laws are tabulated once over Q0 and ln tau, in units of a cluster's own a and speed. Each cell of a cluster's grid of
(Q0, a), at each age and mass, has a tau, and takes the law of that tau. Ages and masses are the nodes of a quadrature
over what is known of them. Combinations whose tau was not simulated have no prior mass.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.likelihood.cholesky import cholesky, solve_lower
from natal.likelihood.joint import JointLaw, Measured, Pattern, Scale, draw_clusters, log_tau
from natal.likelihood.joint_network import JointEnsemble, Range
from natal.observables.declared import MEASURABLE
from natal.posterior import circumstances
from natal.posterior.coordinates import InverseCdf
from natal.posterior.flags import EDGE_WIDTH
from natal.posterior.grid import Grid as Cells
from natal.posterior.grid import draw, edges, locate, log_mass, quarters, summarise
from natal.posterior.spread import map_cases

N_TAU = 384
"""Number of laws along ln tau. In the default campaign they are 0.012 apart, a tenth of what a posterior resolves."""

BLOCK = 400
"""Number of laws that are worked on together."""

N_REPLICATES = 999
"""Number of clusters that are drawn from the prior predictive."""

NEIGHBOUR = 10
"""A cluster is as far off as this one of its nearest replicates, by distance."""


class JointTable(NamedTuple):
    """Laws on a lattice of Q0 and ln tau.

    Attributes:
        laws: Leaves (q0, component, ..., tau).
        q0: Centres of equal cells of the prior's range.
        first_log_tau: Least ln tau that was simulated.
        step: Distance between neighbours in ln tau.
    """

    laws: JointLaw  # leaves (q0, component, ..., tau)
    q0: Float[Array, " nq"]
    first_log_tau: Float[Array, ""]
    step: Float[Array, ""]

    def law_of(self, log_tau: Float[Array, "*any"]) -> tuple[Any, Bool[Array, "*any"]]:
        """The place of the law that belongs to each ln tau, and whether that ln tau was simulated."""
        place = jnp.floor((log_tau - self.first_log_tau) / self.step).astype(int)
        n = self.laws.log_weight.shape[-1]
        return jnp.clip(place, 0, n - 1), (place >= 0) & (place < n)


class JointCase(NamedTuple):
    """Numbers of one cluster.

    Attributes:
        seen: What was measured.
        a_au: Range of the uniform prior.
        age_yr: Quantiles of the age at `circumstances.KNOTS`.
        mass_msun: Quantiles of the mass.
    """

    seen: Measured
    a_au: Float[Array, " limit"]  # range of the uniform prior
    age_yr: Float[Array, " knot"]  # quantiles at `circumstances.KNOTS`
    mass_msun: Float[Array, " knot"]


class JointAnswers(NamedTuple):
    """Posteriors of cases, which are a leading axis of every leaf.

    Attributes:
        summary: `GridSummary`, in which chi2_best is nan.
        age_yr: Mean, sd, and quantiles 0.16, 0.5, 0.84 of the age, (case, 5).
        mass_msun: The same of the mass.
        simulated: Share of the prior, over cells, ages and masses, whose tau was simulated.
        at_tau_edge: Posterior mass near the lower and the upper end of what was simulated, (case, 2).
        draws: q0, a_au, age_yr and mass_msun, (case, draw, 4); ages and masses are nodes.
        coordinates: `InverseCdf`.
        quarters: `Quarters`.
        truths: `TruthSummary`, if true births are known.
    """

    summary: Any  # GridSummary; chi2_best is nan
    age_yr: Any  # (case, 5): mean, sd, then quantiles 0.16, 0.5, 0.84
    mass_msun: Any
    simulated: Any  # share of the prior, over cells, ages and masses, whose tau was simulated
    at_tau_edge: Any  # (case, 2): posterior mass near the lower and upper end of what was simulated
    draws: Any  # (case, draw, 4): q0, a_au, age_yr, mass_msun; ages and masses are nodes
    coordinates: Any  # InverseCdf
    quarters: Any
    truths: Any


@eqx.filter_jit
def make_table(ensemble: JointEnsemble, names: tuple[str, ...], q0: Range, n_q0: int, reach: Range) -> JointTable:
    """Tabulate the laws of some sizes and the count.

    Args:
        ensemble: The networks.
        names: Sizes that clusters have, in the law's order.
        q0: The prior's range of Q0.
        n_q0: Cells in Q0.
        reach: Range of ln tau that was simulated.
    """
    step = (reach[1] - reach[0]) / N_TAU
    centres = jnp.asarray(q0[0] + (q0[1] - q0[0]) * (np.arange(n_q0) + 0.5) / n_q0, DTYPE)
    places = jnp.asarray(reach[0] + step * (np.arange(N_TAU) + 0.5), DTYPE)

    def row(q: Array) -> JointLaw:
        def one(tau: Array) -> JointLaw:
            return ensemble(jnp.stack([q, tau])).reduced(names)

        laws: JointLaw = jax.vmap(one, out_axes=-1)(places)
        return laws

    return JointTable(lax.map(row, centres), centres, jnp.asarray(reach[0], DTYPE), jnp.asarray(step, DTYPE))


def answer_joint(
    key: PRNGKeyArray,
    table: JointTable,
    cases: JointCase,
    pattern: Pattern,
    n_a: int,
    n_nodes: tuple[int, int],
    *,
    n_draws: int = 0,
    truth: Float[Array, "case birth"] | None = None,
    wanted: tuple[str, ...] = (),
) -> JointAnswers:
    """Posteriors of clusters of one pattern.

    Args:
        key: For the draws.
        table: Laws of the pattern's sizes.
        cases: Leaves with a leading axis.
        pattern: What is known of all of them.
        n_a: Cells in a.
        n_nodes: Number of ages and of masses; 1 if all are known exactly.
        n_draws: Draws of each posterior.
        truth: True births, if they are known.
        wanted: What to compute besides moments (and the places of true births): "draws", "coordinates" (with quarters).
    """
    keys = jax.random.split(key, len(cases.a_au))
    mapped = (keys, jax.tree.map(jnp.asarray, cases), None if truth is None else jnp.asarray(truth, DTYPE))
    answers: JointAnswers = map_cases(
        _answer, table, mapped, pattern, n_a, n_nodes, n_draws, wanted, label="grid", unit="clusters"
    )
    return answers


def _answer(
    table: JointTable,
    case: Any,
    pattern: Pattern,
    n_a: int,
    n_nodes: tuple[int, int],
    n_draws: int,
    wanted: tuple[str, ...],
) -> JointAnswers:
    key, one, truth = case
    low, high = one.a_au
    a_au = low + (high - low) * (jnp.arange(n_a) + 0.5) / n_a
    ages, masses, age, mass, log_weight = pairs_of(one, n_nodes)
    log_likelihood, which, simulated = log_likelihoods(table, one.seen, pattern, a_au, (age, mass))
    joint = jnp.where(simulated, log_likelihood + log_weight, -jnp.inf)
    values = jax.nn.logsumexp(joint, axis=-1)
    # a cell without any age that was simulated has a density of zero, as a finite number
    values = jnp.maximum(values, jnp.where(jnp.isfinite(values), values, jnp.inf).min() - 1e4)
    mass_of_cell = jnp.exp(log_mass(values))
    cells = Cells(table.q0, a_au, None)  # type: ignore[arg-type]
    of_node = jnp.exp(joint - jax.nn.logsumexp(joint)).sum(0)  # (a, node)
    per_age, per_mass = (of_node.sum(0).reshape(n_nodes).sum(axis) for axis in (1, 0))
    tau_edge = jnp.stack(
        [
            jnp.where(which < EDGE_WIDTH * N_TAU, of_node, 0.0).sum(),
            jnp.where(which >= (1 - EDGE_WIDTH) * N_TAU, of_node, 0.0).sum(),
        ]
    )
    nan = jnp.asarray(jnp.nan, DTYPE)
    at_truth = None if truth is None else _at_truth(table, one, pattern, truth, n_nodes)
    return JointAnswers(
        summary=summarise(cells, values, mass_of_cell, nan),
        age_yr=_moments(ages, per_age),
        mass_msun=_moments(masses, per_mass),
        simulated=(simulated * jnp.exp(log_weight)).sum(-1).mean(),
        at_tau_edge=tau_edge,
        draws=_draws(key, cells, mass_of_cell, joint, (age, mass), n_draws) if "draws" in wanted else None,
        coordinates=InverseCdf.of_grid(mass_of_cell, (edges(table.q0), edges(a_au)))
        if "coordinates" in wanted
        else None,
        quarters=quarters(cells, mass_of_cell) if "coordinates" in wanted else None,
        truths=None if at_truth is None else locate(cells, values, mass_of_cell, truth, at_truth),
    )


def log_likelihoods(
    table: JointTable, seen: Measured, pattern: Pattern, a_au: Float[Array, " na"], of_node: tuple[Array, Array]
) -> tuple[Float[Array, "nq na node"], Any, Bool[Array, "na node"]]:
    """ln of a cluster's likelihood in all cells, at all pairs of age and mass.

    Args:
        table: Laws of the pattern's sizes.
        seen: The cluster's numbers.
        pattern: What is known of it.
        a_au: Centres of cells in a.
        of_node: Age and mass of each pair.

    Returns:
        ln likelihoods; the place of the law of each cell and pair in the table; whether its tau was simulated.
    """
    age, mass = of_node
    which, simulated = table.law_of(log_tau(age, mass, a_au[:, None], log=jnp.log))
    # laws of few columns at a time stay in a processor's cache
    columns = max(1, BLOCK // len(mass))

    def row(laws: JointLaw) -> Array:
        def column(place: tuple[Array, Array]) -> Array:
            which, a_au = place
            chosen: JointLaw = jax.tree.map(lambda leaf: leaf[..., which], laws)
            return chosen.log_prob(seen, pattern, Scale.of(jnp.broadcast_to(a_au, which.shape), mass))

        found: Array = lax.map(column, (which, a_au), batch_size=columns)
        return found

    return lax.map(row, table.laws), which, simulated


def _draws(
    key: PRNGKeyArray,
    cells: Cells,
    mass_of_cell: Float[Array, "nq na"],
    joint: Float[Array, "nq na node"],
    of_node: tuple[Array, Array],
    n: int,
) -> Float[Array, "draw 4"]:
    key_birth, key_node = jax.random.split(key)
    birth = draw(key_birth, cells, mass_of_cell, n)
    place = [
        jnp.clip(jnp.floor((birth[:, k] - axis[0]) / (axis[1] - axis[0]) + 0.5).astype(int), 0, len(axis) - 1)
        for k, axis in enumerate((cells.q0, cells.a_au))
    ]
    node = jax.random.categorical(key_node, joint[place[0], place[1]])
    return jnp.column_stack([birth, *(values[node] for values in of_node)])


def pairs_of(one: JointCase, n_nodes: tuple[int, int]) -> tuple[Array, Array, Array, Array, Array]:
    """The ages and masses of a cluster that are summed over.

    Args:
        one: The cluster.
        n_nodes: Number of ages and of masses.

    Returns:
        Ages; masses; then for each pair of them its age, its mass and ln of its weight.
    """
    (z_age, w_age), (z_mass, w_mass) = map(circumstances.nodes, n_nodes)
    ages, masses = circumstances.at(one.age_yr, z_age), circumstances.at(one.mass_msun, z_mass)
    age, mass = (grid.ravel() for grid in jnp.meshgrid(ages, masses, indexing="ij"))
    return ages, masses, age, mass, jnp.log(jnp.asarray(np.outer(w_age, w_mass)).ravel())


def _at_truth(
    table: JointTable, one: JointCase, pattern: Pattern, truth: Float[Array, " birth"], n_nodes: tuple[int, int]
) -> Float[Array, ""]:
    """ln of the likelihood at a birth, age and mass summed over, interpolated between the rows in Q0."""
    _, _, age, mass, log_weight = pairs_of(one, n_nodes)
    which, simulated = table.law_of(log_tau(age, mass, truth[1], log=jnp.log))
    place = jnp.clip((truth[0] - table.q0[0]) / (table.q0[1] - table.q0[0]), 0, len(table.q0) - 1)
    first = jnp.clip(jnp.floor(place).astype(int), 0, len(table.q0) - 2)
    scale = Scale.of(jnp.full_like(mass, truth[1]), mass)

    def at(k: Array) -> Array:
        laws: JointLaw = jax.tree.map(lambda leaf: leaf[k][..., which], table.laws)
        found = laws.log_prob(one.seen, pattern, scale) + log_weight
        total: Array = jax.nn.logsumexp(jnp.where(simulated, found, -jnp.inf))
        return total

    share = place - first
    return (1 - share) * at(first) + share * at(first + 1)


def _moments(values: Float[Array, " node"], mass: Float[Array, " node"]) -> Float[Array, "5"]:
    """Mean, sd and quantiles 0.16, 0.5, 0.84 of nodes with these masses."""
    mean = (values * mass).sum()
    sd = jnp.sqrt(jnp.maximum((mass * (values - mean) ** 2).sum(), 0.0))
    cumulative = jnp.cumsum(mass) - 0.5 * mass
    return jnp.concatenate([jnp.stack([mean, sd]), jnp.interp(jnp.array([0.16, 0.5, 0.84]), cumulative, values)])


def prior_predictive_p(
    key: PRNGKeyArray, table: JointTable, cases: JointCase, pattern: Pattern
) -> Float[np.ndarray, " case"]:
    """Could the prior have made this cluster? A p-value of what was measured; limits are not used.

    `N_REPLICATES` clusters are drawn from the prior, at ages and masses that are possible, and measured with the same
    errors. Each cluster's distance is that to the `NEIGHBOUR`th nearest replicate, between latent numbers, in standard
    deviations of the replicates. The p-value is the share of replicates with at least this cluster's distance. It is
    uniform for clusters of the prior.

    Args:
        key: For the replicates.
        table: Laws of the pattern's sizes.
        cases: Leaves with a leading axis.
        pattern: What is known of all of them.
    """
    keys = jax.random.split(key, len(cases.a_au))
    mapped = (keys, jax.tree.map(jnp.asarray, cases))
    found: np.ndarray = map_cases(_p_value, table, mapped, pattern, label="prior predictive", unit="clusters")
    return found


def _p_value(table: JointTable, case: Any, pattern: Pattern) -> Float[Array, ""]:
    key, one = case
    latents = table.laws.latents
    keys = jax.random.split(key, 5)
    n = 2 * N_REPLICATES
    z = jax.random.normal(keys[0], (2, n))
    age, mass = circumstances.at(one.age_yr, z[0]), circumstances.at(one.mass_msun, z[1])
    a_au = jax.random.uniform(keys[1], (n,), minval=one.a_au[0], maxval=one.a_au[1])
    which, valid = table.law_of(log_tau(age, mass, a_au, log=jnp.log))
    row = jax.random.randint(keys[2], (n,), 0, len(table.q0))
    # (component, ..., draw)
    laws: JointLaw = jax.tree.map(lambda leaf: jnp.moveaxis(leaf[row, ..., which], 0, -1), table.laws)
    drawn = draw_clusters(keys[3], laws, Scale.of(a_au, mass))
    noise = jax.random.normal(keys[4], (len(pattern.measured) + 1, n))
    columns: list[Array] = []
    own: list[Array] = []
    for k, name in enumerate(pattern.measured):
        is_log = MEASURABLE[name].transform != "none"
        # a value above the truth is an error of the value to its lower side
        error = jnp.where(noise[k] > 0, one.seen.error_low[k], one.seen.error_high[k])
        value = drawn.values[name] + error * noise[k]
        # nobody reports a radius below zero
        valid &= (value > 0) | (not is_log)
        for found, at in ((columns, value), (own, one.seen.value[k])):
            # values that are within their error of 0 cannot be told apart
            found.append(0.5 * jnp.log(at**2 + one.seen.error_high[k] ** 2 + 1e-30) if is_log else at)
    if pattern.counted in ("exact", "measured"):
        error = one.seen.share_error if pattern.counted == "measured" else jnp.zeros(())
        share = jnp.clip(drawn.share + error * noise[-1], 0.0, 1.0)
        stars = latents.counts.n_stars
        columns.append(jnp.log((stars * share + 0.5) / (stars * (1 - share) + 0.5)))
        own.append(jnp.log((stars * one.seen.share + 0.5) / (stars * (1 - one.seen.share) + 0.5)))
    if not columns:
        return jnp.ones(())
    if pattern.counted or any(name in latents.of_bound for name in pattern.measured):
        valid &= drawn.survived
    places, here = jnp.stack(columns, -1), jnp.stack(own)
    total = jnp.maximum(valid.sum(), 1)
    mean = jnp.where(valid[:, None], places, 0.0).sum(0) / total
    apart = jnp.where(valid[:, None], places - mean, 0.0)
    covariance = apart.T @ apart / total + 1e-8 * jnp.eye(len(own))
    lower = cholesky(covariance)
    whitened, at_own = solve_lower(lower, apart), solve_lower(lower, here - mean)
    # the first replicates that are possible
    order = jnp.argsort(~valid)[:N_REPLICATES]
    kept, real = whitened[order], valid[order]

    squared = jnp.where(real, ((kept - at_own) ** 2).sum(-1), jnp.inf)
    own_distance = jnp.nan_to_num(-lax.top_k(-squared, NEIGHBOUR)[0][-1], nan=jnp.inf)
    # a replicate whose tenth neighbour is as far has at most ten nearer ones, itself among them
    apart2 = jnp.zeros((len(kept), len(kept)))
    for values in kept.T:
        apart2 = apart2 + (values[:, None] - values) ** 2
    nearer = ((apart2 < own_distance) & real).sum(-1)
    return (1 + ((nearer <= NEIGHBOUR) & real).sum()) / (1 + real.sum())
