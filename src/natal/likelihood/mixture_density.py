"""The density of measured summaries under mixtures (`natal.likelihood.mixture`), one law or a table of many at once.

What a density needs of its law is worked out once and laid out with the components along the first axis and any number
of laws along the others: most of the time of a grid goes in here. Vectors and matrices over the latent numbers are
lists of such arrays. Errors in sizes are integrated over by Gauss-Hermite quadrature around the most probable true
value, those in the count's share by sums over cells.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logit, ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from natal.likelihood.cholesky import dot, factor, solve
from natal.variables import SUMMARIES

# exactly one summary is a count
(COUNT,) = (k for k, variable in enumerate(SUMMARIES.values()) if variable.transform == "count")
LATENT = (*(name for k, name in enumerate(SUMMARIES) if k != COUNT), SUMMARIES.names[COUNT])
"""Whose the latent numbers of a law are, in their order: the sizes, then the count."""

SIZES = [k for k in range(len(SUMMARIES)) if k != COUNT]
"""Where the sizes are among the summaries."""

IS_LOG = [SUMMARIES[name].transform == "log" for name in LATENT[:-1]]
"""Of which sizes the latent number is the logarithm."""

N_SIZES = len(SIZES)
LOG_NORMAL = -0.5 * N_SIZES * math.log(2 * math.pi)

LOGISTIC_VARIANCE = math.pi**2 / 3
FAR = 40.0
"""A latent value beyond all others, in place of infinity, whose differences would be nan."""

N_BINS = 24
"""Into so many bins of whole cells the bound fractions that a measurement error leaves possible are cut."""

_ROOTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
NODES = np.stack(np.meshgrid(*[_ROOTS] * N_SIZES), axis=-1).reshape(-1, N_SIZES).astype("float32")
_NODE_WEIGHTS = np.prod(np.meshgrid(*[_WEIGHTS] * N_SIZES), axis=0).ravel() / (2 * np.pi) ** (N_SIZES / 2)
LOG_NODE_WEIGHTS = np.log(_NODE_WEIGHTS).astype("float32")

NEWTON_STEPS = 5
LARGEST_STEP = [1.5 if is_log else np.inf for is_log in IS_LOG]

Vector = list[Array]


class DensityTable(eqx.Module):
    """Laws of `n_stars` stars, ready for densities. Arrays have the shape (component, *law)."""

    log_height: Array
    """ln of a component's weight over the determinant of its factor of sizes"""
    location: Vector
    root: list[Vector]  # rows of the lower triangle
    inverse: Vector  # of the triangle's diagonal
    n_stars: int = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        log_weight: Float[Array, " component"],
        location: Float[Array, "component summary"],
        cholesky: Float[Array, "component summary summary"],
        n_stars: int,
    ) -> "DensityTable":
        """A table of one law."""
        root = [[cholesky[:, i, j] for j in range(i + 1)] for i in range(N_SIZES + 1)]
        inverse = [1.0 / row[-1] for row in root]
        log_height = log_weight + jnp.log(math.prod(inverse[:-1]))
        return cls(log_height, list(location.T), root, inverse, n_stars)

    def log_prob(
        self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None
    ) -> Float[Array, "*law"]:
        """ln of the sub-probability of surviving with the measured summaries `y`, per unit of each, under each law."""
        seen = [y[k] for k in SIZES]
        if error is None:
            return self._log_prob_exact(seen, self.n_stars * y[COUNT])
        return self._log_prob_measured(seen, [error[k] for k in SIZES], y[COUNT], error[COUNT])

    def _log_prob_exact(self, seen: Vector, count: Array) -> Array:
        latent = [jnp.log(value) if is_log else value for value, is_log in zip(seen, IS_LOG, strict=True)]
        independent: Vector = []
        for k, value in enumerate(latent):
            independent.append((value - self.location[k] - dot(self.root[k], independent)) * self.inverse[k])
        z = self.location[-1] + dot(self.root[-1], independent)
        low, high = ((limit - z) * self.inverse[-1] for limit in cell(count, count + 1.0, self.n_stars))
        # P(low < z < high) = s(high) s(-low) (1 - exp(low - high)) with the logistic function s, far out, too
        exponent = jnp.minimum(high, 0.0) + jnp.minimum(-low, 0.0) - 0.5 * dot(independent, independent)
        bend = jnp.tanh(jnp.maximum(high - low, 1e-6) / 2)
        tails = (1.0 + jnp.exp(-jnp.abs(high))) * (1.0 + jnp.exp(-jnp.abs(low)))
        per_unit = math.log(self.n_stars) - dot(latent, [jnp.float32(is_log) for is_log in IS_LOG])
        return _log_sum(self.log_height + exponent, 2.0 * bend / ((1.0 + bend) * tails)) + LOG_NORMAL + per_unit

    def _log_prob_measured(self, seen: Vector, error: Vector, share: Array, share_error: Array) -> Array:
        sizes, row = self.location[:-1], self.root[-1][:-1]
        true: Vector = []
        for k, value in enumerate(seen):
            # errors may have carried a measurement below zero
            first = jnp.log(jnp.where(value > 0, value, 1.0)) if IS_LOG[k] else value
            here = jnp.broadcast_to(first, sizes[k].shape)
            true.append(jnp.where(value > 0, here, sizes[k]) if IS_LOG[k] else here)

        def nearer(_: Array, true: Vector) -> Vector:
            independent = self._condition(true, seen, error)[0]
            places = [sizes[k] + dot(self.root[k], independent) for k in range(N_SIZES)]
            # an exponential seen from far below overshoots
            steps = zip(places, true, LARGEST_STEP, strict=True)
            return [jnp.clip(place, before - far, before + far) for place, before, far in steps]

        true = lax.fori_loop(0, NEWTON_STEPS, nearer, true)
        independent, left, log_sizes = self._condition(true, seen, error)
        log_share, nodes = self._skew(independent, left, seen, error)
        node_share = jax.nn.softmax(log_share, axis=0)
        along = dot(row, nodes)
        mean = (node_share * along).sum(0)
        # the logistic with the variance of what the sizes leave open added
        open_variance = (node_share * (along - mean) ** 2).sum(0)
        inverse = 1.0 / jnp.sqrt(self.root[-1][-1] ** 2 + open_variance / LOGISTIC_VARIANCE)
        log_sizes = log_sizes + jax.nn.logsumexp(log_share, axis=0)
        reached, probability = _bin_probabilities(self.location[-1] + mean, inverse, share, share_error, self.n_stars)
        return _log_sum(self.log_height + log_sizes + reached, probability)

    def _condition(self, true: Vector, seen: Vector, error: Vector) -> tuple[Vector, list[Vector], Array]:
        """Condition on seen = size + error, made linear in the latent numbers around `true`.

        Returns the mean and covariance of the independent normal numbers behind the sizes, and the log evidence
        without what is in `log_height`.
        """
        apart: Vector = []
        noise: Vector = []
        log_slope = jnp.zeros_like(true[0])
        for k, place in enumerate(true):
            value, slope = (jnp.exp(place),) * 2 if IS_LOG[k] else (place, 1.0)
            apart.append(place + (seen[k] - value) / slope - self.location[k])
            noise.append((error[k] / slope) ** 2)
            log_slope = log_slope + place if IS_LOG[k] else log_slope
        total = [[dot(self.root[i], self.root[j]) for j in range(i + 1)] for i in range(N_SIZES)]
        for k, variance in enumerate(noise):
            total[k][k] = total[k][k] + variance
        root = factor(total)
        whitened = solve(root, apart)
        zero = jnp.zeros_like(true[0])
        columns = [solve(root, [self.root[i][k] if i >= k else zero for i in range(N_SIZES)]) for k in range(N_SIZES)]
        mean = [dot(column, whitened) for column in columns]
        left = [[float(i == j) - dot(columns[i], columns[j]) for j in range(i + 1)] for i in range(N_SIZES)]
        # the determinant of the sizes' own factor is in log_height
        wider = math.prod(root[k][k] * self.inverse[k] for k in range(N_SIZES))
        log_evidence = LOG_NORMAL - 0.5 * dot(whitened, whitened) - jnp.log(wider) - log_slope
        return mean, left, log_evidence

    def _skew(
        self, mode: Vector, left: list[Vector], seen: Vector, error: Vector
    ) -> tuple[Float[Array, "node component *law"], list[Float[Array, "node component *law"]]]:
        """Gauss-Hermite nodes of the normal law around the mode, ln of their weights times true over normal density."""
        # no errors leave nothing open, up to rounding
        for k in range(N_SIZES):
            left[k][k] = left[k][k] + 4e-6
        root = factor(left)
        steps = [jnp.asarray(step).reshape(-1, *[1] * mode[0].ndim) for step in NODES.T]
        nodes = [mode[k] + dot(root[k], steps) for k in range(N_SIZES)]
        # errors so small that the exponential is straight across them could only add rounding
        small = [
            1e-3 * (jnp.abs(seen[k]) if IS_LOG[k] else jnp.sqrt(dot(self.root[k][:N_SIZES], self.root[k][:N_SIZES])))
            for k in range(N_SIZES)
        ]

        def log_density(independent: Sequence[Array]) -> Array:
            total = dot(independent, independent)
            for k in range(N_SIZES):
                place = self.location[k] + dot(self.root[k], independent)
                value = jnp.exp(place) if IS_LOG[k] else place
                total = total + ((seen[k] - value) / jnp.maximum(error[k], small[k])) ** 2
            return -0.5 * total

        excess = log_density(nodes) - log_density(mode) + 0.5 * dot(steps, steps)
        straight = math.prod(error[k] < small[k] for k in range(N_SIZES))
        weights = LOG_NODE_WEIGHTS.reshape(-1, *[1] * mode[0].ndim)
        return jnp.where(straight, 0.0, excess) + weights, nodes


