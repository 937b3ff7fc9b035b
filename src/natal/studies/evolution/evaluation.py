"""How good the laws are: log likelihood, coverage of bands by summary and time, and what whole tracks add.

Realizations of a point share its predicted law, and snapshots share their cluster. Standard errors take only points as
independent (Liang & Zeger 1986).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float, Key, PRNGKeyArray
from scipy.stats import norm

from natal.assessment.coverage import clustered_error
from natal.data.outcomes import Outcomes
from natal.emulator.network_files import DTYPE
from natal.likelihood.density import DensityEnsemble, log_outcome
from natal.likelihood.density_training import on_device
from natal.studies.evolution.tracks import BIRTH_AND_AGE, outcomes
from natal.variables import SUMMARIES

LEVELS = (0.68, 0.95)
BATCH = 1024


@eqx.filter_jit
def _log_scores(ensemble: DensityEnsemble, rows: tuple[Array, Array, Array]) -> Float[Array, " row"]:
    scores: Array = lax.map(lambda row: log_outcome(ensemble, *row), rows, batch_size=BATCH)
    return scores


def log_scores(ensemble: DensityEnsemble, clusters: Outcomes) -> np.ndarray:
    """ln of the predicted density of each snapshot, per unit f_bound, km/s and AU, shape (row,).

    For dissolved clusters it is ln of the probability to have dissolved.

    Args:
        ensemble: Gives the predicted laws.
        clusters: Snapshots, with x = (Q0, a in AU, t in yr).
    """
    return np.asarray(_log_scores(ensemble, on_device(clusters)), dtype=float)


@eqx.filter_jit
def _draws(
    keys: Key[Array, " row"], ensemble: DensityEnsemble, x: Float[Array, "row 3"], n: int
) -> Float[Array, "row n 3"]:
    def one(row: tuple[PRNGKeyArray, Array]) -> Array:
        return ensemble(row[1]).observed().sample(row[0], (n,))

    drawn: Array = lax.map(one, (keys, x))
    return drawn


def predictive_draws(
    key: PRNGKeyArray, ensemble: DensityEnsemble, x: np.ndarray, n: int, *, alike: bool = False
) -> np.ndarray:
    """Draw surviving clusters from the law at each place.

    Args:
        key: For the draws.
        ensemble: The networks.
        x: Rows (q0, a_au, t_yr).
        n: Clusters at each place.
        alike: Whether all rows get the same random numbers, so that quantiles change smoothly along a line.

    Returns:
        Summaries (f_bound, sigma_v_kms, r_h_au), shape (row, n, 3).
    """
    keys = jnp.repeat(key[None], len(x)) if alike else jax.random.split(key, len(x))
    return np.asarray(_draws(keys, ensemble, jnp.asarray(x, DTYPE), n))


def band_quantiles() -> list[float]:
    """Levels of the ends of the central bands, and of the median, in increasing order.

    Examples:
        >>> [round(level, 3) for level in band_quantiles()]
        [0.025, 0.16, 0.5, 0.84, 0.975]
    """
    ends = [(1 + sign * level) / 2 for level in LEVELS for sign in (-1, 1)]
    return sorted([*ends, 0.5])


def predicted_pit(
    key: PRNGKeyArray, ensemble: DensityEnsemble, table: pd.DataFrame, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Surviving snapshots with `pit_<summary>`, the predicted probability of a smaller value.

    It is counted among draws, which clusters with the same (Q0, a, t) share. f_bound is a count: a random part of the
    probability of its own value is added. So all three are uniform on (0, 1) if the law is right (Smith 1985).

    Args:
        key: For the draws.
        ensemble: The networks.
        table: Snapshots.
        n_draws: Draws at each place.
        rng: For the random parts.
    """
    alive = table[~table.dissolved].reset_index(drop=True)
    places, row = np.unique(alive[list(BIRTH_AND_AGE)].to_numpy(), axis=0, return_inverse=True)
    draws = predictive_draws(key, ensemble, places, n_draws)
    for k, (name, variable) in enumerate(SUMMARIES.items()):
        value = alive[name].to_numpy()[:, None]
        # counts of stars are compared as such
        drawn = draws[row, :, k].astype(float)
        tie = np.isclose(drawn, value, rtol=0, atol=1e-6) & (variable.transform == "count")
        below = ((drawn < value) & ~tie).sum(1)
        # with the observed one as one more draw, so that no value is at 0 or 1
        alive[f"pit_{name}"] = (below + rng.random(len(alive)) * (tie.sum(1) + 1)) / (n_draws + 1)
    return alive


