"""Finished runs are kept only if all numbers are finite and energy is conserved."""

import numpy as np
import pandas as pd

from natal.errors import NatalError
from natal.simulation.clusters import SimulatedClusters


def check_runs(
    runs: SimulatedClusters,
    points: pd.DataFrame,
    n_realizations: int,
    max_energy_error: float,
    *,
    first_realization: int = 0,
) -> None:
    """Refuse runs that are not finite or whose energy changed more than allowed.

    Args:
        runs: Ordered by point, then realization.
        points: Their points: columns point_id, q0, a_au.
        n_realizations: Runs of each point.
        max_energy_error: `integration.max_energy_error`, for |E_T - E_0| / |W_0|.
        first_realization: Number of the first realization.

    Raises:
        NatalError: A run is refused; the line names the worst one and what to change.
    """
    errors = runs.energy_error
    finite = np.isfinite(errors)
    # run by run: all of them together may not fit into memory
    for k in range(len(errors)):
        finite[k] &= np.isfinite(runs.position_au[k]).all() and np.isfinite(runs.velocity_au_yr[k]).all()
    worst = int(np.argmax(np.where(finite, errors, np.inf)))
    if finite.all() and errors[worst] <= max_energy_error:
        return
    n_bad = int((~finite | (errors > max_energy_error)).sum())
    point = points.iloc[worst // n_realizations]
    what = f"an energy error of {errors[worst]:.3g}" if finite[worst] else "values that are not finite"
    raise NatalError(
        f"point {point.point_id:.0f} (q0 = {point.q0:.4f}, a = {point.a_au:.2f} AU), realization "
        f"{first_realization + worst % n_realizations}, ended with {what}; integration.max_energy_error allows "
        f"{max_energy_error:g} ({n_bad} of {len(errors)} runs of this job fail): "
        "lower integration.dt_yr or raise cluster.softening_au"
    )
