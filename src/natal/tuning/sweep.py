"""A sweep over training settings: networks are trained with each of them and ranked by their loss on other runs.

The loss is the squared error of physical summaries, divided by the variance of the training runs. So it has the same
unit for all settings, also if they normalise differently. Test runs are not used.
"""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray

from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.emulator.training import train_ensemble
from natal.errors import NatalError
from natal.progress import track
from natal.settings.emulator import TrainingSettings
from natal.settings.sweep import SweepSettings
from natal.variables import Box

log = logging.getLogger("natal")


@dataclass(frozen=True)
class Split:
    """Runs that train, runs that stop the training, and runs that score it."""

    train: Runs
    stop: Runs
    score: Runs


def combinations(base: TrainingSettings, grid: Sequence[dict[str, list[Any]]]) -> list[dict[str, Any]]:
    """All combinations of values, as changes to `base`; the first changes nothing.

    Args:
        base: The campaign's settings.
        grid: Each entry has lists of values by setting, of which all combinations are taken.

    Returns:
        Changes; a combination that gives the same settings as another one is left out.

    Examples:
        >>> combinations(TrainingSettings(), [{"activation": ["relu", "tanh"], "members": [5]}])[1:]
        [{'activation': 'tanh', 'members': 5}]
    """
    combined: list[dict[str, Any]] = [{}]
    known = [base]
    for entry in grid:
        for values in itertools.product(*entry.values()):
            changes = dict(zip(entry, values, strict=True))
            settings = changed(base, changes)
            if settings not in known:
                combined.append(changes)
                known.append(settings)
    return combined


def changed(base: TrainingSettings, changes: dict[str, Any]) -> TrainingSettings:
    """`base` with `changes` applied.

    Args:
        base: The settings to begin with.
        changes: New values by key.
    """
    return TrainingSettings(**(base.model_dump() | changes))


def splits(train: Runs, validation: Runs, folds: int, rng: np.random.Generator) -> Iterator[Split]:
    """The campaign's own split, or `folds` splits of its training and validation points together.

    Points are dealt out at random, each with all its realizations. In turn, each fold scores, the next one stops the
    training, and the others train. So no run both stops and scores a training.

    Args:
        train: Training runs.
        validation: Validation runs.
        folds: Number of folds; 0: the campaign's own split.
        rng: For the folds.

    Raises:
        NatalError: If there are fewer points than folds.
    """
    if not folds:
        yield Split(train, validation, validation)
        return
    pool = joined(train, validation)
    points = rng.permutation(np.unique(pool.point_id))
    if len(points) < folds:
        raise NatalError(f"sweep.folds = {folds} is not allowed: there are {len(points)} points")
    parts = [np.isin(pool.point_id, part) for part in np.array_split(points, folds)]
    for k, score in enumerate(parts):
        stop = parts[(k + 1) % folds]
        yield Split(
            replace(pool.at(~(score | stop)), split="train"),
            replace(pool.at(stop), split="validation"),
            replace(pool.at(score), split="validation"),
        )


def joined(train: Runs, validation: Runs) -> Runs:
    """Training and validation runs as one.

    Args:
        train: Training runs.
        validation: Validation runs.

    Returns:
        All runs, as the split "train".

    Raises:
        NatalError: If a split is another one, or if the two share points.
    """
    if (train.split, validation.split) != ("train", "validation"):
        raise NatalError(f"a sweep needs train and validation runs, not {train.split} and {validation.split}")
    if np.isin(train.point_id, validation.point_id).any():
        raise NatalError("training and validation runs share points: they cannot be dealt out")
    arrays = ("x", "y", "point_id", "realization")
    return Runs(
        "train",
        **{name: np.concatenate([getattr(train, name), getattr(validation, name)]) for name in arrays},
        n_dissolved=train.n_dissolved + validation.n_dissolved,
    )


def losses(ensemble: Ensemble, runs: Runs, unit: Float[np.ndarray, " summary"]) -> Float[np.ndarray, " member"]:
    """Every member's mean over runs and summaries of ((prediction - run) / unit)^2.

    Args:
        ensemble: The members.
        runs: Runs that score.
        unit: For each summary, in physical units.
    """
    predicted = np.asarray(ensemble.at_points(runs.x), float)
    errors: np.ndarray = (((predicted - runs.y[:, None]) / unit) ** 2).mean((0, 2))
    return errors


