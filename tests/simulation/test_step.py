"""The step that a design needs: the rule's limits, and what the integrator makes of it."""

import numpy as np
import pytest

import natal
from natal.simulation.step import needed_step, step_that_fits
from natal.units import G_AU3_PER_MSUN_YR2 as G


def test_of_the_default_campaign():
    """Two stars of 1 Msun turn in sqrt(8 / 8 pi^2) yr within 2 AU; a fifth of that, as their energy is small."""
    needed = needed_step(natal.ClusterModel(), 50.0, 0.5, 1e-3)
    assert needed.encounter_yr == pytest.approx(1 / np.pi)
    assert needed.crossing_yr == pytest.approx(np.sqrt(50**3 / (G * 100)))
    assert needed.dt_yr == pytest.approx(0.2 / np.pi)


def test_of_few_stars():
    """A pair may hold a tenth of all the energy: the step follows from the error that is allowed."""
    cluster = natal.ClusterModel(n_stars=30)
    share = 1 / 2.0 / (3 * np.pi / 32 * 30**2 / 50)
    steps = [needed_step(cluster, 50.0, 0.5, error).dt_yr for error in (1e-3, 1e-5)]
    assert steps[0] == pytest.approx(np.sqrt(1e-3 / (0.4 * share)) / np.pi)
    assert steps[1] == pytest.approx(steps[0] / 10)


def test_of_a_cluster_without_encounters():
    """With a softening as large as the cluster the crossing time decides; cold clusters shrink to 1 / (2 (1 - Q0))."""
    cluster = natal.ClusterModel(n_stars=1000, softening_au=100.0)
    warm, cold = (needed_step(cluster, 50.0, q0, 1e-3) for q0 in (0.5, 0.2))
    assert warm.dt_yr == pytest.approx(0.1 * warm.crossing_yr)
    assert needed_step(cluster, 50.0, 1.4, 1e-3) == warm
    assert cold.dt_yr == pytest.approx(warm.dt_yr / 1.6**1.5)


def test_of_a_mass_function():
    """Two stars of the largest mass make the heaviest pair; the mean is that of what is drawn."""
    from jax import random

    from natal.nbody.plummer import sample_kroupa_masses

    cluster = natal.ClusterModel(n_stars=200, imf="kroupa", imf_mass_range_msun=(0.08, 8.0), softening_au=1000.0)
    needed = needed_step(cluster, 20_000.0, 0.5, 1e-3)
    assert needed.encounter_yr == pytest.approx(np.sqrt(1000**3 / (G * 16)))
    assert needed.dt_yr == pytest.approx(0.1 * needed.encounter_yr)
    mean = sample_kroupa_masses(random.key(1), 100_000, (0.08, 8.0)).mean()
    assert needed.crossing_yr == pytest.approx(np.sqrt(20_000**3 / (G * 200 * float(mean))), rel=0.01)


def test_lengths_and_times_scale_together():
    """Gravity has no scale of its own."""
    one, eight = (
        needed_step(natal.ClusterModel(n_stars=50, softening_au=2.0 * scale), 60.0 * scale, 0.4, 1e-4)
        for scale in (1.0, 4.0)
    )
    assert eight.dt_yr == pytest.approx(8 * one.dt_yr)


def test_the_integrator_keeps_the_limit():
    """Of 128 clusters of few stars through 20 crossing times; with eight times the step, not of one in three."""
    cluster, a = natal.ClusterModel(n_stars=16, softening_au=5.0), 50.0
    needed = needed_step(cluster, a, 0.5, 1e-3)
    t_end = 20 * needed.crossing_yr

    def errors(dt):
        integration = natal.Integration(t_end_yr=t_end, dt_yr=t_end / np.ceil(t_end / dt), snapshots=2)
        return natal.simulate_clusters(np.full(128, 0.5), a, cluster=cluster, integration=integration).energy_error

    assert errors(needed.dt_yr).max() < 1e-3
    assert np.mean(errors(8 * needed.dt_yr) > 1e-3) > 1 / 3


@pytest.mark.parametrize(
    ("t_end", "snapshots", "longest", "step"),
    [(3e6, 13, 131.8, 125.0), (1e6, 3, 45.0, 40.0), (500, 11, 0.0637, 0.0625), (1.0, 2, 7.0, 1.0), (500, 2, 500, 500)],
)
def test_a_step_that_fits(t_end, snapshots, longest, step):
    """Of three digits, a whole number of times between snapshots."""
    made = step_that_fits(
        natal.Integration(t_end_yr=t_end, dt_yr=t_end / (snapshots - 1), snapshots=snapshots), longest
    )
    assert made == step


def test_a_step_that_fits_with_more_digits():
    """Where none of three digits does."""
    t_end = 2 * 9973.0
    made = step_that_fits(natal.Integration(t_end_yr=t_end, dt_yr=9973.0, snapshots=3), 130.0)
    assert made <= 130
    natal.Integration(t_end_yr=t_end, dt_yr=made, snapshots=3)
