"""What adaptive proposals save: learning curves over a finished campaign's own points, without new simulations.

The training points are a pool that stands for the box. Two arms start from the same few points that fill it. One adds
points as `proposals` would, the other so that they fill the box (Kennard & Stone 1969). Both train again at each size,
and their errors on validation runs are compared.
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
"""Quantiles over resampled repeats that are quoted with a saving: one standard deviation to each side if normal."""

Fit = Callable[[PRNGKeyArray, Int[np.ndarray, " chosen"]], tuple[float, Float[np.ndarray, " point"]]]
"""Trains on some points of the pool (indices); gives the validation error and the acquisition at all points."""


def learning_curves(
    key: PRNGKeyArray, place: Float[np.ndarray, "point birth"], fit: Fit, settings: GainSettings
) -> pd.DataFrame:
    """Validation error against number of points, for both arms.

    Each repeat starts from another point and with other weights. Its arms have the same start and, at each size, the
    same key.

    Args:
        key: For starts and trainings.
        place: The pool's points in the unit square.
        fit: Trains on some points.
        settings: Sizes and repeats.

    Returns:
        Columns repeat, arm, n_points, error.

    Raises:
        NatalError: If the pool has fewer than `settings.stop` points.
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
    """Points that adaptive choice saves to reach the error of space-filling choice, at each size except the first.

    Numbers of points are interpolated along the mean curves. If the adaptive curve does not reach an error, it is taken
    to reach it at the last size: then `saved` is an upper bound.

    Args:
        curves: What `learning_curves` gives.
        rng: For the resampling of repeats (Efron 1979).

    Returns:
        Columns n_points (space-filling), target_error (mean over repeats), n_adaptive, saved, and its quantiles over
        resampled repeats, saved_low and saved_high.
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
    """Number of points at which a falling curve first reaches each target, linear between sizes."""
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
    """A `Fit` of ensembles of means.

    Its error is the root-mean-square error for the means of validation points, in units of the pool's standard
    deviations; its acquisition is `disagreement`.

    Args:
        pool: Runs of the pool.
        validation: Validation runs.
        points: Numbers of the pool's points.
        x: Their births, shape (point, 2).
        box: The ranges of birth conditions.
        settings: Of the training.
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
    """A `Fit` of mixture density networks.

    Its error is the mean negative ln likelihood (nats) of a validation cluster under the members' mean law, dissolved
    clusters included; its acquisition is `information`.

    Args:
        tracks: The pool's snapshots; rescaled ones are training rows, too (`natal.data.outcomes`).
        t_end_yr: Time at which simulations end.
        validation: Validation outcomes.
        points: Numbers of the pool's points.
        x: Their births, shape (point, 2).
        box: The ranges of birth conditions.
        counts: The numbers of bound stars that a cluster may have.
        settings: Of the training.
    """

    def fit(key: PRNGKeyArray, chosen: np.ndarray) -> tuple[float, np.ndarray]:
        train = rescaled_outcomes(tracks[tracks.point_id.isin(points[chosen])], t_end_yr, box["a_au"][1])
        ensemble, _ = train_density(key, train, validation, box, counts, settings)
        return surprise(ensemble, validation), information(key, ensemble, x)

    return fit


def surprise(ensemble: DensityEnsemble, outcomes: Outcomes) -> float:
    """Mean negative ln likelihood (physical units) of outcomes under the members' mean law.

    Args:
        ensemble: Networks of the density.
        outcomes: Clusters that they have not learned from, in physical units.

    Returns:
        nat per cluster; smaller is better.
    """
    return -float(_log_probs(ensemble, *on_device(outcomes)).mean())


@eqx.filter_jit
def _log_probs(
    ensemble: DensityEnsemble,
    x: Float[Array, "row birth"],
    y: Float[Array, "row summary"],
    survived: Bool[Array, " row"],
) -> Float[Array, " row"]:
    return jax.vmap(partial(log_outcome, ensemble))(x, y, survived)
