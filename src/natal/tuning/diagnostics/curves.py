"""What a loss curve says: fine, still falling, a plateau, oscillation, overfitting, or no learning at all."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.data.runs import Runs

MEANINGFUL = 0.01
"""A loss is flat if its relative change over `STRETCH` epochs is below this."""

STRETCH = 100

WILD = 0.05
"""A training loss that goes up and down oscillates if its mean relative change between epochs is above this."""

RISE = 0.02
"""A network overfits if its validation loss rises by more than this after its best, while its training loss falls."""

LEARNED = 0.9
"""A flat loss is a plateau if less than this share of the learnable variance is explained."""

ADVICE = {
    "fine": "nothing to do",
    "still falling": "train longer (max_epochs), or raise learning_rate up to 1e-2",
    "plateau": "a higher learning_rate, another activation or initialisation, batch_norm; look for idle units",
    "oscillation": "a learning_rate ten times lower, a schedule that falls, or larger batches",
    "overfitting": "the best epoch's weights are kept; weight_decay, dropout_rate or more points lower its loss",
    "no learning": "a learning_rate ten times lower, or higher if the loss never moves; look at the inputs",
}


@dataclass(frozen=True)
class Verdict:
    """What the curve of one member says, and the numbers behind it.

    Attributes:
        name: A key of `ADVICE`.
        flat: Relative fall of the validation loss over the last `STRETCH` epochs before its best.
        wild: Mean relative change of the training loss from epoch to epoch, in the second half.
        rise: Relative rise of the validation loss from its best to its end.
        learned: Share of the learnable variance that the best weights explain; nan without replicates.
    """

    name: str
    flat: float  # relative fall of the validation loss over the last STRETCH epochs before its best
    wild: float  # mean relative change of the training loss from epoch to epoch, in the second half
    rise: float  # relative rise of the validation loss from its best to its end
    learned: float  # share of the learnable variance that the best weights explain; nan without replicates

    @property
    def advice(self) -> str:
        """What to do, in one line."""
        return ADVICE[self.name]


def scatter_floor(
    runs: Runs, y: Float[np.ndarray, "run summary"], weight: Float[np.ndarray, "run summary"] | float = 1.0
) -> float:
    """Loss of a perfect network on `runs`: the scatter of realizations about their point's mean.

    It is the unbiased variance within points, pooled over points, as a mean over summaries.

    Args:
        runs: Surviving runs; only their points' numbers are used.
        y: Their summaries as networks see them.
        weight: Of squared errors in the loss.

    Returns:
        A loss; nan if no point has several runs.
    """
    means = pd.DataFrame(y).groupby(runs.point_id).transform("mean").to_numpy()
    freedom = len(runs) - len(np.unique(runs.point_id))
    return float((weight * (y - means) ** 2).sum(0).mean() / freedom) if freedom else float("nan")


def judge(
    train_loss: Float[np.ndarray, " epoch"],
    validation_loss: Float[np.ndarray, " epoch"],
    stopped_early: bool,
    floor: float,
    ignorant: float,
) -> Verdict:
    """Judge the curves of one member.

    Args:
        train_loss: May end in nan.
        validation_loss: May end in nan.
        stopped_early: Whether the member's patience was used up.
        floor: Loss of a perfect network on the validation runs.
        ignorant: Loss there of a constant, the mean of the training runs.

    Examples:
        >>> falling = np.exp(-np.linspace(0, 5, 500))
        >>> judge(falling, falling, stopped_early=False, floor=0.0, ignorant=1.0).name
        'still falling'
    """
    whole = np.isfinite(train_loss) & np.isfinite(validation_loss)
    n = int(np.argmin(whole)) if not whole.all() else len(whole)
    train, validation = train_loss[:n], validation_loss[:n]
    if n < 2 or not (best := int(np.argmin(validation))):
        return Verdict("no learning", np.nan, np.nan, np.nan, np.nan)
    # several epochs together, so that one lucky batch does not decide
    width = max(1, min(10, n // 10))
    last = float(np.median(validation[-width:]))
    changes = np.diff(np.log(train[n // 2 :]))
    verdict = {
        "flat": 1 - validation[best] / validation[max(0, best - STRETCH)],
        "wild": float(np.abs(changes).mean()) if changes.size else 0.0,
        "rise": last / validation[best] - 1,
        "learned": (ignorant - validation[best]) / (ignorant - floor),
    }
    if verdict["wild"] > WILD and (changes > 0).mean() > 1 / 3:
        name = "oscillation"
    elif verdict["rise"] > RISE and np.median(train[-width:]) < train[best]:
        name = "overfitting"
    elif not stopped_early and verdict["flat"] > MEANINGFUL:
        name = "still falling"
    elif verdict["learned"] < LEARNED:
        name = "plateau"
    else:
        name = "fine"
    return Verdict(name, **{key: float(value) for key, value in verdict.items()})
