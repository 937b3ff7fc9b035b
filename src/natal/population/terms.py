"""What each cluster of a table says of births, on cells of Q0 and ln a that all clusters share.

There are two numbers for each cluster and cell: the likelihood of what was measured; and the chance that a cluster born
there is in a table at all, at this cluster's age and mass. Both are sums over what is known of age and mass. Ages and
masses whose tau was not simulated are left out of the sums. So all statements hold for clusters that the simulations
reach.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.interpolate import make_interp_spline

from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.joint import COUNT, Measured, Pattern, Scale, log_tau
from natal.observables.declared import MEASURABLE
from natal.posterior.catalogue import Group, Law, grouped
from natal.posterior.circumstances import KNOTS
from natal.posterior.flags import P_OUTSIDE
from natal.posterior.joint_grid import JointCase, JointTable, log_likelihoods, make_table, pairs_of, prior_predictive_p
from natal.posterior.spread import map_cases
from natal.variables import BIRTH

CELLS = (40, 20)
"""Cells in Q0 and in ln a. If a cell is no wider than a posterior's standard deviation, sums are exact to 1e-8."""

ROWS_SUMMED = 16
"""Rows in Q0 at which likelihoods are worked out if ages or masses are summed over; a cubic spline has the others."""

DEEPEST = 60.0
"""Between rows, a likelihood below its largest value by more than this in ln counts as this far below."""

MIN_REACHED = 0.5
"""Share of the box in ln a that must have been simulated at a cluster's age and mass; else the cluster is left out."""

SMALLEST_CHANCE = 1e-6
"""Least chance of being in the table, at the best birth: limits that allow less are a mistake."""

N_SAID = 5
"""Most rows that a line names."""

FEWEST = 3
"""Fewest clusters that make a population."""


@dataclass(frozen=True)
class Selection:
    """Which clusters a table can hold.

    Attributes:
        survivors: Whether it holds only clusters that did not dissolve.
        limits: Observables whose true values must be within (lower, upper).
    """

    survivors: bool = True
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Any) -> "Selection":
        """The selection that the configuration's section `population` describes."""
        given = {name: dict(limits) for name, limits in settings.observable.items()}
        limits = {}
        for name, ends in given.items():
            low, high = (-np.inf if ends["lower"] is None else ends["lower"]), ends["upper"]
            limits[name] = (float(low), np.inf if high is None else float(high))
        return cls(settings.survivors, limits)

    def refuse_unknown(self, law: Law) -> None:
        """Check the observables of the selection.

        Raises:
            NatalError: If the campaign does not know one, or if a limit is no possible value.
        """
        for name, ends in self.limits.items():
            try:
                for end in filter(np.isfinite, ends):
                    MEASURABLE[name].check_measured(end)
            except ValueError as error:
                raise NatalError(f"population.observable.{name} = {end:g} {error}") from error
            if name not in law.names:
                raise NatalError(
                    f"population.observable.{name}: this campaign does not know it (known: {', '.join(law.names)})"
                )

    def pattern(self, law: Law) -> tuple[Pattern, Measured]:
        """The selection, as a pattern and numbers of a cluster of which nothing else is known."""
        sizes = tuple(name for name in law.ensemble.latents.sizes if name in self.limits)
        low, high = self.limits.get(COUNT, (0.0, 1.0))
        counted = "limited" if self.survivors or COUNT in self.limits else ""
        ends: Any = np.array([self.limits[name] for name in sizes], DTYPE).reshape(-1, 2)
        for k, name in enumerate(sizes):
            # the logarithm of a limit below 0 does not exist
            ends[k, 0] = max(ends[k, 0], 0.0) if MEASURABLE[name].transform != "none" else ends[k, 0]
        empty: Any = np.empty(0, DTYPE)
        share: list[Any] = [np.asarray(np.clip(end, 0.0, 1.0), DTYPE) for end in (low, high)]
        return Pattern((), sizes, counted), Measured(empty, empty, empty, ends[:, 0], ends[:, 1], *share)


