"""Multipole expansions: spherical harmonics times the radial functions of Clutton-Brock (1973, Ap&SS 23, 55).

The functions are Phi_nlm = -(1 + r^2)^(-1/2) S_lm(2 x / (1 + r^2)) C_n^(l+1)(xi), with xi = (r^2 - 1) / (r^2 + 1), S_lm
the real solid harmonics and C_n Gegenbauer's polynomials, here with C_n(1) = 1. The first one is the Plummer sphere.
All are smooth at the centre and fall like r^-(l+1), and each one has a simple density: lap Phi_nlm = -K_nl (1 + r^2)^-2
Phi_nlm with K_nl = 4 n (n + 2 l + 2) + (2 l + 1) (2 l + 3).
"""

from collections.abc import Sequence
from math import factorial, prod
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Array, Float
from scipy.optimize import minimize_scalar

from natal.studies.potential.fields import Sample
from natal.studies.potential.settings import Weights
from natal.studies.potential.training import measure_scales

POINTS_AT_ONCE = 1024
RIDGE = 1e-13
"""Added to the normal matrix, whose diagonal is 1: what rounding leaves of columns that are hardly independent."""

Jet = Float[np.ndarray, "... 4 point"]
"""A value and its three derivatives, at each point. Thousands of functions would take a compiler minutes."""


def solid_harmonics(x: Float[np.ndarray, "3 4 point"], degree: int) -> Float[np.ndarray, "harmonic 4 point"]:
    """Real solid harmonics r^l Y_lm up to a degree: the squares of one l sum to r^(2 l) (Schmidt's normalisation).

    Args:
        x: Three coordinates, each with its derivatives.
        degree: The highest l.

    Returns:
        Ordered by l; within l, m = 0, then pairs (cos m phi, sin m phi) for m = 1 to l.

    Examples:
        >>> solid_harmonics(coordinates(np.array([[2.0, 3.0, 5.0]])), 1)[:, 0, 0]
        array([1., 5., 2., 3.])
    """
    r2 = _square(x)
    one, nothing = np.zeros_like(r2), np.zeros_like(r2)
    one[0] = 1.0
    # r^m sin^m(theta) times cos and sin of m phi
    cosine, sine = [one], [nothing]
    for _ in range(degree):
        c, s = cosine[-1], sine[-1]
        cosine.append(_times(x[0], c) - _times(x[1], s))
        sine.append(_times(x[0], s) + _times(x[1], c))
    # r^(l - m) times the m-th derivative of Legendre's polynomial of degree l
    legendre = {}
    for m in range(degree + 1):
        legendre[m, m] = prod(range(1, 2 * m, 2)) * one
        for ell in range(m + 1, degree + 1):
            below = _times(r2, legendre.get((ell - 2, m), nothing))
            up = (2 * ell - 1) * _times(x[2], legendre[ell - 1, m])
            legendre[ell, m] = (up - (ell + m - 1) * below) / (ell - m)
    found = []
    for ell in range(degree + 1):
        found.append(legendre[ell, 0])
        for m in range(1, ell + 1):
            scaled = np.sqrt(2.0 * factorial(ell - m) / factorial(ell + m)) * legendre[ell, m]
            found += [_times(scaled, cosine[m]), _times(scaled, sine[m])]
    return np.stack(found)


def basis(position: Float[np.ndarray, "point 3"], degree: int, radial: int) -> Float[np.ndarray, "function 4 point"]:
    """All functions Phi_nlm with their gradients, in units of the basis' own radius.

    Args:
        position: Points.
        degree: The highest l.
        radial: The highest n.

    Returns:
        Ordered by l, then by m as in `solid_harmonics`, then by n: those of a lower degree come first.
    """
    x = coordinates(position)
    sum_of_squares = _square(x)
    sum_of_squares[0] += 1.0
    inverse, root = _power(sum_of_squares, -1.0), _power(sum_of_squares, -0.5)
    xi = -2.0 * inverse
    xi[0] += 1.0
    harmonics = _times(solid_harmonics(2.0 * _times(x, inverse), degree), -root)
    found = []
    for ell in range(degree + 1):
        # C_n(xi) / C_n(1) of order l + 1, by Gegenbauer's recursion
        polynomials = [harmonics[0] * 0.0, xi]
        polynomials[0][0] = 1.0
        for n in range(2, radial + 1):
            up = 2 * (n + ell) * _times(xi, polynomials[-1])
            polynomials.append((up - (n - 1) * polynomials[-2]) / (n + 2 * ell + 1))
        of_degree = harmonics[ell**2 : (ell + 1) ** 2, None]
        found.append(_times(of_degree, np.stack(polynomials[: radial + 1])).reshape(-1, *xi.shape))
    return np.concatenate(found)


