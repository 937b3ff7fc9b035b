"""Likelihoods of one observed cluster given (Q0, a), in physical units.

Every likelihood answers `conditional(x)`, the law of one realization's summaries at a point; that law answers
`observed(error)`, a NumPyro distribution of (f_bound, sigma_v_kms, r_h_au) as measured with those errors. NUTS and
the grid use nothing else.

constant        diagonal Gaussian about the emulator, one width everywhere
constant_full   the same with the outputs' covariance
ensemble        the emulator's own covariance at each point, and a constant remainder
heteroscedastic mean and covariance both predicted, one component a network (`natal.density`)
mixture         several components a network: skewed, bounded and discrete as the summaries are
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from natal.dataset import Runs
from natal.density import DENSITY_COMPONENTS, DensityEnsemble
from natal.domain import refuse_outside
from natal.emulator import DTYPE, Ensemble
from natal.errors import NatalError
from natal.mixture import Mixture
from natal.summaries import OUTPUTS
from natal.triangular import cholesky, solve_lower

KINDS = ("constant", "constant_full", "ensemble", *DENSITY_COMPONENTS)


@runtime_checkable
class Conditional(Protocol):
    """The law of one realization's summaries at one (Q0, a)."""

    def observed(self, error: Float[Array, "3"] | None = None) -> dist.Distribution:
        """The same with independent Gaussian measurement errors (standard deviations; `None` is faster than zeros)."""
        ...

    def distance2(self, y: Float[Array, "3"], error: Float[Array, "3"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries from the law's mean."""
        ...


@runtime_checkable
class Likelihood(Protocol):
    """What inference needs of a likelihood model; the ensemble knows the box."""

    ensemble: Ensemble

    def conditional(self, x: Float[Array, "2"]) -> Conditional:
        """The law of the summaries at x = (q0, a_au)."""
        ...


class DiagonalGaussian(eqx.Module):
    """Independent normal outputs."""

    mean: Float[Array, "3"]
    sigma: Float[Array, "3"]

    def observed(self, error: Float[Array, "3"] | None = None) -> dist.Distribution:
        return dist.Normal(self.mean, self._width(error)).to_event(1)

    def distance2(self, y: Float[Array, "3"], error: Float[Array, "3"] | None = None) -> Float[Array, ""]:
        return (((y - self.mean) / self._width(error)) ** 2).sum()

    def _width(self, error: Float[Array, "3"] | None) -> Float[Array, "3"]:
        return self.sigma if error is None else jnp.sqrt(self.sigma**2 + error**2)


class _Normal(dist.MultivariateNormal):
    """Without the batched LAPACK call of NumPyro's own (`natal.triangular`)."""

    def log_prob(self, value: Float[Array, "*batch 3"]) -> Float[Array, "*batch"]:
        whitened = solve_lower(self.scale_tril, value - self.loc)
        log_root = jnp.log(jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1)).sum(-1)
        return norm.logpdf(whitened).sum(-1) - log_root


class FullGaussian(eqx.Module):
    """Correlated normal outputs."""

    mean: Float[Array, "3"]
    covariance: Float[Array, "3 3"]

    def observed(self, error: Float[Array, "3"] | None = None) -> dist.Distribution:
        return _Normal(self.mean, scale_tril=self._triangle(error))

    def distance2(self, y: Float[Array, "3"], error: Float[Array, "3"] | None = None) -> Float[Array, ""]:
        return (solve_lower(self._triangle(error), y - self.mean) ** 2).sum()

    def _triangle(self, error: Float[Array, "3"] | None) -> Float[Array, "3 3"]:
        covariance = self.covariance if error is None else self.covariance + jnp.diag(error**2)
        # outputs differ by four orders of magnitude: the correlations are what single precision can factorise
        width = jnp.sqrt(jnp.diag(covariance))
        return width[:, None] * cholesky(covariance / jnp.outer(width, width))


class ConstantLikelihood(eqx.Module):
    """Diagonal Gaussian about the ensemble mean, of the same width everywhere.

    The width is the root-mean-square residual of single validation runs, so it holds the simulator's scatter
    and the emulator's error together; neither may be added again.
    """

    ensemble: Ensemble
    sigma_total: Float[Array, "3"]

    def conditional(self, x: Float[Array, "2"]) -> DiagonalGaussian:
        return DiagonalGaussian(self.ensemble.mean(x), self.sigma_total)


class FullConstantLikelihood(eqx.Module):
    """Gaussian about the ensemble mean with the covariance of validation residuals, the same everywhere."""

    ensemble: Ensemble
    covariance: Float[Array, "3 3"]

    def conditional(self, x: Float[Array, "2"]) -> FullGaussian:
        return FullGaussian(self.ensemble.mean(x), self.covariance)


class EnsembleLikelihood(eqx.Module):
    """Gaussian whose covariance is that of the members' predictions at the point plus a constant remainder.

    The remainder is what validation residuals hold beyond the members' own mean covariance, so that on average over
    the validation points the two add up to the residual covariance.
    """

    ensemble: Ensemble
    remainder: Float[Array, "3 3"]

    def conditional(self, x: Float[Array, "2"]) -> FullGaussian:
        members = self.ensemble.members(x)
        return FullGaussian(members.mean(0), jnp.cov(members.T) + self.remainder)


class DensityLikelihood(eqx.Module):
    """Everything predicted: survival, location, width, correlation, and with several components the shape."""

    ensemble: Ensemble
    density: DensityEnsemble

    def conditional(self, x: Float[Array, "2"]) -> Mixture:
        refuse_outside(x, self.ensemble.box)
        return self.density(x)


@dataclass(frozen=True)
class Widths:
    """Second moments of validation residuals, in physical units and in the order of `OUTPUTS`."""

    sigma_total: np.ndarray  # (3,)
    covariance: np.ndarray  # (3, 3)
    remainder: np.ndarray  # (3, 3)


def fit_sigma_total(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """Root-mean-square residual of each output over single validation runs, in physical units, shape (3,).

    Raises `NatalError` for runs of another split: training residuals are too small, and the test set is kept for
    the final report.
    """
    return np.sqrt(np.diag(fit_covariance(ensemble, validation)))


def fit_covariance(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """Mean outer product of the residuals of single validation runs, in physical units, shape (3, 3).

    Raises `NatalError` as `fit_sigma_total` does.
    """
    if validation.split != "validation":
        raise NatalError(f"sigma_total must come from validation runs, not from {validation.split} runs")
    residuals = validation.y - np.asarray(ensemble(validation.x)[0], dtype=float)
    return residuals.T @ residuals / len(residuals)


def fit_remainder(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """What the residual covariance holds beyond the mean covariance of the members, shape (3, 3).

    Negative directions (members that disagree more than they err) are set to a thousandth of the residual variance.
    """
    residual = fit_covariance(ensemble, validation)
    members = np.asarray(ensemble.at_points(validation.x), dtype=float)
    spread = members - members.mean(1, keepdims=True)
    own = np.einsum("pmi,pmj->ij", spread, spread) / (len(members) * max(1, members.shape[1] - 1))
    # in units of the residuals, where directions can be compared
    root = np.linalg.cholesky(residual)
    share, directions = np.linalg.eigh(np.linalg.solve(root, np.linalg.solve(root, residual - own).T))
    half = root @ directions * np.sqrt(np.maximum(share, 1e-3))
    return half @ half.T


def fit_widths(ensemble: Ensemble, validation: Runs) -> Widths:
    """All that the Gaussian likelihoods take from validation runs."""
    return Widths(
        fit_sigma_total(ensemble, validation), fit_covariance(ensemble, validation), fit_remainder(ensemble, validation)
    )


def sigma_budget(widths: Widths, validation: Runs) -> dict[str, dict[str, float | None]]:
    """Where the width comes from, by output in physical units: simulator (replicates' scatter), emulator (the rest).

    The simulator's part is the pooled standard deviation of realizations about the mean of their point, None without
    replicates; measured clusters add their own errors in quadrature.
    """
    _, point, size = np.unique(validation.point_id, return_inverse=True, return_counts=True)
    freedom = len(validation) - len(size)
    budget = {}
    for k, name in enumerate(OUTPUTS):
        means = np.bincount(point, validation.y[:, k]) / size
        scatter2 = ((validation.y[:, k] - means[point]) ** 2).sum() / freedom if freedom else np.nan
        total2 = widths.sigma_total[k] ** 2
        budget[name] = {
            "total": float(np.sqrt(total2)),
            "simulator": float(np.sqrt(scatter2)) if freedom else None,
            "emulator": float(np.sqrt(max(total2 - scatter2, 0.0))) if freedom else None,
        }
    return budget


def make_likelihood(
    kind: str, ensemble: Ensemble, widths: Widths, densities: dict[str, DensityEnsemble] | None = None
) -> Likelihood:
    """Build the likelihood named by the config key `likelihood`.

    `densities` holds the trained networks of 'heteroscedastic' and 'mixture', if these are asked for. Raises
    `NatalError` for an unknown name.
    """
    if kind == "constant":
        return ConstantLikelihood(ensemble, jnp.asarray(widths.sigma_total, DTYPE))
    if kind == "constant_full":
        return FullConstantLikelihood(ensemble, jnp.asarray(widths.covariance, DTYPE))
    if kind == "ensemble":
        return EnsembleLikelihood(ensemble, jnp.asarray(widths.remainder, DTYPE))
    if kind in KINDS and densities is not None:
        return DensityLikelihood(ensemble, densities[kind])
    raise NatalError(f"likelihood = {kind!r} is not known; allowed: {', '.join(KINDS)}")


def widths_to_json(widths: Widths) -> dict:
    """As `likelihood.json` holds them."""
    return {
        "sigma_total": dict(zip(OUTPUTS, widths.sigma_total, strict=True)),
        "residual_covariance": widths.covariance,
        "remainder_covariance": widths.remainder,
    }


def widths_from_json(content: dict) -> Widths:
    """The inverse of `widths_to_json`."""
    sigma_total = np.array([content["sigma_total"][name] for name in OUTPUTS])
    return Widths(sigma_total, *(np.array(content[f"{name}_covariance"]) for name in ("residual", "remainder")))
