"""Recovers (Q0, a) of clusters whose age is not known, a third parameter, and of the same clusters with a known age."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from natal.assessment.coverage import calibration_report, clustered_error, contraction, coverage, terciles
from natal.assessment.uniformity import check_uniform
from natal.emulator.network_files import DTYPE
from natal.likelihood.density import DensityEnsemble
from natal.likelihood.mixture import Mixture
from natal.progress import track
from natal.studies.evolution import grid
from natal.studies.evolution.age import AgePrior, draw_ages
from natal.studies.evolution.tracks import BIRTH_AND_AGE, Range
from natal.variables import SUMMARIES

CASES_PER_CALL = 25

FALSE_ALARM = 0.05
"""Probability that honest posteriors fail any of the uniformity checks of one prior."""


class Recovered(NamedTuple):
    """Posteriors of cases on the grid.

    Attributes:
        edges: Edges of the cells.
        log_prior_t: ln of the prior mass of each cell of age, shape (t,).
        unknown: `grid.Summary` with the age unknown; leaves are NumPy arrays with a leading axis of cases.
        known: `grid.Summary` with the age known.
        laws: Laws with leading axes (q, a, t).
    """

    edges: grid.Edges
    log_prior_t: np.ndarray  # (t,), ln of the prior mass of each cell of age
    unknown: Any
    known: Any
    laws: Mixture  # leading axes (q, a, t)


def draw_cases(table: pd.DataFrame, prior: AgePrior, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw clusters, each at one age that is drawn from the prior.

    Args:
        table: Snapshots of clusters; dissolved ones are drawn, too.
        prior: Of the age.
        n: How many; all if there are fewer.
        rng: For the draws.
    """
    clusters = table[["point_id", "realization"]].drop_duplicates()
    chosen = clusters.iloc[rng.permutation(len(clusters))[:n]]
    ages = draw_ages(prior, np.sort(table.t_yr.unique()), len(chosen), rng)
    return chosen.assign(t_yr=ages).merge(table, on=["point_id", "realization", "t_yr"], how="left")


def recover(
    ensemble: DensityEnsemble,
    ranges: tuple[Range, Range],
    prior: AgePrior,
    cases: pd.DataFrame,
    shape: tuple[int, int, int],
) -> Recovered:
    """Grid posteriors of cases, with the age unknown and known.

    Args:
        ensemble: The networks.
        ranges: Of the uniform prior in q0 and in a_au.
        prior: Of the age.
        cases: None of them dissolved.
        shape: Number of cells in q0, a_au and t_yr.
    """
    q0, a_au, t_yr = grid.cell_edges((*ranges, prior.range_yr), shape)
    edges = (q0, a_au, t_yr)
    # a cell without prior mass gets a tiny one, whose logarithm is finite
    mass = np.maximum(prior.mass(np.asarray(t_yr, dtype=float)), 1e-30)
    log_prior_t = jnp.asarray(np.log(mass / mass.sum()), DTYPE)
    laws = grid.laws_at(ensemble, *(grid.centres(e) for e in edges))
    y, truth = data(cases), jnp.asarray(cases[list(BIRTH_AND_AGE)].to_numpy(), DTYPE)
    parts = []
    firsts = range(0, len(cases), CASES_PER_CALL)
    for first in track(firsts, total=len(firsts), label="grid", unit=f"x {CASES_PER_CALL} cases"):
        # every call has the same shape, so that it is compiled once
        chosen = np.minimum(np.arange(first, first + CASES_PER_CALL), len(cases) - 1)
        one = y[chosen], truth[chosen]
        parts.append(
            jax.device_get(
                (grid.unknown_age(ensemble, edges, laws, log_prior_t, *one), grid.known_age(ensemble, edges, *one))
            )
        )
    unknown, known = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(cases)].astype(float), *parts)
    return Recovered(edges, np.asarray(log_prior_t), unknown, known, laws)


def data(cases: pd.DataFrame) -> jax.Array:
    """The summaries of cases, shape (case, 3)."""
    return jnp.asarray(cases[list(SUMMARIES)].to_numpy(), DTYPE)


