"""A realization is the same whatever else is simulated with it; and what a simulation returns."""

import jax
import numpy as np
import pytest
import reference

from natal.errors import NatalError
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation import batches, run
from natal.simulation.setup import Setup
from natal.variables import SUMMARIES

SHORT = Integration(t_end_yr=5.0, dt_yr=0.05, snapshots=3)
N_RUNS = 21  # three of a core's batches of eight, the last of them not full
Q0 = np.linspace(0.5, 1.5, N_RUNS)
A_AU = np.linspace(50.0, 200.0, N_RUNS)
POINT = 100 + np.arange(N_RUNS) // 3
REALIZATION = np.arange(N_RUNS) % 3


def simulate(chosen, devices=None, **options):
    """The chosen ones of 21 runs over the design box."""
    setup = Setup.of(
        Q0[chosen],
        A_AU[chosen],
        point_id=POINT[chosen],
        realization=REALIZATION[chosen],
        **({"seed": 5, "integration": SHORT} | options),
    )
    return run.simulate(setup, devices=devices)


@pytest.fixture(scope="module")
def together():
    """All runs at once, on both devices."""
    return simulate(np.arange(N_RUNS))


def assert_identical(runs, expected, rows):
    """Every number of `runs` is, bit for bit, that of the given rows of `expected`."""
    for name in ("position_au", "velocity_au_yr", "mass_msun", "kinetic_energy", "potential_energy"):
        np.testing.assert_array_equal(getattr(runs, name), getattr(expected, name)[rows])
    for name, values in runs.summaries.items():
        np.testing.assert_array_equal(values, expected.summaries[name][rows])


@pytest.mark.parametrize("rows", [[13], [*range(20, -1, -1)]], ids=["alone", "reversed"])
def test_company_and_order_do_not_matter(together, rows):
    """A run gives the same bits alone and at another place of the batch."""
    assert_identical(simulate(np.array(rows)), together, rows)


def test_the_number_of_devices_does_not_matter(together):
    """One device and two give the same bits."""
    assert len(jax.local_devices()) == 2
    assert_identical(simulate(np.arange(N_RUNS), devices=jax.local_devices()[:1]), together, slice(None))


def test_cutting_into_shards_does_not_matter(together):
    """A job that simulates only some of the runs gives the bits of the job that simulates all."""
    rows = np.arange(5, N_RUNS)
    assert_identical(simulate(rows), together, rows)


def test_batches_of_another_size(together, monkeypatch):
    """`clusters_per_batch` is what programs are compiled for; a last batch that is not full changes nothing.

    Sums are taken in another order: numbers agree to rounding that 100 steps let grow.
    """
    sizes, compiled = [], batches._compile
    monkeypatch.setattr(
        batches, "_compile", lambda setup, size, device: sizes.append(size) or compiled(setup, size, device)
    )
    rows = np.arange(4, 11)
    runs = simulate(rows, integration=Integration(t_end_yr=5.0, dt_yr=0.05, snapshots=3, clusters_per_batch=5))
    assert sizes == [5]
    for name in ("position_au", "velocity_au_yr", "mass_msun", "kinetic_energy", "potential_energy"):
        values = getattr(together, name)[rows]
        np.testing.assert_allclose(getattr(runs, name), values, rtol=1e-10, atol=1e-10 * np.abs(values).max())
    for name, values in runs.summaries.items():
        np.testing.assert_allclose(values, together.summaries[name][rows], rtol=1e-10)


def test_shapes(together):
    """Cluster first, then time, star, coordinate."""
    n_time, n_stars = 3, 100
    assert together.time_yr.tolist() == [0.0, 2.5, 5.0]
    assert together.position_au.shape == together.velocity_au_yr.shape == (N_RUNS, n_time, n_stars, 3)
    assert together.mass_msun.shape == (N_RUNS, n_stars)
    assert together.kinetic_energy.shape == together.potential_energy.shape == (N_RUNS, n_time)
    assert together.virial_ratio.shape == (N_RUNS, n_time)
    assert together.energy_error.shape == (N_RUNS,)
    assert {values.shape for values in together.summaries.values()} == {(N_RUNS, n_time)}
    assert together.position_au.dtype == np.float64
    assert together.summaries.dissolved.dtype == bool


def test_every_run_starts_with_its_own_virial_ratio(together):
    """K/|W| at t = 0 is the Q0 asked for, run by run."""
    np.testing.assert_allclose(together.virial_ratio[:, 0], Q0, rtol=(4 * 100 + 30) * 2.0**-53)


