"""A normal law from several networks: their mean, with the variance of their disagreement and of noise."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize_scalar

from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.gaussian import DiagonalGaussian


class SpreadLikelihood(eqx.Module):
    """Diagonal Gaussian: the members' mean, and their variance plus that of the noise (a standard deviation, physical).

    Members are draws (of dropout masks, of weights), so that their variance is the network's own uncertainty; `noise`
    must hold only what that leaves unexplained.
    """

    ensemble: Ensemble
    noise: Float[Array, " summary"]

    def conditional(self, x: Float[Array, " birth"]) -> DiagonalGaussian:
        members = self.ensemble.members(x)
        return DiagonalGaussian(members.mean(0), jnp.sqrt(members.var(0) + self.noise**2))


def fit_noise(residual: Float[np.ndarray, "run summary"], spread: Float[np.ndarray, "run summary"]) -> np.ndarray:
    """The noise of each output that makes normal residuals of variance spread^2 + noise^2 likeliest, shape (summary,).

    What `spread` (the members' standard deviation at each run) explains is not counted again: without spread the noise
    is the root-mean-square residual. Same units as the residuals.
    """

    def one(residual: np.ndarray, spread: np.ndarray) -> float:
        largest = np.abs(residual).max()

        def cost(log_noise: float) -> float:
            variance = spread**2 + np.exp(2 * log_noise)
            return float((np.log(variance) + residual**2 / variance).mean())

        # the likeliest variance lies below the largest square; a thousandth of it stands for none
        limits = np.log(largest) + np.array([-7.0, 0.0])
        return float(np.exp(minimize_scalar(cost, bounds=tuple(limits), method="bounded", options={"xatol": 1e-6}).x))

    return np.array([one(*columns) for columns in zip(residual.T, spread.T, strict=True)])


def with_noise(ensemble: Ensemble, validation: Runs) -> SpreadLikelihood:
    """Add to the members' spread the noise that single validation runs show beyond it.

    Raises `NatalError` for runs of another split: training residuals are too small, test runs are for the report.
    """
    if validation.split != "validation":
        raise NatalError(f"the noise must come from validation runs, not from {validation.split} runs")
    members = np.asarray(eqx.filter_vmap(ensemble.members)(jnp.asarray(validation.x, DTYPE)), dtype=float)
    noise = fit_noise(validation.y - members.mean(1), members.std(1))
    return SpreadLikelihood(ensemble, jnp.asarray(noise, DTYPE))
