"""The true fields: sums over softened particles. A Plummer sphere is a sum with one particle.

A particle of mass m that is softened by eps has the potential -G m (r^2 + eps^2)^(-1/2). It is itself a Plummer sphere
of scale radius eps with the density 3 m eps^2 / (4 pi) (r^2 + eps^2)^(-5/2) (Plummer 1911; Aarseth 1963). So softening
is smoothing of the density, and Poisson's equation holds exactly (Barnes 2012, MNRAS 425, 1104).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

# sources x points in memory at a time: 8 MB in double precision, about as large as a cache
PAIRS_AT_ONCE = 2**20


class Sample(NamedTuple):
    """A field at points, in units of G = M = a = 1.

    Attributes:
        position: The points.
        potential: Phi.
        acceleration: -grad Phi.
        laplacian: 4 pi G rho.
    """

    position: Float[Array | np.ndarray, "point 3"]
    potential: Float[Array | np.ndarray, " point"]
    acceleration: Float[Array | np.ndarray, "point 3"]  # -grad Phi
    laplacian: Float[Array | np.ndarray, " point"]  # 4 pi G rho


class SoftenedParticles(eqx.Module):
    """Fixed particles with Plummer softening, in units of G = M = a = 1.

    Attributes:
        position: Their positions.
        mass: Their masses.
        softening: The softening eps.
    """

    position: Float[Array, "particle 3"]
    mass: Float[Array, " particle"]
    softening: float = eqx.field(static=True)

    def potential(self, x: Float[Array, "3"]) -> Float[Array, ""]:
        """Phi at one point."""
        return -(self.mass / jnp.sqrt(self._softened_r2(x))).sum()

    def acceleration(self, x: Float[Array, "3"]) -> Float[Array, "3"]:
        """-grad Phi at one point."""
        return (self.mass * self._softened_r2(x) ** -1.5) @ (self.position - x)

    def laplacian(self, x: Float[Array, "3"]) -> Float[Array, ""]:
        """4 pi G rho at one point, where rho is the density of the softened particles."""
        return 3.0 * self.softening**2 * (self.mass * self._softened_r2(x) ** -2.5).sum()

    def _softened_r2(self, x: Float[Array, "3"]) -> Float[Array, " particle"]:
        return ((self.position - x) ** 2).sum(1) + self.softening**2


def plummer_sphere() -> SoftenedParticles:
    """The Plummer sphere with G = M = a = 1.

    Examples:
        >>> sphere, centre = plummer_sphere(), jnp.zeros(3)
        >>> float(sphere.potential(centre)), float(sphere.laplacian(centre))
        (-1.0, 3.0)
    """
    return SoftenedParticles(jnp.zeros((1, 3)), jnp.ones(1), 1.0)


@eqx.filter_jit
def sample_field(field: SoftenedParticles, position: Float[Array, "point 3"]) -> Sample:
    """The field at many points.

    Args:
        field: The field's particles.
        position: In units of a.
    """
    at_once = max(1, PAIRS_AT_ONCE // len(field.mass))
    functions = (field.potential, field.acceleration, field.laplacian)
    values = lax.map(lambda x: tuple(f(x) for f in functions), position, batch_size=min(at_once, len(position)))
    return Sample(position, *values)


def uniform_in_radius(key: PRNGKeyArray, n: int, low: float, high: float) -> Float[Array, "point 3"]:
    """Points in random directions with uniform radii: equally many in each step of radius.

    Args:
        key: For the points.
        n: How many.
        low: Least radius.
        high: Largest radius.
    """
    key_direction, key_radius = jax.random.split(key)
    direction = jax.random.normal(key_direction, (n, 3))
    radius = jax.random.uniform(key_radius, (n, 1), minval=low, maxval=high)
    points: Array = radius * direction / jnp.linalg.norm(direction, axis=1, keepdims=True)
    return points


def near_particles(
    key: PRNGKeyArray, n: int, particles: Float[Array, "particle 3"], displacement: float, radius: float
) -> Float[Array, "point 3"]:
    """Points within a radius, each near a random particle there.

    Each point is a normal step away from its particle. Otherwise all points would sit at the peak of one particle's
    field.

    Args:
        key: For the points.
        n: How many.
        particles: Positions of the particles.
        displacement: Standard deviation of the step in each coordinate.
        radius: Largest radius.
    """
    inside = particles[jnp.linalg.norm(particles, axis=1) < radius]
    key_particle, key_step = jax.random.split(key)
    # four times as many as needed: at most about half of those at the rim leave the sphere
    chosen = jax.random.choice(key_particle, inside, (4 * n,))
    moved = chosen + displacement * jax.random.normal(key_step, chosen.shape)
    return moved[jnp.linalg.norm(moved, axis=1) < radius][:n]
