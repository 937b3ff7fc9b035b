"""How well the emulator and simple baselines predict the test runs."""

from typing import Any

import numpy as np
import pandas as pd

from natal.data.runs import Runs, replicate_means
from natal.emulator.baselines import Predictor
from natal.variables import SUMMARIES


def root_mean_square(values: np.ndarray) -> dict[str, float]:
    """Root mean square over rows that are not nan, by output."""
    mean = pd.DataFrame(values**2).mean()
    return dict(zip(SUMMARIES, np.sqrt(mean).tolist(), strict=True))


def evaluate(predict: Predictor, baselines: dict[str, Predictor], test: Runs) -> dict[str, Any]:
    """Errors of the emulator and of each baseline on the test split, in physical units.

    `rmse` is against single runs and so holds the scatter of realizations; `rmse_mean` is against the replicate
    means of each point, of which `noise_of_means` is due to the finite number of realizations. `scatter` is the
    root-mean-square scatter of realizations at a point. `skill_vs_linear` = 1 - (rmse_mean / linear's)^2.
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
