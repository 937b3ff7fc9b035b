"""Likelihoods of one observed cluster given (Q0, a), in physical units.

Every likelihood answers `conditional(x)`, the law of one realization's summaries at a point; that law answers
`observed(error)`, a NumPyro distribution of (f_bound, sigma_v_kms, r_h_au) as measured with those errors. NUTS and
the grid use nothing else.
"""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from natal.dataset import Runs
from natal.emulator import DTYPE, Ensemble
from natal.errors import NatalError
from natal.summaries import OUTPUTS


@runtime_checkable
class Conditional(Protocol):
    """The law of one realization's summaries at one (Q0, a)."""

    def observed(self, error: Float[Array, "3"]) -> dist.Distribution:
        """The same with independent Gaussian measurement errors (standard deviations, 0 for none)."""
        ...


@runtime_checkable
class Likelihood(Protocol):
    """What inference needs of a likelihood model."""

    ensemble: Ensemble

    def conditional(self, x: Float[Array, "2"]) -> Conditional:
        """The law of the summaries at x = (q0, a_au)."""
        ...


class DiagonalGaussian(eqx.Module):
    """Independent normal outputs."""

    mean: Float[Array, "3"]
    sigma: Float[Array, "3"]

    def observed(self, error: Float[Array, "3"]) -> dist.Distribution:
        return dist.Normal(self.mean, jnp.sqrt(self.sigma**2 + error**2)).to_event(1)


class ConstantLikelihood(eqx.Module):
    """Diagonal Gaussian about the ensemble mean, of the same width everywhere.

    The width is the root-mean-square residual of single validation runs, so it holds the simulator's scatter
    and the emulator's error together; neither may be added again.
    """

    ensemble: Ensemble
    sigma_total: Float[Array, "3"]

    def conditional(self, x: Float[Array, "2"]) -> DiagonalGaussian:
        return DiagonalGaussian(self.ensemble.mean(x), self.sigma_total)


def fit_sigma_total(ensemble: Ensemble, validation: Runs) -> np.ndarray:
    """Root-mean-square residual of each output over single validation runs, in physical units, shape (3,).

    Raises `NatalError` for runs of another split: training residuals are too small, and the test set is kept for
    the final report.
    """
    if validation.split != "validation":
        raise NatalError(f"sigma_total must come from validation runs, not from {validation.split} runs")
    residuals = validation.y - np.asarray(ensemble(validation.x)[0], dtype=float)
    return np.sqrt((residuals**2).mean(0))


def make_likelihood(kind: str, ensemble: Ensemble, parameters: dict) -> Likelihood:
    """Build the likelihood named by the config key `likelihood` from its fitted `parameters`."""
    if kind == "constant":
        sigma_total = np.array([parameters["sigma_total"][name] for name in OUTPUTS])
        return ConstantLikelihood(ensemble, jnp.asarray(sigma_total, DTYPE))
    raise NatalError(f"likelihood = {kind!r} is not known; allowed: constant")