def sweep(
    key: PRNGKeyArray,
    train: Runs,
    validation: Runs,
    box: Box,
    base: TrainingSettings,
    settings: SweepSettings,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Train with every combination on the same splits, from the same keys; the best comes first.

    Args:
        key: For the trainings.
        train: Training runs.
        validation: Validation runs.
        box: The ranges of birth conditions.
        base: The campaign's settings.
        settings: Combinations and folds.
        rng: For the folds.

    Returns:
        One row a combination: rank; what is varied; `campaign`, whether these are the campaign's settings; `loss` and
        its standard error `loss_se` over folds (without folds: over members); `above_best` and `above_best_se`, the
        difference to the best and its error, fold by fold (or member by member); `epochs` until the best; `seconds`;
        `error`, why a combination did not train.
    """
    chosen = combinations(base, settings.grid)
    parts = list(splits(train, validation, settings.folds, rng))
    unit = joined(train, validation).y.std(0) if settings.folds else train.y.std(0)
    trials: list[dict[str, Any]] = [{"losses": [], "epochs": [], "seconds": 0.0, "error": ""} for _ in chosen]
    jobs = list(itertools.product(enumerate(chosen), enumerate(parts)))
    for (row, changes), (fold, part) in track(jobs, total=len(jobs), label="sweep", unit="trainings"):
        trial = trials[row]
        if trial["error"]:
            continue
        try:
            fold_key = jax.random.fold_in(key, fold)
            ensemble, history = train_ensemble(fold_key, part.train, part.stop, box, changed(base, changes))
        except NatalError as error:
            trial["error"] = str(error)
            log.warning("%s: %s", changes, error)
            continue
        member_losses = losses(ensemble, part.score, unit)
        trial["losses"] += [member_losses.mean()] if settings.folds else list(member_losses)
        trial["epochs"].append(history.best_epoch.mean())
        trial["seconds"] += sum(history.timing_s.values())
    return ranked(chosen, trials, base)


def ranked(chosen: list[dict[str, Any]], trials: list[dict[str, Any]], base: TrainingSettings) -> pd.DataFrame:
    """The table of `sweep`.

    Args:
        chosen: Changes of each combination.
        trials: Losses, epochs, seconds and error of each combination.
        base: The campaign's settings.
    """
    order = sorted(range(len(chosen)), key=lambda k: np.inf if trials[k]["error"] else np.mean(trials[k]["losses"]))
    varied = list(dict.fromkeys(name for changes in chosen for name in changes))
    best = np.array(trials[order[0]]["losses"])
    rows = []
    for rank, k in enumerate(order, start=1):
        trial, whole = trials[k], base.model_dump() | chosen[k]
        row: dict[str, Any] = {
            "rank": rank,
            **{name: as_written(whole[name]) for name in varied},
            "campaign": not chosen[k],
        }
        trial_losses = np.array(trial["losses"])
        if trial["error"]:
            values = dict.fromkeys(("loss", "loss_se", "above_best", "above_best_se", "epochs"), np.nan)
        else:
            # members of two settings are pairs only if there are as many
            paired = trial_losses - best if len(trial_losses) == len(best) else np.full(2, np.nan)
            values = {
                "loss": trial_losses.mean(),
                "loss_se": standard_error(trial_losses),
                "above_best": trial_losses.mean() - best.mean(),
                "above_best_se": standard_error(paired),
                "epochs": float(np.mean(trial["epochs"])),
            }
        rows.append(row | values | {"seconds": trial["seconds"], "error": trial["error"]})
    return pd.DataFrame(rows)


def as_written(value: Any) -> Any:
    """A setting as YAML writes it: a CSV file has no values for lists and null.

    Examples:
        >>> as_written([64, 64]), as_written(None), as_written(0.1)
        ('[64, 64]', 'null', 0.1)
    """
    if value is None:
        return "null"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else value


def standard_error(values: Float[np.ndarray, " value"]) -> float:
    """Standard error of the mean of `values`.

    Examples:
        >>> standard_error(np.array([1.0, 2.0, 3.0, 4.0]))
        0.6454972243679028
    """
    return float(values.std(ddof=1) / np.sqrt(len(values)))
