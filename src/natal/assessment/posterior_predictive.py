"""Posterior predictive checks: clusters are simulated with births from a posterior, and compared with the observation.

See Gelman et al. (2013), Bayesian Data Analysis, section 6.3. The simulator itself answers, not the emulator. Since the
posterior has already used the observation, p-values of honest posteriors gather around 1/2: an extreme one is a strong
sign.
"""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.assessment.cases import near_normal
from natal.data.runs import Runs
from natal.errors import NatalError
from natal.posterior.grid import QUANTILES
from natal.variables import BIRTH, SUMMARIES

P_EXTREME = 0.01
"""A joint p-value below this says that the posterior's clusters do not look like the observed one."""

MIN_ALIVE = 10
"""Runs that a case needs for quantiles and p-values."""


def thinned(draws: Float[np.ndarray, "chain draw birth"], n: int) -> Float[np.ndarray, "n birth"]:
    """Posterior draws at even steps through all chains.

    Args:
        draws: Draws of one case.
        n: How many to take.

    Raises:
        NatalError: If there are fewer.
    """
    flat = draws.reshape(-1, draws.shape[-1])
    if len(flat) < n:
        raise NatalError(
            f"checks.posterior_predictive.draws = {n} is not allowed: NUTS keeps {len(flat)} draws of a case "
            "(inference.chains x inference.draws)"
        )
    chosen: np.ndarray = flat[np.linspace(0, len(flat) - 1, n).round().astype(int)]
    return chosen


def rank_p(observed: float, replicated: Float[np.ndarray, " run"]) -> float:
    """Two-sided p-value of an observation by its rank among replicated values; equal values count half.

    Args:
        observed: The observed value.
        replicated: Values of simulated clusters.

    Examples:
        >>> round(float(rank_p(9.0, np.arange(9.0))), 3)
        0.1
    """
    below = (replicated < observed).sum() + 0.5 * (replicated == observed).sum()
    share = (below + 0.5) / (len(replicated) + 1)
    two_sided: float = 2 * min(share, 1 - share)
    return two_sided


def joint_p(observed: Float[np.ndarray, " summary"], replicated: Float[np.ndarray, "run summary"]) -> float:
    """p-value of an observation by the rank of its squared Mahalanobis distance from the mean.

    The mean and covariance are those of all runs and the observation together. So the p-value is exact for any law from
    which both come.

    Args:
        observed: The observed summaries, as `near_normal` gives them.
        replicated: Those of the runs.
    """
    everyone = np.vstack([observed, replicated])
    apart = everyone - everyone.mean(0)
    covariance = apart.T @ apart / (len(everyone) - 1)
    # a summary may have no scatter, if all runs keep all stars
    distance2 = np.einsum("ri,ij,rj->r", apart, np.linalg.pinv(covariance, rcond=1e-10, hermitian=True), apart)
    return float((distance2 >= distance2[0] * (1 - 1e-9)).mean())


def check_cases(observed: Runs, replicated: Float[np.ndarray, "case run summary"], n_stars: int) -> pd.DataFrame:
    """Compare observations with runs that were simulated with births from their posteriors.

    Only runs that survive are compared, since the observed cluster survived. With fewer than ten of those, quantiles
    and p-values are nan.

    Args:
        observed: The observations.
        replicated: Summaries of the runs of each case; nan where a cluster dissolved.
        n_stars: Stars of a cluster at birth.

    Returns:
        One row a case: its truth, the share of runs that dissolved, for each summary the observed value with quantiles
        and the p-value of the runs, and `joint_p`, in the form of `near_normal`.
    """
    rows = []
    for k, (y, runs) in enumerate(zip(observed.y, replicated, strict=True)):
        alive = np.isfinite(runs).all(1)
        enough = alive.sum() >= MIN_ALIVE
        row = {"point_id": observed.point_id[k], "realization": observed.realization[k]}
        row |= {f"{name}_true": value for name, value in zip(BIRTH, observed.x[k], strict=True)}
        row |= {"n_alive": alive.sum(), "share_dissolved": 1 - alive.mean()}
        for output, name in enumerate(SUMMARIES):
            values = runs[alive, output]
            row[name] = y[output]
            for label, level in QUANTILES.items():
                row[f"{name}_{label}"] = np.quantile(values, level) if enough else np.nan
            row[f"{name}_p"] = rank_p(y[output], values) if enough else np.nan
        row["joint_p"] = joint_p(near_normal(y, n_stars), near_normal(runs[alive], n_stars)) if enough else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def predictive_report(table: pd.DataFrame, n_draws: int) -> dict[str, Any]:
    """Numbers over all cases, from the rows of `check_cases`.

    Args:
        table: One row a case.
        n_draws: Clusters that were simulated for each case, to be quoted.

    Returns:
        For `metrics.json`: shares and the smallest p-values.
    """
    inside = {
        name: float(table[name].between(table[f"{name}_q02.5"], table[f"{name}_q97.5"]).mean()) for name in SUMMARIES
    }
    return {
        "n_cases": len(table),
        "n_draws": n_draws,
        "inside_95": inside,
        "min_joint_p": float(table.joint_p.min()),
        "n_extreme": int((table.joint_p < P_EXTREME).sum()),
        "share_dissolved": float(table.share_dissolved.mean()),
    }
