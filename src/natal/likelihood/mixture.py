"""The law of one cluster's outcome as a mixture: survival, a count of bound stars, and two positive sizes.

Every component is normal in (ln sigma_v, ln r_h), and given these a latent z is logistic. The bound fraction is the
cell that (N + 1) / (1 + exp(-z)) falls into: k = 0 ... N stars, f_bound = k / N (discretised logistic, Salimans et al.
2017, arXiv:1701.05517). f_bound = 1 is the cell without an upper end: its pile-up is a probability, not a density.
With unequal masses a cell is as wide as the mass of a mean star.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import logit, ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

from natal.likelihood.cholesky import cholesky, solve_lower

LOGISTIC_VARIANCE = jnp.pi**2 / 3
FAR = 40.0
"""A latent value beyond all others, in place of infinity, whose differences would be nan."""

N_BINS = 24
"""Into so many bins of whole cells the bound fractions that a measurement error leaves possible are cut."""

_ROOTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
NODES = np.stack(np.meshgrid(_ROOTS, _ROOTS), axis=-1).reshape(-1, 2).astype("float32")
LOG_NODE_WEIGHTS = np.log(np.outer(_WEIGHTS, _WEIGHTS).ravel() / (2 * np.pi)).astype("float32")

NEWTON_STEPS = 5
LARGEST_STEP = 1.5


class Mixture(eqx.Module):
    """Components weighted by probability; the weights add up to the probability to survive.

    `location` and the lower triangle `cholesky` are of (ln sigma_v_kms, ln r_h_au, z), the third diagonal element being
    the scale of the logistic.
    """

    log_weight: Float[Array, " component"]
    location: Float[Array, "component 3"]
    cholesky: Float[Array, "component 3 3"]
    n_stars: int = eqx.field(static=True)

    def observed(self, error: Float[Array, "3"] | None = None) -> "Observed":
        """The summaries of a surviving cluster as measured with independent Gaussian errors (`None`: without)."""
        return Observed(self, error)

    def mean_and_covariance(self) -> tuple[Float[Array, "3"], Float[Array, "3 3"]]:
        """Mean and covariance of (ln sigma_v, ln r_h, z) given survival."""
        weight = jax.nn.softmax(self.log_weight)
        mean = weight @ self.location
        scaled = self.cholesky * jnp.array([1.0, 1.0, jnp.sqrt(LOGISTIC_VARIANCE)])
        apart = self.location - mean
        within = jnp.einsum("c,cij,ckj->ik", weight, scaled, scaled)
        return mean, within + jnp.einsum("c,ci,cj->ij", weight, apart, apart)

    def distance2(self, y: Float[Array, "3"], error: Float[Array, "3"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries, z being the closest value in the cell of f_bound.

        Measurement errors enter to first order.
        """
        mean, covariance = self.mean_and_covariance()
        low, high = _cell(self.n_stars * y[0], self.n_stars * y[0] + 1.0, self.n_stars)
        if error is not None:
            f = jnp.clip(y[0], 0.5 / self.n_stars, 1 - 0.5 / self.n_stars)
            relative = jnp.stack([error[1] / y[1], error[2] / y[2], error[0] / (f * (1 - f))])
            covariance = covariance + jnp.diag(relative**2)
        apart = jnp.log(y[1:]) - mean[:2]
        root = cholesky(covariance)
        whitened = solve_lower(root[:2, :2], apart)
        z = mean[2] + root[2, :2] @ whitened
        return whitened @ whitened + ((z - jnp.clip(z, low, high)) / root[2, 2]) ** 2