class Terms(NamedTuple):
    """Numbers of all clusters of a population.

    Attributes:
        q0: Edges of cells in Q0.
        ln_a: Edges of cells in ln a (a in AU).
        likelihood: Each cluster's likelihood, divided by its largest value.
        in_table: Chance to be in the table. Clusters of one age and mass share theirs: they are of one kind.
        kind: Each cluster's place along the first axis of `in_table`.
    """

    q0: Float[Any, " q0_edge"]
    ln_a: Float[Any, " a_edge"]
    likelihood: Float[Any, "cluster nq na"]  # over its largest
    in_table: Float[Any, "kind nq na"]  # chance to be in the table
    kind: Any  # (cluster,): which of these a cluster has

    def at(self, chosen: slice) -> "Terms":
        """The numbers of some of the clusters."""
        kinds, kind = np.unique(self.kind[chosen], return_inverse=True)
        return self._replace(
            likelihood=self.likelihood[chosen], in_table=self.in_table[kinds], kind=kind.astype(self.kind.dtype)
        )


def terms_of(
    key: PRNGKeyArray, law: Law, clusters: pd.DataFrame, selection: Selection, *, keep_unlike: bool = False
) -> tuple[Terms, pd.DataFrame]:
    """Tabulate what clusters say.

    Args:
        key: For the replicates that tell whether the campaign could have made a cluster.
        law: What the campaign knows.
        clusters: A table as `posterior.catalogue.clusters_table` makes it, without rows that have no answer.
        selection: Which clusters a table can hold.
        keep_unlike: Whether to keep clusters that the campaign could not have made.

    Returns:
        The numbers of clusters that are used, and a row for each cluster: `case`, `prior_predictive_p`, `reached` (the
        share of the box that was simulated at its age and mass) and `left_out` (a sentence; empty if it is used).

    Raises:
        NatalError: If fewer than three clusters are left, if the campaign does not know an observable of the selection,
            or if hardly any cluster is within its limits.
    """
    selection.refuse_unknown(law)
    groups = list(grouped(law, clusters))
    n = len(clusters)
    p, said = np.ones(n), [""] * n
    for k, group in enumerate(groups):
        for place, text in _outside(group, selection).items():
            said[place] = text
        if not keep_unlike:
            # on the cells' own rows: one compiled program makes both tables
            p[group.rows] = prior_predictive_p(
                jax.random.fold_in(key, k), law.table(group.pattern, _rows(group)), group.cases, group.pattern
            )
    for place in np.flatnonzero(~(p >= P_OUTSIDE)).tolist():
        said[place] = said[place] or _unlike(p[place])
    ln_a = _box(law, groups, said)
    log_likelihood, log_chance = (np.full((n, *CELLS), -np.inf, DTYPE) for _ in range(2))
    reached = np.zeros(n)
    for group in groups:
        rows = group.rows
        log_likelihood[rows], log_chance[rows], reached[rows] = _cells(law, group, selection, ln_a)
    for place in range(n):
        if not said[place] and not np.isfinite(log_likelihood[place].max()):
            said[place] = str(UserWarning("no birth explains it"))
    table = pd.DataFrame({"case": clusters["name"].to_numpy(), "prior_predictive_p": p, "reached": reached})
    table["left_out"] = said
    used = np.flatnonzero(table.left_out == "")
    if len(used) < FEWEST:
        others = first_of([f"{case}: {why}" for case, why in zip(table.case, said, strict=True) if why])
        raise NatalError(
            f"{len(used)} clusters are no population, at least {FEWEST} are needed" + (f" ({others})" if others else "")
        )
    if not (log_chance[used].max((1, 2)) > np.log(SMALLEST_CHANCE)).all():
        raise NatalError("population.observable: hardly any cluster of this campaign is within these limits")
    peak = log_likelihood[used].max((1, 2), keepdims=True)
    chances, kind = np.unique(np.exp(log_chance[used]), axis=0, return_inverse=True)
    q0 = np.linspace(*law.q0, CELLS[0] + 1)
    likelihood = np.exp(log_likelihood[used] - peak)
    return Terms(q0.astype(DTYPE), ln_a.astype(DTYPE), likelihood, chances, kind.reshape(-1).astype("int32")), table


def first_of(said: list[str]) -> str:
    """The first of many sentences, for one line.

    Examples:
        >>> first_of(["a: far", "b: far", "c: far", "d: far", "e: far", "f: far"])
        'a: far; b: far; c: far; d: far; e: far and 1 more'
    """
    return "; ".join(said[:N_SAID]) + (f" and {len(said) - N_SAID} more" if len(said) > N_SAID else "")


