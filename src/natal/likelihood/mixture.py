"""The law of one cluster's outcome as a mixture: survival, a count of bound stars, and sizes, which are all the rest.

Every component is normal in the sizes, or their logarithms where `natal.variables` declares that (ln sigma_v, ln r_h),
and given these a latent z is logistic. The bound fraction is the cell that (N + 1) / (1 + exp(-z)) falls into:
k = 0 ... N stars, f_bound = k / N (discretised logistic, Salimans et al. 2017, arXiv:1701.05517). f_bound = 1 is the
cell without an upper end: its pile-up is a probability, not a density. With unequal masses a cell is as wide as the
mass of a mean star.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logit, ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from natal.likelihood.cholesky import cholesky, solve_lower
from natal.variables import SUMMARIES

# exactly one summary is a count
(COUNT,) = (k for k, variable in enumerate(SUMMARIES.values()) if variable.transform == "count")
LATENT = (*(name for k, name in enumerate(SUMMARIES) if k != COUNT), SUMMARIES.names[COUNT])
"""Whose the latent numbers of a law are, in their order: the sizes, then the count."""

IS_LOG = np.array([SUMMARIES[name].transform == "log" for name in LATENT[:-1]])
"""Of which sizes the latent number is the logarithm."""

N_SIZES = len(IS_LOG)

LOGISTIC_VARIANCE = jnp.pi**2 / 3
FAR = 40.0
"""A latent value beyond all others, in place of infinity, whose differences would be nan."""

N_BINS = 24
"""Into so many bins of whole cells the bound fractions that a measurement error leaves possible are cut."""

_ROOTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
NODES = np.stack(np.meshgrid(*[_ROOTS] * N_SIZES), axis=-1).reshape(-1, N_SIZES).astype("float32")
_NODE_WEIGHTS = np.prod(np.meshgrid(*[_WEIGHTS] * N_SIZES), axis=0).ravel() / (2 * np.pi) ** (N_SIZES / 2)
LOG_NODE_WEIGHTS = np.log(_NODE_WEIGHTS).astype("float32")

NEWTON_STEPS = 5
LARGEST_STEP = np.where(IS_LOG, 1.5, np.inf)


class Mixture(eqx.Module):
    """Components weighted by probability; the weights add up to the probability to survive.

    `location` and the lower triangle `cholesky` are of the latent numbers in the order `LATENT`, z of the count last,
    whose diagonal element is the scale of the logistic.
    """

    log_weight: Float[Array, " component"]
    location: Float[Array, "component summary"]
    cholesky: Float[Array, "component summary summary"]
    n_stars: int = eqx.field(static=True)

    def observed(self, error: Float[Array, " summary"] | None = None) -> "Observed":
        """The summaries of a surviving cluster as measured with independent Gaussian errors (`None`: without)."""
        return Observed(self, error)

    def log_dissolved(self) -> Float[Array, ""]:
        """ln of the probability that too few stars stay bound."""
        survive = jnp.minimum(jax.nn.logsumexp(self.log_weight), -1e-6)
        return jnp.log(-jnp.expm1(survive))

    def mean_and_covariance(self) -> tuple[Float[Array, " summary"], Float[Array, "summary summary"]]:
        """Mean and covariance of the latent numbers given survival."""
        weight = jax.nn.softmax(self.log_weight)
        mean = weight @ self.location
        scaled = self.cholesky * jnp.array([*np.ones(N_SIZES), jnp.sqrt(LOGISTIC_VARIANCE)])
        apart = self.location - mean
        within = jnp.einsum("c,cij,ckj->ik", weight, scaled, scaled)
        return mean, within + jnp.einsum("c,ci,cj->ij", weight, apart, apart)

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries, z being the closest value in the cell of the count.

        Measurement errors enter to first order.
        """
        mean, covariance = self.mean_and_covariance()
        share, sizes = y[COUNT], _sizes(y)
        low, high = _cell(self.n_stars * share, self.n_stars * share + 1.0, self.n_stars)
        if error is not None:
            f = jnp.clip(share, 0.5 / self.n_stars, 1 - 0.5 / self.n_stars)
            relative = jnp.append(_sizes(error) / _where_log(sizes, 1.0), error[COUNT] / (f * (1 - f)))
            covariance = covariance + jnp.diag(relative**2)
        apart = _of_log(jnp.log, sizes) - mean[:-1]
        root = cholesky(covariance)
        whitened = solve_lower(root[:-1, :-1], apart)
        z = mean[-1] + root[-1, :-1] @ whitened
        return whitened @ whitened + ((z - jnp.clip(z, low, high)) / root[-1, -1]) ** 2


