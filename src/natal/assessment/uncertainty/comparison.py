"""One table for all uncertainty methods, on the same test runs; widths of their intervals; NUTS with their laws."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from natal.assessment.cases import cases_along_q0
from natal.assessment.uncertainty.conformal import Calibrated, laws_at
from natal.assessment.uncertainty.method_reports import N_SAMPLES, conformal_report, likelihood_report
from natal.data.runs import Runs
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.recovery import recover
from natal.posterior.tables import nuts_report
from natal.progress import track
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, SUMMARIES, Box

LARGEST_GRID = (96, 96)
"""Most cells of the posteriors. A mixture takes seconds on them; more cells do not change the third digit of scores."""

TABLE_LEVELS = ("68", "95")
NUTS_NUMBERS = ("max_rhat", "min_ess_bulk", "divergences", "tv_grid_max", "mean_z_rms", "sd_z_rms", "seconds")


def compare(
    key: PRNGKeyArray,
    methods: Mapping[str, Likelihood | Calibrated],
    test: Runs,
    prior_box: Box,
    grid_shape: tuple[int, int],
) -> dict[str, Any]:
    """The report of every method on the same test runs, each observed without error.

    Args:
        key: For draws from the methods' laws.
        methods: Any likelihoods whose laws can be sampled and have a density, and conformal predictors; by name.
        test: Runs of the test split.
        prior_box: The uniform prior's ranges.
        grid_shape: Number of cells in Q0 and in a; at most `LARGEST_GRID` is used.
    """
    grid_shape = coarse(grid_shape)
    reports = {}
    for name, method in track(methods.items(), total=len(methods), label="compare", unit="methods"):
        reports[name] = (
            conformal_report(method, test, prior_box, grid_shape)
            if isinstance(method, Calibrated)
            else likelihood_report(key, method, test, prior_box, grid_shape)
        )
    return reports


def coarse(grid_shape: tuple[int, int]) -> tuple[int, int]:
    """The shape with no side larger than that of `LARGEST_GRID`.

    Examples:
        >>> coarse((200, 50))
        (96, 50)
    """
    return min(grid_shape[0], LARGEST_GRID[0]), min(grid_shape[1], LARGEST_GRID[1])


def nuts_check(
    key: PRNGKeyArray,
    likelihood: Likelihood,
    prior_box: Box,
    test: Runs,
    n_cases: int,
    settings: NutsSettings,
    grid_shape: tuple[int, int],
) -> dict[str, float]:
    """NUTS on test runs at even steps through Q0, compared with the grid.

    Args:
        key: For the chains.
        likelihood: The method's.
        prior_box: The uniform prior's ranges.
        test: Runs of the test split.
        n_cases: How many of them.
        settings: Of the sampler.
        grid_shape: Number of cells in Q0 and in a.

    Returns:
        Some numbers of `natal.posterior.tables.nuts_report`.
    """
    chosen = cases_along_q0(test.x[:, 0], n_cases)
    y = test.y[chosen]
    report = nuts_report(recover(key, likelihood, prior_box, y, np.zeros_like(y), settings, coarse(grid_shape)))
    return {"n_cases": len(chosen)} | {name: report[name] for name in NUTS_NUMBERS}


def comparison_table(reports: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a method, from their reports.

    What a method does not define is missing. Units are in the columns' names; `area_*` are shares of the box.
    """
    rows = []
    for name, report in reports.items():
        row: dict[str, Any] = {"method": name} | {f"rmse_{output}": report["rmse"][output] for output in SUMMARIES}
        for level in TABLE_LEVELS:
            row |= {f"coverage_{level}_{output}": report["outputs"]["coverage"][level][output] for output in SUMMARIES}
        for level in TABLE_LEVELS:
            row |= {f"coverage_{level}_{of}": report["coverage"][level].get(of) for of in (*BIRTH, "joint")}
            row |= {f"coverage_se_{level}_joint": report["coverage_se"][level]["joint"]}
            row |= {f"area_{level}": report["area"][level]}
        row |= {
            "log_score": report.get("log_score"),
            "log_score_outputs": report["outputs"].get("log_score"),
            "training_s": report.get("training_s"),
            "evaluation_us": 1e6 * report["evaluation_s"],
        }
        rows.append(row)
    return pd.DataFrame(rows)


def widths_along_q0(
    methods: Mapping[str, Likelihood | Calibrated], box: Box, level: float = 0.68, n: int = 101
) -> pd.DataFrame:
    """Half widths of each method's intervals for single runs, along Q0 at the middle a.

    Args:
        methods: Likelihoods and conformal predictors, by name.
        box: The ranges of birth conditions.
        level: Probability of the intervals.
        n: Number of places.

    Returns:
        A table: method, q0, a_au, and for each summary half the distance between the quantiles, or the conformal half
        width, in physical units.
    """
    (q0_low, q0_high), (a_low, a_high) = (box[name] for name in BIRTH)
    q0, a_au = np.linspace(q0_low, q0_high, n), 0.5 * (a_low + a_high)
    x = np.column_stack([q0, np.full(n, a_au)])
    tables = []
    for name, method in methods.items():
        if isinstance(method, Calibrated):
            width = method.bounds(level) * np.asarray(laws_at(method.predictor, x).sigma, dtype=float)
        else:
            width = np.asarray(_half_width(method, jnp.asarray(x, DTYPE), level), dtype=float)
        tables.append(
            pd.DataFrame({"method": name, "q0": q0, "a_au": a_au} | dict(zip(SUMMARIES, width.T, strict=True)))
        )
    return pd.concat(tables, ignore_index=True)


@eqx.filter_jit
def _half_width(likelihood: Likelihood, x: Float[Array, "run birth"], level: float) -> Float[Array, "run summary"]:
    def one(x: Array) -> Array:
        law = likelihood.conditional(x).observed()
        # the same key everywhere: no jumps from point to point
        ends = jnp.quantile(law.sample(jax.random.key(0), (N_SAMPLES,)), jnp.array([1 - level, 1 + level]) / 2, axis=0)
        return 0.5 * (ends[1] - ends[0])

    half_widths: Array = lax.map(one, x)
    return half_widths
