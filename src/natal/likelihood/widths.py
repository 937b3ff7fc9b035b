"""Widths of the Gaussian likelihoods: second moments of validation residuals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.errors import NatalError
from natal.variables import SUMMARIES


@dataclass(frozen=True)
class Widths:
    """Second moments of validation residuals, in physical units and in the order of `SUMMARIES`.

    Attributes:
        sigma_total: Root-mean-square residual of each summary, shape (summary,).
        covariance: Mean outer product of residuals, shape (summary, summary).
        remainder: The part of `covariance` that the members' spread does not explain, shape (summary, summary).
    """

    sigma_total: np.ndarray  # (summary,)
    covariance: np.ndarray  # (summary, summary)
    remainder: np.ndarray  # (summary, summary)


def fit_sigma_total(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """Root-mean-square residual of each summary over single validation runs.

    Args:
        ensemble: The trained emulator.
        validation: Runs of the validation split.

    Returns:
        Widths in physical units, shape (summary,).

    Raises:
        NatalError: If the runs are of another split: training residuals are too small, and the test set is kept for the
            final report.
    """
    return np.sqrt(np.diag(fit_covariance(ensemble, validation)))


def fit_covariance(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """Mean outer product of the residuals of single validation runs.

    Args:
        ensemble: The trained emulator.
        validation: Runs of the validation split.

    Returns:
        Second moments in physical units, shape (summary, summary).

    Raises:
        NatalError: If the runs are of another split.
    """
    if validation.split != "validation":
        raise NatalError(f"sigma_total must come from validation runs, not from {validation.split} runs")
    residuals = validation.y - np.asarray(ensemble(validation.x)[0], dtype=float)
    covariance: np.ndarray = residuals.T @ residuals / len(residuals)
    return covariance


def fit_remainder(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """The residual covariance minus the mean covariance of the members' predictions.

    In some directions members may disagree by more than they err, and the difference would be negative. There it is set
    to a thousandth of the residual variance.

    Args:
        ensemble: The trained emulator.
        validation: Runs of the validation split.

    Returns:
        A positive definite matrix in physical units, shape (summary, summary).

    Raises:
        NatalError: If the runs are of another split.
    """
    residual = fit_covariance(ensemble, validation)
    members = np.asarray(ensemble.at_points(validation.x), dtype=float)
    spread = members - members.mean(1, keepdims=True)
    own = np.einsum("pmi,pmj->ij", spread, spread) / (len(members) * max(1, members.shape[1] - 1))
    # in units of the residuals, where directions can be compared
    root = np.linalg.cholesky(residual)
    share, directions = np.linalg.eigh(np.linalg.solve(root, np.linalg.solve(root, residual - own).T))
    half = root @ directions * np.sqrt(np.maximum(share, 1e-3))
    remainder: np.ndarray = half @ half.T
    return remainder


def fit_widths(ensemble: Ensemble, validation: Runs) -> Widths:
    """All that the Gaussian likelihoods take from validation runs.

    Args:
        ensemble: The trained networks, whose residuals are measured.
        validation: Validation runs.

    Raises:
        NatalError: If the runs are of another split.
    """
    return Widths(
        fit_sigma_total(ensemble, validation), fit_covariance(ensemble, validation), fit_remainder(ensemble, validation)
    )


def sigma_budget(
    widths: Widths, validation: Runs, errors: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, float | None]]:
    """How much of the total width is the simulator's scatter, and how much the emulator's error.

    The emulator's error is measured by itself, because as the difference of two large numbers it would be imprecise.
    Measured clusters add their own errors in quadrature.

    Args:
        widths: As fitted on the same runs.
        validation: Runs that the emulator has not learned from.
        errors: The emulator's error of the mean at their points, by summary
            (`natal.emulator.held_out.error_of_the_mean`).

    Returns:
        By summary, in physical units: `total`; `simulator`, the pooled standard deviation of realizations about
        their point's mean, None if no point has several realizations; and all of `errors`.
    """
    _, point, size = np.unique(validation.point_id, return_inverse=True, return_counts=True)
    freedom = len(validation) - len(size)
    budget: dict[str, dict[str, float | None]] = {}
    for k, name in enumerate(SUMMARIES):
        means = np.bincount(point, validation.y[:, k]) / size
        scatter2 = ((validation.y[:, k] - means[point]) ** 2).sum() / freedom if freedom else np.nan
        simulator = float(np.sqrt(scatter2)) if freedom else None
        budget[name] = {"total": float(widths.sigma_total[k]), "simulator": simulator, **errors[name]}
    return budget


def widths_to_json(widths: Widths) -> dict[str, Any]:
    """The part of `likelihood.json` that holds widths."""
    return {
        "sigma_total": dict(zip(SUMMARIES, widths.sigma_total, strict=True)),
        "residual_covariance": widths.covariance,
        "remainder_covariance": widths.remainder,
    }


def widths_from_json(content: dict[str, Any]) -> Widths:
    """The inverse of `widths_to_json`."""
    sigma_total = np.array([content["sigma_total"][name] for name in SUMMARIES])
    return Widths(sigma_total, *(np.array(content[f"{name}_covariance"]) for name in ("residual", "remainder")))
