"""Numbers of a campaign that need no sampling: simulations, emulator and baselines on the test runs, costs."""

from typing import Any

import numpy as np
import pandas as pd

from natal.baselines import Predictor
from natal.campaign import CALIBRATION, SPLITS
from natal.dataset import Runs, replicate_means
from natal.summaries import OUTPUTS


def simulation_report(summaries: pd.DataFrame, costs: pd.DataFrame) -> dict[str, Any]:
    """Counts, dissolved shares and energy errors of all runs, and what they cost (one row of `costs` a job)."""
    core_s = (costs.integrate_time_s * costs.threads).sum()
    # single realizations have no share
    by_point = summaries[summaries.split != CALIBRATION].groupby("point_id").dissolved.mean()
    return {
        "simulation": {
            "n_points": summaries.point_id.nunique(),
            "n_runs": len(summaries),
            "max_energy_error": summaries.energy_error.max(),
            "median_energy_error": summaries.energy_error.median(),
            "dissolved": {
                split: {
                    "n": int(summaries.dissolved[summaries.split == split].sum()),
                    "share": summaries.dissolved[summaries.split == split].mean(),
                }
                for split in (*SPLITS, CALIBRATION)
                if (summaries.split == split).any()
            },
            "max_dissolved_share_of_a_point": by_point.max(),
            "dissolved_share_by_point": {str(point): share for point, share in by_point[by_point > 0].items()},
        },
        "timing": {
            "simulate": {
                "jobs": len(costs),
                "compile_s": costs.compile_time_s.sum(),
                "integrate_s": costs.integrate_time_s.sum(),
                "jobs_s": costs.wall_time_s.sum(),
                "stage_wall_s": time_covered(costs.started_unix_s, costs.wall_time_s),
                "core_s_per_run": core_s / len(summaries),
                "gint_per_core_s": costs.interactions.sum() / core_s / 1e9,
            }
        },
    }


def time_covered(starts_s: pd.Series, lengths_s: pd.Series) -> float:
    """Seconds during which at least one job ran: jobs side by side count once, pauses between them not at all."""
    total, until = 0.0, -np.inf
    for start, length in sorted(zip(starts_s, lengths_s, strict=True)):
        total += max(0.0, start + length - max(start, until))
        until = max(until, start + length)
    return total


def root_mean_square(values: np.ndarray) -> dict[str, float]:
    """Root mean square over rows that are not nan, by output."""
    mean = pd.DataFrame(values**2).mean()
    return dict(zip(OUTPUTS, np.sqrt(mean).tolist(), strict=True))


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
    found = {name: errors(predictor) for name, predictor in baselines.items()}
    emulator |= {
        "bias": dict(zip(OUTPUTS, (predict(points.x) - points.mean).mean(0).tolist(), strict=True)),
        "scatter": root_mean_square(points.scatter),
        "noise_of_means": root_mean_square(points.scatter / np.sqrt(points.n)[:, None]),
        "skill_vs_linear": {
            name: 1.0 - (emulator["rmse_mean"][name] / found["linear"]["rmse_mean"][name]) ** 2 for name in OUTPUTS
        },
        "n_test_points": len(points.n),
        "n_test_runs": len(test),
    }
    best = {name: min((errors["rmse_mean"][name], kind) for kind, errors in found.items())[1] for name in OUTPUTS}
    emulator["best_baseline"] = best
    emulator["beats_every_baseline"] = {
        name: emulator["rmse_mean"][name] < found[best[name]]["rmse_mean"][name] for name in OUTPUTS
    }
    return {"emulator": emulator, "baselines": found}


def speed_report(speed: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """Speed-ups, and what NUTS would have cost with one simulation for each gradient it asked for.

    `speed` holds seconds, all measured on one core (`natal.speed`); `metrics` says how many gradients and cases there
    were. The direct cost is a lower bound: warm-up is not counted, a simulation gives no gradient and one realization
    gives no likelihood.
    """
    per_run = speed["simulation_batched_s"]
    gradients = metrics["nuts"]["gradients_per_case"]
    return {
        **speed,
        "speedup_alone": speed["simulation_alone_s"] / speed["emulator_alone_s"],
        "speedup_batched": per_run / speed["emulator_batched_s"],
        "speedup_gradient_batched": per_run / speed["gradient_batched_s"],
        "direct_inference_core_hours_per_case": gradients * per_run / 3600.0,
        "direct_inference_core_days_all_cases": gradients * per_run * metrics["recovery"]["n_cases"] / 86_400.0,
    }