def coverage_table(pit: pd.DataFrame) -> pd.DataFrame:
    """Share of snapshots inside each central band, by summary and time, and over all times (t_yr = nan)."""
    rows = []
    times: list[float] = [np.nan, *sorted(pit.t_yr.unique())]
    for time in times:
        chosen = pit if np.isnan(time) else pit[pit.t_yr == time]
        for name in SUMMARIES:
            for level in LEVELS:
                inside = (np.abs(chosen[f"pit_{name}"].to_numpy() - 0.5) <= level / 2).astype(float)
                error = clustered_error(inside, chosen.point_id.to_numpy())
                rows.append({"t_yr": time, "output": name, "level": level, "inside": inside.mean(), "se": error})
    return pd.DataFrame(rows)


def whole_tracks(pit: pd.DataFrame) -> dict[str, Any]:
    """What bands at single times do not say: a cluster above the median stays there.

    Args:
        pit: What `predicted_pit` gives.

    Returns:
        By summary: the correlation over clusters of normal scores at neighbouring times, and at the first and last one;
        and the share of whole tracks inside the 95 % band at all times. `independent` is that share for independent
        snapshots.
    """
    n_times = pit.t_yr.nunique()
    numbers: dict[str, Any] = {"independent": LEVELS[-1] ** n_times}
    for name in SUMMARIES:
        wide = pit.pivot(index=["point_id", "realization"], columns="t_yr", values=f"pit_{name}").dropna()
        correlation = np.corrcoef(norm.ppf(wide.to_numpy()).T)
        inside = (np.abs(wide.to_numpy() - 0.5) <= LEVELS[-1] / 2).all(1).astype(float)
        points = wide.index.get_level_values("point_id").to_numpy()
        numbers[name] = {
            "correlation_of_neighbours": float(np.diag(correlation, 1).mean()),
            "correlation_of_first_and_last": float(correlation[0, -1]),
            "tracks_inside_95": float(inside.mean()),
            "tracks_inside_95_se": clustered_error(inside, points),
        }
    return numbers


def score_rows(
    ensembles: dict[tuple[str, str], DensityEnsemble], gaps: dict[str, list[float]], table: pd.DataFrame, split: str
) -> pd.DataFrame:
    """Mean log likelihood of a split's snapshots, for each ensemble.

    Args:
        ensembles: By coordinates and gap. The gap 'none' means that all times were trained on; another gap names times
            that were left out, and the ensemble is scored at these.
        gaps: Times of each gap.
        table: Snapshots.
        split: Name of the split.

    Returns:
        One row an ensemble. `loss` is what a gap costs at its times, from differences by snapshot; `behind` is how much
        better the first ensemble with all times is.
    """
    rows = []
    whole = {
        name: log_scores(ensemble, outcomes(table)) for (name, gap), ensemble in ensembles.items() if gap == "none"
    }
    points, first = table.point_id.to_numpy(), whole[next(iter(ensembles))[0]]
    for (coordinates, gap), ensemble in ensembles.items():
        at = np.ones(len(table), bool) if gap == "none" else table.t_yr.isin(gaps[gap]).to_numpy()
        known = whole[coordinates][at]
        scores = known if gap == "none" else log_scores(ensemble, outcomes(table[at]))
        rows.append(
            {
                "coordinates": coordinates,
                "left_out": gap,
                "split": split,
                "n_snapshots": int(at.sum()),
                "log_likelihood": scores.mean(),
                "se": clustered_error(scores, points[at]),
                "loss": (known - scores).mean(),
                "loss_se": clustered_error(known - scores, points[at]),
                "behind": (first[at] - scores).mean(),
                "behind_se": clustered_error(first[at] - scores, points[at]),
            }
        )
    return pd.DataFrame(rows)
