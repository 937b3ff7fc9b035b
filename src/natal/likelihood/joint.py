"""The joint law of all summaries and observables of one cluster, and the density of any subset of them.

Latent numbers are jointly normal in each component: the logarithm or value of each size, in units of the cluster's own
scale radius a and speed sqrt(G M / a), and last the logit of the number of bound stars, as in `mixture_density`. What
was not observed is integrated out: of normal numbers rows are dropped, counts are summed. A dissolved cluster is one
with a count below the fewest that a surviving one has; it has no sizes of bound stars.

Measurement errors are normal in physical units. Where they differ, each side has its own, and from one to the other
they change linearly, as the Particle Data Group takes asymmetric errors. They are integrated over by Laplace's method
around each component's most probable true values. A limit is a probability: exact for one, of several the later ones
given the moments of what the earlier ones leave (Mendell & Elston 1974).
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from natal.likelihood.cholesky import dot, factor, solve
from natal.likelihood.mixture_density import FARTHEST, Counts, Vector, between, bin_probabilities, log_sum
from natal.observables.declared import MEASURABLE
from natal.units import G_AU3_PER_MSUN_YR2, KMS_PER_AU_YR
from natal.variables import BIRTH, SUMMARIES, Function

NEWTON_STEPS = 2
LARGEST_STEP = 1.5
"""Of a logarithm: an exponential seen from far below overshoots."""

LEAST_CURVATURE = 0.1
"""Of a measured number's log density, in units of the linear one's: below, Laplace's method has no meaning."""

LEAST_SIDE = 0.05
"""Smallest error to one side over that to the other."""

(COUNT,) = (name for name, variable in MEASURABLE.items() if variable.transform == "count")


class Latents(NamedTuple):
    """Which numbers a law is of, in this order: sizes of all stars, sizes of bound stars, the count."""

    of_all: tuple[str, ...]
    of_bound: tuple[str, ...]
    counts: Counts

    @property
    def sizes(self) -> tuple[str, ...]:
        return self.of_all + self.of_bound

    @property
    def n(self) -> int:
        return len(self.sizes) + 1

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.sizes, COUNT)


def latents_of(observables: tuple[str, ...], counts: Counts) -> Latents:
    """The latent numbers of a campaign that has these observables."""
    return Latents(observables, tuple(name for name in SUMMARIES if name != COUNT), counts)


def log_tau(age_yr: Any, mass_msun: Any, a_au: Any, *, log: Function = np.log) -> Any:
    """ln of t sqrt(G M / a^3); `log` is that of the array library in use."""
    return log(age_yr) + 0.5 * log(G_AU3_PER_MSUN_YR2 * mass_msun) - 1.5 * log(a_au)


def speed_kms(mass_msun: Any, a_au: Any) -> Any:
    """sqrt(G M / a), of arrays of any library."""
    return KMS_PER_AU_YR * (G_AU3_PER_MSUN_YR2 * mass_msun / a_au) ** 0.5


class Scale(NamedTuple):
    """A cluster's own units: its scale radius (AU) and sqrt(G M / a) (km/s)."""

    a_au: Array
    speed_kms: Array

    @classmethod
    def of(cls, a_au: Array, mass_msun: Array) -> "Scale":
        """Of clusters of these sizes and masses."""
        return cls(a_au, speed_kms(mass_msun, a_au))

    def unit(self, name: str) -> Array | float:
        """The unit of a variable."""
        return {BIRTH["a_au"].unit: self.a_au, "km/s": self.speed_kms}.get(MEASURABLE[name].unit, 1.0)


class Pattern(NamedTuple):
    """What is known of a cluster: static, one compiled program each."""

    measured: tuple[str, ...] = ()  # sizes with a value
    limited: tuple[str, ...] = ()  # sizes with limits only
    counted: str = ""  # "exact", "measured", "limited" or empty: what is known of the share of bound stars
    exact: bool = False  # no measured size has an error


class Measured(NamedTuple):
    """The numbers of a pattern, in physical units."""

    value: Float[Array, " measured"]
    error_low: Float[Array, " measured"]
    error_high: Float[Array, " measured"]
    lower: Float[Array, " limited"]  # -inf: none
    upper: Float[Array, " limited"]
    share: Float[Array, ""]  # of the count; as limited, its lower limit
    share_error: Float[Array, ""]  # as limited, its upper limit


