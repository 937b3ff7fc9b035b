"""Births: Plummer spheres with a chosen virial ratio.

The density is rho(r) = 3 M / (4 pi a^3) (1 + r^2/a^2)^(-5/2) (Plummer 1911). Radii follow from the inverse of its
cumulative mass, speeds from its isotropic distribution function f ~ (-E)^(7/2), as in Aarseth, Henon & Wielen (1974,
A&A 37, 183). With q = v / v_esc that function gives g(q) = q^2 (1 - q^2)^(7/2) at every radius. Three coordinates of a
point drawn uniformly on the unit sphere in 12 dimensions have this distribution (their squared length is Beta(3/2,
9/2)), so that velocities need neither a table nor a rejection step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from natal.nbody.gravity import Coordinates, Masses, kinetic_energy, potential_energy
from natal.settings.cluster import KROUPA_BREAK_MSUN
from natal.units import G_AU3_PER_MSUN_YR2

KROUPA_SLOPES = (1.3, 2.3)
"""dN/dm ~ m^-slope below and above the break: Kroupa (2001, MNRAS 322, 231), equation 2, without brown dwarfs."""


class InitialConditions(NamedTuple):
    """One batch of clusters at t = 0, in the centre-of-mass frame."""

    position_au: Coordinates
    """In AU."""
    velocity_au_yr: Coordinates
    """In AU/yr."""
    mass_msun: Masses
    """In Msun."""


def sample_kroupa_masses(
    key: PRNGKeyArray, n_stars: int, mass_range_msun: tuple[float, float]
) -> Float[Array, " star"]:
    """Draw stellar masses from the two-part power law of Kroupa (2001), by its inverse cumulative distribution.

    Args:
        key: Random key.
        n_stars: How many masses.
        mass_range_msun: Lowest and highest mass in Msun; the break at 0.5 Msun must lie between them.

    Returns:
        Masses in Msun.

    Examples:
        >>> masses = sample_kroupa_masses(jax.random.key(0), 1000, (0.08, 50.0))
        >>> masses.shape, bool(masses.min() >= 0.08), bool(masses.max() <= 50.0)
        ((1000,), True, True)
    """
    low, high = mass_range_msun
    s1, s2 = KROUPA_SLOPES
    mid = KROUPA_BREAK_MSUN
    # continuous at the break: the upper segment carries a factor mid^(s2 - s1)
    below = (mid ** (1 - s1) - low ** (1 - s1)) / (1 - s1)
    above = mid ** (s2 - s1) * (high ** (1 - s2) - mid ** (1 - s2)) / (1 - s2)
    u = jax.random.uniform(key, (n_stars,)) * (below + above)
    lower = (low ** (1 - s1) + (1 - s1) * u) ** (1 / (1 - s1))
    # clipped where the lower segment applies, so that the unused branch stays finite
    rest = jnp.maximum(u - below, 0.0) * mid ** (s1 - s2)
    upper = (mid ** (1 - s2) + (1 - s2) * rest) ** (1 / (1 - s2))
    return jnp.where(u < below, lower, upper)


def sample_plummer(
    key: PRNGKeyArray, mass_msun: Float[Array, " star"], a_au: Float[Array, ""] | float, truncation_radius: float = 10.0
) -> tuple[Float[Array, "3 star"], Float[Array, "3 star"]]:
    """Draw a Plummer sphere in virial equilibrium, without any later shift or scaling.

    Radii are r = a (u^(-2/3) - 1)^(-1/2) with u uniform up to (1 + 1/R^2)^(-3/2), R the truncation radius.

    Args:
        key: Random key.
        mass_msun: Masses of the stars in Msun; a star's place does not depend on its mass.
        a_au: Plummer scale radius a in AU.
        truncation_radius: Largest radius R that is drawn, in units of a.

    Returns:
        Positions (AU) and velocities (AU/yr), axis (x, y, z) first.

    Examples:
        >>> position_au, velocity_au_yr = sample_plummer(jax.random.key(1), jnp.ones(1000), a_au=100.0)
        >>> position_au.shape, bool(jnp.linalg.norm(position_au, axis=0).max() <= 1000.0)
        ((3, 1000), True)
    """
    n = mass_msun.shape[0]
    key_radius, key_place, key_velocity = jax.random.split(key, 3)
    u_max = (1.0 + truncation_radius**-2) ** -1.5
    # the lower limit keeps u^(-2/3) finite; a star there sits at r = 1e-5 a
    u = jax.random.uniform(key_radius, (n,), minval=1e-15, maxval=u_max)
    radius = a_au / jnp.sqrt(u ** (-2.0 / 3.0) - 1.0)
    position = radius * _isotropic(key_place, n)

    on_sphere = _isotropic(key_velocity, n, dimensions=12)
    escape = jnp.sqrt(2.0 * G_AU3_PER_MSUN_YR2 * mass_msun.sum()) * (radius**2 + a_au**2) ** -0.25
    velocity = escape * on_sphere[:3]
    return position, velocity


def _isotropic(key: PRNGKeyArray, n: int, dimensions: int = 3) -> Float[Array, "dimension star"]:
    """Unit vectors, uniform on the sphere."""
    direction = jax.random.normal(key, (dimensions, n))
    unit_vectors: Array = direction / jnp.linalg.norm(direction, axis=0)
    return unit_vectors


def to_centre_of_mass(coordinates: Coordinates, mass_msun: Masses) -> Coordinates:
    """Subtract the mass-weighted mean over stars.

    Args:
        coordinates: Positions or velocities.
        mass_msun: Masses in Msun.

    Returns:
        Coordinates whose mean is zero in each cluster.
    """
    total = mass_msun.sum(-1)
    centre = (coordinates * mass_msun).sum(-1) / total
    return coordinates - centre[..., None]


def scale_to_virial_ratio(
    position_au: Coordinates,
    velocity_au_yr: Coordinates,
    mass_msun: Masses,
    q0: Float[Array, " batch"],
    softening_au: float,
) -> Coordinates:
    """Scale each cluster's velocities by one factor, so that K/|W| is exactly the wanted virial ratio.

    W is the softened potential energy of these very stars, not that of the model.

    Args:
        position_au: Positions in AU.
        velocity_au_yr: Velocities in AU/yr, relative to the centre of mass.
        mass_msun: Masses in Msun.
        q0: Wanted K/|W|, equilibrium at 0.5.
        softening_au: Plummer softening in AU.

    Returns:
        Scaled velocities in AU/yr.
    """
    kinetic = kinetic_energy(velocity_au_yr, mass_msun)
    potential = potential_energy(position_au, mass_msun, softening_au)
    factor = jnp.sqrt(q0 * jnp.abs(potential) / kinetic)
    return velocity_au_yr * factor[:, None]


def initial_conditions(
    keys: Key[Array, " batch"],
    q0: Float[Array, " batch"],
    a_au: Float[Array, " batch"],
    *,
    n_stars: int,
    star_mass_msun: float = 1.0,
    imf: str = "equal",
    imf_mass_range_msun: tuple[float, float] = (0.08, 50.0),
    softening_au: float = 2.0,
    truncation_radius: float = 10.0,
) -> InitialConditions:
    """Draw one cluster for each key: a Plummer sphere at rest, with velocities scaled to K/|W| = q0.

    Args:
        keys: Random keys: each gives one cluster, whatever the others are.
        q0: Virial ratio K/|W| of each cluster; 0.5 is equilibrium.
        a_au: Plummer scale radius of each cluster in AU.
        n_stars: Stars in a cluster.
        star_mass_msun: Mass of every star in Msun with `imf="equal"`.
        imf: `"equal"`, or `"kroupa"` for masses from `sample_kroupa_masses`.
        imf_mass_range_msun: Lowest and highest mass in Msun with `imf="kroupa"`.
        softening_au: Plummer softening in AU.
        truncation_radius: Largest radius, in units of a.

    Returns:
        The clusters.

    Raises:
        ValueError: `imf` is something else.

    Examples:
        >>> keys = jax.random.split(jax.random.key(0), 2)
        >>> stars = initial_conditions(keys, jnp.array([0.5, 1.0]), jnp.array([100.0, 100.0]), n_stars=20)
        >>> stars.position_au.shape, stars.mass_msun.shape
        ((3, 2, 20), (2, 20))
        >>> w = potential_energy(stars.position_au, stars.mass_msun, softening_au=2.0)
        >>> (kinetic_energy(stars.velocity_au_yr, stars.mass_msun) / -w).round(3).tolist()
        [0.5, 1.0]
    """
    if imf not in ("equal", "kroupa"):
        raise ValueError(f"imf must be 'equal' or 'kroupa', got {imf!r}")

    def one(key: PRNGKeyArray, a: Float[Array, ""]) -> tuple[Array, Array, Array]:
        key_mass, key_stars = jax.random.split(key)
        if imf == "kroupa":
            mass = sample_kroupa_masses(key_mass, n_stars, imf_mass_range_msun)
        else:
            mass = jnp.full((n_stars,), star_mass_msun, dtype=a.dtype)
        position, velocity = sample_plummer(key_stars, mass, a, truncation_radius)
        return position, velocity, mass

    position, velocity, mass = jax.vmap(one, out_axes=(1, 1, 0))(keys, a_au)
    position = to_centre_of_mass(position, mass)
    velocity = to_centre_of_mass(velocity, mass)
    velocity = scale_to_virial_ratio(position, velocity, mass, q0, softening_au)
    return InitialConditions(position, velocity, mass)
