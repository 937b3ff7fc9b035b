"""Normal laws of one cluster's summaries."""

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from natal.likelihood.cholesky import cholesky, solve_lower
from natal.likelihood.protocols import PlainLaw


class DiagonalGaussian(PlainLaw):
    """Independent normal summaries.

    Attributes:
        mean: Expected summaries, in physical units.
        sigma: Their standard deviations.
    """

    mean: Float[Array, " summary"]
    sigma: Float[Array, " summary"]

    def observed(self, error: Float[Array, " summary"] | None = None) -> dist.Distribution:
        """The distribution of summaries that are measured with Gaussian errors (see `Conditional`)."""
        return dist.Normal(self.mean, self._width(error)).to_event(1)

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries from the mean.

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        return (((y - self.mean) / self._width(error)) ** 2).sum()

    def log_prob_alone(self, k: int, value: Float[Array, ""]) -> Float[Array, ""]:
        """ln of the density of one summary by itself (see `Conditional`).

        Args:
            k: Place of the summary.
            value: Its value, in its physical unit.
        """
        return norm.logpdf(value, self.mean[k], self.sigma[k])

    def _width(self, error: Float[Array, " summary"] | None) -> Float[Array, " summary"]:
        return self.sigma if error is None else jnp.sqrt(self.sigma**2 + error**2)


class _Normal(dist.MultivariateNormal):  # type: ignore[misc]  # NumPyro has no types
    """A normal distribution that avoids the batched LAPACK call of NumPyro's own (why: `natal.likelihood.cholesky`)."""

    def log_prob(self, value: Float[Array, "*batch summary"]) -> Float[Array, "*batch"]:
        """ln of the density."""
        whitened = solve_lower(self.scale_tril, value - self.loc)
        log_root = jnp.log(jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1)).sum(-1)
        return norm.logpdf(whitened).sum(-1) - log_root


class FullGaussian(PlainLaw):
    """Correlated normal summaries.

    Attributes:
        mean: Expected summaries, in physical units.
        covariance: Their covariance.
    """

    mean: Float[Array, " summary"]
    covariance: Float[Array, "summary summary"]

    def observed(self, error: Float[Array, " summary"] | None = None) -> dist.Distribution:
        """The distribution of summaries that are measured with Gaussian errors (see `Conditional`)."""
        return _Normal(self.mean, scale_tril=self._triangle(error))

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries from the mean.

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        return (solve_lower(self._triangle(error), y - self.mean) ** 2).sum()

    def log_prob_alone(self, k: int, value: Float[Array, ""]) -> Float[Array, ""]:
        """ln of the density of one summary by itself (see `Conditional`).

        Args:
            k: Place of the summary.
            value: Its value, in its physical unit.
        """
        return norm.logpdf(value, self.mean[k], jnp.sqrt(self.covariance[k, k]))

    def _triangle(self, error: Float[Array, " summary"] | None) -> Float[Array, "summary summary"]:
        covariance = self.covariance if error is None else self.covariance + jnp.diag(error**2)
        # summaries differ by four orders of magnitude: single precision can factorise their correlations only
        width = jnp.sqrt(jnp.diag(covariance))
        return width[:, None] * cholesky(covariance / jnp.outer(width, width))
