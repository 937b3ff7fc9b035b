"""The law of one cluster's outcome as a mixture: survival, number of bound stars, and the other summaries ("sizes").

Every component is normal in latent numbers: one for each size (its logarithm where `natal.variables` declares that: ln
sigma_v, ln r_h), and one, z, for the number of bound stars. A cluster has k bound stars, k = 0 ... N, if
(N + 1) / (1 + exp(-z)) lies between k and k + 1; these ranges of z are called cells, and f_bound = k / N. This is the
discretised logistic of Salimans et al. (2017, arXiv:1701.05517) with another law of z. The cell of f_bound = 1 has no
upper end: that all stars stay bound has a probability, not a density.

A cluster survives if it keeps a fewest number of stars. Components are cut off below the cell of that number. With
stars of unequal masses f_bound is a share of mass; then a cell is as wide as one star of mean mass, and nothing is cut
off.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import log_ndtr, ndtr, ndtri
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from natal.likelihood.cholesky import dot, factor, solve
from natal.likelihood.mixture_density import COUNT, IS_LOG, N_SIZES, SIZES, Counts, DensityTable, between, log_sum
from natal.variables import SUMMARIES


class Mixture(eqx.Module):
    """A mixture of components. Their weights add up to the probability to survive.

    Attributes:
        log_weight: ln of each component's weight.
        location: Means of the latent numbers in the order of `LATENT`, z of the count last; before the cut.
        cholesky: Lower triangles of their covariances; before the cut.
        counts: The numbers of bound stars that a cluster may have.
        tempering: Of densities of all summaries together (`natal.likelihood.mixture_density.temperature`); 0 for none.
            Draws are not tempered.
    """

    log_weight: Float[Array, " component"]
    location: Float[Array, "component summary"]
    cholesky: Float[Array, "component summary summary"]
    counts: Counts = eqx.field(static=True)
    tempering: float = eqx.field(static=True, default=0.0)

    def observed(self, error: Float[Array, " summary"] | None = None) -> "Observed":
        """The distribution of a surviving cluster's summaries, measured with independent Gaussian errors.

        Args:
            error: Standard deviations, in the units of the summaries; None means no errors.
        """
        return Observed(self, error)

    def log_dissolved(self) -> Float[Array, ""]:
        """ln of the probability that too few stars stay bound."""
        survive = jnp.minimum(jax.nn.logsumexp(self.log_weight), -1e-6)
        return jnp.log(-jnp.expm1(survive))

    def log_prob_alone(self, k: int, value: Float[Array, ""]) -> Float[Array, ""]:
        """ln of the sub-probability of surviving with one summary, per unit of it, whatever the others are.

        Of a component, rows and columns of the others are left out; the cut of the count remains.

        Args:
            k: Which summary.
            value: Its value, in its unit.
        """
        spread = jnp.sqrt((self.cholesky**2).sum(-1))
        z, z_spread, counts = self.location[:, -1], spread[:, -1], self.counts
        lowest = (counts.lowest - z) / z_spread
        log_height = self.log_weight - (log_ndtr(-lowest) if counts.fewest else 0.0)
        if k == COUNT:
            stars = jnp.maximum(counts.n_stars * value, counts.fewest)
            exponent, share = between(*((limit - z) / z_spread for limit in counts.cell(stars, stars + 1.0)))
            return log_sum(log_height + exponent, share) + jnp.log(counts.n_stars)
        size = SIZES.index(k)
        latent = jnp.log(value) if IS_LOG[size] else value
        away = (latent - self.location[:, size]) / spread[:, size]
        log_density = log_height + norm.logpdf(away) - jnp.log(spread[:, size])
        if counts.fewest:
            # what the cut leaves of z, given the size
            r = (self.cholesky[:, size] * self.cholesky[:, -1]).sum(-1) / (spread[:, size] * z_spread)
            log_density = log_density + log_ndtr((r * away - lowest) / jnp.sqrt(1 - r**2))
        return jax.nn.logsumexp(log_density) - (latent if IS_LOG[size] else 0.0)

    def tabulated(self) -> DensityTable:
        """What is needed of this law to evaluate densities."""
        return DensityTable.of(self.log_weight, self.location, self.cholesky, self.counts, self.tempering)

    def from_afar(self) -> "LatentNormal":
        """Mean and covariance of the latent numbers given survival."""
        weight = jax.nn.softmax(self.log_weight)
        mean = weight @ self.location
        apart = self.location - mean
        within = jnp.einsum("c,cij,ckj->ik", weight, self.cholesky, self.cholesky)
        covariance = within + jnp.einsum("c,ci,cj->ij", weight, apart, apart)
        return LatentNormal(list(mean), [list(row) for row in covariance], self.counts)

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries (`LatentNormal`).

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        return self.from_afar().distance2(y, error)


class LatentNormal(eqx.Module):
    """The mean and covariance of the latent numbers of one law or of many.

    Attributes:
        mean: One array of shape (*law,) for each latent number.
        covariance: Rows of such arrays.
        counts: The numbers of bound stars that a cluster may have.
    """

    mean: list[Array]
    covariance: list[list[Array]]
    counts: Counts = eqx.field(static=True)

    def distance2(
        self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None
    ) -> Float[Array, "*law"]:
        """Squared Mahalanobis distance of measured summaries from the mean, in latent numbers.

        For z of the count, the nearest value in the cell of the measured count is taken.

        Args:
            y: Measured summaries, in physical units.
            error: Standard deviations of the measurements, which widen the law to first order; None means no errors.
        """
        covariance, share, sizes = [[*row] for row in self.covariance], y[COUNT], _sizes(y)
        n_stars = self.counts.n_stars
        low, high = self.counts.cell(n_stars * share, n_stars * share + 1.0)
        if error is not None:
            f = jnp.clip(share, 0.5 / n_stars, 1 - 0.5 / n_stars)
            relative = jnp.append(_sizes(error) / _where_log(sizes, 1.0), error[COUNT] / (f * (1 - f)))
            for k, value in enumerate(relative):
                covariance[k][k] = covariance[k][k] + value**2
        latent = _of_log(jnp.log, sizes)
        root = factor(covariance)
        whitened = solve(root[:-1], [latent[k] - self.mean[k] for k in range(N_SIZES)])
        z = self.mean[-1] + dot(root[-1], whitened)
        return dot(whitened, whitened) + ((z - jnp.clip(z, low, high)) / root[-1][-1]) ** 2


class Observed(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """The distribution of a surviving cluster's measured summaries, per physical unit of each.

    It integrates to the probability to survive, and not to 1, as long as it is not tempered.
    """

    support = dist.constraints.real_vector
    pytree_data_fields = ("law", "error")

    def __init__(self, law: Mixture, error: Float[Array, " summary"] | None) -> None:
        """The distribution under a mixture; `error` has the measurements' standard deviations, None means no errors."""
        self.law = law
        self.error = error
        super().__init__(event_shape=(len(SUMMARIES),))

    def log_prob(self, value: Float[Array, "*batch summary"]) -> Float[Array, "*batch"]:
        """ln of the density to survive with these measured summaries."""
        if value.ndim > 1:
            return jax.vmap(self.log_prob)(value)
        return self.law.tabulated().log_prob(value, self.error)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*batch summary"]:
        """Draw measured summaries of clusters that survive.

        Args:
            key: For the draws.
            sample_shape: How many, as an array's shape.

        Returns:
            Summaries in physical units.
        """
        key_component, key_normal, key_z, key_error = jax.random.split(key, 4)
        law, counts = self.law, self.law.counts
        component = jax.random.categorical(key_component, law.log_weight, shape=sample_shape)
        cholesky = law.cholesky[component]
        independent = jax.random.normal(key_normal, (*sample_shape, N_SIZES + 1))
        if counts.fewest:
            # draw z from its law above the cut, then all other numbers given z: that moves a draw along z's row
            row = cholesky[..., -1, :]
            spread = jnp.sqrt((row**2).sum(-1))
            lowest = (counts.lowest - law.location[component, -1]) / spread
            u = jax.random.uniform(key_z, sample_shape, minval=2.0**-24)
            # if a component lies below the cut altogether, its draws are put at the cut
            left = jnp.maximum(-ndtri(jnp.maximum(ndtr(-lowest) * u, 1e-37)), lowest)
            moved = left / spread - (row * independent).sum(-1) / spread**2
            independent = independent + row * moved[..., None]
        drawn = law.location[component] + jnp.einsum("...ij,...j->...i", cholesky, independent)
        sizes = _of_log(jnp.exp, drawn[..., :-1])
        # to rounding a draw may lie below the cut
        n_stars = counts.n_stars
        count = jnp.clip(jnp.floor((n_stars + 1) * jax.nn.sigmoid(drawn[..., -1])), counts.fewest, n_stars)
        y = jnp.concatenate([sizes[..., :COUNT], count[..., None] / n_stars, sizes[..., COUNT:]], axis=-1)
        if self.error is None:
            return y
        return y + self.error * jax.random.normal(key_error, y.shape)


def _sizes(y: Array) -> Array:
    """All summaries but the count, or their errors."""
    return y[..., np.array(SIZES)]


def _where_log(values: Array, others: Array | float) -> Array:
    """`values` for sizes whose logarithm is latent, `others` for the rest, if there is any."""
    return values if all(IS_LOG) else jnp.where(np.array(IS_LOG), values, others)


def _of_log(function: Callable[[Array], Array], values: Array) -> Array:
    """`function`, exponential or logarithm, of the sizes whose logarithm is latent; the others as they are."""
    return _where_log(function(_where_log(values, 1.0)), values)
