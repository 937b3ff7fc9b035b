"""A cheap stand-in for the simulator whose posterior is known exactly.

Summaries are a linear map of (Q0, a) plus independent Gaussian scatter, so that the posterior under a uniform prior
on a box is a bivariate normal cut to the box. It is computed here in double precision, sharing no code with natal.
"""

from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm, qmc

from natal.data.normaliser import Normaliser
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble, untrained_ensemble
from natal.likelihood.gaussian import DiagonalGaussian
from natal.likelihood.widths import Widths

BOX = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}
LIMITS = (BOX["q0"], BOX["a_au"])
LEVELS = np.array([0.025, 0.16, 0.5, 0.84, 0.975])

# sizes and signs much as N-body gives them: f_bound, sigma_v_kms, r_h_au
OFFSET = np.array([1.4, 12.0, -100.0])
SLOPE = np.array([[-0.8, 2e-4], [-4.0, -0.015], [350.0, 2.5]])
SIGMA = np.array([0.06, 0.4, 60.0])

NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def linear_mean(x):
    """The simulator's mean at x (run, 2)."""
    return OFFSET + x @ SLOPE.T


def smooth_mean(x):
    """A curved mean that no quadratic fits: clusters that fall apart beyond Q0 = 1, and swell as they do."""
    q0, a_au = x.T
    bound = 1 / (1 + np.exp(8 * (q0 - 1.0)))
    return np.column_stack([bound, 80 / np.sqrt(a_au) * (0.3 + 0.7 * bound), a_au * (4.0 - 2.5 * bound)])


def uniform_points(n, rng, box=BOX):
    """Independent draws from the uniform prior, shape (n, 2)."""
    low, high = np.array(list(box.values())).T
    return rng.uniform(low, high, (n, 2))


def make_runs(split, n_points, n_realizations, seed, mean=linear_mean, sigma=SIGMA):
    """Runs at the points of a Latin hypercube: the mean map plus Gaussian scatter."""
    rng = np.random.default_rng(seed)
    low, high = np.array(list(BOX.values())).T
    points = low + (high - low) * qmc.LatinHypercube(2, rng=rng).random(n_points)
    x = np.repeat(points, n_realizations, axis=0)
    return Runs(
        split=split,
        x=x,
        y=mean(x) + sigma * rng.standard_normal((len(x), 3)),
        point_id=np.repeat(np.arange(n_points), n_realizations),
        realization=np.tile(np.arange(n_realizations), n_points),
        n_dissolved=0,
    )


def diagonal_widths(sigma=SIGMA):
    """Widths without correlation, as a fit to endless residuals of the linear simulator would find them."""
    sigma = np.asarray(sigma, float)
    return Widths(sigma, np.diag(sigma**2), np.diag(sigma**2))


def blank_ensemble(members=2):
    """Untrained networks: what inference needs for its precision only."""
    one = jnp.ones(3)
    return untrained_ensemble(jax.random.key(0), members, Normaliser(one[:2], one[:2], one, one), LIMITS)


class LinearLikelihood(eqx.Module):
    """The simulator's own law in the place of an emulated one."""

    ensemble: Ensemble = field(default_factory=blank_ensemble)
    offset: jax.Array = field(default_factory=lambda: jnp.asarray(OFFSET, "float32"))
    slope: jax.Array = field(default_factory=lambda: jnp.asarray(SLOPE, "float32"))
    sigma: jax.Array = field(default_factory=lambda: jnp.asarray(SIGMA, "float32"))

    def conditional(self, x):
        return DiagonalGaussian(self.offset + self.slope @ x, self.sigma)


