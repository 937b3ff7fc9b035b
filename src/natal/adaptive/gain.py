"""What adaptive proposals save: learning curves over a finished campaign's own points, with no new simulations.

The training points stand for the box, as a pool. From the same few that fill it, one arm adds points as
`proposals` would, the other such that they fill the box (Kennard & Stone 1969); both train again at each size, and
their errors on validation runs are compared.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from natal.adaptive.proposals import choose_batch, disagreement, fill_space, information
from natal.data.outcomes import Outcomes, rescaled_outcomes
from natal.data.runs import Runs, replicate_means
from natal.emulator.training import train_ensemble
from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble, log_outcome
from natal.likelihood.density_training import on_device, train_density
from natal.likelihood.mixture_density import Counts
from natal.progress import Progress
from natal.settings.adaptive import GainSettings
from natal.settings.density import DensitySettings
from natal.settings.emulator import TrainingSettings
from natal.variables import Box

ARMS = ("adaptive", "space_filling")
N_RESAMPLES = 2000
RANGE = (0.16, 0.84)
"""Quantiles over resampled repeats between which a saving is quoted: one standard deviation for normal ones."""

Fit = Callable[[PRNGKeyArray, Int[np.ndarray, " chosen"]], tuple[float, Float[np.ndarray, " point"]]]
"""Trains on some points of the pool (indices); gives the validation error and the acquisition at all points."""


def learning_curves(
    key: PRNGKeyArray, place: Float[np.ndarray, "point birth"], fit: Fit, settings: GainSettings
) -> pd.DataFrame:
    """Validation error against number of points: columns repeat, arm, n_points, error.

    `place` are the pool's points in the unit square. Each repeat starts from another point, with other weights; its
    arms share the start and, at each size, the key. Raises `NatalError` if the pool has fewer than `settings.stop`
    points.
    """
    if settings.stop > len(place):
        raise NatalError(
            f"adaptive.gain.stop = {settings.stop} is not allowed: the campaign has {len(place)} training points"
        )
    sizes = range(settings.start, settings.stop + 1, settings.step)
    rows = []
    n_fits = settings.repeats * (1 + len(ARMS) * (len(sizes) - 1))
    with Progress(total=n_fits, label="learning curves", unit="fits") as progress:
        for repeat in range(settings.repeats):
            key_first, key_fit = jax.random.split(jax.random.fold_in(key, repeat))
            first = int(jax.random.randint(key_first, (), 0, len(place)))
            begin = fill_space(place, [first], settings.start - 1)
            begun = fit(jax.random.fold_in(key_fit, settings.start), np.array(begin))
            progress.advance()
            for arm in ARMS:
                chosen, (error, acquisition) = begin, begun
                rows.append((repeat, arm, settings.start, error))
                for n in sizes[1:]:
                    if arm == "adaptive":
                        allowed = np.ones(len(place), bool)
                        allowed[chosen] = False
                        chosen = [*chosen, *choose_batch(place, acquisition, settings.step, allowed)[0]]
                    else:
                        chosen = fill_space(place, chosen, settings.step)
                    error, acquisition = fit(jax.random.fold_in(key_fit, n), np.array(chosen))
                    rows.append((repeat, arm, n, error))
                    progress.advance()
    return pd.DataFrame(rows, columns=["repeat", "arm", "n_points", "error"])


def savings(curves: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Points that adaptive choice saves to reach the error that space-filling choice has at each size but the first.

    Columns n_points (space-filling), target_error (mean over repeats), n_adaptive, saved, saved_low and saved_high.
    Numbers of points are interpolated along the mean curves; low and high are quantiles of the saving over
    resampled repeats (Efron 1979). An error that is not reached counts as reached at the last size, so that `saved` is
    then an upper bound.
    """
    table = curves.pivot_table(index="repeat", columns=["arm", "n_points"], values="error")
    sizes = np.unique(curves.n_points).astype(float)
    adaptive, filling = (table[arm].to_numpy() for arm in ARMS)

    def saved(rows: np.ndarray) -> np.ndarray:
        target = _falling(filling[rows].mean(0))
        n_adaptive = _points_needed(sizes, _falling(adaptive[rows].mean(0)), target)
        saved_points: np.ndarray = _points_needed(sizes, target, target) - n_adaptive
        return saved_points

    everything = np.arange(len(table))
    resampled = [saved(rng.integers(0, len(table), len(table))) for _ in range(N_RESAMPLES)]
    low, high = np.quantile(resampled, RANGE, axis=0)
    estimate = saved(everything)
    columns = {
        "n_points": sizes.astype(int),
        "target_error": _falling(filling.mean(0)),
        "n_adaptive": sizes - estimate,
        "saved": estimate,
        "saved_low": low,
        "saved_high": high,
    }
    return pd.DataFrame(columns)[1:].reset_index(drop=True)


