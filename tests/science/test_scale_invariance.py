"""Self-gravity has no scale of its own: lengths times s and times times s^1.5 give the same motion."""

import jax
import numpy as np
import pytest

from natal.nbody.leapfrog import integrate
from natal.nbody.plummer import initial_conditions
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.run import simulate_clusters

run = jax.jit(integrate, static_argnames=("dt_yr", "steps_per_snapshot", "n_snapshots", "softening_au"))
birth = jax.jit(initial_conditions, static_argnames=("n_stars", "softening_au", "imf"))


def test_motion_scales_exactly_with_a_power_of_four(float64):
    """With s = 4 every factor is a power of two, so that not a single bit of the scaled run may differ."""
    keys = jax.random.split(jax.random.key(31), 3)
    stars = birth(keys, np.array([0.5, 0.9, 1.4]), np.full(3, 60.0), n_stars=64, softening_au=2.0, imf="kroupa")
    small = run(*stars, dt_yr=0.0625, steps_per_snapshot=400, n_snapshots=2, softening_au=2.0)
    large = run(
        4 * stars.position_au,
        stars.velocity_au_yr / 2,
        stars.mass_msun,
        dt_yr=0.5,
        steps_per_snapshot=400,
        n_snapshots=2,
        softening_au=8.0,
    )
    np.testing.assert_array_equal(large.position_au, 4 * small.position_au)
    np.testing.assert_array_equal(large.velocity_au_yr, small.velocity_au_yr / 2)


@pytest.mark.parametrize("s", [3.0])
@pytest.mark.slow
def test_a_whole_simulation_scales(s):
    """From birth to summaries: radii times s, velocities over sqrt(s), f_bound and energy errors the same."""
    q0, a_au = np.array([0.6, 1.3]), np.array([60.0, 60.0])
    small, large = (
        simulate_clusters(
            q0,
            a_au * scale,
            cluster=ClusterModel(n_stars=48, softening_au=2.0 * scale),
            integration=Integration(t_end_yr=10.0 * scale**1.5, dt_yr=0.05 * scale**1.5, snapshots=2),
        )
        for scale in (1.0, s)
    )
    # 200 steps of rounding, amplified less than a hundredfold in 10 yr, half a dynamical time
    tolerance = {"rtol": 0, "atol": 100 * 200 * 2.0**-53 * np.abs(small.position_au).max()}
    np.testing.assert_allclose(large.position_au / s, small.position_au, **tolerance)
    np.testing.assert_array_equal(large.summaries.n_bound, small.summaries.n_bound)
    np.testing.assert_allclose(large.summaries.r_h_au, s * small.summaries.r_h_au, rtol=1e-9)
    np.testing.assert_allclose(large.summaries.sigma_v_kms * s**0.5, small.summaries.sigma_v_kms, rtol=1e-9)