def test_every_run_has_its_own_scale_radius(together):
    """Half of the stars lie within 1.2875 a at birth, to the 10 % that 100 stars allow (5 standard errors)."""
    median = np.median(np.linalg.norm(together.position_au[:, 0], axis=-1), axis=1) / A_AU
    assert abs(median.mean() - 1.2875) < 5 * 0.10 * 1.2875 / np.sqrt(N_RUNS)
    assert np.corrcoef(A_AU, median * A_AU)[0, 1] > 0.9


def test_positions_and_velocities_belong_together(together):
    """(x(5) - x(0)) / 5 yr is the mean velocity of the run, to the change of velocity within it."""
    x, v = together.position_au, together.velocity_au_yr
    mean = (x[:, 2] - x[:, 0]) / 5.0
    low, high = v.min(1), v.max(1)
    # between snapshots a velocity may leave the range of the three by what acceleration adds in 2.5 yr
    margin = 2 * np.abs(np.diff(v, axis=1)).max((1, 3), keepdims=True)[:, 0]
    assert np.all(mean > low - margin - 0.1)
    assert np.all(mean < high + margin + 0.1)


def test_units_of_energies_and_summaries(together):
    """Msun AU^2/yr^2, km/s and AU: what plain loops make of the returned positions and velocities."""
    k, end = 4, -1
    x, v, m = together.position_au[k, end], together.velocity_au_yr[k, end], together.mass_msun[k]
    rounding = (4 * 100 + 30) * 2.0**-53
    assert together.kinetic_energy[k, end] == pytest.approx(reference.kinetic_energy(v, m), rel=rounding)
    assert together.potential_energy[k, end] == pytest.approx(reference.potential_energy(x, m, 2.0), rel=rounding)
    got = [together.summaries[name][k, end] for name in SUMMARIES]
    np.testing.assert_allclose(got, reference.summaries(x, v, m, 2.0), rtol=10 * rounding)


def test_energy_error_compares_first_and_last_snapshot(together):
    """|E_T - E_0| / |W_0|."""
    kinetic, potential = together.kinetic_energy, together.potential_energy
    energy = kinetic + potential
    np.testing.assert_array_equal(together.energy_error, np.abs(energy[:, 2] - energy[:, 0]) / np.abs(potential[:, 0]))
    assert 0 < together.energy_error.max() < 1e-4


@pytest.mark.slow
def test_single_precision_is_single():
    """`precision: float32` computes and returns float32, and still conserves energy."""
    single = simulate(
        np.arange(4), integration=Integration(t_end_yr=50.0, dt_yr=0.05, snapshots=2, precision="float32")
    )
    assert single.position_au.dtype == single.kinetic_energy.dtype == np.float32
    # 1000 steps of rounding, 6e-8 each, that add up in the worst case; leapfrog's own error is 1e-5
    assert single.energy_error.max() < 1000 * 2.0**-24 + 2e-5


def test_lists_scalars_and_a_mass_function():
    """A notebook user may ask for a few clusters of one size without building arrays, and for Kroupa's masses."""
    cluster = ClusterModel(n_stars=50, imf="kroupa", imf_mass_range_msun=(0.1, 10.0))
    runs = run.simulate_clusters([0.7, 0.8], 120.0, cluster=cluster, integration=SHORT)
    assert runs.position_au.shape == (2, 3, 50, 3)
    np.testing.assert_allclose(runs.virial_ratio[:, 0], [0.7, 0.8], rtol=(4 * 50 + 30) * 2.0**-53)
    assert runs.mass_msun.min() > 0.1
    assert runs.mass_msun.max() < 10.0
    assert len(np.unique(runs.mass_msun)) == 100


def test_a_step_that_does_not_fit_is_refused():
    """dt must fit a whole number of times between snapshots; the message names the key and both numbers."""
    with pytest.raises(NatalError, match=r"integration\.dt_yr = 0\.3 .* 2\.5 yr"):
        simulate(np.array([0]), integration=Integration(t_end_yr=5.0, dt_yr=0.3, snapshots=3))


@pytest.mark.parametrize(("t_end", "dt", "snapshots", "steps"), [(500, 0.05, 11, 1000), (0.3, 0.1, 2, 3), (1, 1, 2, 1)])
def test_steps_between_snapshots(t_end, dt, snapshots, steps):
    """Whole numbers of steps are recognised although 0.3 / 0.1 is not exactly 3."""
    integration = Integration(t_end_yr=t_end, dt_yr=dt, snapshots=snapshots)
    assert integration.steps_per_snapshot == steps
    assert integration.n_steps == steps * (snapshots - 1)
    assert len(integration.time_yr) == snapshots


def test_models_come_from_the_configuration(config):
    """The sections `cluster` and `integration` are exactly the fields of the two models."""
    assert ClusterModel(**config["cluster"]) == ClusterModel()
    assert Integration(**config["integration"]) == Integration()
    assert isinstance(hash(ClusterModel(**config["cluster"])), int)