class JointLaw(eqx.Module):
    """A mixture over the latent numbers. Arrays have the shape (component, ..., *law)."""

    log_weight: Float[Array, " component *law"]
    location: Float[Array, "component latent *law"]
    covariance: Float[Array, "component pair *law"]  # of latent numbers i >= j, row by row
    latents: Latents = eqx.field(static=True)

    def between_numbers(self, i: int, j: int) -> Float[Array, " component *law"]:
        """The covariance of two latent numbers."""
        i, j = max(i, j), min(i, j)
        return self.covariance[:, i * (i + 1) // 2 + j]

    def reduced(self, names: tuple[str, ...]) -> "JointLaw":
        """The law of these latent numbers and the count alone, rows of all others dropped."""
        kept = np.array([self.latents.names.index(name) for name in (*names, COUNT)])
        # names are in the law's order
        pairs = np.array([i * (i + 1) // 2 + j for i in kept for j in kept if j <= i])
        of_all, of_bound = (tuple(n for n in names if n in part) for part in self.latents[:2])
        latents = Latents(of_all, of_bound, self.latents.counts)
        assert latents.sizes == names
        return JointLaw(self.log_weight, self.location[:, kept], self.covariance[:, pairs], latents)

    def log_prob(self, seen: Measured, pattern: Pattern, scale: Scale) -> Float[Array, " *law"]:
        """ln of the density of what was measured, per unit of each, times the probability of what limits say.

        Args:
            seen: The numbers.
            pattern: Which ones.
            scale: Units of the clusters of each law, shape (*law,).
        """
        names = self.latents.names
        units = [scale.unit(name) for name in names]
        is_log = [MEASURABLE[name].transform != "none" for name in names]
        shift = [jnp.log(unit) if log else 0.0 for unit, log in zip(units, is_log, strict=True)]
        factors = [1.0 if log else unit for unit, log in zip(units, is_log, strict=True)]
        shift[-1] = 0.0
        place = {name: k for k, name in enumerate(names)}

        def mean(name: str) -> Array:
            k = place[name]
            return self.location[:, k] * factors[k] + shift[k]

        def cov(one: str, other: str) -> Array:
            i, j = place[one], place[other]
            return self.between_numbers(i, j) * (factors[i] * factors[j])

        others = [*pattern.limited, COUNT]
        means, left = [mean(name) for name in others], [[cov(i, j) for j in others] for i in others]
        exponent = self.log_weight
        if pattern.measured:
            given = list(pattern.measured)
            logs = [is_log[place[name]] for name in given]
            covariance = [[cov(i, j) for j in given] for i in given]
            log_density, weights, root = _condition(
                [mean(name) for name in given], covariance, logs, seen, pattern.exact
            )
            exponent = exponent + log_density
            across = [[cov(i, j) for j in given] for i in others]
            means = [m + dot(row, weights) for m, row in zip(means, across, strict=True)]
            columns = [solve(root, row) for row in across]
            left = [[left[i][j] - dot(columns[i], columns[j]) for j in range(len(others))] for i in range(len(others))]
        for k, name in enumerate(pattern.limited):
            # finite, as gradients want them
            limits = [jnp.clip(limit, -FARTHEST, FARTHEST) for limit in (seen.lower[k], seen.upper[k])]
            if is_log[place[name]]:
                limits = [jnp.log(jnp.maximum(limit, 1 / FARTHEST)) for limit in limits]
            log_share, means, left = _truncate(k, limits, means, left)
            exponent = exponent + log_share
        z, inverse = means[-1], 1.0 / jnp.sqrt(jnp.maximum(left[-1][-1], 1e-12))
        of_bound = any(name in self.latents.of_bound for name in (*pattern.measured, *pattern.limited))
        power, share = self._count(z, inverse, seen, pattern.counted, of_bound)
        return log_sum(exponent + power, share)

    def _count(self, z: Array, inverse: Array, seen: Measured, known: str, survives: bool) -> tuple[Array, Array]:
        """The probability of what is known of the count: (ln of a factor, the other factor)."""
        counts = self.latents.counts
        if known == "measured":
            return bin_probabilities(z, inverse, seen.share, seen.share_error, counts)
        if known == "exact":
            count = jnp.maximum(counts.n_stars * seen.share, counts.fewest)
            low, high = ((limit - z) * inverse for limit in counts.cell(count, count + 1.0))
            power, share = between(low, high)
            return power + math.log(counts.n_stars), share
        first, last = (jnp.array(float(n)) for n in (counts.fewest if survives or known else 0, counts.n_stars))
        if known == "limited":
            first = jnp.maximum(first, jnp.ceil(counts.n_stars * seen.share))
            last = jnp.maximum(first, jnp.floor(counts.n_stars * seen.share_error))
        elif not (survives and counts.fewest):
            return jnp.zeros_like(z), jnp.ones_like(z)
        low, high = ((limit - z) * inverse for limit in counts.cell(first, last + 1.0))
        return between(low, high)


def _condition(
    mean: Vector, covariance: list[Vector], is_log: list[bool], seen: Measured, exact: bool
) -> tuple[Array, Vector, list[Vector]]:
    """Condition latent numbers on their measured values.

    Returns ln of the density of these, the weights (covariance + noise)^-1 (seen - mean) by which numbers that
    correlate with them move, and the factor of covariance + noise.
    """
    n = len(mean)
    # errors to either side, neither without a width beside the other
    sides = jnp.stack([seen.error_low, seen.error_high])
    low, high = jnp.maximum(sides, LEAST_SIDE * sides.max(0))
    total = jnp.where(low + high > 0, low + high, 1.0)
    width = 2.0 * low * high / total
    skew = jnp.where(width > 0, (high - low) / (total * jnp.where(width > 0, width, 1.0)), 0.0)
    log_shape = jnp.log(jnp.where(width > 0, width, 1.0) / jnp.where(width > 0, 0.5 * total, 1.0))

    def linear(k: int, place: Array) -> tuple[Array, Array, Array, Array]:
        """Of a measured number made linear here: how far from the mean, variance of its noise, ln of that variance's
        root over the error, curvature of its log density over that of the linear one."""
        value = jnp.exp(place) if is_log[k] else place
        slope = value if is_log[k] else jnp.ones_like(place)
        off = value - seen.value[k]
        between = (off > -low[k]) & (off < high[k])
        ratio = 1.0 + skew[k] * jnp.clip(off, -low[k], high[k])
        changing = jnp.where(between, ratio, 1.0)
        curved = jnp.where(between, 1.0 - 2.0 * skew[k] * off, 1.0) + (off * changing / value if is_log[k] else 0.0)
        noise = (width[k] * ratio * changing / slope) ** 2
        log_width = log_shape[k] + jnp.log(ratio * changing) - jnp.log(slope)
        return place - off * changing / slope - mean[k], noise, log_width, jnp.maximum(curved, LEAST_CURVATURE)

    def noisy(noise: Vector) -> list[Vector]:
        matrix = [row[:] for row in covariance]
        for k in range(n):
            matrix[k][k] = matrix[k][k] + noise[k]
        return factor(matrix)

    def weigh(true: Vector) -> tuple[Vector, Array]:
        apart, noise, *_ = zip(*(linear(k, place) for k, place in enumerate(true)), strict=True)
        root = noisy(list(noise))
        whitened = solve(root, apart)
        return _solve_transposed(root, whitened), dot(whitened, whitened)

    def nearer(_: Array, true: Vector) -> Vector:
        weights, _ = weigh(true)
        places = [mean[k] + dot(covariance[k], weights) for k in range(n)]
        reach = [LARGEST_STEP if log else jnp.inf for log in is_log]
        return [jnp.clip(p, t - far, t + far) for p, t, far in zip(places, true, reach, strict=True)]

    first = [jnp.log(seen.value[k]) if is_log[k] else seen.value[k] for k in range(n)]
    true = [jnp.broadcast_to(value, mean[k].shape) for k, value in enumerate(first)]
    if not exact:
        true = lax.fori_loop(0, NEWTON_STEPS, nearer, true)
    weights, distance2 = weigh(true)
    _, noise, log_width, curved = zip(*(linear(k, place) for k, place in enumerate(true)), strict=True)
    # Laplace's method asks for the peak's own curvature
    root = noisy([variance / bend for variance, bend in zip(noise, curved, strict=True)])
    log_density = -0.5 * (n * math.log(2 * math.pi) + distance2)
    for k in range(n):
        log_density = log_density - jnp.log(root[k][k]) + log_width[k] - 0.5 * jnp.log(curved[k])
    return log_density, weights, root


def _solve_transposed(lower: list[Vector], vector: Vector) -> Vector:
    """The x of L^T x = `vector`, L being a lower triangle."""
    n = len(vector)
    solved: Vector = [vector[0]] * n
    for i in reversed(range(n)):
        known = [lower[j][i] * solved[j] for j in range(i + 1, n)]
        solved[i] = (vector[i] - sum(known, start=jnp.zeros(()))) / lower[i][i]
    return solved


def _truncate(
    k: int, limits: list[Array], mean: Vector, covariance: list[Vector]
) -> tuple[Array, Vector, list[Vector]]:
    """ln of the probability that number `k` is within limits, and the moments of all given that."""
    variance = jnp.maximum(covariance[k][k], 1e-12)
    spread = jnp.sqrt(variance)
    low, high = (jnp.clip((limit - mean[k]) / spread, -FARTHEST, FARTHEST) for limit in limits)
    power, share = between(low, high)

    def height(at: Array) -> Array:
        """The standard normal density there over the probability."""
        return jnp.exp(-0.5 * at**2 - power) / (math.sqrt(2 * math.pi) * share)

    def moment(at: Array) -> Array:
        return jnp.where(jnp.abs(at) < 1e6, at, 0.0) * height(at)

    moved = height(low) - height(high)
    narrower = jnp.clip(moved**2 - moment(low) + moment(high), 0.0, 1.0)
    n = range(len(mean))
    means = [mean[i] + covariance[i][k] / spread * moved for i in n]
    left = [[covariance[i][j] - covariance[i][k] * covariance[j][k] / variance * narrower for j in n] for i in n]
    return power + jnp.log(share), means, left


class Drawn(NamedTuple):
    """Clusters drawn from laws, in physical units."""

    values: dict[str, Float[Array, " draw"]]  # sizes
    share: Float[Array, " draw"]  # of bound stars
    survived: Bool[Array, " draw"]


def draw_clusters(key: PRNGKeyArray, laws: JointLaw, scale: Scale) -> Drawn:
    """One cluster from each law along the last axis; sizes of bound stars mean nothing where it did not survive."""
    key_component, key_normal = jax.random.split(key)
    n, latents = laws.log_weight.shape[-1], laws.latents
    component = jax.random.categorical(key_component, laws.log_weight, axis=0)

    def chosen(values: Array) -> Array:
        """Of every law the component's."""
        return jnp.take_along_axis(values, component[None], axis=0)[0]

    matrix = [[chosen(laws.between_numbers(i, j)) for j in range(i + 1)] for i in range(latents.n)]
    normal = list(jax.random.normal(key_normal, (latents.n, n)))
    numbers = [chosen(laws.location[:, k]) + dot(row, normal) for k, row in enumerate(factor(matrix))]
    values = {
        name: scale.unit(name) * (jnp.exp(number) if MEASURABLE[name].transform != "none" else number)
        for name, number in zip(latents.sizes, numbers[:-1], strict=True)
    }
    n_stars = latents.counts.n_stars
    count = jnp.clip(jnp.floor((n_stars + 1) * jax.nn.sigmoid(numbers[-1])), 0, n_stars)
    return Drawn(values, count / n_stars, numbers[-1] >= latents.counts.lowest)


class Factors(NamedTuple):
    """A law of one cluster as networks give it: covariances by their Cholesky factors."""

    log_weight: Float[Array, " component"]
    location: Float[Array, "component latent"]
    cholesky: Float[Array, "component latent latent"]


def log_outcome(
    law: Factors, latents: Latents, sizes: Float[Array, "line size"], count: Float[Array, ""], survived: Bool[Array, ""]
) -> Float[Array, ""]:
    """ln of the density of a whole outcome in latent numbers, the mean over lines of sight; for training.

    Args:
        law: Of one cluster.
        latents: Whose law.
        sizes: Latent sizes along each line of sight; of a dissolved cluster those of bound stars may be anything.
        count: Bound stars.
        survived: Whether the cluster did.
    """
    n_all, n = len(latents.of_all), len(latents.sizes)
    root = [[law.cholesky[:, i, j] for j in range(i + 1)] for i in range(n + 1)]
    log_diagonal = [jnp.log(root[k][k]) for k in range(n)]
    low, high = latents.counts.cell(count, count + 1.0)

    def along(values: Array) -> Array:
        whitened = solve(root[:n], [values[k] - law.location[:, k] for k in range(n)])

        def density(m: int) -> Array:
            """With the first m sizes, and the count given them."""
            z = law.location[:, n] + dot(root[n][:m], whitened[:m])
            spread = jnp.sqrt(dot(root[n][m:], root[n][m:]))
            power, share = between((low - z) / spread, (high - z) / spread)
            exponent = power - 0.5 * dot(whitened[:m], whitened[:m]) - dot(log_diagonal[:m], [1.0] * m)
            return log_sum(law.log_weight + exponent, share) - 0.5 * m * math.log(2 * math.pi)

        return jnp.where(survived, density(n), density(n_all))

    mean: Array = jax.vmap(along)(sizes).mean()
    return mean
