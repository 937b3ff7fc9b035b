"""Answers of the campaign's law to clusters of another kind, and how far they are off."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from natal.assessment.observables import locate, score
from natal.likelihood.joint import log_tau, speed_kms
from natal.observables.declared import MEASURABLE
from natal.posterior.catalogue import Law, grouped
from natal.posterior.flags import P_OUTSIDE
from natal.posterior.joint_grid import prior_predictive_p
from natal.studies.departures.names import CONTROL
from natal.variables import BIRTH

LEVELS = (68, 95)

ENERGY_ERROR = 1e-2
"""A run is broken if its |E_T - E_0| / |W_0| is above this."""

FLOOR = -30.0
"""Least ln density: that of a truth outside of all posterior mass."""


def answer(key: PRNGKeyArray, law: Law, clusters: pd.DataFrame, truth: np.ndarray) -> pd.DataFrame:
    """Where true births lie in the clusters' posteriors, and whether the campaign could have made the clusters.

    Args:
        key: For the replicates behind the p-values.
        law: The campaign's.
        clusters: A table as `posterior.catalogue.clusters_table` makes it.
        truth: True (q0, a_au), shape (cluster, 2).

    Returns:
        Rows of `assessment.observables.locate`, with `prior_predictive_p`.
    """
    found = locate(key, law, clusters, truth)
    p = np.empty(len(clusters))
    for k, group in enumerate(grouped(law, clusters)):
        p[group.rows] = prior_predictive_p(
            jax.random.fold_in(key, k), law.table(group.pattern), group.cases, group.pattern
        )
    return found.assign(prior_predictive_p=p)


def verdicts(answers: Mapping[str, pd.DataFrame], births: pd.DataFrame) -> pd.DataFrame:
    """How far answers are off, one row a suite.

    Args:
        answers: By suite rows of `answer` with `energy_error`, in the order of the births; the control is one of them.
        births: q0 and a_au; a suite has the first of them.

    Returns:
        `suite`, `n`; `joint_68` and `joint_95`, shares of truths inside joint regions, with their binomial standard
        errors; `bias_q0` and `bias_ln_a`, means of (posterior mean - truth) / posterior sd, and `spread_*`, their
        standard deviations (1 if widths are right); `sd_*`, the mean posterior sd; `log_score`, the mean ln of the
        density at the truth; `lost`, how far it is below the control's over the same births, with its standard error;
        `energy_broken`, the share of runs whose energy changed by more than `ENERGY_ERROR`; `warned`, the share of
        clusters with `prior_predictive_p` below `P_OUTSIDE`.
    """
    control = answers[CONTROL]
    rows = []
    for suite, found in answers.items():
        numbers = score(found)
        n = len(found)
        row: dict[str, Any] = {"suite": suite, "n": n}
        for level in LEVELS:
            share = numbers[f"joint_{level}"]
            row |= {f"joint_{level}": share, f"joint_{level}_se": np.sqrt(share * (1 - share) / n)}
        true = births.iloc[:n]
        sd = {"q0": found.q0_sd, "ln_a": found.a_au_sd / found.a_au_mean}
        off: dict[str, Any] = {"q0": found.q0_mean - true.q0, "ln_a": np.log(found.a_au_mean / true.a_au)}
        for name, error in off.items():
            in_sd = error / sd[name]
            row |= {f"bias_{name}": in_sd.mean(), f"bias_{name}_se": in_sd.std() / np.sqrt(n)}
            row |= {f"spread_{name}": in_sd.std(), f"sd_{name}": sd[name].mean()}
        own, controls = floored(found.log_density), floored(control.log_density)
        # the first births of all suites are the same
        lost = (controls - own).dropna()
        row |= {"log_score": own.mean(), "lost": lost.mean(), "lost_se": lost.std() / np.sqrt(len(lost))}
        # errors of the integrator are not the departure's
        row["energy_broken"] = float((found.energy_error > ENERGY_ERROR).mean())
        row |= {"warned": float((found.prior_predictive_p < P_OUTSIDE).mean())}
        rows.append(row)
    return pd.DataFrame(rows)


def floored(log_density: pd.Series) -> pd.Series:
    """ln densities, of which none is below `FLOOR`: a truth outside of all posterior mass gets that.

    Examples:
        >>> floored(pd.Series([-3.0, -100.0, np.nan])).tolist()
        [-3.0, -30.0, -30.0]
    """
    return log_density.fillna(FLOOR).clip(lower=FLOOR)


def laws(tables: Mapping[str, pd.DataFrame], names: list[str], age_yr: float, mass_msun: float) -> pd.DataFrame:
    """How means and widths of exact observables differ from the control's, one row a suite and observable.

    Observables are ln of the value; what may be negative is in units of sqrt(G M / a). The mean is a quadratic form of
    (Q0, ln tau) that is fitted to a suite, the width what is left of the scatter.

    Args:
        tables: By suite births and exact observables; the control is one of them.
        names: Observables.
        age_yr: Age of the clusters.
        mass_msun: Mass of the clusters.

    Returns:
        `suite`, `observable`; `shift`, the mean difference of the two fits over the suite's births, in widths of the
        control; `width`, over the control's; and `width_se`, its standard error for normal residuals.
    """
    fits: dict[tuple[str, str], tuple[np.ndarray, float]] = {}
    design = {suite: _quadratic(table, age_yr, mass_msun) for suite, table in tables.items()}
    rows = []
    for name in names:
        for suite, table in tables.items():
            values = table[name].to_numpy()
            is_log = MEASURABLE[name].transform != "none"
            y = np.log(values) if is_log else values / speed_kms(mass_msun, table.a_au.to_numpy())
            x = design[suite]
            fit = np.linalg.lstsq(x, y)[0]
            fits[suite, name] = fit, float(np.sqrt(((y - x @ fit) ** 2).sum() / (len(y) - x.shape[1])))
    for suite, table in tables.items():
        for name in names:
            (own, width), (fit, control) = fits[suite, name], fits[CONTROL, name]
            free, free_control = (len(t) - 6 for t in (table, tables[CONTROL]))
            ratio = width / control
            rows.append(
                {
                    "suite": suite,
                    "observable": name,
                    "shift": float((design[suite] @ (own - fit)).mean() / control),
                    "width": ratio,
                    "width_se": ratio * np.sqrt(0.5 / free + 0.5 / free_control),
                }
            )
    return pd.DataFrame(rows)


def _quadratic(table: pd.DataFrame, age_yr: float, mass_msun: float) -> np.ndarray:
    q, tau = table[BIRTH.names[0]].to_numpy(), log_tau(age_yr, mass_msun, table.a_au.to_numpy())
    return np.column_stack([np.ones_like(q), q, tau, q**2, q * tau, tau**2])
