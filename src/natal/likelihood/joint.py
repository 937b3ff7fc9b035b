"""The joint law of all summaries and observables of one cluster, and the density of any subset of them.

In each component the latent numbers are jointly normal. There is one for each size (its logarithm or its value), in
units of the cluster's own scale radius a and speed sqrt(G M / a), and a last one for the number of bound stars, as in
`mixture_density`. What was not observed is integrated out: rows of normal numbers are dropped, counts are summed. A
cluster has dissolved if its count is below the fewest of a surviving one; then it has no sizes of bound stars.

Measurement errors are normal in physical units. If the errors to the two sides differ, the width changes linearly from
one to the other, as the Particle Data Group takes asymmetric errors. They are integrated over by Laplace's method
around each component's most probable true values. A limit contributes a probability. For one limit this is exact; with
several, each later one is given the moments that the earlier ones leave (Mendell & Elston 1974).
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
"""Largest Newton step of a logarithm: steps overshoot where the exponential is far below the measured value."""

LEAST_CURVATURE = 0.1
"""Least curvature of a measured number's ln density, over that of the linear one; below it Laplace's method fails."""

LEAST_SIDE = 0.05
"""Smallest error to one side over that to the other."""

(COUNT,) = (name for name, variable in MEASURABLE.items() if variable.transform == "count")


class Latents(NamedTuple):
    """Names of the numbers that a law describes, in this order: sizes of all stars, sizes of bound stars, the count.

    Attributes:
        of_all: Sizes of all stars that an observer sees.
        of_bound: Sizes of the bound stars.
        counts: The numbers of bound stars that a cluster may have.
    """

    of_all: tuple[str, ...]
    of_bound: tuple[str, ...]
    counts: Counts

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of all sizes."""
        return self.of_all + self.of_bound

    @property
    def n(self) -> int:
        """How many latent numbers there are."""
        return len(self.sizes) + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all latent numbers, the count last."""
        return (*self.sizes, COUNT)


def latents_of(observables: tuple[str, ...], counts: Counts) -> Latents:
    """The latent numbers of a campaign.

    Args:
        observables: Names of the observables that it has.
        counts: The numbers of bound stars that a cluster may have.
    """
    return Latents(observables, tuple(name for name in SUMMARIES if name != COUNT), counts)


def log_tau(age_yr: Any, mass_msun: Any, a_au: Any, *, log: Function = np.log) -> Any:
    """ln of a cluster's age in its own units of time: tau = t sqrt(G M / a^3).

    Args:
        age_yr: Ages t.
        mass_msun: Masses M of all stars.
        a_au: Scale radii a.
        log: The logarithm of the array library in use.

    Examples:
        >>> round(float(np.exp(log_tau(1.0, 1.0, 1.0))), 2)  # a year around the Sun
        6.28
    """
    return log(age_yr) + 0.5 * log(G_AU3_PER_MSUN_YR2 * mass_msun) - 1.5 * log(a_au)


def speed_kms(mass_msun: Any, a_au: Any) -> Any:
    """A cluster's own unit of speed, sqrt(G M / a), in km/s; for arrays of any library.

    Args:
        mass_msun: The cluster's mass.
        a_au: Its scale radius.

    Examples:
        >>> round(speed_kms(1.0, 1.0), 1)  # the Earth around the Sun
        29.8
    """
    return KMS_PER_AU_YR * (G_AU3_PER_MSUN_YR2 * mass_msun / a_au) ** 0.5


class Scale(NamedTuple):
    """A cluster's own units.

    Attributes:
        a_au: Its scale radius a (AU).
        speed_kms: sqrt(G M / a) (km/s).
    """

    a_au: Array
    speed_kms: Array

    @classmethod
    def of(cls, a_au: Array, mass_msun: Array) -> "Scale":
        """The units of clusters with these scale radii and masses.

        Args:
            a_au: Scale radii.
            mass_msun: Masses.
        """
        return cls(a_au, speed_kms(mass_msun, a_au))

    def unit(self, name: str) -> Array | float:
        """The cluster's own unit for the size of this name; 1 for a number without a unit."""
        return {BIRTH["a_au"].unit: self.a_au, "km/s": self.speed_kms}.get(MEASURABLE[name].unit, 1.0)


class Pattern(NamedTuple):
    """Which numbers of a cluster are known, and how. A program is compiled for each pattern.

    Attributes:
        measured: Names of sizes with a value.
        limited: Names of sizes with limits only.
        counted: What is known of the share of bound stars: "exact", "measured", "limited" or empty.
        exact: Whether no measured size has an error.
    """

    measured: tuple[str, ...] = ()  # sizes with a value
    limited: tuple[str, ...] = ()  # sizes with limits only
    counted: str = ""  # "exact", "measured", "limited" or empty: what is known of the share of bound stars
    exact: bool = False  # no measured size has an error


