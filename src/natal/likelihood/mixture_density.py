"""The density of measured summaries under mixtures (`natal.likelihood.mixture`), one law or a table of many at once.

A posterior on a grid spends most of its time here. So what a density needs of its law is worked out once and stored
with components along the first axis and any number of laws along the others. Vectors and matrices over the latent
numbers are lists of such arrays. Measurement errors of sizes are integrated over by Gauss-Hermite quadrature around the
most probable true values, those of the bound fraction by sums over cells.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import log_ndtr, logit, ndtr
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from natal.likelihood.cholesky import dot, factor, solve
from natal.variables import SUMMARIES

# exactly one summary is a count
(COUNT,) = (k for k, variable in enumerate(SUMMARIES.values()) if variable.transform == "count")
LATENT = (*(name for k, name in enumerate(SUMMARIES) if k != COUNT), SUMMARIES.names[COUNT])
"""The summaries in the order of the latent numbers of a law: the sizes, then the count."""

SIZES = [k for k in range(len(SUMMARIES)) if k != COUNT]
"""Positions of the sizes among the summaries."""

IS_LOG = [SUMMARIES[name].transform == "log" for name in LATENT[:-1]]
"""For each size whether its latent number is its logarithm."""

N_SIZES = len(SIZES)
LOG_NORMAL = -0.5 * N_SIZES * math.log(2 * math.pi)

FAR = 40.0
"""A latent value beyond all others. It stands for infinity, which would make differences nan."""

FARTHEST = 1e18
"""More standard deviations than any number is away; single precision can still hold its square."""

# Coefficients of (1 + x / 4) exp(x^2 / 2) P(beyond x) as a polynomial in 1 / (1 + x / 4): our own fit of the relative
# error to SciPy's erfcx over all x >= 0. It is faster than JAX's erfcx, which not every version has.
MILLS = np.array(
    [
        *(0.0197823526, -0.0808786819, 0.0955993257, -0.0317194588, 0.0637000617),
        *(0.0589748838, 0.0816031491, 0.0934663524, 0.0997364317, 0.0997355667),
    ],
    "float32",
)

N_BINS = 24
"""Number of bins into which the bound fractions near a measured one are cut; each bin holds whole cells."""

_ROOTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
NODES = np.stack(np.meshgrid(*[_ROOTS] * N_SIZES), axis=-1).reshape(-1, N_SIZES).astype("float32")
_NODE_WEIGHTS = np.prod(np.meshgrid(*[_WEIGHTS] * N_SIZES), axis=0).ravel() / (2 * np.pi) ** (N_SIZES / 2)
LOG_NODE_WEIGHTS = np.log(_NODE_WEIGHTS).astype("float32")

NEWTON_STEPS = 5
LARGEST_STEP = [1.5 if is_log else np.inf for is_log in IS_LOG]

Vector = list[Array]


class Counts(NamedTuple):
    """The numbers of bound stars that a cluster may have, and the cell of each along the latent number z.

    Attributes:
        n_stars: Stars of a cluster at birth.
        fewest: Fewest bound stars of a cluster that survives; 0 if there is no such limit. With unequal masses, the
            fewest stars of mean mass.
    """

    n_stars: int
    fewest: int

    def cell(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Limits in z of the cells from `lower` bound stars up to, but not including, `upper`.

        Args:
            lower: The lowest number of bound stars.
            upper: The number above the highest.

        Examples:
            >>> counts = Counts(n_stars=100, fewest=0)
            >>> low, high = counts.cell(jnp.array(50.0), jnp.array(51.0))  # 50 of 100 stars
            >>> round(float(low), 3), round(float(high), 3)
            (-0.02, 0.02)
        """
        shares = [jnp.clip(count / (self.n_stars + 1), 1e-6, 1 - 1e-6) for count in (lower, upper)]
        low = jnp.where(lower < 0.5, -FAR, logit(shares[0]))
        high = jnp.where(upper > self.n_stars + 0.5, FAR, logit(shares[1]))
        return low, high

    @property
    def lowest(self) -> float:
        """The z below which a cluster has dissolved."""
        return math.log(self.fewest / (self.n_stars + 1 - self.fewest)) if self.fewest else -FAR


TEMPERED_BELOW = 0.65
"""Share of bound stars below which densities are tempered."""


def temperature(share: Array, tempering: float) -> Array:
    """The T by which ln densities are divided: 1 + tempering x (0.65 - share of bound stars), at least 1.

    Networks that learned from finitely many runs are too sure of clusters that kept few of their stars. How large T
    must be was measured with other campaigns (docs/measurements/training_runs.md).

    Args:
        share: Measured share of bound stars; errors may have carried it below 0.
        tempering: 0 for none.

    Examples:
        >>> temperature(jnp.array([0.05, 0.45, 0.9]), 0.5).round(2).tolist()
        [1.2999999523162842, 1.100000023841858, 1.0]
    """
    return 1.0 + tempering * jnp.clip(TEMPERED_BELOW - jnp.maximum(share, 0.0), 0.0)