def _log_sum(exponent: Array, factor: Array) -> Array:
    """ln of the sum over components of factor x exp(exponent)."""
    largest = lax.stop_gradient(exponent.max(0))
    # a law that cannot be has no largest term
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    return largest + jnp.log((factor * jnp.exp(exponent - largest)).sum(0))


def cell(lower_count: Array, upper_count: Array, n_stars: int) -> tuple[Array, Array]:
    """Latent limits of the cells from `lower_count` up to, not including, `upper_count` bound stars."""
    shares = [jnp.clip(count / (n_stars + 1), 1e-6, 1 - 1e-6) for count in (lower_count, upper_count)]
    low = jnp.where(lower_count < 0.5, -FAR, logit(shares[0]))
    high = jnp.where(upper_count > n_stars + 0.5, FAR, logit(shares[1]))
    return low, high


def _bin_probabilities(z: Array, inverse: Array, share: Array, error: Array, n_stars: int) -> tuple[Array, Array]:
    """The density of a measured share if the latent z of the count is logistic: (ln of a factor, the other factor)."""
    edges, kernel = _bins(share, error, n_stars)
    # as a sum over whichever tail is nearer, and in units of its exponential at the nearest edge, if all are in one
    above = edges[0] > z
    sign = jnp.where(above, inverse, -inverse)
    nearest = lax.stop_gradient(jnp.maximum(jnp.where(above, edges[0] - z, z - edges[-1]) * inverse, 0.0))
    unit = jnp.exp(-nearest)

    def tail(edge: Array) -> Array:
        """The probability beyond an edge, over `unit`."""
        beyond = (edge - z) * sign
        small = jnp.exp(jnp.where(beyond > 0, nearest, 0.0) - jnp.abs(beyond))
        return jnp.where(beyond > 0, small, 1.0) / (1.0 + small * jnp.where(beyond > 0, unit, 1.0))

    def add(carried: tuple[Array, Array], upper: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (total, before), (edge, weight) = carried, upper
        here = tail(edge)
        return (total + weight * jnp.abs(here - before), here), None

    (total, _), _ = lax.scan(add, (jnp.zeros_like(z), tail(edges[0])), (edges[1:], kernel))
    return -nearest, total


def _bins(share: Array, error: Array, n_stars: int) -> tuple[Float[Array, " edge"], Float[Array, " bin"]]:
    """Latent edges of bins of cells around a count's measured share, and the density of that given each bin."""
    reach = 0.5 + 5.0 * n_stars * error
    first = jnp.clip(jnp.floor(n_stars * share - reach), 0, n_stars)
    last = jnp.clip(jnp.ceil(n_stars * share + reach), first, n_stars)
    # the pile-up at 1 has a bin of its own
    counts = jnp.append(jnp.round(jnp.linspace(first, last, N_BINS)), n_stars + 1.0)
    lower, upper = counts[:-1], counts[1:]
    empty = upper <= lower
    # fractions spread evenly over the bin, as wide as its cells
    f_low, f_high = (lower - 0.5) / n_stars, (jnp.where(empty, lower + 1, upper) - 0.5) / n_stars
    width = f_high - f_low
    sharp = jnp.maximum(error, 1e-3 / n_stars)
    averaged = (ndtr((f_high - share) / sharp) - ndtr((f_low - share) / sharp)) / width
    # a narrow bin's average in single precision would be a difference of nearly equal numbers
    at_centre = norm.pdf(share, (f_low + f_high) / 2, sharp)
    kernel = jnp.where(width < 0.3 * sharp, at_centre, averaged)
    low, _ = cell(counts, counts, n_stars)
    _, high = cell(counts[-1], counts[-1], n_stars)
    return low.at[-1].set(high), jnp.where(empty, 0.0, jnp.maximum(kernel, 1e-37))
