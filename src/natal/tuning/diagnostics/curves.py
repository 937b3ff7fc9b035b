"""What a loss curve says: fine, still falling, a plateau, oscillation, overfitting or no learning at all."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.data.runs import Runs

MEANINGFUL = 0.01
"""Relative change of a loss over `STRETCH` epochs below which it counts as flat."""

STRETCH = 100

WILD = 0.05
"""Mean relative change of the training loss between epochs that counts as oscillation, if it goes up and down."""

RISE = 0.02
"""Relative rise of the validation loss after its best that counts as overfitting, while the training loss falls."""

LEARNED = 0.9
"""Share of the learnable variance below which a flat loss counts as a plateau."""

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
    """What the curve of one member says, and the numbers behind it."""

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
    """Loss of a perfect network on `runs`: the scatter within points, pooled; nan if none repeats.

    The unbiased variance of the realizations about their own mean, a mean over outputs.

    Args:
        runs: Surviving runs; only their points' numbers are used.
        y: Their outputs as networks see them.
        weight: Of squared errors in the loss.
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
    """Judge one member's curves, which may end in nan.

    `stopped_early`: its patience was spent. `floor` is the loss of a perfect network, `ignorant` that of a constant,
    the mean of the training runs; both on the validation runs.
    """
    whole = np.isfinite(train_loss) & np.isfinite(validation_loss)
    n = int(np.argmin(whole)) if not whole.all() else len(whole)
    train, validation = train_loss[:n], validation_loss[:n]
    if n < 2 or not (best := int(np.argmin(validation))):
        return Verdict("no learning", np.nan, np.nan, np.nan, np.nan)
    # a few epochs together, so that one lucky batch is no trend
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
