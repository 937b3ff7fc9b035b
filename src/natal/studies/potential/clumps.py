"""An irregular field whose truth is known: Plummer spheres of one radius, scattered in an ellipsoid."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from natal.studies.potential.fields import SoftenedParticles


def draw_clumps(key: PRNGKeyArray, section: Mapping[str, Any]) -> SoftenedParticles:
    """Draw the clumps of the configuration's section `clumps`. A softened particle is a Plummer sphere.

    Args:
        key: For places and masses.
        section: The section.

    Returns:
        Clumps of mass 1 in all, with their centre of mass at the origin.
    """
    key_place, key_mass = jax.random.split(key)
    number = section["number"]
    place = jax.random.normal(key_place, (number, 3)) * jnp.asarray(section["extent"])
    mass = section["mass_ratio"] ** jax.random.uniform(key_mass, (number,))
    mass /= mass.sum()
    return SoftenedParticles(place - mass @ place, mass, section["radius"])
