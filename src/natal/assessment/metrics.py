"""The parts of metrics.json on simulations and on costs."""

from typing import Any

import numpy as np
import pandas as pd

from natal.variables import CALIBRATION, SPLITS


def time_covered(starts_s: pd.Series, lengths_s: pd.Series) -> float:
    """Seconds during which at least one job ran: overlaps count once, pauses not at all.

    Args:
        starts_s: When each job started.
        lengths_s: How long each job ran.

    Examples:
        >>> time_covered(pd.Series([0.0, 5.0, 100.0]), pd.Series([10.0, 10.0, 1.0]))
        16.0
    """
    total, until = 0.0, -np.inf
    for start, length in sorted(zip(starts_s, lengths_s, strict=True)):
        total += max(0.0, start + length - max(start, until))
        until = max(until, start + length)
    return total


def simulation_report(summaries: pd.DataFrame, costs: pd.DataFrame) -> dict[str, Any]:
    """Counts, shares of dissolved clusters and energy errors of all runs, and what they cost.

    Args:
        summaries: One row a run.
        costs: One row a job.

    Returns:
        The parts `simulation` and `timing.simulate` of metrics.json.
    """
    core_s = (costs.integrate_time_s * costs.threads).sum()
    # calibration draws have one realization a point: that gives no share
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


def speed_report(speed: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """Speed-ups, and what NUTS would cost if each gradient took one simulation.

    That cost is a lower bound: warm-up is not counted, a simulation gives no gradient, and one realization gives no
    likelihood.

    Args:
        speed: Seconds of each evaluation, all measured on one core (`natal.assessment.speed`).
        metrics: metrics.json so far; it has the numbers of gradients and cases.
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
