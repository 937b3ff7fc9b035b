"""Can answers about populations be trusted? A check with synthetic populations of simulated clusters.

A population's parameters are drawn from the hyperprior, its births from the population. Each cluster looks like the
calibration snapshot that is nearest to its Q0 and ln tau. No network was trained on these, and no cluster is in a
population twice: its chance would count twice. Clusters that dissolved are missing from the table. There are two kinds
of table: `summaries` has exact summaries at the campaign's own age and mass; `projected` has projected observables with
errors and gaps, at uncertain ages and masses.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray
from scipy.stats import halfnorm, qmc, truncnorm, uniform

from natal.assessment.observables import AGE_ERRORS, GAP, MASS_ERRORS, Pool, possible
from natal.assessment.uniformity import check_uniform
from natal.errors import NatalError
from natal.likelihood.joint import log_tau
from natal.population.inference import Walk, in_its_light, moments_of_cells, sample_laws
from natal.population.terms import Selection, Terms, terms_of
from natal.posterior.catalogue import Law, clusters_table
from natal.settings.population import Population
from natal.simulation.lines_of_sight import LinesOfSight
from natal.variables import BIRTH

HYPERPARAMETERS = ("q0_location", "q0_scale", "ln_a_location", "ln_a_scale")
LEVEL = 0.9
TABLES = ("summaries", "projected")
AGE_SPREAD = np.log(2.0)
"""Range of ln age and of ln mass of clusters with projected observables."""

FALSE_ALARM = 0.01
"""Probability that the test of ranks fails for honest answers."""

N_VIOLATIONS = 5
"""Number of populations of each kind that violates the law."""

MOST_TRIES = 4000
"""Most births of one population: if they are not enough, nearly all clusters dissolve."""

Births = Callable[[np.random.Generator], tuple[float, float]]
"""A birth (q0, a_au) of a population."""


def drawn_parameters(rng: np.random.Generator, law: Law, settings: Population, n: int) -> pd.DataFrame:
    """Draw parameters of the law `normal` from the hyperprior, in a Latin hypercube.

    Posteriors are drawn to the middle of the box. So independent centres that by chance are more often low than high
    make answers look too large; in a hypercube each n-th part of the prior has one value.

    Args:
        rng: For the hypercube.
        law: What the campaign knows.
        settings: The hyperprior.
        n: How many populations.

    Returns:
        One row a population, with the columns `HYPERPARAMETERS`.
    """
    low, high = np.log(law.reach.a_au)
    priors = (
        uniform(law.q0[0], law.q0[1] - law.q0[0]),
        halfnorm(scale=settings.prior.q0_scale),
        uniform(low, high - low),
        halfnorm(scale=settings.prior.ln_a_scale),
    )
    levels = qmc.LatinHypercube(len(priors), rng=rng).random(n)
    return pd.DataFrame(
        {name: prior.ppf(levels[:, k]) for k, (name, prior) in enumerate(zip(HYPERPARAMETERS, priors, strict=True))}
    )


def births_of(parameters: dict[str, float], law: Law) -> Births:
    """A function that draws births (q0, a_au) of the law `normal`, within the box.

    Args:
        parameters: The law's parameters by name.
        law: What the campaign knows.
    """
    laws = []
    for axis, (low, high) in (("q0", law.q0), ("ln_a", np.log(law.reach.a_au))):
        location, scale = parameters[f"{axis}_location"], max(parameters[f"{axis}_scale"], 1e-9)
        laws.append(truncnorm((low - location) / scale, (high - location) / scale, location, scale))
    of_q0, of_ln_a = laws
    return lambda rng: (float(of_q0.rvs(random_state=rng)), float(np.exp(of_ln_a.rvs(random_state=rng))))


def two_groups(law: Law) -> Births:
    """A population that violates the law: half of the clusters are born cold, half hot, 0.6 of the box apart in Q0."""
    low, high = law.q0
    middle = 0.5 * sum(np.log(law.reach.a_au))

    def born(rng: np.random.Generator) -> tuple[float, float]:
        centre = low + (high - low) * (0.15 if rng.random() < 0.5 else 0.75)
        return float(rng.normal(centre, 0.04 * (high - low))), float(np.exp(rng.normal(middle, 0.15)))

    return born


def correlated(law: Law) -> Births:
    """A population that violates the law: Q0 rises with ln a, with a correlation of 0.9."""
    (low, high), ends = law.q0, np.log(law.reach.a_au)

    def born(rng: np.random.Generator) -> tuple[float, float]:
        x, y = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]])
        return float(0.5 * (low + high) - 0.1 * (high - low) + 0.15 * (high - low) * x), float(
            np.exp(ends.mean() + 0.15 * np.ptp(ends) * y)
        )

    return born


VIOLATIONS: dict[str, Callable[[Law], Births]] = {"two groups": two_groups, "Q0 rises with a": correlated}


def observed_population(
    rng: np.random.Generator, pool: Pool, born: Births, table: str, n: int, label: str
) -> tuple[list[dict[str, Any]], np.ndarray] | None:
    """Draw a population and observe its first clusters that did not dissolve.

    Args:
        rng: For all draws.
        pool: Snapshots.
        born: Draws births.
        table: "summaries" or "projected" (see the module).
        n: How many clusters.
        label: What their names begin with.

    Returns:
        Rows of a table and births (q0, a_au), shape (n, 2); None if nearly all clusters dissolve.
    """
    law, reach = pool.law, pool.law.reach
    rows: list[dict[str, Any]] = []
    truth = np.empty((n, len(BIRTH)))
    taken: list[int] = []
    for _ in range(MOST_TRIES):
        q0, a_au = born(rng)
        row: dict[str, Any] = {"name": f"{label} {len(rows)}"}
        age, mass = reach.t_end_yr, reach.mass_msun
        if table == "projected":
            seen_age, seen_mass = (value * np.exp(rng.uniform(-AGE_SPREAD, 0)) for value in (age, mass))
            age_err, mass_err = (v * rng.uniform(*e) for v, e in ((seen_age, AGE_ERRORS), (seen_mass, MASS_ERRORS)))
            age, mass = rng.normal(seen_age, age_err), rng.normal(seen_mass, mass_err)
            row |= {"age_yr": seen_age, "age_yr_err": age_err, "mass_msun": seen_mass, "mass_msun_err": mass_err}
        inside = law.q0[0] <= q0 <= law.q0[1] and reach.a_au[0] <= a_au <= reach.a_au[1]
        if not inside or min(age, mass) <= 0:
            continue
        tau = float(log_tau(age, mass, a_au))
        if not reach.log_tau[0] <= tau <= reach.log_tau[1]:
            continue
        snapshot = pool.nearest(q0, tau, taken)
        if not pool.survived(snapshot):
            continue
        # the birth becomes exactly that of the snapshot, which is close to it
        place = pool.q0[snapshot], pool.a_au(snapshot, age, mass)
        if table == "projected":
            row |= pool.measured(rng, snapshot, place[1], mass, pool.projected)
            if rng.random() < GAP:
                del row[rng.choice(pool.projected)]
            if not possible(row, pool.projected):
                continue
        else:
            row |= pool.summaries(snapshot, place[1], mass)
        truth[len(rows)] = place
        rows.append(row)
        taken.append(pool.cluster(snapshot))
        if len(rows) == n:
            return rows, truth
    return None


def check_populations(
    key: PRNGKeyArray, seed: int, law: Law, seen: LinesOfSight, settings: Population
) -> dict[str, pd.DataFrame]:
    """Answer synthetic populations: many from the hyperprior, and some that violate the law.

    Args:
        key: For the chains.
        seed: For populations and clusters.
        law: What the campaign knows.
        seen: Clusters that no network was trained on.
        settings: The section `population`.

    Returns:
        `coverage` has a row for each table, population and parameter: `truth`, `mean`, `sd`, `low` and `high` of the 90
        % interval, `rank` (share of draws below the truth), `rhat`; and for comparison `stacked`, `stacked_low` and
        `stacked_high`, from the mean or standard deviation of the clusters' posterior means. `violations` has a row for
        each population that violates the law, and each law: true and recovered mean and sd of Q0.

    Raises:
        NatalError: A population would have more clusters than there are.
    """
    if settings.check.clusters > len(seen.point_id):
        raise NatalError(
            f"population.check.clusters = {settings.check.clusters}: at most {len(seen.point_id)}, the number of "
            "calibration clusters"
        )
    # every cluster on the same cells
    fixed = replace(law, prior={"q0": law.q0, "a_au": law.reach.a_au})
    plain = settings.model_copy(update={"survivors": True, "observable": {}})
    rng, pool = np.random.default_rng(seed), Pool(fixed, seen)
    coverage, violations = [], []
    for place, table in enumerate(TABLES):
        drawn = _populations(rng, pool, plain, table, settings.check.populations, settings.check.clusters)
        terms = _terms(jax.random.fold_in(key, place), fixed, [rows for rows, _, _ in drawn])
        walks = sample_laws(jax.random.fold_in(key, 100 + place), "normal", terms, plain)
        for k, (walk, of_clusters, (_, _, truth)) in enumerate(zip(walks, terms, drawn, strict=True)):
            coverage += [{"table": table, "population": k} | row for row in _answers(walk, of_clusters, truth)]
    for label, make in VIOLATIONS.items():
        made = [
            observed_population(rng, pool, make(fixed), "summaries", settings.check.clusters, f"v{k}")
            for k in range(N_VIOLATIONS)
        ]
        truths = _births_alone(rng, make(fixed), fixed)
        whole = [one for one in made if one is not None]
        terms = _terms(key, fixed, [rows for rows, _ in whole])
        for name in ("normal", "binned"):
            for k, walk in enumerate(sample_laws(jax.random.fold_in(key, 200), name, terms, plain)):
                row: dict[str, Any] = {"violation": label, "population": k, "law": name}
                for part, value in (("mean", truths.mean()), ("sd", truths.std())):
                    draws = walk.parameters[f"q0_{part}"].ravel()
                    low, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
                    row |= {f"{part}_true": value, part: draws.mean(), f"{part}_low": low, f"{part}_high": high}
                density = np.concatenate(walk.q0).mean(0)
                violations.append(row | {f"share_{j}": share for j, share in enumerate(density)})
    return {"coverage": pd.DataFrame(coverage), "violations": pd.DataFrame(violations)}


def _populations(
    rng: np.random.Generator, pool: Pool, settings: Population, table: str, n: int, n_clusters: int
) -> list[tuple[list[dict[str, Any]], np.ndarray, dict[str, float]]]:
    drawn = []
    for k, row in drawn_parameters(rng, pool.law, settings, n).iterrows():
        parameters = {str(name): float(value) for name, value in row.items()}
        one = observed_population(rng, pool, births_of(parameters, pool.law), table, n_clusters, f"p{k}")
        if one is not None:
            drawn.append((*one, parameters))
    return drawn


def _terms(key: PRNGKeyArray, law: Law, populations: list[list[dict[str, Any]]]) -> list[Terms]:
    """What the clusters of each population say; all are tabulated together."""
    clusters = clusters_table([row for rows in populations for row in rows])
    terms, table = terms_of(key, law, clusters, Selection(), keep_unlike=True)
    used = np.concatenate([[0], np.cumsum(table.left_out == "")])
    ends = used[np.cumsum([0, *map(len, populations)])]
    return [terms.at(slice(first, last)) for first, last in pairwise(ends)]


def _births_alone(rng: np.random.Generator, born: Births, law: Law) -> np.ndarray:
    """Q0 of a population within the box, whether or not its clusters dissolve."""
    births = np.array([born(rng) for _ in range(20_000)])
    inside = (births[:, 0] >= law.q0[0]) & (births[:, 0] <= law.q0[1])
    inside &= (births[:, 1] >= law.reach.a_au[0]) & (births[:, 1] <= law.reach.a_au[1])
    return np.asarray(births[inside, 0])


def _answers(walk: Walk, terms: Terms, truth: dict[str, float]) -> list[dict[str, Any]]:
    alone, _ = in_its_light(terms, walk)
    means = moments_of_cells(terms, alone, "")
    each = {"q0": means["q0_mean"], "ln_a": np.log(means["a_au_mean"])}
    n = len(alone)
    rows = []
    for name in HYPERPARAMETERS:
        draws = walk.parameters[name].ravel()
        low, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        axis, part = name.rsplit("_", 1)
        spread = each[axis].std(ddof=1)
        stacked, error = (
            (each[axis].mean(), spread / np.sqrt(n)) if part == "location" else (spread, spread / np.sqrt(2 * n - 2))
        )
        row = {"parameter": name, "truth": truth[name], "mean": draws.mean(), "sd": draws.std(ddof=1)}
        row |= {"low": low, "high": high, "rank": (draws < truth[name]).mean(), "rhat": walk.rhat[name]}
        row |= {"stacked": stacked, "stacked_low": stacked - 1.645 * error, "stacked_high": stacked + 1.645 * error}
        rows.append(row)
    return rows


def score_populations(coverage: pd.DataFrame) -> dict[str, Any]:
    """Coverage of 90 % intervals, uniformity of ranks, bias and rms over all populations, by table and parameter.

    Args:
        coverage: The rows of `check_populations`.

    Returns:
        Numbers by table and parameter; those of stacking the clusters' posteriors begin with `stacked`.
    """
    found: dict[str, Any] = {}
    for (table, name), rows in coverage.groupby(["table", "parameter"], sort=False):
        inside = (rows.low <= rows.truth) & (rows.truth <= rows.high)
        stacked = (rows.stacked_low <= rows.truth) & (rows.truth <= rows.stacked_high)
        found.setdefault(str(table), {})[str(name)] = {
            "n": len(rows),
            "inside_90": float(inside.mean()),
            "ranks": check_uniform(rows["rank"].to_numpy(), FALSE_ALARM),
            "bias": float((rows["mean"] - rows.truth).mean()),
            "rms": float(np.sqrt(((rows["mean"] - rows.truth) ** 2).mean())),
            "stacked_inside_90": float(stacked.mean()),
            "stacked_bias": float((rows.stacked - rows.truth).mean()),
            "stacked_rms": float(np.sqrt(((rows.stacked - rows.truth) ** 2).mean())),
        }
    return found
