"""Multipole expansions: spherical harmonics times the radial functions of Clutton-Brock (1973, Ap&SS 23, 55).

The functions are Phi_nlm = -(1 + r^2)^(-1/2) S_lm(2 x / (1 + r^2)) C_n^(l+1)(xi), with xi = (r^2 - 1) / (r^2 + 1), S_lm
the real solid harmonics and C_n Gegenbauer's polynomials, here with C_n(1) = 1. The first one is the Plummer sphere.
All are smooth at the centre and fall like r^-(l+1), and each one has a simple density: lap Phi_nlm = -K_nl (1 + r^2)^-2
Phi_nlm with K_nl = 4 n (n + 2 l + 2) + (2 l + 1) (2 l + 3).
"""

from collections.abc import Sequence
from functools import partial
from math import factorial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax import lax
from jaxtyping import Array, Float
from scipy.optimize import minimize_scalar

from natal.studies.potential.fields import Sample
from natal.studies.potential.settings import Weights
from natal.studies.potential.training import measure_scales

POINTS_AT_ONCE = 256
RIDGE = 1e-13
"""Added to the normal matrix, whose diagonal is 1: what rounding leaves of columns that are hardly independent."""


def solid_harmonics(x: Float[Array, "3"], degree: int) -> Float[Array, " harmonic"]:
    """Real solid harmonics r^l Y_lm up to a degree: the squares of one l sum to r^(2 l) (Schmidt's normalisation).

    Args:
        x: A point.
        degree: The highest l.

    Returns:
        Ordered by l; within l, m = 0, then pairs (cos m phi, sin m phi) for m = 1 to l.

    Examples:
        >>> solid_harmonics(jnp.array([2.0, 3.0, 5.0]), 1).tolist()
        [1.0, 5.0, 2.0, 3.0]
    """
    r2 = x @ x
    # r^m sin^m(theta) times cos and sin of m phi
    cosine, sine = [jnp.ones_like(r2)], [jnp.zeros_like(r2)]
    for _ in range(degree):
        cosine.append(x[0] * cosine[-1] - x[1] * sine[-1])
        sine.append(x[0] * sine[-1] + x[1] * cosine[-2])
    # r^(l - m) times the m-th derivative of Legendre's polynomial of degree l
    derivative: dict[tuple[int, int], Any] = {}
    for m in range(degree + 1):
        derivative[m, m] = float(np.prod(np.arange(1, 2 * m, 2)))
        for ell in range(m + 1, degree + 1):
            below = derivative.get((ell - 2, m), 0.0)
            derivative[ell, m] = ((2 * ell - 1) * x[2] * derivative[ell - 1, m] - (ell + m - 1) * r2 * below) / (
                ell - m
            )
    found = []
    for ell in range(degree + 1):
        found.append(derivative[ell, 0] * cosine[0])
        for m in range(1, ell + 1):
            scaled = np.sqrt(2.0 * factorial(ell - m) / factorial(ell + m)) * derivative[ell, m]
            found += [scaled * cosine[m], scaled * sine[m]]
    return jnp.stack(found)


def basis(x: Float[Array, "3"], degree: int, radial: int) -> Float[Array, " function"]:
    """All functions Phi_nlm at one point, in units of the basis' own radius.

    Args:
        x: The point.
        degree: The highest l.
        radial: The highest n.

    Returns:
        Ordered by l, then by m as in `solid_harmonics`, then by n: those of a lower degree come first.
    """
    r2 = x @ x
    xi = (r2 - 1.0) / (r2 + 1.0)
    harmonics = solid_harmonics(2.0 * x / (1.0 + r2), degree)
    found = []
    for ell in range(degree + 1):
        order = ell + 1
        # C_n(xi) / C_n(1), by Gegenbauer's recursion with C_n(1) = (2 order)_n / n!
        polynomials = [jnp.ones_like(xi), xi][: radial + 1]
        for n in range(2, radial + 1):
            polynomials.append(
                (2 * (n + order - 1) * xi * polynomials[-1] - (n - 1) * polynomials[-2]) / (n + 2 * order - 1)
            )
        found.append(jnp.outer(harmonics[ell**2 : (ell + 1) ** 2], jnp.stack(polynomials)).ravel())
    return -jnp.concatenate(found) / jnp.sqrt(1.0 + r2)


