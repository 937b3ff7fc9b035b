"""The particles: a virialised cluster that natal simulated, and the Plummer sphere that fits it best."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import minimize

from natal.errors import NatalError
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.run import simulate_clusters
from natal.studies.potential.fields import SoftenedParticles, plummer_sphere
from natal.studies.potential.names import PLUMMER, field_name

AXES = ("x_au", "y_au", "z_au")


class PlummerFit(NamedTuple):
    """The Plummer sphere with the highest likelihood for the particles' positions.

    Attributes:
        centre_au: Its centre.
        a_au: Its scale radius.
    """

    centre_au: Float[np.ndarray, "3"]
    a_au: float


def simulate(seed: int, section: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Simulate the cluster of the configuration's section `cluster` to its end.

    Args:
        seed: The study's.
        section: The section.

    Returns:
        Stars at the end, with columns x_au, y_au, z_au, mass_msun; and numbers that describe the run.

    Raises:
        NatalError: If the energy error |E_T - E_0| / |W_0| is above `max_energy_error`.
    """
    model = ClusterModel(
        n_stars=section["n_stars"], star_mass_msun=section["star_mass_msun"], softening_au=section["softening_au"]
    )
    integration = Integration(t_end_yr=section["t_end_yr"], dt_yr=section["dt_yr"], snapshots=2)
    run = simulate_clusters(section["q0"], section["a_au"], seed=seed, cluster=model, integration=integration)
    error = float(run.energy_error[0])
    if not error <= section["max_energy_error"]:
        raise NatalError(
            f"the cluster's energy error is {error:.2g}, above cluster.max_energy_error = "
            f"{section['max_energy_error']:g}: choose a smaller cluster.dt_yr"
        )
    stars = pd.DataFrame(run.position_au[0, -1], columns=AXES).assign(mass_msun=run.mass_msun[0])
    described = {"energy_error": error, "virial_ratio_final": float(run.virial_ratio[0, -1])}
    return stars, described


def fit_plummer(position_au: Float[np.ndarray, "particle 3"]) -> PlummerFit:
    """Fit centre and scale radius by maximum likelihood; each particle is a draw from rho ~ a^-3 (1 + r^2/a^2)^(-5/2).

    Raises:
        NatalError: If the fit does not converge.
    """
    start = np.median(position_au, axis=0)
    scale = float(np.median(np.linalg.norm(position_au - start, axis=1)))

    def loss(p: Float[np.ndarray, "4"]) -> float:
        r2 = (((position_au - start) / scale - p[:3]) ** 2).sum(1)
        return float(np.mean(3.0 * p[3] + 2.5 * np.log1p(r2 * np.exp(-2.0 * p[3]))))

    fit = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-4})
    if not fit.success:
        raise NatalError(f"no Plummer sphere fits the cluster: {fit.message}")
    return PlummerFit(start + scale * fit.x[:3], scale * float(np.exp(fit.x[3])))


def as_field(stars: pd.DataFrame, fit: PlummerFit, softening_au: float) -> SoftenedParticles:
    """The stars as softened particles, in units of the fitted sphere and of the cluster's whole mass.

    Args:
        stars: Columns x_au, y_au, z_au, mass_msun.
        fit: The Plummer sphere.
        softening_au: Of the particles.
    """
    position = (stars[list(AXES)].to_numpy() - fit.centre_au) / fit.a_au
    mass = stars.mass_msun.to_numpy() / stars.mass_msun.sum()
    return SoftenedParticles(jnp.asarray(position), jnp.asarray(mass), softening_au / fit.a_au)


def true_fields(stars: pd.DataFrame, softenings_au: Sequence[float]) -> dict[str, SoftenedParticles]:
    """All fields of the study by name. JAX must have double precision enabled.

    Args:
        stars: Columns x_au, y_au, z_au, mass_msun.
        softenings_au: One field of particles each.
    """
    fit = fit_plummer(stars[list(AXES)].to_numpy())
    particles = {field_name(softening): as_field(stars, fit, softening) for softening in softenings_au}
    return {PLUMMER: plummer_sphere()} | particles