class Measured(NamedTuple):
    """The numbers of a pattern, in physical units.

    Attributes:
        value: Measured sizes.
        error_low: Their errors to smaller values.
        error_high: Their errors to larger values.
        lower: Lower limits of limited sizes; -inf where there is none.
        upper: Upper limits; inf where there is none.
        share: The share of bound stars; if it is limited, its lower limit.
        share_error: The error of the share; if it is limited, its upper limit.
    """

    value: Float[Array, " measured"]
    error_low: Float[Array, " measured"]
    error_high: Float[Array, " measured"]
    lower: Float[Array, " limited"]  # -inf: none
    upper: Float[Array, " limited"]
    share: Float[Array, ""]  # of the count; as limited, its lower limit
    share_error: Float[Array, ""]  # as limited, its upper limit


class JointLaw(eqx.Module):
    """A mixture over the latent numbers. Arrays have the shape (component, ..., *law).

    Attributes:
        log_weight: ln of each component's weight.
        location: Means of the latent numbers.
        covariance: Covariances of latent numbers i >= j, row by row along the axis `pair`.
        latents: Which numbers these are.
    """

    log_weight: Float[Array, " component *law"]
    location: Float[Array, "component latent *law"]
    covariance: Float[Array, "component pair *law"]  # of latent numbers i >= j, row by row
    latents: Latents = eqx.field(static=True)

    def between_numbers(self, i: int, j: int) -> Float[Array, " component *law"]:
        """The covariance of latent numbers i and j.

        Args:
            i: Place of one latent number.
            j: Place of the other; i = j gives its variance.
        """
        i, j = max(i, j), min(i, j)
        return self.covariance[:, i * (i + 1) // 2 + j]

    def reduced(self, names: tuple[str, ...]) -> "JointLaw":
        """The law of only these sizes and the count.

        Args:
            names: Names of sizes, in the law's order.
        """
        kept = np.array([self.latents.names.index(name) for name in (*names, COUNT)])
        # names are in the law's order
        pairs = np.array([i * (i + 1) // 2 + j for i in kept for j in kept if j <= i])
        of_all, of_bound = (tuple(n for n in names if n in part) for part in self.latents[:2])
        latents = Latents(of_all, of_bound, self.latents.counts)
        assert latents.sizes == names
        return JointLaw(self.log_weight, self.location[:, kept], self.covariance[:, pairs], latents)

    def log_prob(self, seen: Measured, pattern: Pattern, scale: Scale) -> Float[Array, " *law"]:
        """ln of the density of what was measured, times the probability of what limits say.

        Args:
            seen: The numbers.
            pattern: Which numbers these are.
            scale: The clusters' own units, arrays of shape (*law,).

        Returns:
            ln of densities per physical unit of each measured number.
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

    Returns ln of the density of the measured values; the weights (covariance + noise)^-1 (seen - mean), by which
    correlated numbers move; and the Cholesky factor of covariance + noise.
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
        """Make a measured number linear around `place`.

        Gives its distance from the mean, the variance of its noise, ln of the noise's width over the error, and the
        curvature of its ln density over that of the linear one.
        """
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
    """ln of the probability that number `k` is within limits, and the moments of all numbers given that."""
    variance = jnp.maximum(covariance[k][k], 1e-12)
    spread = jnp.sqrt(variance)
    low, high = (jnp.clip((limit - mean[k]) / spread, -FARTHEST, FARTHEST) for limit in limits)
    power, share = between(low, high)

    def height(at: Array) -> Array:
        """The standard normal density at a limit, over the probability."""
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
    """Clusters drawn from laws, in physical units.

    Attributes:
        values: Sizes by name.
        share: Shares of bound stars.
        survived: Whether the cluster survived.
    """

    values: dict[str, Float[Array, " draw"]]  # sizes
    share: Float[Array, " draw"]  # of bound stars
    survived: Bool[Array, " draw"]


def draw_clusters(key: PRNGKeyArray, laws: JointLaw, scale: Scale) -> Drawn:
    """Draw one cluster from each law.

    Args:
        key: For the draws.
        laws: Laws along the last axis.
        scale: The clusters' own units, one for each law.

    Returns:
        Clusters. Where one did not survive, its sizes of bound stars mean nothing.
    """
    key_component, key_normal = jax.random.split(key)
    n, latents = laws.log_weight.shape[-1], laws.latents
    component = jax.random.categorical(key_component, laws.log_weight, axis=0)

    def chosen(values: Array) -> Array:
        """Values of the chosen component of each law."""
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
    """The law of one cluster as networks give it: with Cholesky factors instead of covariances.

    Attributes:
        log_weight: ln of each component's weight.
        location: Means of the latent numbers.
        cholesky: Lower triangles of their covariances.
    """

    log_weight: Float[Array, " component"]
    location: Float[Array, "component latent"]
    cholesky: Float[Array, "component latent latent"]


def log_outcome(
    law: Factors, latents: Latents, sizes: Float[Array, "line size"], count: Float[Array, ""], survived: Bool[Array, ""]
) -> Float[Array, ""]:
    """ln of the density of a whole outcome in latent numbers, for training.

    Args:
        law: The law of one cluster.
        latents: Which numbers the law describes.
        sizes: Latent sizes along each line of sight; of a dissolved cluster, those of bound stars may be anything.
        count: Number of bound stars.
        survived: Whether the cluster survived.

    Returns:
        The mean over lines of sight.
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