@dataclass
class ExactPosterior:
    """The posterior of one observation: a bivariate normal in (q0, a_au), cut to the box of the prior.

    One parameter is integrated in closed form (a normal interval), the other by Gauss-Legendre quadrature.
    """

    y: np.ndarray
    error: np.ndarray = field(default_factory=lambda: np.zeros(3))
    box: dict = field(default_factory=lambda: BOX)

    def __post_init__(self):
        whitened = SLOPE / np.hypot(SIGMA, self.error)[:, None]
        self.covariance = np.linalg.inv(whitened.T @ whitened)
        residual = (self.y - OFFSET) / np.hypot(SIGMA, self.error)
        self.centre = self.covariance @ whitened.T @ residual
        self.mass_in_box = 1.0
        self.mass_in_box = self.mass(0, *self.box["q0"])

    def _limits(self, axis):
        return list(self.box.values())[axis]

    def _marginal(self, axis, values, half_width=np.inf):
        """Marginal density of one parameter, the other within the box and `half_width` of its conditional mean."""
        other = 1 - axis
        variance = self.covariance[axis, axis]
        middle = self.centre[other] + self.covariance[other, axis] / variance * (values - self.centre[axis])
        spread = np.sqrt(self.covariance[other, other] - self.covariance[other, axis] ** 2 / variance)
        low, high = self._limits(other)
        low, high = np.maximum(low, middle - half_width), np.minimum(high, middle + half_width)
        inside = np.maximum(ndtr((high - middle) / spread) - ndtr((low - middle) / spread), 0.0)
        return norm.pdf(values, self.centre[axis], np.sqrt(variance)) * inside / self.mass_in_box

    def mass(self, axis, low, high):
        """Probability that a parameter lies in [low, high]."""
        values = low + (high - low) * (NODES + 1) / 2
        return (self._marginal(axis, values) * WEIGHTS).sum() * (high - low) / 2

    def moment(self, axis, function):
        """Expectation of a function of one parameter."""
        low, high = self._limits(axis)
        values = low + (high - low) * (NODES + 1) / 2
        return (function(values) * self._marginal(axis, values) * WEIGHTS).sum() * (high - low) / 2

    @property
    def mean(self):
        return np.array([self.moment(axis, lambda v: v) for axis in (0, 1)])

    @property
    def sd(self):
        mean = self.mean
        return np.sqrt([self.moment(axis, lambda v, m=mean[axis]: (v - m) ** 2) for axis in (0, 1)])

    def cdf(self, x):
        """Marginal cumulative probabilities at x = (q0, a_au)."""
        return np.array([self.mass(axis, self._limits(axis)[0], x[axis]) for axis in (0, 1)])

    def quantiles(self, levels=LEVELS):
        """Marginal quantiles, shape (2, level)."""

        def one(axis, level):
            low, high = self._limits(axis)
            return brentq(lambda v: self.mass(axis, low, v) - level, low, high, xtol=1e-9)

        return np.array([[one(axis, level) for level in levels] for axis in (0, 1)])

    def distance(self, x):
        """Mahalanobis distance of x from the centre of the uncut normal."""
        offset = x - self.centre
        return np.sqrt(offset @ np.linalg.solve(self.covariance, offset))

    def hpd_level(self, x):
        """Mass of all points in the box that are denser than x: an ellipse, cut to the box."""
        radius, sd = self.distance(x), np.sqrt(self.covariance[0, 0])
        ends = np.clip((np.array(self.box["q0"]) - self.centre[0]) / (radius * sd), -1, 1)
        low, high = np.arcsin(ends)
        angle = low + (high - low) * (NODES + 1) / 2
        spread = np.sqrt(np.linalg.det(self.covariance)) / sd
        density = self._marginal(0, self.centre[0] + radius * sd * np.sin(angle), radius * spread * np.cos(angle))
        return (density * radius * sd * np.cos(angle) * WEIGHTS).sum() * (high - low) / 2

    def log_density(self, x):
        """Natural log of the posterior density at x, per unit Q0 and AU."""
        determinant = np.linalg.det(2 * np.pi * self.covariance)
        return -0.5 * self.distance(x) ** 2 - 0.5 * np.log(determinant) - np.log(self.mass_in_box)

    @property
    def entropy(self):
        """Minus the mean natural log of the density, per unit Q0 and AU."""
        (q_low, q_high), (a_low, a_high) = self.box.values()
        x = np.stack(np.meshgrid(*(low + (high - low) * (NODES + 1) / 2 for low, high in self.box.values())), axis=-1)
        offset = x - self.centre
        distance2 = np.einsum("...i,ij,...j", offset, np.linalg.inv(self.covariance), offset)
        normalisation = 0.5 * np.log(np.linalg.det(2 * np.pi * self.covariance)) + np.log(self.mass_in_box)
        mass = np.exp(-0.5 * distance2 - normalisation) * np.outer(WEIGHTS, WEIGHTS)
        return normalisation + (0.5 * distance2 * mass).sum() * (q_high - q_low) * (a_high - a_low) / 4

    @property
    def log_evidence(self):
        """Natural log of the probability density of y under the uniform prior: Bayes' theorem at the box's centre."""
        (q_low, q_high), (a_low, a_high) = self.box.values()
        x = np.array([(q_low + q_high) / 2, (a_low + a_high) / 2])
        likelihood = norm.logpdf(self.y, linear_mean(x), np.hypot(SIGMA, self.error)).sum()
        return likelihood - np.log((q_high - q_low) * (a_high - a_low)) - self.log_density(x)
