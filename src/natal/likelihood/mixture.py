"""The law of one cluster's outcome as a mixture: survival, a count of bound stars, and sizes, which are all the rest.

Every component is normal in latent numbers: the sizes, or their logarithms where `natal.variables` declares that
(ln sigma_v, ln r_h), and z of the count. The bound fraction is the cell that (N + 1) / (1 + exp(-z)) falls into:
k = 0 ... N stars, f_bound = k / N (as the discretised logistic of Salimans et al. 2017, arXiv:1701.05517, with another
law of z). f_bound = 1 is the cell without an upper end: its pile-up is a probability, not a density. A cluster that
survives has a fewest number of stars: below it components are cut off. With unequal masses a cell is as wide as the
mass of a mean star, and nothing is cut off.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, PRNGKeyArray

from natal.likelihood.cholesky import dot, factor, solve
from natal.likelihood.mixture_density import COUNT, IS_LOG, N_SIZES, SIZES, Counts, DensityTable
from natal.variables import SUMMARIES


class Mixture(eqx.Module):
    """Components weighted by probability; the weights add up to the probability to survive.

    `location` and the lower triangle `cholesky` are of the latent numbers in the order `LATENT`, z of the count last,
    before components are cut off.
    """

    log_weight: Float[Array, " component"]
    location: Float[Array, "component summary"]
    cholesky: Float[Array, "component summary summary"]
    counts: Counts = eqx.field(static=True)

    def observed(self, error: Float[Array, " summary"] | None = None) -> "Observed":
        """The summaries of a surviving cluster as measured with independent Gaussian errors (`None`: without)."""
        return Observed(self, error)

    def log_dissolved(self) -> Float[Array, ""]:
        """ln of the probability that too few stars stay bound."""
        survive = jnp.minimum(jax.nn.logsumexp(self.log_weight), -1e-6)
        return jnp.log(-jnp.expm1(survive))

    def tabulated(self) -> DensityTable:
        """What densities need of this law."""
        return DensityTable.of(self.log_weight, self.location, self.cholesky, self.counts)

    def from_afar(self) -> "LatentNormal":
        """Mean and covariance of the latent numbers given survival."""
        weight = jax.nn.softmax(self.log_weight)
        mean = weight @ self.location
        apart = self.location - mean
        within = jnp.einsum("c,cij,ckj->ik", weight, self.cholesky, self.cholesky)
        covariance = within + jnp.einsum("c,ci,cj->ij", weight, apart, apart)
        return LatentNormal(list(mean), [list(row) for row in covariance], self.counts)

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries (`LatentNormal`)."""
        return self.from_afar().distance2(y, error)


class LatentNormal(eqx.Module):
    """The mean and covariance of one law's latent numbers, or of many: elements have the shape (*law,)."""

    mean: list[Array]
    covariance: list[list[Array]]
    counts: Counts = eqx.field(static=True)

    def distance2(
        self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None
    ) -> Float[Array, "*law"]:
        """Squared Mahalanobis distance of measured summaries, z being the closest value in the cell of the count.

        Measurement errors enter to first order.
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
    """The sub-probability of surviving with measured summaries, per unit of each.

    Its integral is the probability to survive.
    """

    support = dist.constraints.real_vector
    pytree_data_fields = ("law", "error")

    def __init__(self, law: Mixture, error: Float[Array, " summary"] | None) -> None:
        self.law = law
        self.error = error
        super().__init__(event_shape=(len(SUMMARIES),))

    def log_prob(self, value: Float[Array, "*batch summary"]) -> Float[Array, "*batch"]:
        if value.ndim > 1:
            return jax.vmap(self.log_prob)(value)
        return self.law.tabulated().log_prob(value, self.error)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*batch summary"]:
        """Draw summaries of clusters that survive."""
        key_component, key_normal, key_z, key_error = jax.random.split(key, 4)
        law, counts = self.law, self.law.counts
        component = jax.random.categorical(key_component, law.log_weight, shape=sample_shape)
        cholesky = law.cholesky[component]
        independent = jax.random.normal(key_normal, (*sample_shape, N_SIZES + 1))
        if counts.fewest:
            # z from what is left of its law, all else given z (the condition moves a draw along z's row)
            row = cholesky[..., -1, :]
            spread = jnp.sqrt((row**2).sum(-1))
            lowest = (counts.lowest - law.location[component, -1]) / spread
            u = jax.random.uniform(key_z, sample_shape, minval=2.0**-24)
            # of a component that is all below, what is left lies at the cut
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
    """The values of sizes whose logarithm is latent, something else for the others, if there are any."""
    return values if all(IS_LOG) else jnp.where(np.array(IS_LOG), values, others)


def _of_log(function: Callable[[Array], Array], values: Array) -> Array:
    """`function`, exponential or logarithm, of the sizes whose logarithm is latent; the others as they are."""
    return _where_log(function(_where_log(values, 1.0)), values)