def density_factors(degree: int, radial: int) -> Float[np.ndarray, " function"]:
    """K_nl of every function, in the order of `basis`."""
    n = np.arange(radial + 1)
    return np.concatenate(
        [np.tile(4 * n * (n + 2 * ell + 2) + (2 * ell + 1) * (2 * ell + 3), 2 * ell + 1) for ell in range(degree + 1)]
    ).astype(float)


class Expansion(eqx.Module):
    """A potential as a sum of basis functions.

    Attributes:
        coefficients: In the order of `basis`.
        scale: The basis' radius.
        degree: The highest l.
        radial: The highest n.
    """

    coefficients: Float[Array, " function"]
    scale: float = eqx.field(static=True)
    degree: int = eqx.field(static=True)
    radial: int = eqx.field(static=True)

    @eqx.filter_jit
    def sample(self, position: Float[Array, "point 3"]) -> Sample:
        """The field at many points."""
        one = partial(_quantities, scale=self.scale, degree=self.degree, radial=self.radial)
        rows = lax.map(lambda x: one(x) @ self.coefficients, position, batch_size=POINTS_AT_ONCE)
        return Sample(position, rows[:, 0], -rows[:, 1:4], rows[:, 4])


def _quantities(x: Float[Array, "3"], scale: float, degree: int, radial: int) -> Float[Array, "5 function"]:
    """Phi, its gradient and its Laplacian at one point, for every function."""
    y = x / scale
    value = basis(y, degree, radial)
    gradient = jax.jacfwd(basis)(y, degree, radial).T / scale
    laplacian = -density_factors(degree, radial) * value / (scale * (1.0 + y @ y)) ** 2
    return jnp.concatenate([value[None], gradient, laplacian[None]])


def fit_expansions(train: Sample, degrees: Sequence[int], radial: int, weights: Weights) -> list[Expansion]:
    """Fit expansions by least squares: each has the lowest loss of its kind, the loss being that of the networks.

    JAX must have double precision enabled.

    Args:
        train: The true field at training points.
        degrees: The highest l, one expansion each.
        radial: The highest n.
        weights: Of potential, force and Poisson's equation.
    """
    scale, highest = fitted_radius(train), max(degrees)
    each_term = np.sqrt([weights.alpha, weights.beta, weights.gamma]) / np.array(measure_scales(train))
    by_row = jnp.asarray(each_term[[0, 1, 1, 1, 2]])
    labels = np.column_stack([train.potential, -np.asarray(train.acceleration), train.laplacian])

    @jax.jit
    def products(x: Array, label: Array) -> tuple[Array, Array]:
        columns = jax.vmap(partial(_quantities, scale=scale, degree=highest, radial=radial))(x)
        columns = (by_row[:, None] * columns).reshape(-1, columns.shape[-1])
        return columns.T @ columns, columns.T @ (by_row * label).ravel()

    n_functions = (highest + 1) ** 2 * (radial + 1)
    matrix, vector = np.zeros((n_functions, n_functions)), np.zeros(n_functions)
    for first in range(0, len(labels), POINTS_AT_ONCE):
        chunk = slice(first, first + POINTS_AT_ONCE)
        more = products(jnp.asarray(train.position[chunk]), jnp.asarray(labels[chunk]))
        matrix, vector = matrix + np.asarray(more[0]), vector + np.asarray(more[1])
    size = np.sqrt(np.diag(matrix))
    matrix, vector = matrix / np.outer(size, size), vector / size
    fitted = []
    for degree in degrees:
        n = (degree + 1) ** 2 * (radial + 1)
        regular = matrix[:n, :n] + RIDGE * n * np.eye(n)
        coefficients = scipy.linalg.solve(regular, vector[:n], assume_a="pos") / size[:n]
        fitted.append(Expansion(jnp.asarray(coefficients), scale, degree, radial))
    return fitted


def fitted_radius(train: Sample) -> float:
    """The radius of the Plummer sphere about the origin, of any mass, whose potential is nearest to the true one."""
    r2 = np.square(train.position).sum(1)
    potential = np.asarray(train.potential)

    def left(log_radius: float) -> float:
        shape = 1.0 / np.sqrt(r2 + np.exp(2.0 * log_radius))
        return float(np.square(potential - (shape @ potential) / (shape @ shape) * shape).mean())

    return float(np.exp(minimize_scalar(left, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))