class Observed(dist.Distribution):  # type: ignore[misc]  # NumPyro has no types
    """The sub-probability of surviving with measured (f_bound, sigma_v_kms, r_h_au), per unit of each.

    Its integral is the probability to survive. Errors in sigma_v and r_h are integrated over by Gauss-Hermite
    quadrature around the most probable true value, those in f_bound by sums over cells.
    """

    support = dist.constraints.real_vector
    pytree_data_fields = ("law", "error")

    def __init__(self, law: Mixture, error: Float[Array, "3"] | None) -> None:
        self.law = law
        self.error = error
        super().__init__(event_shape=(3,))

    def log_prob(self, value: Float[Array, "*batch 3"]) -> Float[Array, "*batch"]:
        if value.ndim > 1:
            return jax.vmap(self.log_prob)(value)
        n_stars = self.law.n_stars
        terms = jax.vmap(_component_log_prob, in_axes=(0, 0, None, None, None))(
            self.law.location, self.law.cholesky, value, self.error, n_stars
        )
        return jax.nn.logsumexp(self.law.log_weight + terms)

    def sample(self, key: PRNGKeyArray, sample_shape: tuple[int, ...] = ()) -> Float[Array, "*batch 3"]:
        """Draw summaries of clusters that survive."""
        key_component, key_sizes, key_z, key_error = jax.random.split(key, 4)
        component = jax.random.categorical(key_component, self.law.log_weight, shape=sample_shape)
        normal = jax.random.normal(key_sizes, (*sample_shape, 2))
        independent = jnp.concatenate([normal, jax.random.logistic(key_z, (*sample_shape, 1))], axis=-1)
        drawn = self.law.location[component] + jnp.einsum("...ij,...j->...i", self.law.cholesky[component], independent)
        n_stars = self.law.n_stars
        count = jnp.clip(jnp.floor((n_stars + 1) * jax.nn.sigmoid(drawn[..., 2])), 0, n_stars)
        y = jnp.concatenate([count[..., None] / n_stars, jnp.exp(drawn[..., :2])], axis=-1)
        if self.error is None:
            return y
        return y + self.error * jax.random.normal(key_error, y.shape)


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
    sizes, factor, row = location[:2], cholesky[:2, :2], cholesky[2, :2]
    if error is None:
        log_y = jnp.log(y[1:])
        independent = solve_lower(factor, log_y - sizes)
        log_sizes = norm.logpdf(independent).sum() - jnp.log(factor[0, 0] * factor[1, 1]) - log_y.sum()
        low, high = _cell(n_stars * y[0], n_stars * y[0] + 1.0, n_stars)
        z, scale = location[2] + row @ independent, cholesky[2, 2]
        return log_sizes + log_interval((low - z) / scale, (high - z) / scale) + jnp.log(n_stars)

    # errors may have carried a measurement below zero
    true = jnp.where(y[1:] > 0, jnp.log(jnp.where(y[1:] > 0, y[1:], 1.0)), sizes)
    for _ in range(NEWTON_STEPS):
        independent, _, _ = _measure(sizes, factor, true, y[1:], error[1:])
        # an exponential seen from far below overshoots
        true = jnp.clip(sizes + factor @ independent, true - LARGEST_STEP, true + LARGEST_STEP)
    independent, left, log_sizes = _measure(sizes, factor, true, y[1:], error[1:])
    log_share, nodes = _skew(sizes, factor, independent, left, y[1:], error[1:])
    log_sizes = log_sizes + jax.nn.logsumexp(log_share)
    share = jax.nn.softmax(log_share)
    along = nodes @ row
    z = location[2] + share @ along
    # the logistic with the variance of what the sizes leave open added
    open_variance = share @ (along - share @ along) ** 2
    scale = jnp.sqrt(cholesky[2, 2] ** 2 + open_variance / LOGISTIC_VARIANCE)
    low, high, log_kernel = _bins(y[0], error[0], n_stars)
    log_cells = log_interval((low - z) / scale, (high - z) / scale)
    return log_sizes + jax.nn.logsumexp(log_cells + log_kernel)


def _measure(sizes: Array, factor: Array, true: Array, y: Array, error: Array) -> tuple[Array, Array, Array]:
    """Condition on y = exp(ln size) + error, made linear around `true`.

    Returns the mean and covariance of the independent normal numbers behind the sizes, and the log evidence.
    """
    slope = jnp.exp(true)
    seen = true + (y - slope) / slope - sizes
    noise = (error / slope) ** 2
    total = factor @ factor.T + jnp.diag(noise)
    root = cholesky(total)
    whitened = solve_lower(root, seen)
    projected = jnp.stack([solve_lower(root, factor[:, k]) for k in range(2)], axis=1)
    mean = projected.T @ whitened
    left = jnp.eye(2) - projected.T @ projected
    log_evidence = norm.logpdf(whitened).sum() - jnp.log(root[0, 0] * root[1, 1]) - true.sum()
    return mean, left, log_evidence


def _skew(
    sizes: Array, factor: Array, mode: Array, left: Array, y: Array, error: Array
) -> tuple[Float[Array, " node"], Float[Array, "node 2"]]:
    """Gauss-Hermite nodes of the normal law around the mode, and ln of their weights times true over normal density."""
    # no errors leave nothing open, up to rounding
    root = cholesky(left + 4e-6 * jnp.eye(2))
    nodes = mode + NODES @ root.T
    # errors so small that the exponential is straight across them could only add rounding
    sharp = jnp.maximum(error, 1e-3 * jnp.abs(y))

    def log_density(independent: Array) -> Array:
        return -0.5 * (independent**2).sum() - 0.5 * (((y - jnp.exp(sizes + factor @ independent)) / sharp) ** 2).sum()

    excess = jax.vmap(log_density)(nodes) - log_density(mode) + 0.5 * (NODES**2).sum(1)
    straight = (error < 1e-3 * jnp.abs(y)).all()
    return jnp.where(straight, 0.0, excess) + LOG_NODE_WEIGHTS, nodes


def _bins(f_bound: Array, error: Array, n_stars: int) -> tuple[Array, Array, Array]:
    """Latent limits of bins of cells around a measured bound fraction and ln of its density given each bin."""
    reach = 0.5 + 5.0 * n_stars * error
    first = jnp.clip(jnp.floor(n_stars * f_bound - reach), 0, n_stars)
    last = jnp.clip(jnp.ceil(n_stars * f_bound + reach), first, n_stars)
    # the pile-up at f_bound = 1 has a bin of its own
    edges = jnp.append(jnp.round(jnp.linspace(first, last, N_BINS)), n_stars + 1.0)
    lower, upper = edges[:-1], edges[1:]
    empty = upper <= lower
    low, high = _cell(lower, jnp.where(empty, lower + 1, upper), n_stars)
    # fractions spread evenly over the bin, as wide as its cells
    f_low, f_high = (lower - 0.5) / n_stars, (jnp.where(empty, lower + 1, upper) - 0.5) / n_stars
    width = f_high - f_low
    sharp = jnp.maximum(error, 1e-3 / n_stars)
    averaged = (ndtr((f_high - f_bound) / sharp) - ndtr((f_low - f_bound) / sharp)) / width
    # a narrow bin's average in single precision would be a difference of nearly equal numbers
    at_centre = norm.pdf(f_bound, (f_low + f_high) / 2, sharp)
    kernel = jnp.where(width < 0.3 * sharp, at_centre, averaged)
    return low, high, jnp.where(empty, -jnp.inf, jnp.log(jnp.maximum(kernel, 1e-37)))