class Observed(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """The sub-probability of surviving with measured summaries, per unit of each.

    Its integral is the probability to survive. Errors in sizes are integrated over by Gauss-Hermite quadrature around
    the most probable true value, those in the count's share by sums over cells.
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
        n_stars = self.law.n_stars
        terms = jax.vmap(_component_log_prob, in_axes=(0, 0, None, None, None))(
            self.law.location, self.law.cholesky, value, self.error, n_stars
        )
        return jax.nn.logsumexp(self.law.log_weight + terms)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*batch summary"]:
        """Draw summaries of clusters that survive."""
        key_component, key_sizes, key_z, key_error = jax.random.split(key, 4)
        component = jax.random.categorical(key_component, self.law.log_weight, shape=sample_shape)
        normal = jax.random.normal(key_sizes, (*sample_shape, N_SIZES))
        independent = jnp.concatenate([normal, jax.random.logistic(key_z, (*sample_shape, 1))], axis=-1)
        drawn = self.law.location[component] + jnp.einsum("...ij,...j->...i", self.law.cholesky[component], independent)
        n_stars = self.law.n_stars
        sizes = _of_log(jnp.exp, drawn[..., :-1])
        count = jnp.clip(jnp.floor((n_stars + 1) * jax.nn.sigmoid(drawn[..., -1])), 0, n_stars)
        y = jnp.concatenate([sizes[..., :COUNT], count[..., None] / n_stars, sizes[..., COUNT:]], axis=-1)
        if self.error is None:
            return y
        return y + self.error * jax.random.normal(key_error, y.shape)


def _sizes(y: Array) -> Array:
    """All summaries but the count, or their errors."""
    return jnp.delete(y, COUNT, axis=-1)


def _where_log(values: Array, others: Array | float) -> Array:
    """The values of sizes whose logarithm is latent, something else for the others, if there are any."""
    return values if IS_LOG.all() else jnp.where(IS_LOG, values, others)


def _of_log(function: Callable[[Array], Array], values: Array) -> Array:
    """`function`, exponential or logarithm, of the sizes whose logarithm is latent; the others as they are."""
    return _where_log(function(_where_log(values, 1.0)), values)


def _cell(lower_count: Array, upper_count: Array, n_stars: int) -> tuple[Array, Array]:
    """Latent limits of the cells from `lower_count` up to, not including, `upper_count` bound stars."""
    shares = [jnp.clip(count / (n_stars + 1), 1e-6, 1 - 1e-6) for count in (lower_count, upper_count)]
    low = jnp.where(lower_count < 0.5, -FAR, logit(shares[0]))
    high = jnp.where(upper_count > n_stars + 0.5, FAR, logit(shares[1]))
    return low, high


def log_interval(low: Array, high: Array) -> Array:
    """ln of the logistic distribution's probability between `low` and `high`, exact far out in its tails, too."""
    width = jnp.maximum(high - low, 1e-6)
    return jax.nn.log_sigmoid(high) + jax.nn.log_sigmoid(-low) + jnp.log(-jnp.expm1(-width))


def _component_log_prob(location: Array, cholesky: Array, y: Array, error: Array | None, n_stars: int) -> Array:
    """ln p(y) of one component."""
    sizes, factor, row = location[:-1], cholesky[:-1, :-1], cholesky[-1, :-1]
    seen = _sizes(y)
    if error is None:
        latent = _of_log(jnp.log, seen)
        independent = solve_lower(factor, latent - sizes)
        log_sizes = _log_normal(independent, factor) - _log_slope(latent)
        low, high = _cell(n_stars * y[COUNT], n_stars * y[COUNT] + 1.0, n_stars)
        z, scale = location[-1] + row @ independent, cholesky[-1, -1]
        return log_sizes + log_interval((low - z) / scale, (high - z) / scale) + jnp.log(n_stars)

    size_error = _sizes(error)
    # errors may have carried a measurement below zero
    possible = _where_log(seen > 0, True)
    true = jnp.where(possible, _of_log(jnp.log, jnp.where(possible, seen, 1.0)), sizes)
    for _ in range(NEWTON_STEPS):
        independent, _, _ = _measure(sizes, factor, true, seen, size_error)
        # an exponential seen from far below overshoots
        true = jnp.clip(sizes + factor @ independent, true - LARGEST_STEP, true + LARGEST_STEP)
    independent, left, log_sizes = _measure(sizes, factor, true, seen, size_error)
    log_share, nodes = _skew(sizes, factor, independent, left, seen, size_error)
    log_sizes = log_sizes + jax.nn.logsumexp(log_share)
    share = jax.nn.softmax(log_share)
    along = nodes @ row
    z = location[-1] + share @ along
    # the logistic with the variance of what the sizes leave open added
    open_variance = share @ (along - share @ along) ** 2
    scale = jnp.sqrt(cholesky[-1, -1] ** 2 + open_variance / LOGISTIC_VARIANCE)
    low, high, log_kernel = _bins(y[COUNT], error[COUNT], n_stars)
    log_cells = log_interval((low - z) / scale, (high - z) / scale)
    return log_sizes + jax.nn.logsumexp(log_cells + log_kernel)


def _log_normal(whitened: Array, root: Array) -> Array:
    """ln of the normal density with the Cholesky factor `root`, at the place where that leaves `whitened`."""
    return norm.logpdf(whitened).sum() - jnp.log(math.prod(root[k, k] for k in range(N_SIZES)))


def _log_slope(latent: Array) -> Array:
    """ln of the volume that a unit of latent sizes stands for."""
    return _where_log(latent, 0.0).sum()


def _measure(sizes: Array, factor: Array, true: Array, y: Array, error: Array) -> tuple[Array, Array, Array]:
    """Condition on y = size + error, made linear in the latent numbers around `true`.

    Returns the mean and covariance of the independent normal numbers behind the sizes, and the log evidence.
    """
    value = _of_log(jnp.exp, true)
    slope = _where_log(value, 1.0)
    seen = true + (y - value) / slope - sizes
    noise = (error / slope) ** 2
    total = factor @ factor.T + jnp.diag(noise)
    root = cholesky(total)
    whitened = solve_lower(root, seen)
    projected = jnp.stack([solve_lower(root, factor[:, k]) for k in range(N_SIZES)], axis=1)
    mean = projected.T @ whitened
    left = jnp.eye(N_SIZES) - projected.T @ projected
    log_evidence = _log_normal(whitened, root) - _log_slope(true)
    return mean, left, log_evidence


def _skew(
    sizes: Array, factor: Array, mode: Array, left: Array, y: Array, error: Array
) -> tuple[Float[Array, " node"], Float[Array, "node size"]]:
    """Gauss-Hermite nodes of the normal law around the mode, and ln of their weights times true over normal density."""
    # no errors leave nothing open, up to rounding
    root = cholesky(left + 4e-6 * jnp.eye(N_SIZES))
    nodes = mode + NODES @ root.T
    # errors so small that the exponential is straight across them could only add rounding
    small = 1e-3 * _where_log(jnp.abs(y), jnp.sqrt((factor**2).sum(1)))
    sharp = jnp.maximum(error, small)

    def log_density(independent: Array) -> Array:
        prior = -0.5 * (independent**2).sum()
        return prior - 0.5 * (((y - _of_log(jnp.exp, sizes + factor @ independent)) / sharp) ** 2).sum()

    excess = jax.vmap(log_density)(nodes) - log_density(mode) + 0.5 * (NODES**2).sum(1)
    straight = (error < small).all()
    return jnp.where(straight, 0.0, excess) + LOG_NODE_WEIGHTS, nodes


def _bins(share: Array, error: Array, n_stars: int) -> tuple[Array, Array, Array]:
    """Latent limits of bins of cells around a count's measured share and ln of its density given each bin."""
    reach = 0.5 + 5.0 * n_stars * error
    first = jnp.clip(jnp.floor(n_stars * share - reach), 0, n_stars)
    last = jnp.clip(jnp.ceil(n_stars * share + reach), first, n_stars)
    # the pile-up at 1 has a bin of its own
    edges = jnp.append(jnp.round(jnp.linspace(first, last, N_BINS)), n_stars + 1.0)
    lower, upper = edges[:-1], edges[1:]
    empty = upper <= lower
    low, high = _cell(lower, jnp.where(empty, lower + 1, upper), n_stars)
    # fractions spread evenly over the bin, as wide as its cells
    f_low, f_high = (lower - 0.5) / n_stars, (jnp.where(empty, lower + 1, upper) - 0.5) / n_stars
    width = f_high - f_low
    sharp = jnp.maximum(error, 1e-3 / n_stars)
    averaged = (ndtr((f_high - share) / sharp) - ndtr((f_low - share) / sharp)) / width
    # a narrow bin's average in single precision would be a difference of nearly equal numbers
    at_centre = norm.pdf(share, (f_low + f_high) / 2, sharp)
    kernel = jnp.where(width < 0.3 * sharp, at_centre, averaged)
    return low, high, jnp.where(empty, -jnp.inf, jnp.log(jnp.maximum(kernel, 1e-37)))
