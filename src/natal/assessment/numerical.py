"""What step and softening do: the same clusters, followed otherwise, in units of the scatter and of posteriors.

Gravity is chaotic, so that a single cluster comes out differently whatever is changed. What can be compared are means
over many clusters, paired by their stars, and distributions.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import ks_2samp

from natal.data.runs import Runs
from natal.data.scatter import local_scatter
from natal.variables import BIRTH, SUMMARIES

CAMPAIGN = "campaign"
"""The variant that is the campaign's own way."""

HALVED = {"half_step": {"dt_yr": 0.5}, "half_softening": {"dt_yr": 0.5, "softening_au": 0.5}}
"""By what each other variant multiplies the campaign's step and softening; a smaller softening wants smaller steps."""

LEVELS = {"68": 0.68, "95": 0.95}
"""Joint regions whose coverage is reported."""


def variants(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The campaign's configuration, and those with another step or softening.

    Args:
        config: The campaign's configuration, checked.

    Returns:
        By variant: a configuration.
    """
    found = {CAMPAIGN: config}
    for name, factors in HALVED.items():
        found[name] = config | {
            section: config[section] | {k: v * factors[k] for k, v in config[section].items() if k in factors}
            for section in ("cluster", "integration")
        }
    return found


def thirds(q0: Float[np.ndarray, " cluster"]) -> dict[str, np.ndarray]:
    """All clusters, and those in each third of the true Q0.

    Args:
        q0: Of the clusters.

    Returns:
        Masks by name.
    """
    edges = np.quantile(q0, [1 / 3, 2 / 3])
    place = np.searchsorted(edges, q0)
    return {"all": np.full(len(q0), True)} | {name: place == k for k, name in enumerate(("low", "middle", "high"))}


class Pairs(NamedTuple):
    """The same clusters followed in the campaign's own way and otherwise; those that survive both."""

    own: pd.DataFrame
    """Rows of the campaign's own way."""
    other: pd.DataFrame
    """Rows of the other one, in the same order."""


def pairs(table: pd.DataFrame, variant: str) -> Pairs:
    """Pair a variant's clusters with the campaign's own.

    Args:
        table: One row a cluster and variant: `point_id`, `variant`, `dissolved` and anything else.
        variant: One of `HALVED`.

    Returns:
        The pairs that survive.
    """
    own, other = (table[table.variant == name].set_index("point_id").sort_index() for name in (CAMPAIGN, variant))
    alive = ~(own.dissolved.astype(bool) | other.dissolved.astype(bool))
    return Pairs(own[alive], other[alive])


def biases(table: pd.DataFrame, train: Runs) -> pd.DataFrame:
    """How far each variant's summaries are from the campaign's own.

    Args:
        table: One row a cluster and variant: point_id, variant, births, dissolved, summaries.
        train: Training runs, for the scatter of realizations near each cluster.

    Returns:
        One row a variant, third of the true Q0 and summary. `n`: pairs that survive. `bias`: their mean difference in
        units of the local scatter, with its standard error `bias_se`. `apart`: the root of half their mean squared
        difference in the same units, 1 for clusters that have nothing but their birth in common. `ks`, `ks_p`: the
        Kolmogorov-Smirnov distance of the two distributions, and its p-value for independent clusters, which is too
        large for pairs that are alike.
    """
    rows = []
    for name in HALVED:
        pair = pairs(table, name)
        scatter = local_scatter(train, pair.own[list(BIRTH)].to_numpy())
        for third, chosen in thirds(pair.own.q0.to_numpy()).items():
            for k, summary in enumerate(SUMMARIES):
                own, other = (part[summary].to_numpy()[chosen] for part in pair)
                difference = (other - own) / scatter[chosen, k]
                distance = ks_2samp(own, other, method="asymp")
                row = {"variant": name, "third": third, "summary": summary, "n": int(chosen.sum())}
                row |= dict(zip(("bias", "bias_se"), mean_and_error(difference), strict=True))
                row |= {"apart": float(np.sqrt((difference**2).mean() / 2))}
                rows.append(row | {"ks": float(distance.statistic), "ks_p": float(distance.pvalue)})
    return pd.DataFrame(rows)


def posterior_changes(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """How posteriors under the campaign's law fare with clusters that were followed otherwise.

    Args:
        table: As of `biases`, with what the grid answers: `hpd_level`, `log_density` (at the truth, per unit Q0 and
            AU), and `mean_*` and `sd_*` of each birth condition.

    Returns:
        By variant, the campaign's own among them: `n` clusters; `coverage` of joint regions and `coverage_se`;
        `log_score` and `log_score_se`. Of the others also, pair by pair, `log_score_change` and `shift`, by birth
        condition the change of the posterior's mean in its standard deviations, each with its standard error (`_se`).
    """
    found: dict[str, dict[str, Any]] = {}
    for name in (CAMPAIGN, *HALVED):
        own, other = pairs(table, name)
        inside = {level: (other.hpd_level <= share).to_numpy(float) for level, share in LEVELS.items()}
        score, score_se = mean_and_error(other.log_density.to_numpy())
        found[name] = {
            "n": len(other),
            "coverage": {level: float(values.mean()) for level, values in inside.items()},
            "coverage_se": {level: mean_and_error(values)[1] for level, values in inside.items()},
            "log_score": score,
            "log_score_se": score_se,
        }
        if name == CAMPAIGN:
            continue
        change, change_se = mean_and_error((other.log_density - own.log_density).to_numpy())
        shifts = {
            birth: mean_and_error(((other[f"mean_{birth}"] - own[f"mean_{birth}"]) / own[f"sd_{birth}"]).to_numpy())
            for birth in BIRTH
        }
        found[name] |= {
            "log_score_change": change,
            "log_score_change_se": change_se,
            "shift": {birth: shift for birth, (shift, _) in shifts.items()},
            "shift_se": {birth: error for birth, (_, error) in shifts.items()},
        }
    return found


def mean_and_error(values: Float[np.ndarray, " value"]) -> tuple[float, float]:
    """Mean of independent values, and its standard error.

    Args:
        values: Two or more.

    Returns:
        Both.
    """
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
