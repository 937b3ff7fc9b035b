"""A virialised Plummer sphere is in equilibrium: it stays what it is.

64 spheres of 256 stars with a softening of 0.05 a, so that two-body relaxation (relaxation time about 20 dynamical
times) hardly moves the half-mass radius within the 20 crossing times followed; a crossing time is r_h / v_rms.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.gravity import accelerations, potential_energy
from natal.simulator import ClusterModel, Integration, simulate_clusters

N_RUNS, N_STARS, A_AU, EPS_AU = 64, 256, 100.0, 5.0


@pytest.fixture(scope="module")
def runs():
    """20 crossing times in 20 snapshots."""
    gm = 4 * np.pi**2 * N_STARS
    crossing_yr = 1.3048 * A_AU / np.sqrt(3 * np.pi / 32 * gm / A_AU)
    return simulate_clusters(
        np.full(N_RUNS, 0.5),
        np.full(N_RUNS, A_AU),
        cluster=ClusterModel(n_stars=N_STARS, softening_au=EPS_AU),
        integration=Integration(t_end_yr=20 * crossing_yr, dt_yr=crossing_yr / 100, snapshots=21),
    )


def time_average(values):
    """Mean over the last 15 crossing times, one number a run, so that runs count as independent samples."""
    return np.asarray(values)[:, 6:].mean(1)


def assert_mean(values, expected):
    """The ensemble mean lies within 4 standard errors (n = 64) of the expected value."""
    assert abs(values.mean() - expected) < 4 * values.std(ddof=1) / np.sqrt(len(values))


def test_the_virial_ratio_stays_at_its_softened_equilibrium(runs):
    """K / |W| keeps the value 0.5 C / |W| of the newborn sphere, C = -sum m x.a being Clausius' virial.

    Without softening C = |W|; a softening of 0.05 a lowers C / |W| by 0.6 %.
    """
    with jax.enable_x64(True):
        x, m = jnp.asarray(runs.position_au[:, 0].transpose(2, 0, 1)), jnp.asarray(runs.mass_msun)
        clausius = -(m * (x * accelerations(x, m, EPS_AU)).sum(0)).sum(-1)
        expected = 0.5 * float((clausius / -potential_energy(x, m, EPS_AU)).mean())
    assert 0.49 < expected < 0.5
    assert_mean(time_average(runs.virial_ratio), expected)


def test_the_half_mass_radius_stays(runs):
    """Neither collapse nor expansion: the half-mass radius of each sphere stays that of its birth on average."""
    assert_mean(time_average(runs.summaries.r_h_au) / runs.summaries.r_h_au[:, 0].mean(), 1.0)


def test_the_half_mass_radius_is_that_of_a_plummer_sphere(runs):
    """At birth 1.2875 a, half of the mass within 10 a, and so it is later."""
    u = 0.5 * (1 + 10.0**-2) ** -1.5
    expected = A_AU / np.sqrt(u ** (-2 / 3) - 1)
    assert_mean(runs.summaries.r_h_au[:, 0], expected)
    assert_mean(time_average(runs.summaries.r_h_au), expected)


def test_the_dispersion_stays(runs):
    """The velocity dispersion keeps its initial mean, less the same softening correction of up to 1 %."""
    sigma = runs.summaries.sigma_v_kms
    change = time_average(sigma) / sigma[:, 0].mean() - 1
    error = change.std(ddof=1) / np.sqrt(N_RUNS)
    assert -0.01 - 4 * error < change.mean() < 4 * error


def test_almost_nobody_leaves(runs):
    """Relaxation ejects below 1 % of the stars a relaxation time; 20 crossing times are about two of those."""
    assert runs.summaries.f_bound[:, -1].mean() > 0.98


def test_energy_is_conserved_throughout(runs):
    """Leapfrog's error stays bounded at the order (dt v / eps)^2 / 12, v = 2.7 v_rms for the fastest stars."""
    total = runs.kinetic_energy + runs.potential_energy
    drift = np.abs(total - total[:, :1]) / np.abs(runs.potential_energy[:, :1])
    assert drift.max() < (1.3048 * A_AU / 100 * 2.7 / EPS_AU) ** 2 / 12