def _unlike(p: float) -> str:
    return str(UserWarning(f"unlike anything that the campaign makes (prior predictive p = {p:.3f})"))


def _outside(group: Group, selection: Selection) -> dict[int, str]:
    """Clusters whose measured values are not within the limits: by their rows, a sentence."""
    found = {}
    seen = group.cases.seen
    measured = {name: np.asarray(seen.value)[:, k] for k, name in enumerate(group.pattern.measured)}
    if group.pattern.counted in ("exact", "measured"):
        measured[COUNT] = np.asarray(seen.share)
    for name, values in measured.items():
        low, high = selection.limits.get(name, (-np.inf, np.inf))
        for place in np.flatnonzero((values < low) | (values > high)):
            found[int(group.rows[place])] = str(UserWarning(f"its {name} is not within population.observable"))
    return found


def _box(law: Law, groups: list[Group], said: list[str]) -> Float[np.ndarray, " edge"]:
    """Edges in ln a of the box that all used clusters share: from the least to the largest a of their priors.

    At a cluster's age and mass at least `MIN_REACHED` of the box must have been simulated. As long as this fails for
    some cluster, the cluster farthest from the median is left out, with a sentence in `said`.
    """
    rows = np.concatenate([group.rows for group in groups])
    ends = np.log(np.concatenate([group.cases.a_au for group in groups]))
    middle = len(KNOTS) // 2
    age, mass = (
        np.concatenate([np.asarray(getattr(group.cases, name))[:, middle] for group in groups])
        for name in ("age_yr", "mass_msun")
    )
    at_one = np.asarray(log_tau(age, mass, 1.0))
    low, high = ((at_one - end) / 1.5 for end in reversed(law.reach.log_tau))
    centre = ends.mean(1)
    while True:
        used = np.array([not said[row] for row in rows])
        if not used.any():
            return np.linspace(ends[:, 0].min(), ends[:, 1].max(), CELLS[1] + 1)
        box = ends[used, 0].min(), ends[used, 1].max()
        share = (np.minimum(high, box[1]) - np.maximum(low, box[0])) / (box[1] - box[0])
        if (share[used] >= MIN_REACHED).all():
            return np.linspace(*box, CELLS[1] + 1)
        apart = np.where(used, np.abs(centre - np.median(centre[used])), -1.0)
        farthest = int(apart.argmax())
        own = "{:.3g} to {:.3g} AU".format(*np.exp(ends[farthest]))
        said[rows[farthest]] = str(UserWarning(f"the simulations reach {own} at its age and mass, far from the others"))


def _cells(
    law: Law, group: Group, selection: Selection, ln_a: Float[np.ndarray, " edge"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln likelihood and ln chance to be in the table, by cluster and cell; and the share of cells that were reached."""
    asked, limits = selection.pattern(law)
    pattern, seen = _selected(law, group, asked, limits)
    wanted = {*law.sizes(pattern), *asked.limited}
    names = tuple(name for name in law.ensemble.latents.sizes if name in wanted)
    table = make_table(law.ensemble, names, law.q0, _rows(group), law.reach.log_tau)
    a_au = jnp.asarray(np.exp(0.5 * (ln_a[1:] + ln_a[:-1])), DTYPE)
    # without limits the chance depends on Q0 and tau alone
    chances = None if asked.limited else _chances(table, limits, asked)
    shared = table, a_au, jax.tree.map(jnp.asarray, limits), chances
    cases = jax.tree.map(jnp.asarray, group.cases._replace(seen=seen))
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = map_cases(
        _of_case, shared, cases, pattern, asked, group.n_nodes, label="likelihoods", unit="clusters"
    )
    return found


def _rows(group: Group) -> int:
    """Number of rows in Q0 at which a group's likelihoods are worked out."""
    return CELLS[0] if group.n_nodes == (1, 1) else ROWS_SUMMED


@eqx.filter_jit
def _chances(table: JointTable, limits: Measured, asked: Pattern) -> Float[Array, "row tau"]:
    """ln of the chance to be in the table for all laws of `table`; without limits on sizes no scale is needed."""
    nowhere = jnp.ones(table.laws.log_weight.shape[-1], DTYPE)
    laws = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), table.laws)
    found: Array = laws.log_prob(limits, asked, Scale(nowhere, nowhere))
    return found


