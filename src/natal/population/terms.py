"""What each cluster of a table says of births, on cells of Q0 and ln a that all of them share.

Two numbers a cell and cluster: the likelihood of what was measured, and the chance that a cluster born there is in a
table at all, at this cluster's age and mass. Both are sums over what is known of age and mass, as far as its tau was
simulated; where none was, both are 0: what is said then holds for clusters within the simulations' reach.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.joint import COUNT, Measured, Pattern
from natal.observables.declared import MEASURABLE
from natal.posterior.catalogue import Group, Law, grouped
from natal.posterior.flags import P_OUTSIDE
from natal.posterior.joint_grid import JointCase, log_likelihoods, make_table, pairs_of, prior_predictive_p
from natal.posterior.spread import map_cases
from natal.variables import BIRTH

CELLS = (40, 20)
"""In Q0 and ln a: sums over cells as wide as a posterior's standard deviation are exact to 1e-8."""

MIN_REACHED = 0.5
"""Share of the cells that must have been simulated at a cluster's age and mass; else it is left out."""

FEWEST = 3
"""Clusters of a population."""


@dataclass(frozen=True)
class Selection:
    """Which clusters a table can hold."""

    survivors: bool = True
    """those alone that did not dissolve"""
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    """and of these observables have true values within limits"""

    @classmethod
    def of(cls, settings: Any) -> "Selection":
        """As the section `population` of a configuration says."""
        given = {name: dict(limits) for name, limits in settings.observable.items()}
        limits = {}
        for name, ends in given.items():
            low, high = (-np.inf if ends["lower"] is None else ends["lower"]), ends["upper"]
            limits[name] = (float(low), np.inf if high is None else float(high))
        return cls(settings.survivors, limits)

    def refuse_unknown(self, law: Law) -> None:
        """Raises `NatalError` for an observable that the campaign does not know."""
        for name in self.limits:
            if name not in law.names:
                raise NatalError(
                    f"population.observable.{name}: this campaign does not know it (known: {', '.join(law.names)})"
                )

    def pattern(self, law: Law) -> tuple[Pattern, Measured]:
        """As what is known of a cluster that nobody has measured yet."""
        sizes = tuple(name for name in law.ensemble.latents.sizes if name in self.limits)
        low, high = self.limits.get(COUNT, (0.0, 1.0))
        counted = "limited" if self.survivors or COUNT in self.limits else ""
        ends: Any = np.array([self.limits[name] for name in sizes], DTYPE).reshape(-1, 2)
        for k, name in enumerate(sizes):
            # of a logarithm
            ends[k, 0] = max(ends[k, 0], 0.0) if MEASURABLE[name].transform != "none" else ends[k, 0]
        empty: Any = np.empty(0, DTYPE)
        share: list[Any] = [np.asarray(np.clip(end, 0.0, 1.0), DTYPE) for end in (low, high)]
        return Pattern((), sizes, counted), Measured(empty, empty, empty, ends[:, 0], ends[:, 1], *share)


class Terms(NamedTuple):
    """Numbers of all clusters of a population."""

    q0: Float[Any, " q0_edge"]
    ln_a: Float[Any, " a_edge"]
    likelihood: Float[Any, "cluster nq na"]  # over its largest
    in_table: Float[Any, "kind nq na"]  # chance to be in the table
    kind: Any  # (cluster,): which of these a cluster has

    def at(self, chosen: slice) -> "Terms":
        """Of some of the clusters."""
        kinds, kind = np.unique(self.kind[chosen], return_inverse=True)
        return self._replace(
            likelihood=self.likelihood[chosen], in_table=self.in_table[kinds], kind=kind.astype(self.kind.dtype)
        )