def _falling(error: np.ndarray) -> np.ndarray:
    """The lowest error so far."""
    return np.minimum.accumulate(error)


def _points_needed(sizes: np.ndarray, error: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Where a falling curve first reaches each target, linear between sizes."""
    first = [int(np.argmax(error <= one)) if (error <= one).any() else len(error) - 1 for one in target]
    needed = []
    for k, one in zip(first, target, strict=True):
        if k == 0 or error[k] >= one or error[k] == error[k - 1]:
            needed.append(sizes[k])
        else:
            share = (error[k - 1] - one) / (error[k - 1] - error[k])
            needed.append(sizes[k - 1] + share * (sizes[k] - sizes[k - 1]))
    return np.array(needed)


def fit_means(
    pool: Runs, validation: Runs, points: Int[np.ndarray, " point"], x: np.ndarray, box: Box, settings: TrainingSettings
) -> Fit:
    """Ensembles of means: their root-mean-square error about the validation points' replicate means, in units of the
    pool's standard deviations, and their `disagreement`.

    `points` are the pool's point ids, `x` (point, 2) their places.
    """
    means, unit = replicate_means(validation), pool.y.std(0)

    def fit(key: PRNGKeyArray, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        ensemble, _ = train_ensemble(key, pool.at(np.isin(pool.point_id, points[chosen])), validation, box, settings)
        predicted = np.asarray(ensemble.at_points(means.x), float).mean(1)
        return float(np.sqrt(np.mean(((predicted - means.mean) / unit) ** 2))), disagreement(ensemble, x)

    return fit


def fit_laws(
    tracks: pd.DataFrame,
    t_end_yr: float,
    validation: Outcomes,
    points: Int[np.ndarray, " point"],
    x: np.ndarray,
    box: Box,
    counts: Counts,
    settings: DensitySettings,
) -> Fit:
    """Mixture density networks: mean negative log likelihood (nats) of a validation cluster under the members' mean
    law, dissolved clusters included, and their `information`.

    `tracks` holds the pool's snapshots, of which rescaled ones are training rows, too (`natal.data.outcomes`).
    """

    def fit(key: PRNGKeyArray, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        train = rescaled_outcomes(tracks[tracks.point_id.isin(points[chosen])], t_end_yr, box["a_au"][1])
        ensemble, _ = train_density(key, train, validation, box, counts, settings)
        return surprise(ensemble, validation), information(key, ensemble, x)

    return fit


def surprise(ensemble: DensityEnsemble, outcomes: Outcomes) -> float:
    """Mean negative log likelihood (natural log, physical units) of outcomes under the members' mean law."""
    return -float(_log_probs(ensemble, *on_device(outcomes)).mean())


@eqx.filter_jit
def _log_probs(
    ensemble: DensityEnsemble,
    x: Float[Array, "row birth"],
    y: Float[Array, "row summary"],
    survived: Bool[Array, " row"],
) -> Float[Array, " row"]:
    return jax.vmap(partial(log_outcome, ensemble))(x, y, survived)
