"""A normal law from several networks: their mean, with the variance of their disagreement and of the noise."""

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
    """Independent normal summaries: the members' mean, and their variance plus that of the noise.

    Members are draws (of dropped neurons, of weights), so that their variance is the network's own uncertainty.

    Attributes:
        ensemble: The members.
        noise: Standard deviation that the members' spread does not explain, in physical units.
    """

    ensemble: Ensemble
    noise: Float[Array, " summary"]

    def conditional(self, x: Float[Array, " birth"]) -> DiagonalGaussian:
        """The law of the summaries at x = (q0, a_au)."""
        members = self.ensemble.members(x)
        return DiagonalGaussian(members.mean(0), jnp.sqrt(members.var(0) + self.noise**2))


def fit_noise(residual: Float[np.ndarray, "run summary"], spread: Float[np.ndarray, "run summary"]) -> np.ndarray:
    """The noise of each summary by maximum likelihood: residuals are normal with variance spread^2 + noise^2.

    What the spread explains is not counted again; without spread the noise is the root-mean-square residual.

    Args:
        residual: Of each run.
        spread: The members' standard deviation at each run, in the same units.

    Returns:
        Standard deviations, shape (summary,).

    Examples:
        >>> residual = np.array([[3.0], [-3.0], [3.0], [-3.0]])
        >>> fit_noise(residual, np.zeros((4, 1))).round(3).tolist()
        [3.0]
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

    Args:
        ensemble: The members.
        validation: Runs of the validation split.

    Raises:
        NatalError: For runs of another split: training residuals are too small, test runs are kept for the report.
    """
    if validation.split != "validation":
        raise NatalError(f"the noise must come from validation runs, not from {validation.split} runs")
    members = np.asarray(eqx.filter_vmap(ensemble.members)(jnp.asarray(validation.x, DTYPE)), dtype=float)
    noise = fit_noise(validation.y - members.mean(1), members.std(1))
    return SpreadLikelihood(ensemble, jnp.asarray(noise, DTYPE))