def terms_of(
    key: PRNGKeyArray, law: Law, clusters: pd.DataFrame, selection: Selection, *, keep_unlike: bool = False
) -> tuple[Terms, pd.DataFrame]:
    """Tabulate what clusters say.

    Args:
        key: Of the replicates that tell whether the campaign could have made a cluster.
        law: What the campaign knows.
        clusters: As `posterior.catalogue.clusters_table` makes them, without rows that have no answer.
        selection: Which clusters a table can hold.
        keep_unlike: Whether clusters stay that the campaign could not have made.

    Returns:
        The terms of those that are used, and a row for each cluster: `case`, `prior_predictive_p`, `reached`,
        `left_out` (a sentence; empty: used).

    Raises:
        NatalError: If fewer than three clusters are left.
    """
    selection.refuse_unknown(law)
    groups = list(grouped(law, clusters))
    ends = np.concatenate([group.cases.a_au for group in groups])
    ln_a = np.linspace(np.log(ends[:, 0].min()), np.log(ends[:, 1].max()), CELLS[1] + 1)
    n = len(clusters)
    log_likelihood, log_chance = (np.empty((n, *CELLS), DTYPE) for _ in range(2))
    reached, p = np.empty(n), np.ones(n)
    for k, group in enumerate(groups):
        rows = group.rows
        log_likelihood[rows], log_chance[rows], reached[rows] = _cells(law, group, selection, ln_a)
        if not keep_unlike:
            p[rows] = prior_predictive_p(
                jax.random.fold_in(key, k), law.table(group.pattern), group.cases, group.pattern
            )
    peaks = log_likelihood.max((1, 2))
    said = [_left_out(law, float(p[k]), float(reached[k]), float(peaks[k])) for k in range(n)]
    table = pd.DataFrame({"case": clusters["name"].to_numpy(), "prior_predictive_p": p, "reached": reached})
    table["left_out"] = said
    used = np.flatnonzero(table.left_out == "")
    if len(used) < FEWEST:
        others = "; ".join(f"{case}: {why}" for case, why in zip(table.case, said, strict=True) if why)
        raise NatalError(
            f"{len(used)} clusters are no population, at least {FEWEST} are needed" + (f" ({others})" if others else "")
        )
    peak = log_likelihood[used].max((1, 2), keepdims=True)
    chances, kind = np.unique(np.exp(log_chance[used]), axis=0, return_inverse=True)
    q0 = np.linspace(*law.q0, CELLS[0] + 1)
    likelihood = np.exp(log_likelihood[used] - peak)
    return Terms(q0.astype(DTYPE), ln_a.astype(DTYPE), likelihood, chances, kind.reshape(-1).astype("int32")), table


def _left_out(law: Law, p: float, reached: float, peak: float) -> str:
    if not np.isfinite(peak):
        return str(UserWarning("no birth explains it"))
    if reached < MIN_REACHED:
        low, high = np.exp(law.reach.log_tau)
        share = f"{100 * reached:.0f} % of the box"
        return str(UserWarning(f"at its age and mass {share} is within t sqrt(G M / a^3) = {low:.3g} to {high:.3g}"))
    if p < P_OUTSIDE:
        return str(UserWarning(f"unlike anything that the campaign makes (prior predictive p = {p:.3f})"))
    return ""


def _cells(
    law: Law, group: Group, selection: Selection, ln_a: Float[np.ndarray, " edge"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln of the likelihood and of the chance to be in the table, by cluster and cell; the share of cells reached."""
    asked, limits = selection.pattern(law)
    pattern = group.pattern
    seen: Any = group.cases.seen
    if asked.counted and not pattern.counted:
        # that it is in the table says that it survived
        pattern = pattern._replace(counted="limited")
        seen = seen._replace(
            share=np.full_like(seen.share, limits.share), share_error=np.full_like(seen.share, limits.share_error)
        )
    wanted = {*law.sizes(pattern), *asked.limited}
    names = tuple(name for name in law.ensemble.latents.sizes if name in wanted)
    table = make_table(law.ensemble, names, law.q0, CELLS[0], law.reach.log_tau)
    a_au = jnp.asarray(np.exp(0.5 * (ln_a[1:] + ln_a[:-1])), DTYPE)
    shared = table, a_au, jax.tree.map(jnp.asarray, limits)
    cases = jax.tree.map(jnp.asarray, group.cases._replace(seen=seen))
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = map_cases(
        _of_case, shared, cases, pattern, asked, group.n_nodes, label="likelihoods", unit="clusters"
    )
    return found


def _of_case(
    shared: Any, one: JointCase, pattern: Pattern, asked: Pattern, n_nodes: tuple[int, int]
) -> tuple[Array, Array, Array]:
    table, a_au, limits = shared
    _, _, age, mass, log_weight = pairs_of(one, n_nodes)
    log_likelihood, _, simulated = log_likelihoods(table, one.seen, pattern, a_au, (age, mass))
    log_chance, *_ = log_likelihoods(table, limits, asked, a_au, (age, mass))
    weight = jnp.where(simulated, log_weight, -jnp.inf)
    total = jax.nn.logsumexp(weight, axis=-1)
    divisor = jnp.where(jnp.isfinite(total), total, 0.0)

    def summed(values: Array) -> Array:
        whole: Array = jax.nn.logsumexp(values + weight, axis=-1) - divisor
        return whole

    return summed(log_likelihood), summed(log_chance), jnp.exp(total).mean()


def centres(terms: Terms) -> dict[str, Float[np.ndarray, " cell"]]:
    """Middles of cells by parameter; a in AU."""
    q0, ln_a = (np.asarray(edges, float) for edges in (terms.q0, terms.ln_a))
    middles = 0.5 * (q0[1:] + q0[:-1]), np.exp(0.5 * (ln_a[1:] + ln_a[:-1]))
    return dict(zip(BIRTH, middles, strict=True))
