"""How well the emulator and simple baselines predict the test runs."""

from typing import Any

import numpy as np
import pandas as pd

from natal.data.runs import Runs, replicate_means
from natal.emulator.baselines import Predictor
from natal.variables import SUMMARIES


def root_mean_square(values: np.ndarray) -> dict[str, float]:
    """Root mean square of each summary over rows that are not nan.

    Examples:
        >>> root_mean_square(np.array([[3.0, 1.0, 1.0], [4.0, 1.0, np.nan]]))
        {'f_bound': 3.5355339059327378, 'sigma_v_kms': 1.0, 'r_h_au': 1.0}
    """
    mean = pd.DataFrame(values**2).mean()
    return dict(zip(SUMMARIES, np.sqrt(mean).tolist(), strict=True))


def evaluate(predict: Predictor, baselines: dict[str, Predictor], test: Runs) -> dict[str, Any]:
    """Errors of the emulator and of each baseline on the test split.

    Args:
        predict: The emulator.
        baselines: Simple predictors by name; `linear` is one of them.
        test: Runs of the test split.

    Returns:
        `emulator` and `baselines`, by summary, in physical units. `rmse` is the error for single runs, and so contains
        the scatter of realizations. `rmse_mean` is the error for the mean of each point's runs; `noise_of_means` is the
        part of it that comes from the finite number of runs. `scatter` is the root-mean-square scatter of realizations
        at a point. `skill_vs_linear` is 1 - (rmse_mean / that of `linear`)^2.
    """
    points = replicate_means(test)

    def errors(predictor: Predictor) -> dict[str, dict[str, float]]:
        return {
            "rmse": root_mean_square(predictor(test.x) - test.y),
            "rmse_mean": root_mean_square(predictor(points.x) - points.mean),
        }

    emulator: dict[str, Any] = errors(predict)
    by_baseline = {name: errors(predictor) for name, predictor in baselines.items()}
    emulator |= {
        "bias": dict(zip(SUMMARIES, (predict(points.x) - points.mean).mean(0).tolist(), strict=True)),
        "scatter": root_mean_square(points.scatter),
        "noise_of_means": root_mean_square(points.scatter / np.sqrt(points.n)[:, None]),
        "skill_vs_linear": {
            name: 1.0 - (emulator["rmse_mean"][name] / by_baseline["linear"]["rmse_mean"][name]) ** 2
            for name in SUMMARIES
        },
        "n_test_points": len(points.n),
        "n_test_runs": len(test),
    }
    best = {
        name: min((errors["rmse_mean"][name], kind) for kind, errors in by_baseline.items())[1] for name in SUMMARIES
    }
    emulator["best_baseline"] = best
    emulator["beats_every_baseline"] = {
        name: emulator["rmse_mean"][name] < by_baseline[best[name]]["rmse_mean"][name] for name in SUMMARIES
    }
    return {"emulator": emulator, "baselines": by_baseline}
