"""Coordinates in which any posterior is nearly a standard normal: NUTS walks in these.

From the posterior on the grid follow inverse distribution functions: of q0, and of a at each q0. They turn two standard
normal numbers v into a draw of the posterior (Rosenblatt 1952, Ann. Math. Stat. 23, 470). Here they are smoothed by
cubic B-splines with rising control points, so that they can be inverted and have two derivatives. How good they are
decides how far NUTS gets in a step. What NUTS samples does not depend on it: the Jacobian is exact.
"""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

REACH, N_KNOTS = 3.6, 19
KNOTS = np.linspace(-REACH, REACH, N_KNOTS)
"""The standard normal numbers at which quantiles are taken; beyond them the functions are straight."""

SMALLEST_SLOPE = 1e-4


@runtime_checkable
class Coordinates(Protocol):
    """A bijection from coordinates to unconstrained parameters, logit((x - low) / (high - low))."""

    def __call__(self, v: Float[Array, " parameter"]) -> tuple[Float[Array, " parameter"], Float[Array, ""]]:
        """The parameters, and ln of the Jacobian."""
        ...


class Affine(eqx.Module):
    """Coordinates for parameters with a given mean and covariance: uncorrelated, with variance 1.

    Attributes:
        centre: Means of the unconstrained parameters.
        root: A Cholesky factor of their covariance.
    """

    centre: Float[Array, "*case parameter"]
    root: Float[Array, "*case parameter parameter"]

    def __call__(self, v: Float[Array, " parameter"]) -> tuple[Float[Array, " parameter"], Float[Array, ""]]:
        """The parameters at v, and ln of the Jacobian up to a constant."""
        return self.centre + self.root @ v, jnp.zeros(())


class InverseCdf(eqx.Module):
    """Coordinates from a posterior on a grid.

    Attributes:
        q0: Control points of the spline for q0, at the knots and one beyond either end.
        a_au: For each of those, control points of the spline for a.
    """

    q0: Float[Array, " control"]
    a_au: Float[Array, "control control"]

    @classmethod
    def of_grid(
        cls, mass: Float[Array, "nq na"], edges: tuple[Float[Array, " nq+1"], Float[Array, " na+1"]]
    ) -> "InverseCdf":
        """Coordinates of one posterior.

        Args:
            mass: Posterior mass of each cell.
            edges: Edges of the cells in q0 and in a_au.
        """
        levels = ndtr(jnp.asarray(KNOTS, mass.dtype))

        def unconstrained(marginal: Array, edges: Array) -> Array:
            cumulative = jnp.concatenate([jnp.zeros(1), jnp.cumsum(marginal)])
            place = jnp.interp(levels * cumulative[-1], cumulative, edges)
            share = jnp.clip((place - edges[0]) / (edges[-1] - edges[0]), 1e-6, 1 - 1e-6)
            # control points must rise, where no quantiles change, too
            return jnp.log(share / (1 - share)) + SMALLEST_SLOPE * KNOTS

        along_q0 = unconstrained(mass.sum(1), edges[0])
        row = jax.nn.sigmoid(along_q0) * len(mass) - 0.5
        below = jnp.clip(jnp.floor(row).astype(int), 0, len(mass) - 2)
        share = jnp.clip(row - below, 0.0, 1.0)[:, None]
        # rows without mass get a little of the marginal's shape
        rows = mass / jnp.maximum(mass.sum(1, keepdims=True), 1e-30) + 1e-6 * mass.sum(0)
        between = (1 - share) * rows[below] + share * rows[below + 1]
        along_a = jax.vmap(lambda one: unconstrained(one, edges[1]))(between)
        return cls(_extended(along_q0), jax.vmap(_extended)(_extended(along_a)))

    def __call__(self, v: Float[Array, " parameter"]) -> tuple[Float[Array, " parameter"], Float[Array, ""]]:
        """The parameters at v, and ln of the Jacobian."""
        q0, slope_q0 = _spline(v[0], self.q0)
        a_au, slope_a = _spline(v[1], (_weights(v[0])[0][:, None] * self.a_au).sum(0))
        return jnp.stack([q0, a_au]), jnp.log(slope_q0) + jnp.log(slope_a)


def _extended(control: Float[Array, " *knot"]) -> Float[Array, " *control"]:
    """Add one control point at either end, in line with the last two."""
    return jnp.concatenate([2 * control[:1] - control[1:2], control, 2 * control[-1:] - control[-2:-1]])


def _weights(v: Float[Array, ""]) -> tuple[Float[Array, " control"], Float[Array, " step"]]:
    """Weights of the control points in a cubic B-spline, and of their differences in its slope; within the knots."""
    step = KNOTS[1] - KNOTS[0]
    place = (jnp.clip(v, -REACH, REACH) - KNOTS[0]) / step
    apart = jnp.abs(place - np.arange(-1.0, N_KNOTS + 1))
    cubic = jnp.where(apart < 1, 2 / 3 - apart**2 + apart**3 / 2, jnp.maximum(2 - apart, 0.0) ** 3 / 6)
    apart = jnp.abs(place - (np.arange(-1.0, N_KNOTS) + 0.5))
    quadratic = jnp.where(apart < 0.5, 0.75 - apart**2, jnp.maximum(1.5 - apart, 0.0) ** 2 / 2)
    return cubic, quadratic / step


def _spline(v: Float[Array, ""], control: Float[Array, " control"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Value and slope of the spline, which is straight beyond the knots."""
    cubic, quadratic = _weights(v)
    # sums: small matrix products of many cases are slow
    slope = (quadratic * jnp.diff(control)).sum()
    return (cubic * control).sum() + slope * (v - jnp.clip(v, -REACH, REACH)), slope
