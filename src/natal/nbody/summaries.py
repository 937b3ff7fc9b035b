"""What a cluster is reduced to: its bound stars, their velocity dispersion and half-mass radius.

All quantities are weighted by mass. Definitions are those of docs/explanation/physics.md. Bound stars are found by
removal only: a star that was dropped is not taken back.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from natal.nbody.gravity import Coordinates, Masses, specific_potential
from natal.units import KMS_PER_AU_YR
from natal.variables import MIN_BOUND_STARS, SUMMARIES


class BoundStars(NamedTuple):
    """The stars of a batch of clusters at one time, and which of them are bound.

    Every function in `FUNCTIONS` gets this.
    """

    position_au: Coordinates
    """In AU."""
    velocity_au_yr: Coordinates
    """In AU/yr."""
    mass_msun: Masses
    """In Msun."""
    bound: Bool[Array, "batch star"]
    """Whether a star is bound."""
    dissolved: Bool[Array, " batch"]
    """Whether fewer than `MIN_BOUND_STARS` stars of a cluster are bound."""

    @property
    def members(self) -> Bool[Array, "batch star"]:
        """The bound stars, but all stars of a dissolved cluster, so that no sum is divided by zero."""
        return self.bound | self.dissolved[:, None]

    def unless_dissolved(self, values: Float[Array, " batch"]) -> Float[Array, " batch"]:
        """Put nan in the place of values of dissolved clusters.

        Args:
            values: One number a cluster.

        Returns:
            The same, nan where dissolved.
        """
        return jnp.where(self.dissolved, jnp.nan, values)


def bound_stars(
    position_au: Coordinates, velocity_au_yr: Coordinates, mass_msun: Masses, softening_au: float
) -> Bool[Array, "batch star"]:
    """Find each cluster's bound set by repeated removal.

    Each pass takes the centre-of-mass velocity v_b of the current set and drops every member with E_i = |v_i - v_b|^2 /
    2 - G sum_{j bound, j != i} m_j / sqrt(r_ij^2 + eps^2) >= 0. The first pass starts from all stars; the search ends
    when a pass drops none.

    Args:
        position_au: Positions in AU.
        velocity_au_yr: Velocities in AU/yr.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening eps in AU.

    Returns:
        Whether each star is bound.
    """

    def one_pass(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        bound, _ = carry
        weight = jnp.where(bound, mass_msun, 0.0)
        v_bound = _weighted_mean(velocity_au_yr, weight)
        specific_kinetic = 0.5 * ((velocity_au_yr - v_bound[..., None]) ** 2).sum(0)
        kept = bound & (specific_kinetic + specific_potential(position_au, weight, softening_au) < 0.0)
        return kept, jnp.any(kept != bound)

    everyone = jnp.ones(mass_msun.shape, dtype=bool)
    bound, _ = lax.while_loop(lambda carry: carry[1], one_pass, (everyone, jnp.array(True)))
    return bound


def half_mass_radius(
    position_au: Coordinates, mass_msun: Masses, members: Bool[Array, "batch star"]
) -> Float[Array, " batch"]:
    """Smallest radius about the members' centre of mass that holds at least half of their mass.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        members: Which stars count; at least one in each cluster.

    Returns:
        Radii in AU.

    Examples:
        >>> position_au = jnp.zeros((3, 1, 4)).at[0, 0].set(jnp.array([-3.0, -1.0, 1.0, 3.0]))
        >>> half_mass_radius(position_au, jnp.ones((1, 4)), jnp.ones((1, 4), bool)).tolist()
        [1.0]
    """
    weight = jnp.where(members, mass_msun, 0.0)
    centre = _weighted_mean(position_au, weight)
    radius = jnp.sqrt(((position_au - centre[..., None]) ** 2).sum(0))
    radius = jnp.where(members, radius, jnp.inf)
    order = jnp.argsort(radius, axis=-1)
    enclosed = jnp.cumsum(jnp.take_along_axis(weight, order, -1), -1)
    # a rounding error in the running sum must not move the radius by a whole star
    half = 0.5 * enclosed[:, -1:] * (1.0 - 1e-6)
    first = jnp.argmax(enclosed >= half, axis=-1)
    return jnp.take_along_axis(jnp.take_along_axis(radius, order, -1), first[:, None], -1)[:, 0]


def velocity_dispersion(
    velocity_au_yr: Coordinates, mass_msun: Masses, members: Bool[Array, "batch star"]
) -> Float[Array, " batch"]:
    """One-dimensional dispersion sqrt(sum m |v - v_b|^2 / (3 sum m)) of the members about their mean velocity v_b.

    Args:
        velocity_au_yr: Velocities in AU/yr.
        mass_msun: Masses in Msun.
        members: Which stars count; at least one in each cluster.

    Returns:
        Dispersions in AU/yr.
    """
    weight = jnp.where(members, mass_msun, 0.0)
    mean = _weighted_mean(velocity_au_yr, weight)
    speed2 = ((velocity_au_yr - mean[..., None]) ** 2).sum(0)
    return jnp.sqrt((weight * speed2).sum(-1) / (3.0 * weight.sum(-1)))


def _f_bound(stars: BoundStars) -> Float[Array, " batch"]:
    return jnp.where(stars.bound, stars.mass_msun, 0.0).sum(-1) / stars.mass_msun.sum(-1)


def _sigma_v_kms(stars: BoundStars) -> Float[Array, " batch"]:
    sigma = velocity_dispersion(stars.velocity_au_yr, stars.mass_msun, stars.members)
    return stars.unless_dissolved(KMS_PER_AU_YR * sigma)


def _r_h_au(stars: BoundStars) -> Float[Array, " batch"]:
    return stars.unless_dissolved(half_mass_radius(stars.position_au, stars.mass_msun, stars.members))


FUNCTIONS: dict[str, Callable[[BoundStars], Float[Array, " batch"]]] = {
    "f_bound": _f_bound,
    "sigma_v_kms": _sigma_v_kms,
    "r_h_au": _r_h_au,
}
"""How each of `natal.variables.SUMMARIES` is computed: name to function."""


def summarise(
    position_au: Coordinates, velocity_au_yr: Coordinates, mass_msun: Masses, softening_au: float
) -> dict[str, Array]:
    """Reduce each cluster to the summaries of its bound stars.

    Args:
        position_au: Positions in AU.
        velocity_au_yr: Velocities in AU/yr.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU.

    Returns:
        Arrays of shape (batch,), by name: `SUMMARIES` in their units, nan where a dissolved cluster has none, then
        `n_bound` and `dissolved` (fewer than `MIN_BOUND_STARS`).
    """
    bound = bound_stars(position_au, velocity_au_yr, mass_msun, softening_au)
    n_bound = bound.sum(-1)
    dissolved = n_bound < MIN_BOUND_STARS
    stars = BoundStars(position_au, velocity_au_yr, mass_msun, bound, dissolved)
    return {name: FUNCTIONS[name](stars) for name in SUMMARIES} | {"n_bound": n_bound, "dissolved": dissolved}


def _weighted_mean(coordinates: Coordinates, weight: Masses) -> Float[Array, "3 batch"]:
    """Mean over stars; zero where no star has weight."""
    total = weight.sum(-1)
    return (coordinates * weight).sum(-1) / jnp.where(total > 0, total, 1.0)