class DensityTable(eqx.Module):
    """Laws prepared for densities. Arrays have the shape (component, *law).

    Attributes:
        log_height: ln of a component's weight, divided by the determinant of its triangle for the sizes and by the
            share of it that lies above the cut.
        location: Means of the latent numbers.
        root: Rows of the lower triangles.
        inverse: One over the triangles' diagonals.
        counts: The numbers of bound stars that a cluster may have.
        tempering: Of densities (`temperature`); 0 for none.
    """

    log_height: Array
    location: Vector
    root: list[Vector]  # rows of the lower triangle
    inverse: Vector  # of the triangle's diagonal
    counts: Counts = eqx.field(static=True)
    tempering: float = eqx.field(static=True, default=0.0)

    @classmethod
    def of(
        cls,
        log_weight: Float[Array, " component"],
        location: Float[Array, "component summary"],
        cholesky: Float[Array, "component summary summary"],
        counts: Counts,
        tempering: float = 0.0,
    ) -> "DensityTable":
        """A table of one law (arguments: `natal.likelihood.mixture.Mixture`).

        Args:
            log_weight: ln of the components' weights.
            location: Means of the latent numbers.
            cholesky: Lower triangular factors of their covariances.
            counts: Numbers of bound stars that a cluster may have.
            tempering: Of densities.
        """
        root = [[cholesky[:, i, j] for j in range(i + 1)] for i in range(N_SIZES + 1)]
        inverse = [1.0 / row[-1] for row in root]
        log_height = log_weight + jnp.log(math.prod(inverse[:-1]))
        if counts.fewest:
            spread = jnp.sqrt(dot(root[-1], root[-1]))
            log_height = log_height - log_ndtr((location[:, -1] - counts.lowest) / spread)
        return cls(log_height, list(location.T), root, inverse, counts, tempering)

    def log_prob(
        self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None
    ) -> Float[Array, "*law"]:
        """ln of the density to survive with these measured summaries, under each law.

        Args:
            y: Measured summaries, in physical units.
            error: Standard deviations of the measurements; None means no errors.

        Returns:
            ln of densities per physical unit of each summary, divided by `temperature`.
        """
        seen = [y[k] for k in SIZES]
        if error is None:
            found = self._log_prob_exact(seen, self.counts.n_stars * y[COUNT])
        else:
            found = self._log_prob_measured(seen, [error[k] for k in SIZES], y[COUNT], error[COUNT])
        return found / temperature(y[COUNT], self.tempering) if self.tempering else found

    def _log_prob_exact(self, seen: Vector, count: Array) -> Array:
        latent = [jnp.log(value) if is_log else value for value, is_log in zip(seen, IS_LOG, strict=True)]
        independent: Vector = []
        for k, value in enumerate(latent):
            independent.append((value - self.location[k] - dot(self.root[k], independent)) * self.inverse[k])
        z = self.location[-1] + dot(self.root[-1], independent)
        # a count that cannot be is taken as the nearest one that can
        count = jnp.maximum(count, self.counts.fewest)
        low, high = ((limit - z) * self.inverse[-1] for limit in self.counts.cell(count, count + 1.0))
        exponent, probability = between(low, high)
        per_unit = math.log(self.counts.n_stars) - dot(latent, [jnp.float32(is_log) for is_log in IS_LOG])
        exponent = exponent - 0.5 * dot(independent, independent)
        return log_sum(self.log_height + exponent, probability) + LOG_NORMAL + per_unit

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
        # the variance that is left once the sizes are known
        open_variance = (node_share * (along - mean) ** 2).sum(0)
        inverse = 1.0 / jnp.sqrt(self.root[-1][-1] ** 2 + open_variance)
        log_sizes = log_sizes + jax.nn.logsumexp(log_share, axis=0)
        reached, probability = bin_probabilities(self.location[-1] + mean, inverse, share, share_error, self.counts)
        return log_sum(self.log_height + log_sizes + reached, probability)

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
        """Gauss-Hermite nodes of the normal law around the mode, and ln of their weights.

        Each weight holds the ratio of the true density to the normal one.
        """
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


def log_sum(exponent: Array, factor: Array) -> Array:
    """ln of the sum over components (first axis) of factor x exp(exponent).

    Args:
        exponent: Exponents, a component along the first axis.
        factor: Positive factors of the same shape.
    """
    largest = lax.stop_gradient(exponent.max(0))
    # a law that cannot be has no largest term
    largest = jnp.where(jnp.isfinite(largest), largest, 0.0)
    return largest + jnp.log((factor * jnp.exp(exponent - largest)).sum(0))