def recovery_table(cases: pd.DataFrame, recovered: Recovered) -> pd.DataFrame:
    """One row a case: truth, observation, and both posteriors; columns for the known age begin with known_.

    Args:
        cases: Clusters with their truths and summaries.
        recovered: Their posteriors, with the age unknown and known.
    """
    columns: dict[str, Any] = {f"{name}_true": cases[name].to_numpy() for name in BIRTH_AND_AGE}
    columns |= {name: cases[name].to_numpy() for name in SUMMARIES}
    for prefix, summary, names in (
        ("", recovered.unknown, BIRTH_AND_AGE),
        ("known_", recovered.known, BIRTH_AND_AGE[:2]),
    ):
        for k, name in enumerate(names):
            columns[f"{prefix}{name}_mean"], columns[f"{prefix}{name}_sd"] = summary.mean[:, k], summary.sd[:, k]
            for level, values in zip(grid.QUANTILES, summary.quantiles[:, k].T, strict=True):
                columns[f"{prefix}{name}_q{100 * level:g}"] = values
            columns[f"{prefix}{name}_pit"] = summary.pit[:, k]
        columns[f"{prefix}hpd_level"], columns[f"{prefix}log_density"] = summary.hpd_level, summary.log_density
    return pd.concat([cases[["point_id", "realization"]].reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def age_report(
    cases: pd.DataFrame, recovered: Recovered, ranges: tuple[Range, Range], prior: AgePrior
) -> dict[str, Any]:
    """Log score, contraction and coverage with and without the age, and calibration checks.

    Args:
        cases: The cases.
        recovered: Their posteriors.
        ranges: Of the uniform prior in q0 and in a_au.
        prior: Of the age.

    Returns:
        `unknown` and `known`: reports of `natal.assessment.coverage.calibration_report`. `loss`: the mean fall of the
        log score of (q0, a_au) if the age is not known, in nats. `checks`: whether probabilities below the truth are
        uniform.
    """
    unknown, known = recovered.unknown, recovered.known
    truth, points = cases[list(BIRTH_AND_AGE[:2])].to_numpy(), cases.point_id.to_numpy()
    box = dict(zip(BIRTH_AND_AGE[:2], ranges, strict=True))
    numbers: dict[str, Any] = {"n_cases": len(cases)}
    for name, summary in (("unknown", unknown), ("known", known)):
        shrunk = contraction(summary.sd[:, :2], box)
        numbers[name] = calibration_report(
            truth, points, summary.pit[:, :2], summary.hpd_level, summary.log_density, shrunk
        )
    age_only = coverage(unknown.pit[:, [2, 2]], unknown.hpd_level)
    numbers["unknown"]["age"] = {
        "coverage": {level: shares["q0"] for level, shares in age_only.items()},
        "contraction": float(1 - (unknown.sd[:, 2] ** 2).mean() / prior.sd_yr() ** 2),
        "sd_yr": float(unknown.sd[:, 2].mean()),
        "prior_sd_yr": prior.sd_yr(),
    }
    fall = known.log_density - unknown.log_density
    wider = unknown.sd[:, :2] / known.sd[:, :2]
    numbers["loss"] = [
        {
            "q0_min": float(truth[part, 0].min()),
            "q0_max": float(truth[part, 0].max()),
            "nats": float(fall[part].mean()),
            "se": clustered_error(fall[part], points[part]),
            "median_q0_sd_ratio": float(np.median(wider[part, 0])),
            "median_a_au_sd_ratio": float(np.median(wider[part, 1])),
        }
        for part in (np.arange(len(cases)), *terciles(truth[:, 0], points))
    ]
    # the age is not checked: stored times have gaps, draws from its prior have none
    checked = {name: unknown.pit[:, k] for k, name in enumerate(BIRTH_AND_AGE[:2])} | {"joint": unknown.hpd_level}
    checked["known_q0"] = known.pit[:, 0]
    numbers["checks"] = {name: check_uniform(values, FALSE_ALARM / len(checked)) for name, values in checked.items()}
    return numbers