def coordinates(position: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "3 4 point"]:
    """x, y and z with their derivatives."""
    jets = np.zeros((3, 4, len(position)))
    jets[:, 0] = np.transpose(position)
    jets[range(3), range(1, 4)] = 1.0
    return jets


def _times(a: Jet, b: Jet) -> Jet:
    return np.concatenate(
        [a[..., :1, :] * b[..., :1, :], a[..., :1, :] * b[..., 1:, :] + a[..., 1:, :] * b[..., :1, :]], -2
    )


def _square(x: Float[np.ndarray, "3 4 point"]) -> Jet:
    squared: Jet = _times(x, x).sum(0)
    return squared


def _power(a: Jet, exponent: float) -> Jet:
    return np.concatenate([a[:1] ** exponent, exponent * a[:1] ** (exponent - 1.0) * a[1:]])


def density_factors(degree: int, radial: int) -> Float[np.ndarray, " function"]:
    """K_nl of every function, in the order of `basis`.

    Args:
        degree: The highest l.
        radial: The highest n.
    """
    n = np.arange(radial + 1)
    return np.concatenate(
        [np.tile(4 * n * (n + 2 * ell + 2) + (2 * ell + 1) * (2 * ell + 3), 2 * ell + 1) for ell in range(degree + 1)]
    ).astype(float)


class Expansion(NamedTuple):
    """A potential as a sum of basis functions.

    Attributes:
        coefficients: In the order of `basis`.
        scale: The basis' radius.
        degree: The highest l.
        radial: The highest n.
    """

    coefficients: Float[np.ndarray, " function"]
    scale: float
    degree: int
    radial: int

    def sample(self, position: Float[Array | np.ndarray, "point 3"]) -> Sample:
        """The field at many points."""
        rows = [
            self.coefficients @ _quantities(part, self.scale, self.degree, self.radial) for part in _parts(position)
        ]
        potential, *gradient, laplacian = np.concatenate(rows, axis=1)
        return Sample(np.asarray(position), potential, -np.stack(gradient, axis=1), laplacian)


def _parts(values: Float[Array | np.ndarray, "point column"]) -> list[np.ndarray]:
    return np.array_split(np.asarray(values), -(-len(values) // POINTS_AT_ONCE))


def _quantities(
    position: Float[np.ndarray, "point 3"], scale: float, degree: int, radial: int
) -> Float[np.ndarray, "5 function point"]:
    """Phi, its gradient and its Laplacian, of every function."""
    at = position / scale
    found = np.moveaxis(basis(at, degree, radial), 1, 0)
    found[1:] /= scale
    weight = (scale * (1.0 + np.square(at).sum(1))) ** -2.0
    laplacian = -density_factors(degree, radial)[:, None] * weight * found[0]
    return np.concatenate([found, laplacian[None]])


def fit_expansions(train: Sample, degrees: Sequence[int], radial: int, weights: Weights) -> list[Expansion]:
    """Fit expansions by least squares: each has the lowest loss of its kind, the loss being that of the networks.

    Args:
        train: The true field at training points.
        degrees: The highest l, one expansion each.
        radial: The highest n.
        weights: Of potential, force and Poisson's equation.
    """
    scale, highest = fitted_radius(train), max(degrees)
    each_term = np.sqrt([weights.alpha, weights.beta, weights.gamma]) / np.array(measure_scales(train))
    labels = np.column_stack([train.potential, -np.asarray(train.acceleration), train.laplacian])
    n_functions = (highest + 1) ** 2 * (radial + 1)
    matrix, vector = np.zeros((n_functions, n_functions)), np.zeros(n_functions)
    for at, label in zip(_parts(train.position), _parts(labels), strict=True):
        columns = _quantities(at, scale, highest, radial)
        for term, function, true in zip(each_term[[0, 1, 1, 1, 2]], columns, label.T, strict=True):
            scaled = term * function
            matrix += scaled @ scaled.T
            vector += scaled @ (term * true)
    size = np.sqrt(np.diag(matrix))
    matrix, vector = matrix / np.outer(size, size), vector / size
    fitted = []
    for degree in degrees:
        n = (degree + 1) ** 2 * (radial + 1)
        regular = matrix[:n, :n] + RIDGE * n * np.eye(n)
        coefficients = scipy.linalg.solve(regular, vector[:n], assume_a="pos") / size[:n]
        fitted.append(Expansion(coefficients, scale, degree, radial))
    return fitted


def fitted_radius(train: Sample) -> float:
    """The radius of the Plummer sphere about the origin, of any mass, whose potential is nearest to the true one."""
    r2 = np.square(train.position).sum(1)
    potential = np.asarray(train.potential)

    def left(log_radius: float) -> float:
        shape = 1.0 / np.sqrt(r2 + np.exp(2.0 * log_radius))
        return float(np.square(potential - (shape @ potential) / (shape @ shape) * shape).mean())

    return float(np.exp(minimize_scalar(left, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))