def between(low: Array, high: Array) -> tuple[Array, Array]:
    """The probability that a standard normal number lies between two limits.

    It is computed from the nearer tail, so that limits far out lose no digits.

    Args:
        low: Lower limits.
        high: Upper limits.

    Returns:
        ln of a first factor, and the second factor: the probability is exp(first) x second.

    Examples:
        >>> exponent, share = between(jnp.array(-1.0), jnp.array(1.0))
        >>> round(float(jnp.exp(exponent) * share), 3)
        0.683
        >>> exponent, share = between(jnp.array(20.0), jnp.array(jnp.inf))
        >>> round(float(exponent + jnp.log(share)), 1)
        -203.9
    """
    mirrored = low + high < 0
    low, high = jnp.where(mirrored, -high, low), jnp.where(mirrored, -low, high)
    near, far = jnp.clip(low, 0.0, FARTHEST), jnp.clip(high, 0.0, FARTHEST)
    inner = jnp.minimum(jnp.abs(low), FARTHEST)
    beyond_low = jnp.where(low < 0, 1.0 - jnp.exp(-0.5 * inner**2) * _mills(inner), _mills(inner))
    beyond_high = jnp.exp(-0.5 * (far - near) * (far + near)) * _mills(far)
    # of a narrow cell the difference would lose digits
    middle, width = 0.5 * (low + high), high - low
    at_middle = jnp.exp(-0.5 * (middle - near) * (middle + near)) * width / math.sqrt(2 * math.pi)
    return -0.5 * near**2, jnp.where(width < 0.01, at_middle, jnp.maximum(beyond_low - beyond_high, 1e-30))


def _mills(x: Array) -> Array:
    """The probability that a standard normal number exceeds x >= 0, over exp(-x^2 / 2); relative error below 5e-7."""
    t = 1.0 / (1.0 + x / 4)
    return t * jnp.polyval(MILLS, t)


def bin_probabilities(z: Array, inverse: Array, share: Array, error: Array, counts: Counts) -> tuple[Array, Array]:
    """The density of a measured share of bound stars, where the latent number z of the count is normal.

    Args:
        z: Means of the latent number.
        inverse: One over its standard deviations.
        share: The measured share.
        error: The standard deviation of the measurement.
        counts: The numbers of bound stars that a cluster may have.

    Returns:
        ln of a first factor, and the second factor: the density is exp(first) x second.
    """
    edges, kernel = _bins(share, error, counts)
    # as a sum over whichever tail is nearer, and over its exponential at the nearest edge, if all are in one
    above = edges[0] > z
    sign = jnp.where(above, inverse, -inverse)
    nearest = jnp.where(above, edges[0] - z, z - edges[-1]) * inverse
    nearest = lax.stop_gradient(jnp.clip(nearest, 0.0, FARTHEST))

    def tail(edge: Array) -> Array:
        """The probability beyond an edge, over that exponential."""
        beyond = (edge - z) * sign
        inner = jnp.minimum(jnp.abs(beyond), FARTHEST)
        small = jnp.exp(-0.5 * (inner - nearest) * (inner + nearest)) * _mills(inner)
        return jnp.where(beyond > 0, small, 1.0 - small)

    def add(carried: tuple[Array, Array], upper: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (total, before), (edge, weight) = carried, upper
        here = tail(edge)
        return (total + weight * jnp.abs(here - before), here), None

    (total, _), _ = lax.scan(add, (jnp.zeros_like(z), tail(edges[0])), (edges[1:], kernel))
    return -0.5 * nearest**2, total


def _bins(share: Array, error: Array, counts: Counts) -> tuple[Float[Array, " edge"], Float[Array, " bin"]]:
    """Edges in z of bins of cells around a measured share, and the density of the measurement given each bin."""
    n_stars, reach = counts.n_stars, 0.5 + 5.0 * counts.n_stars * error
    # bins start and end at cells with a weight: the nearest bin sets the factor that is taken out of all
    first = jnp.clip(jnp.ceil(n_stars * share - reach), counts.fewest, n_stars)
    last = jnp.clip(jnp.floor(n_stars * share + reach), first, n_stars)
    # the last one, such as the pile-up at 1, has a bin of its own
    numbers = jnp.append(jnp.round(jnp.linspace(first, last, N_BINS)), last + 1.0)
    lower, upper = numbers[:-1], numbers[1:]
    empty = upper <= lower
    # fractions spread evenly over the bin, as wide as its cells
    f_low, f_high = (lower - 0.5) / n_stars, (jnp.where(empty, lower + 1, upper) - 0.5) / n_stars
    width = f_high - f_low
    sharp = jnp.maximum(error, 1e-3 / n_stars)
    averaged = (ndtr((f_high - share) / sharp) - ndtr((f_low - share) / sharp)) / width
    # in single precision a narrow bin's average would be a difference of nearly equal numbers
    at_centre = norm.pdf(share, (f_low + f_high) / 2, sharp)
    kernel = jnp.where(width < 0.3 * sharp, at_centre, averaged)
    low, _ = counts.cell(numbers, numbers)
    _, high = counts.cell(numbers[-1], numbers[-1])
    return low.at[-1].set(high), jnp.where(empty, 0.0, jnp.maximum(kernel, 1e-30))
