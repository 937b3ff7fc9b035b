"""From the study's tables to the numbers in metrics.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from natal.studies.potential.accuracy import MEASURES
from natal.studies.potential.names import WEIGHTS
from natal.studies.potential.tables import NO_SEED

OWN = ("torque", *(f"rounding_{name}" for name in MEASURES))
ORBIT_COLUMNS = ("distance_a", "energy_change_own", "energy_change_true", "momentum_change")
Numbers = dict[str, Any]


def mean_and_sd(values: pd.Series) -> Numbers:
    """Mean and standard deviation (ddof = 1) over seeds; the latter is None if there is only one number.

    Examples:
        >>> mean_and_sd(pd.Series([1.0, 3.0]))
        {'mean': 2.0, 'sd': 1.4142135623730951}
    """
    known = values.dropna()
    return {"mean": float(known.mean()), "sd": float(known.std(ddof=1)) if len(known) > 1 else None}


def accuracy_numbers(table: pd.DataFrame) -> Numbers:
    """Relative errors by predictor, reference, region and measure, and each network's torque and rounding."""
    numbers: Numbers = {}
    for (terms, reference, region), rows in table.groupby(["terms", "reference", "region"], sort=False):
        summary = {name: mean_and_sd(rows[name]) for name in MEASURES}
        numbers.setdefault(str(terms), {}).setdefault(f"against_{reference}", {})[str(region)] = summary
        if region == "within" and (rows.seed != NO_SEED).all():
            numbers[str(terms)] |= {name: mean_and_sd(rows[name]) for name in OWN}
    return numbers


def orbit_numbers(table: pd.DataFrame, times: Sequence[float]) -> Numbers:
    """Distance from the true orbit, and the largest changes on the way, by predictor and orbit.

    Args:
        table: What `natal.studies.potential.tables.orbit_tables` gives.
        times: Of the distances; the nearest snapshots are taken.
    """
    numbers: Numbers = {}
    # the snapshots next to the times asked for
    known = np.unique(table.time)
    nearest = [known[np.argmin(abs(known - time))] for time in times]
    for (terms, orbit), rows in table.groupby(["terms", "orbit"], sort=False):
        by_seed = rows.groupby("seed")
        summary: Numbers = {
            f"distance_a_at_{time:g}": mean_and_sd(rows[rows.time == time].distance_a) for time in nearest
        }
        summary |= {f"largest_{name}": mean_and_sd(by_seed[name].max()) for name in ORBIT_COLUMNS}
        numbers.setdefault(str(terms), {})[str(orbit)] = summary
    return numbers


def training_numbers(curves: pd.DataFrame) -> Numbers:
    """The last losses of each term, and seconds of training without compilation, over seeds."""
    last = curves.groupby("seed").last()
    return {
        name: mean_and_sd(last[name])
        for name in ("potential", "force", "poisson", "seconds")
        if last[name].notna().any()
    }


def weight_numbers(table: pd.DataFrame) -> list[Numbers]:
    """Errors over seeds by the weights of the loss and region, of a sweep."""
    by_weights = table.groupby([*WEIGHTS, "region"], sort=False)
    return [
        dict(zip((*WEIGHTS, "region"), key, strict=True)) | {name: mean_and_sd(rows[name]) for name in MEASURES}
        for key, rows in by_weights
    ]


def expansion_numbers(table: pd.DataFrame) -> Numbers:
    """Errors by region of every expansion, and of the networks beside them over seeds."""
    of_expansions = table[table.degree.notna()]
    records = of_expansions[["degree", "functions", "region", *MEASURES]].astype({"degree": int, "functions": int})
    networks: Numbers = {}
    for (terms, region), rows in table.groupby(["terms", "region"], sort=False):
        networks.setdefault(str(terms), {})[str(region)] = {name: mean_and_sd(rows[name]) for name in MEASURES}
    return {"expansions": records.to_dict("records"), "networks": networks}