def _selected(law: Law, group: Group, asked: Pattern, limits: Measured) -> tuple[Pattern, Any]:
    """What is known of clusters, and what follows besides from their being in the table.

    The limits of an observable hold for its measured value where there is one, and for its true value else.
    """
    pattern, seen = group.pattern, group.cases.seen
    n = len(seen.value)
    if asked.counted and pattern.counted in ("", "limited"):
        known = (seen.share, seen.share_error) if pattern.counted else (np.zeros(n, DTYPE), np.ones(n, DTYPE))
        low, high = np.maximum(known[0], limits.share), np.minimum(known[1], limits.share_error)
        pattern = pattern._replace(counted="limited")
        seen = seen._replace(share=jnp.asarray(low), share_error=jnp.asarray(high))
    of_table = {name: (limits.lower[k], limits.upper[k]) for k, name in enumerate(asked.limited)}
    own = {name: (seen.lower[:, k], seen.upper[:, k]) for k, name in enumerate(pattern.limited)}
    limited = {*of_table, *own} - {*pattern.measured}
    names = [name for name in law.ensemble.latents.sizes if name in limited]
    nothing = -np.inf, np.inf
    pairs = [(own.get(name, nothing), of_table.get(name, nothing)) for name in names]
    lower = [np.broadcast_to(np.maximum(one[0], other[0]), n) for one, other in pairs]
    upper = [np.broadcast_to(np.minimum(one[1], other[1]), n) for one, other in pairs]
    empty = [np.empty((n, 0), DTYPE)]
    stacked: list[Any] = [np.column_stack(ends or empty).astype(DTYPE) for ends in (lower, upper)]
    return pattern._replace(limited=tuple(names)), seen._replace(lower=stacked[0], upper=stacked[1])


def _of_case(
    shared: Any, one: JointCase, pattern: Pattern, asked: Pattern, n_nodes: tuple[int, int]
) -> tuple[Array, Array, Array]:
    table, a_au, limits, chances = shared
    _, _, age, mass, log_weight = pairs_of(one, n_nodes)
    log_likelihood, which, simulated = log_likelihoods(table, one.seen, pattern, a_au, (age, mass))
    if chances is None:
        log_chance, *_ = log_likelihoods(table, limits, asked, a_au, (age, mass))
    else:
        log_chance = chances[:, which]
    weight = jnp.where(simulated, log_weight, -jnp.inf)
    likelihood, chance = (
        _all_rows(jax.nn.logsumexp(values + weight, axis=-1)) for values in (log_likelihood, log_chance)
    )
    return likelihood, chance, jnp.exp(jax.nn.logsumexp(weight, axis=-1)).mean()


def _all_rows(values: Float[Array, "row na"]) -> Float[Array, "nq na"]:
    """Logarithms in the cells of all rows in Q0, by cubic splines through those rows that were worked out."""
    n = len(values)
    if n == CELLS[0]:
        return values
    at, wanted = ((np.arange(rows) + 0.5) / rows for rows in (n, CELLS[0]))
    spline = jnp.asarray(make_interp_spline(at, np.eye(n))(wanted), values.dtype)
    # splines want finite numbers; columns that no simulation reaches have none
    lowest = jnp.where(jnp.isfinite(values), values, -jnp.inf).max() - DEEPEST
    return jnp.where(jnp.isfinite(values).any(0), spline @ jnp.maximum(values, lowest), -jnp.inf)


def centres(terms: Terms) -> dict[str, Float[np.ndarray, " cell"]]:
    """Middles of cells by birth condition; a in AU.

    Examples:
        >>> grid = Terms(np.array([0.0, 1.0, 2.0]), np.log(np.array([100.0, 400.0])), None, None, None)
        >>> {name: middles.round(6).tolist() for name, middles in centres(grid).items()}
        {'q0': [0.5, 1.5], 'a_au': [200.0]}
    """
    q0, ln_a = (np.asarray(edges, float) for edges in (terms.q0, terms.ln_a))
    middles = 0.5 * (q0[1:] + q0[:-1]), np.exp(0.5 * (ln_a[1:] + ln_a[:-1]))
    return dict(zip(BIRTH, middles, strict=True))
