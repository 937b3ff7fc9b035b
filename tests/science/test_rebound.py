"""natal against an independent experiment: its own births, REBOUND's leapfrog, its own bound stars and summaries."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import reference
from scipy import stats

from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.run import simulate_clusters
from natal.variables import SUMMARIES

EPS_AU, DT_YR = 2.0, 0.05


def test_positions_agree_before_chaos_sets_in():
    """From the same stars both codes reach the same places, to rounding, in 10 yr.

    n steps kick-drift-kick are half a kick, half a drift, n - 1 steps drift-kick-drift, which is REBOUND's order,
    and half a drift to the final positions.
    """
    n = 200
    run = simulate_clusters(
        np.array([0.9]),
        np.array([80.0]),
        cluster=ClusterModel(softening_au=EPS_AU),
        integration=Integration(t_end_yr=n * DT_YR, dt_yr=DT_YR, snapshots=2),
    )
    (birth, end), velocity, mass = run.position_au[0], run.velocity_au_yr[0, 0], run.mass_msun[0]
    velocity = velocity + DT_YR / 2 * reference.accelerations(birth, mass, EPS_AU)
    x, v = reference.rebound_leapfrog(birth + DT_YR / 2 * velocity, velocity, mass, EPS_AU, DT_YR, n - 1)
    # n steps round each position to u |x|; 10 yr, half a dynamical time, amplify that less than tenfold
    tolerance = 10 * n * 2.0**-53 * np.abs(end).max()
    np.testing.assert_allclose(x + DT_YR / 2 * v, end, rtol=0, atol=tolerance)
    assert np.abs(end - birth).max() > 10


POINTS = [(0.6, 160.0), (0.93, 99.0), (1.25, 185.0), (1.4, 80.0)]
N_RUNS, N_STARS, T_END_YR = 48, 100, 500.0
NAMES = ("f_bound", "sigma_v_kms", "r_h_au")


@pytest.fixture(scope="module")
def samples():
    """For each point, summaries after 500 yr of 48 realizations: (natal's, the reference's), (run, 3) each."""
    q0, a_au = np.repeat(POINTS, N_RUNS, axis=0).T
    runs = simulate_clusters(
        q0,
        a_au,
        seed=20261123,
        cluster=ClusterModel(n_stars=N_STARS, softening_au=EPS_AU),
        integration=Integration(t_end_yr=T_END_YR, dt_yr=DT_YR, snapshots=2),
    )
    natal = np.stack([runs.summaries[name][:, -1] for name in SUMMARIES], axis=1)
    n_steps = round(T_END_YR / DT_YR)
    tasks = [(seed, N_STARS, q, a, EPS_AU, DT_YR, n_steps) for seed, (q, a) in enumerate(zip(q0, a_au, strict=True))]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        independent = np.array(list(pool.map(reference.one_run, tasks, chunksize=8)))
    return dict(
        zip(POINTS, zip(np.split(natal, len(POINTS)), np.split(independent, len(POINTS)), strict=True), strict=True)
    )


def mean_and_error(values):
    """Mean and its standard error."""
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def log_scatter_and_error(values):
    """ln of the standard deviation, and its jackknife standard error, which needs no normal distribution."""
    n = len(values)
    others = np.array([np.log(np.delete(values, i).std(ddof=1)) for i in range(n)])
    return np.log(values.std(ddof=1)), np.sqrt((n - 1) / n * ((others - others.mean()) ** 2).sum())


# 24 comparisons at 4 standard errors (6e-5 each) and 4 shares at 1e-4: a false alarm in 0.2 % of all seeds


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_means_and_scatters_agree(samples, point, name):
    """Mean and scatter over realizations are the same within 4 standard errors of their difference."""
    natal, independent = (values[:, NAMES.index(name)] for values in samples[point])
    natal, independent = natal[np.isfinite(natal)], independent[np.isfinite(independent)]
    for label, estimate in (("mean", mean_and_error), ("ln scatter", log_scatter_and_error)):
        (ours, our_error), (theirs, their_error) = estimate(natal), estimate(independent)
        print(
            f"{point} {name} {label}: natal {ours:.4g} +- {our_error:.2g}, "
            f"independent {theirs:.4g} +- {their_error:.2g}"
        )
        assert abs(ours - theirs) < 4 * np.hypot(our_error, their_error)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_shares_of_dissolved_clusters_agree(samples, point):
    """Both experiments dissolve the same share of clusters (Fisher's exact test)."""
    dissolved = [int(np.isnan(values[:, 1]).sum()) for values in samples[point]]
    print(f"{point} dissolved: natal {dissolved[0]}, independent {dissolved[1]}, of {N_RUNS}")
    assert stats.fisher_exact([dissolved, [N_RUNS - d for d in dissolved]]).pvalue > 1e-4
